"""Crystals of ions: charges that pairs exchange, their potential on levels, shells of s and p."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from crystal_models import electrolyte_model, li2s

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
