"""Hamiltonians of crystals from tables: symmetries, folding, and a fit that finds known tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell

from esml.io.records import CrystalRecord
from esml.model.crystals import TwoCentreModel, periodic_pairs
from esml.physics.crystals import RealSpaceHamiltonian, k_mesh
from esml.training.crystals.two_centre_fit import fit_two_centre

ELEMENTS = (28, 29)
CUTOFF, N_RADIAL = 4.5, 3
K_POINTS = torch.rand(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def random_model(seed: int = 0) -> TwoCentreModel:
    generator = torch.Generator().manual_seed(seed)
    model = TwoCentreModel(ELEMENTS, CUTOFF, N_RADIAL)
    for table, size in ((model.levels, 2.0), (model.hopping, 0.8), (model.field, 0.3)):
        table.data = size * torch.randn(table.shape, generator=generator, dtype=torch.float64)
    return model


def crystal(seed: int, symbols: str = "NiCuNiNi") -> Atoms:
    """A rattled, strained cell."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Ni", "fcc", a=3.55, cubic=True)
    atoms.symbols = symbols
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
    return atoms


def hamiltonian(model: TwoCentreModel, atoms: Atoms) -> RealSpaceHamiltonian:
    with torch.no_grad():
        found: RealSpaceHamiltonian = model(
            atoms.numbers.tolist(), np.asarray(atoms.cell), atoms.positions
        )
    return found


def energies(model: TwoCentreModel, atoms: Atoms, k_points: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.linalg.eigvalsh(hamiltonian(model, atoms).at(k_points))
    return found


MODEL = random_model()


def test_pairs_are_all_neighbours_both_ways() -> None:
    atoms = bulk("Cu", "fcc", a=3.6)
    pairs = periodic_pairs(np.asarray(atoms.cell), atoms.positions, 3.7)
    assert len(pairs.first) == 12 + 6
    there = {tuple(v) for v in pairs.images.tolist()}
    assert there == {tuple(v) for v in (-pairs.images).tolist()}
    np.testing.assert_allclose(pairs.distances.sort().values[:12], 3.6 / 2**0.5)


def test_every_block_has_its_transpose() -> None:
    h = hamiltonian(MODEL, crystal(0))
    place = {tuple(image): i for i, image in enumerate(h.images.tolist())}
    back = torch.tensor([place[tuple(image)] for image in (-h.images).tolist()])
    torch.testing.assert_close(h.blocks, h.blocks[back].transpose(1, 2), rtol=0, atol=1e-12)


def test_bands_do_not_turn_with_the_crystal() -> None:
    atoms = crystal(1)
    turned = atoms.copy()
    turned.rotate(50.0, (1.0, -2.0, 0.7), rotate_cell=True)
    turned.translate((0.4, 1.1, -0.2))
    torch.testing.assert_close(
        energies(MODEL, turned, K_POINTS), energies(MODEL, atoms, K_POINTS), rtol=0, atol=1e-9
    )


def test_an_atom_may_be_named_by_any_of_its_images() -> None:
    atoms = crystal(1)
    moved = atoms.copy()
    moved.positions[2] += atoms.cell[0] - 2 * atoms.cell[2]
    torch.testing.assert_close(
        energies(MODEL, moved, K_POINTS), energies(MODEL, atoms, K_POINTS), rtol=0, atol=1e-9
    )


def test_a_supercell_folds_the_bands() -> None:
    atoms = crystal(2)
    double = make_supercell(atoms, np.diag([2, 1, 1]))
    k = K_POINTS * torch.tensor([0.5, 1.0, 1.0])
    folded = torch.cat(
        [energies(MODEL, atoms, k + torch.tensor([s, 0.0, 0.0])) for s in (0.0, 0.5)], 1
    )
    torch.testing.assert_close(
        energies(MODEL, double, K_POINTS), folded.sort(1).values, rtol=0, atol=1e-9
    )


def test_levels_of_a_cubic_crystal_split_as_they_must() -> None:
    """On site of an fcc atom: s, three equal p, and d of three (t2g) and two (eg) equal levels."""
    atoms = bulk("Cu", "fcc", a=3.6)
    h = hamiltonian(MODEL, atoms)
    (origin,) = h.blocks[(h.images == 0).all(1)]
    torch.testing.assert_close(origin, torch.diag(origin.diagonal()), rtol=0, atol=1e-10)
    d = origin.diagonal()[4:]
    torch.testing.assert_close(d[[0, 1, 3]], d[0].expand(3))
    torch.testing.assert_close(d[[2, 4]], d[2].expand(2))
    assert abs(float(d[0] - d[2])) > 1e-3
    torch.testing.assert_close(origin.diagonal()[1:4], origin[1, 1].expand(3))


def test_tables_have_gradients() -> None:
    """Of an energy, against finite differences."""
    atoms = crystal(3)
    model = random_model(1)
    arguments = atoms.numbers.tolist(), np.asarray(atoms.cell), atoms.positions

    def energy() -> torch.Tensor:
        found: torch.Tensor = torch.linalg.eigvalsh(model(*arguments).at(K_POINTS))[:, :7].sum()
        return found

    energy().backward()
    for table, place in ((model.hopping, (0, 1, 3, 1)), (model.field, (1, 0, 8, 0))):
        assert table.grad is not None
        found = float(table.grad[place])
        step = 1e-5
        values = []
        for sign in (1, -1):
            table.data[place] += sign * step
            values.append(float(energy().detach()))
            table.data[place] -= sign * step
        assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5, abs=1e-7)


def record(atoms: Atoms, divisions: tuple[int, int, int]) -> CrystalRecord:
    """What a reference calculation stores, of a crystal whose truth is ``MODEL``."""
    cell = np.asarray(atoms.cell)
    owner = torch.repeat_interleave(torch.arange(len(atoms)), 9)
    h = RealSpaceHamiltonian.from_mesh(
        hamiltonian(MODEL, atoms).at(k_mesh(divisions).fractional),
        divisions,
        cell,
        atoms.positions,
        owner,
    ).half()
    left_out = "dense_divisions k_points k_weights n_electrons total_energy fermi_level"
    left_out += " mesh_fermi_level energies n_exact populations d_centres"
    empty: dict[str, Any] = {name: np.zeros(0) for name in left_out.split()}
    return CrystalRecord(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=cell,
        divisions=np.array(divisions),
        images=h.images.numpy(),
        blocks=h.blocks.numpy(),
        **empty,
    )


def fitted(stiffness: float) -> TwoCentreModel:
    """A model fitted to nine crystals of four atoms."""
    symbols = ("NiCuNiNi", "CuCuNiNi", "CuCuCuNi")
    records = [record(crystal(10 + i, symbols[i % 3]), (3, 3, 3)) for i in range(9)]
    model = TwoCentreModel(ELEMENTS, CUTOFF, N_RADIAL)
    fit_two_centre(model, records, stiffness)
    return model


def off(model: TwoCentreModel, atoms: Atoms) -> float:
    """Root mean square error of the bands, eV."""
    error = energies(model, atoms, K_POINTS) - energies(MODEL, atoms, K_POINTS)
    return float(error.square().mean().sqrt())


def test_a_fit_finds_known_tables() -> None:
    """Bands of unseen crystals, a larger one too; the ridges cost 0.05 eV of a spread of eV."""
    large = make_supercell(crystal(30, "NiNiCuCu"), np.diag([2, 1, 1]))
    large.positions += np.random.default_rng(1).normal(0, 0.05, large.positions.shape)
    unseen = crystal(31, "NiCuCuNi")
    exact, stiff = (fitted(stiffness) for stiffness in (1e-8, 1.0))
    for atoms in (unseen, large):
        assert off(exact, atoms) < 1e-4
        assert off(stiff, atoms) < 0.05
        assert energies(MODEL, atoms, K_POINTS).std() > 1.0


def test_what_a_model_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="atomic number 26 is not one of"):
        hamiltonian(MODEL, bulk("Fe", "bcc", a=2.8))
    with pytest.raises(ValueError, match="have s, p and d, or s and p only"):
        TwoCentreModel([16, 28])
    with pytest.raises(ValueError, match="no crystal to fit to"):
        fit_two_centre(MODEL, [])
