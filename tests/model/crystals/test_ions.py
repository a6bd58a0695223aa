"""Crystals of ions: charges that pairs exchange, their potential on levels, shells of s and p."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from crystal_models import electrolyte_model, li2s

from esml.model.crystals import CrystalConfig, CrystalModel
from esml.physics.crystals import k_mesh
from esml.physics.crystals.ewald import coulomb_matrix

K_POINTS = k_mesh((2, 2, 1)).fractional


def energies(model: object, atoms: Atoms, k_points: torch.Tensor = K_POINTS) -> torch.Tensor:
    h = model(atoms.numbers.tolist(), atoms.cell.array, atoms.positions)  # type: ignore[operator]
    found: torch.Tensor = torch.linalg.eigvalsh(h.at(k_points).detach())
    return found


def test_charges_add_up_to_none_and_change_sign_with_the_pair() -> None:
    model, atoms = electrolyte_model().model, li2s(seed=2)
    near = model.neighbourhood(atoms.numbers.tolist(), atoms.cell.array, atoms.positions)
    charges = near.charges(model.two_centre.share, model.two_centre.charges).detach()
    assert charges.abs().max() > 0.1
    assert abs(float(charges.sum())) < 1e-12
    sulfur = charges[atoms.numbers == 16]
    lithium = charges[atoms.numbers == 3]
    assert float(sulfur.max()) * float(lithium.min()) < 0.0


def test_the_potential_of_the_charges_moves_levels() -> None:
    """Without hopping and field the bands are the levels, moved by −φ of the Ewald sum."""
    model, atoms = electrolyte_model().model, li2s(seed=2)
    with torch.no_grad():
        for table in (model.two_centre.hopping, model.two_centre.field, model.exponent):
            table.zero_()
    near = model.neighbourhood(atoms.numbers.tolist(), atoms.cell.array, atoms.positions)
    charges = near.charges(model.two_centre.share, model.two_centre.charges).detach().numpy()
    phi = coulomb_matrix(atoms.cell.array, atoms.positions) @ charges
    levels = model.two_centre.levels.detach().numpy()[[0 if z == 3 else 1 for z in atoms.numbers]]
    expected = np.sort(np.concatenate([(levels[:, [0, 1, 1, 1]] - phi[:, None]).ravel()]))
    found = energies(model, atoms)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-9)


def test_bands_of_ions_do_not_depend_on_how_the_crystal_lies() -> None:
    model, atoms = electrolyte_model().model, li2s(seed=1)
    turned = atoms.copy()
    turned.rotate(50.0, (0.3, 1.0, -2.0), rotate_cell=True)
    turned.translate((0.7, -0.2, 3.0))
    turned = turned[np.array([2, 0, 1])]
    torch.testing.assert_close(energies(model, turned), energies(model, atoms), atol=1e-6, rtol=0)


def test_a_supercell_folds_onto_the_cell() -> None:
    """Γ of a doubled cell is Γ and the edge of the single one: Ewald's sums included."""
    model, atoms = electrolyte_model().model, li2s(seed=4)
    double = energies(model, atoms.repeat((1, 1, 2)), torch.zeros(1, 3, dtype=torch.float64))[0]
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]], dtype=torch.float64)
    single = energies(model, atoms, points).flatten().sort().values
    torch.testing.assert_close(double, single, atol=1e-6, rtol=0)


def phosphate_and_sulfide() -> Atoms:
    """PS4³⁻ with three Li beside S²⁻ with two, 4.5 Å apart and more."""
    side = 2.04 / 3**0.5
    corners = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) * side
    lithium = np.array([(2.9, 0, 0), (0, 2.9, 0), (0, 0, 2.9), (4.0, 5.7, 5.7), (7.4, 5.7, 5.7)])
    sulfide = np.array([(5.7, 5.7, 5.7)])
    positions = np.concatenate([np.zeros((1, 3)), corners, sulfide, lithium])
    return Atoms("PS4SLi5", positions=positions, cell=np.eye(3) * 8.5, pbc=True)


def test_a_free_sulfide_has_tables_of_its_own() -> None:
    """Its row moves levels of the sulfide alone; where both rows are alike, it is as without."""
    atoms = phosphate_and_sulfide()
    plain = CrystalModel(CrystalConfig(elements=(3, 15, 16), insulating=True))
    told = CrystalModel(CrystalConfig(elements=(3, 15, 16), insulating=True, anions=(16,)))
    generator = torch.Generator().manual_seed(3)
    row = [0, 1, 2, 2]
    with torch.no_grad():
        for name in ("two_centre.levels", "two_centre.hopping", "two_centre.charges", "exponent"):
            table = plain.get_parameter(name)
            table.copy_(0.05 * torch.randn(table.shape, generator=generator, dtype=table.dtype))
            alike = table[row] if name.endswith("levels") else table[row][:, row]
            told.get_parameter(name).copy_(alike)
    torch.testing.assert_close(energies(told, atoms), energies(plain, atoms), atol=1e-9, rtol=0)

    with torch.no_grad():
        told.two_centre.levels[3] += 1.0
    moved = (
        told.two_centre.tables.hamiltonian(
            told.neighbourhood(atoms.numbers.tolist(), atoms.cell.array, atoms.positions)
        ).onsite
        - plain.two_centre.tables.hamiltonian(
            plain.neighbourhood(atoms.numbers.tolist(), atoms.cell.array, atoms.positions)
        ).onsite
    )
    found = torch.diagonal(moved, dim1=1, dim2=2).mean(1).detach()
    expected = torch.zeros(len(atoms), dtype=torch.float64)
    expected[5] = 1.0
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
