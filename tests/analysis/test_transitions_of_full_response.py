"""Excited states with one another where Y ≠ 0: TDHF of PySCF, and the algebra of its operators."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from esml.analysis.characters import Wavefunctions
from esml.analysis.transitions import (
    between,
    density_between,
    excited_state_absorption,
    state_dipoles,
)
from esml.typing import Array
from esml.units import DEBYE, HARTREE

pytest.importorskip("pyscf")

from pyscf import gto, lo, scf, tdscf

STRETCHED = "H 0 0 0; H 0 0.16 0.8; H 0 0 1.6; H 0.1 0 2.75"
WATER = "O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59"


def ground_state(atoms: str) -> scf.hf.RHF:
    """Hartree–Fock in STO-3G."""
    return scf.RHF(gto.M(atom=atoms, basis="sto-3g")).run(conv_tol=1e-12, verbose=0)


def states_of(mean_field: scf.hf.RHF, count: int) -> tuple[Wavefunctions, Array]:
    """Singlets of TDHF in Löwdin's orthonormal basis, and the position operator in it, bohr."""
    molecule = mean_field.mol
    found = tdscf.TDHF(mean_field).set(nstates=count, conv_tol=1e-10, verbose=0).run()
    basis = lo.orth_ao(molecule, "lowdin")
    position = basis.T @ molecule.intor("int1e_r") @ basis
    coefficients = np.linalg.solve(basis, mean_field.mo_coeff)
    X, Y = (2**0.5 * np.array([pair[part] for pair in found.xy]) for part in (0, 1))
    o = molecule.nelectron // 2
    levels = HARTREE * mean_field.mo_energy
    atoms = Atoms(molecule.elements)
    return Wavefunctions(atoms, coefficients, levels, o, HARTREE * found.e, X, Y), position


def annihilators(count: int) -> list[Array]:
    """Matrices of the operators a_p of ``count`` spin orbitals among all determinants."""
    lower, sign, one = np.array([[0.0, 1], [0, 0]]), np.diag([1.0, -1]), np.eye(2)
    found = []
    for p in range(count):
        matrix: Any = np.eye(1)
        for factor in [sign] * p + [lower] + [one] * (count - 1 - p):
            matrix = np.kron(matrix, factor)
        found.append(matrix)
    return found


@pytest.mark.parametrize("symmetric", [True, False])
def test_they_are_double_commutators(symmetric: bool) -> None:
    """⟨0|[[Q_I, O], Q_J†]|0⟩ with Q† = Σ_ia (X_ia a†i − Y_ia i†a), term by term."""
    states, _ = states_of(ground_state(STRETCHED), 4)
    assert np.abs(states.Y).max() > 0.02
    operator = np.random.default_rng(3).normal(size=(4, 4))
    if symmetric:
        operator += operator.T
    inner = states.coefficients.T @ operator @ states.coefficients
    a = annihilators(8)  # spin orbitals 2p (α) and 2p + 1 (β)

    def moves(p: int, q: int) -> Array:
        """Σ_σ p†_σ q_σ."""
        moved: Array = a[2 * p].T @ a[2 * q] + a[2 * p + 1].T @ a[2 * q + 1]
        return moved

    creators = [
        2**-0.5
        * sum(
            x[i, b] * moves(2 + b, i) - y[i, b] * moves(i, 2 + b)
            for i, b in product(range(2), range(2))
        )
        for x, y in zip(states.X, states.Y, strict=True)
    ]
    full = sum(inner[p, q] * moves(p, q) for p, q in product(range(4), range(4)))
    closed = np.zeros(2**8)
    closed[0b11110000] = 1.0
    found = np.array(
        [[(density_between(states, i, j) * operator).sum() for j in range(4)] for i in range(4)]
    )
    for i, j in product(range(4), range(4)):
        first = creators[i].T @ full - full @ creators[i].T
        expected = closed @ (first @ creators[j] - creators[j] @ first) @ closed
        assert found[i, j] == pytest.approx(expected, abs=1e-10)
    if symmetric:
        assert_allclose(between(states, operator), found, atol=1e-12)


def test_dipoles_are_slopes_of_energies_with_frozen_orbitals() -> None:
    """PySCF's A and B of water, with O_ab δ_ij − O_ij δ_ab times λ added to A."""
    mean_field = ground_state(WATER)
    states, position = states_of(mean_field, 6)
    o, c = states.n_occupied, states.coefficients
    A, B = tdscf.TDHF(mean_field).get_ab()
    size = A.shape[0] * A.shape[1]
    A, B = (matrix.reshape(size, size) for matrix in (A, B))

    def energies(along: Array, step: float) -> Array:
        inner = step * c.T @ along @ c
        levels = np.kron(np.eye(o), inner[o:, o:]) - np.kron(inner[:o, :o], np.eye(len(c) - o))
        plus, minus = A + levels + B, A + levels - B
        squares = np.sort(np.linalg.eigvals(minus @ plus).real)
        found: Array = HARTREE * np.sqrt(squares[: len(states)])
        return found

    assert_allclose(energies(position[0], 0.0), states.energies, atol=1e-6)
    assert np.abs(states.Y).max() > 0.02
    ground = np.array([0.1, 0.2, 0.3])
    found = state_dipoles(states, position, ground)
    step = 1e-3
    slopes = [(energies(each, step) - energies(each, -step)) / (2 * step) for each in position]
    expected = ground - DEBYE * np.array(slopes).T / HARTREE
    assert np.abs(expected - ground).max() > 1.0
    assert_allclose(found, expected, atol=1e-5)


def test_absorption_is_that_of_the_densities() -> None:
    states, position = states_of(ground_state(WATER), 5)
    for start in (0, 2):
        found = excited_state_absorption(states, position, start, "S")
        others = [k for k in range(5) if k != start]
        dipoles = [
            np.einsum("xuv,uv->x", position, density_between(states, start, k)) for k in others
        ]
        assert_allclose(found.dipoles, dipoles, atol=1e-12)
        gaps = (states.energies[others] - states.energies[start]) / HARTREE
        expected = 2 / 3 * gaps * np.square(dipoles).sum(1)
        assert_allclose(found.oscillator_strengths, expected, atol=1e-12)


def test_densities_do_not_depend_on_the_choice_of_orbitals() -> None:
    """Rotations within the occupied and within the virtual space; exchange; number of electrons."""
    states, _ = states_of(ground_state(WATER), 4)
    o, n = states.n_occupied, len(states.coefficients)
    rng = np.random.default_rng(0)
    inner, outer = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (o, n - o))
    turned = Wavefunctions(
        states.atoms,
        np.hstack([states.coefficients[:, :o] @ inner, states.coefficients[:, o:] @ outer]),
        states.orbital_energies,
        o,
        states.energies,
        inner.T @ states.X @ outer,
        inner.T @ states.Y @ outer,
    )
    for bra, ket in product(range(4), range(4)):
        density = density_between(states, bra, ket)
        assert_allclose(density_between(turned, bra, ket), density, atol=1e-12)
        assert_allclose(density_between(states, ket, bra), density.T, atol=1e-12)
        assert abs(np.trace(density)) < 1e-12
    attached, detached = states.attachment_detachment(1)
    assert_allclose(density_between(states, 1, 1), attached - detached, atol=1e-12)
