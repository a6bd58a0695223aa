"""Ewald's sums against Madelung constants of the literature, and what holds exactly."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from esml.physics.crystals.ewald import COULOMB, coulomb_matrix, dipole_tensors, ewald_matrix

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


def test_dipole_tensors_are_derivatives() -> None:
    """D_ij = ∂K_ij/∂r_j and T_ij = −∂D_ij/∂r_i of two atoms, by central differences."""
    atoms, step = disordered(), 1e-4
    d, t = dipole_tensors(atoms.cell.array, atoms.positions)
    np.testing.assert_allclose(t, t.transpose(1, 0, 3, 2), atol=1e-10)
    for axis in range(3):
        ahead, behind = atoms.positions.copy(), atoms.positions.copy()
        ahead[2, axis] += step
        behind[2, axis] -= step
        matrices = [ewald_matrix(atoms.cell.array, x) for x in (ahead, behind)]
        slope = (matrices[0] - matrices[1])[4, 2] / (2.0 * step)
        assert d[4, 2, axis] == pytest.approx(slope, abs=1e-6)
        tensors = [dipole_tensors(atoms.cell.array, x)[0] for x in (ahead, behind)]
        slopes = (tensors[0] - tensors[1])[2, 4] / (2.0 * step)
        np.testing.assert_allclose(t[2, 4, axis], -slopes, atol=1e-6)


@pytest.mark.parametrize("structure", ["sc", "fcc", "bcc"])
def test_dipoles_of_a_cubic_lattice_feel_the_field_of_lorentz(structure: str) -> None:
    """4π/3V for equal dipoles everywhere (H. A. Lorentz): what Clausius and Mossotti count with."""
    atoms = bulk("Cu", structure, a=3.0).repeat((2, 1, 1))
    _, t = dipole_tensors(atoms.cell.array, atoms.positions)
    volume = atoms.get_volume() / len(atoms)
    np.testing.assert_allclose(t.sum(1)[0], 4.0 * np.pi / (3.0 * volume) * np.eye(3), atol=1e-6)


def test_polarizable_ions_screen_distant_charges() -> None:
    """Far from a charge in a cubic lattice φ changes 1/ε as much, ε by Clausius–Mossotti."""
    n, a, polarizability = 12, 3.0, 1.5
    lattice = bulk("Cu", "sc", a=a).repeat((n, 4, 4))
    places = a * (np.array([[0, 0, 0], [4, 0, 0], [6, 0, 0]]) + 0.5)
    positions = np.concatenate([lattice.positions, places])
    soft = np.array([polarizability] * len(lattice) + [0.0] * len(places))
    rigid, polar = (coulomb_matrix(lattice.cell.array, positions, each) for each in (None, soft))
    np.testing.assert_allclose(polar, polar.T, atol=1e-10)
    x = 4.0 * np.pi * polarizability / (3.0 * a**3)
    changes = [float(matrix[-2, -3] - matrix[-1, -3]) for matrix in (rigid, polar)]
    assert changes[1] / changes[0] == pytest.approx((1.0 - x) / (1.0 + 2.0 * x), rel=0.02)


def test_ions_that_polarize_without_end_are_refused() -> None:
    atoms = bulk("Cu", "sc", a=2.0)
    with pytest.raises(ValueError, match="polarize each other without end"):
        coulomb_matrix(atoms.cell.array, atoms.positions, np.array([3.0]))
