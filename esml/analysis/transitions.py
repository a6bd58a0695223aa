"""Dipoles, charges and absorption of excited states.

For two states of the same multiplicity and a symmetric one-electron operator O,

    ⟨I|O|J⟩ = Σ_ab O_ab (X_IᵀX_J + Y_IᵀY_J)_ab − Σ_ij O_ij (X_I X_Jᵀ + Y_I Y_Jᵀ)_ij + δ_IJ ⟨0|O|0⟩

(equation of motion, ⟨0|[[Q_I, O], Q_J†]|0⟩; D. J. Rowe, Rev. Mod. Phys. 40, 153 (1968)). For
I = J it gives the dipole and the charges of a state before its orbitals relax, for I ≠ J the
absorption of an excited state, f = ⅔ (ω_J − ω_I) |⟨I|r|J⟩|² in atomic units. The field that the
electrons induce in response to light is left out.

Shape letters: S states, N atoms, n orbitals, o and v occupied and virtual ones. Energies in eV,
dipole operators in e·bohr.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment

from esml.analysis.characters import Wavefunctions
from esml.physics.basis import N_SLOTS
from esml.typing import Array, Index
from esml.units import DEBYE, HARTREE


@dataclass(frozen=True)
class ExcitedStateAbsorption:
    """The transitions from one excited state to all others of its multiplicity."""

    initial: str  # ``S1``, ``T2``, …
    finals: tuple[str, ...]  # (K,) names of the other states
    energies: Array  # (K,) ω_J − ω_I, eV; negative for lower states
    dipoles: Array  # (K, 3) ⟨I|r|J⟩, e·bohr, sign arbitrary
    oscillator_strengths: Array  # (K,) negative for lower states: emission


def between(states: Wavefunctions, operator: Array) -> Array:
    """Return ⟨I|O|J⟩ − δ_IJ ⟨0|O|0⟩ of a symmetric operator.

    Parameters
    ----------
    states
        States of one multiplicity.
    operator
        (..., n, n) operators in the minimal basis.

    Returns
    -------
    (S, S, ...) matrix elements, symmetric in the states.
    """
    o = states.n_occupied
    inner = states.coefficients.T @ operator @ states.coefficients
    occupied, virtual = inner[..., :o, :o], inner[..., o:, o:]
    found: Array = sum(
        np.einsum("sia,tib,...ab->st...", part, part, virtual, optimize=True)
        - np.einsum("sia,tja,...ij->st...", part, part, occupied, optimize=True)
        for part in (states.X, states.Y)
    )
    return found


def density_between(states: Wavefunctions, bra: int, ket: int) -> Array:
    """Return the transition density matrix of two excited states.

        ρ = C_v (X_IᵀX_J + Y_JᵀY_I) C_vᵀ − C_o (X_J X_Iᵀ + Y_I Y_Jᵀ) C_oᵀ ,

    so that Σ_μν ρ_μν O_μν = ⟨I|O|J⟩ − δ_IJ ⟨0|O|0⟩, as from ``between``, also for an operator that
    is not symmetric. For I = J it is attachment minus detachment density.

    Parameters
    ----------
    states
        States of one multiplicity.
    bra, ket
        I and J, from 0; exchanging them transposes ρ.

    Returns
    -------
    (n, n) in the orthonormal minimal basis, both spins together; its trace is zero.
    """
    x, y, x_ket, y_ket = states.X[bra], states.Y[bra], states.X[ket], states.Y[ket]
    occupied = states.coefficients[:, : states.n_occupied]
    virtual = states.coefficients[:, states.n_occupied :]
    electron: Array = virtual @ (x.T @ x_ket + y_ket.T @ y) @ virtual.T
    hole: Array = occupied @ (x_ket @ x.T + y @ y_ket.T) @ occupied.T
    return electron - hole


def overlaps(states: Wavefunctions, others: Wavefunctions) -> Array:
    """Return the overlaps of the states of one molecule at two geometries.

        ⟨I|J'⟩ = tr(D_I[X]ᵀ D'_J[X]) − tr(D_I[Y]ᵀ D'_J[Y]) ,   D[X] = C_o X C_vᵀ ,

    with basis functions that follow their atoms. For equal geometries it is the unit matrix.

    Parameters
    ----------
    states, others
        States of one multiplicity, in the same orientation.

    Returns
    -------
    (S, S') overlaps, ``states`` in rows; their signs are arbitrary, like those of the states.
    """
    o = states.n_occupied
    inner = states.coefficients.T @ others.coefficients
    occupied, virtual = inner[:o, :o], inner[o:, o:]
    found = np.zeros((len(states), len(others)))
    for one, other, sign in ((states.X, others.X, 1.0), (states.Y, others.Y, -1.0)):
        turned = occupied @ other @ virtual.T
        found += sign * one.reshape(len(one), -1) @ turned.reshape(len(turned), -1).T
    return found


def paired(
    states: Wavefunctions, others: Wavefunctions, n_states: int
) -> tuple[Array, Index, Index]:
    """Pair the first states with those of ``others`` so that the sizes of overlaps are largest.

    Parameters
    ----------
    states, others
        As in ``overlaps``.
    n_states
        Number of ``states`` to pair.

    Returns
    -------
    All ``overlaps``, and rows and columns (n_states,) of the pairs.
    """
    table = overlaps(states, others)
    rows, columns = linear_sum_assignment(-np.abs(table[:n_states]))
    return table, rows, columns


def state_dipoles(states: Wavefunctions, dipole_operator: Array, ground: Array) -> Array:
    """Return dipole moments (S, 3) of excited states, debye, before their orbitals relax.

    Parameters
    ----------
    states
        States of one multiplicity.
    dipole_operator
        (3, n, n) position ⟨μ|r|ν⟩, e·bohr.
    ground
        (3,) dipole moment of the ground state, debye.
    """
    own = np.arange(len(states))
    dipoles: Array = ground - DEBYE * between(states, dipole_operator)[own, own]
    return dipoles


def state_charges(states: Wavefunctions, ground: Array) -> Array:
    """Return atomic charges (S, N) of excited states, e, before their orbitals relax.

    Parameters
    ----------
    states
        States of one multiplicity.
    ground
        (N,) charges of the ground state, e.
    """
    owner = orbital_owner(states.atoms)
    charges = np.tile(ground, (len(states), 1))
    for state in range(len(states)):
        attached, detached = states.attachment_detachment(state)
        np.subtract.at(charges[state], owner, np.diag(attached - detached))
    return charges


def excited_state_absorption(
    states: Wavefunctions, dipole_operator: Array, state: int, letter: str
) -> ExcitedStateAbsorption:
    """Return the absorption from ``state`` (from 0) to all other ``states``.

    Parameters
    ----------
    states
        States of one multiplicity.
    dipole_operator
        (3, n, n) position ⟨μ|r|ν⟩, e·bohr.
    state
        The state that absorbs.
    letter
        ``S`` or ``T``, for the names of the states.
    """
    others = np.delete(np.arange(len(states)), state)
    dipoles = between(states, dipole_operator)[state, others]
    energies = states.energies[others] - states.energies[state]
    return ExcitedStateAbsorption(
        initial=f"{letter}{state + 1}",
        finals=tuple(f"{letter}{k + 1}" for k in others),
        energies=energies,
        dipoles=dipoles,
        oscillator_strengths=2.0 / 3.0 * energies / HARTREE * np.square(dipoles).sum(1),
    )


def orbital_owner(atoms: Atoms) -> Index:
    """Return (n,) the atom of each function of the minimal basis."""
    counts = np.where(atoms.numbers == 1, 1, N_SLOTS)
    return np.repeat(np.arange(len(atoms)), counts)
