"""Ewald's sums against Madelung constants of the literature, and what holds exactly."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from esml.physics.crystals.ewald import COULOMB, coulomb_matrix, ewald_matrix

RNG = np.random.default_rng(3)


def disordered(n: int = 7) -> Atoms:
    cell = np.diag([5.0, 6.0, 7.0]) + RNG.normal(0, 0.5, (3, 3))
    return Atoms(f"X{n}", scaled_positions=RNG.random((n, 3)), cell=cell, pbc=True)


@pytest.mark.parametrize(
    ("formula", "structure", "per_distance", "madelung"),
    [
        ("NaCl", "rocksalt", 0.5, 1.747565),
        ("CsCl", "cesiumchloride", 3**0.5 / 2, 1.762675),
        ("ZnS", "zincblende", 3**0.5 / 4, 1.638055),
    ],
)
def test_madelung_constants(
    formula: str, structure: str, per_distance: float, madelung: float
) -> None:
    """C. Kittel, Introduction to Solid State Physics: of nearest neighbours at a distance of 1."""
    atoms = bulk(formula, structure, a=1.0 / per_distance)
    found = ewald_matrix(atoms.cell.array, atoms.positions) @ [1.0, -1.0]
    np.testing.assert_allclose(found, [-madelung, madelung], atol=2e-6)


def test_a_supercell_has_the_potential_of_its_cell() -> None:
    atoms = disordered()
    charges = RNG.normal(size=len(atoms))
    charges -= charges.mean()
    large = atoms.repeat((1, 2, 3))
    one = ewald_matrix(atoms.cell.array, atoms.positions) @ charges
    other = ewald_matrix(large.cell.array, large.positions) @ np.tile(charges, 6)
    np.testing.assert_allclose(other, np.tile(one, 6), atol=2e-5)


def test_the_matrix_is_symmetric_and_knows_only_distances() -> None:
    atoms = disordered()
    before = coulomb_matrix(atoms.cell.array, atoms.positions)
    np.testing.assert_allclose(before, before.T, atol=1e-12)
    turned = atoms.copy()
    turned.rotate(41.0, (1.0, -2.0, 0.5), rotate_cell=True)
    turned.translate((0.4, 1.3, -2.0))
    turned.positions[2] += turned.cell[1]
    after = coulomb_matrix(turned.cell.array, turned.positions)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_large_cell_is_a_charge_alone() -> None:
    """Two atoms far from their images: e²/4πε₀r but for what falls off with the cell."""
    cell = np.eye(3) * 60.0
    k = coulomb_matrix(cell, np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    assert k[0, 1] - k[0, 0] == pytest.approx(COULOMB / 2.0, abs=2e-3)
