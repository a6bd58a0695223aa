"""H(k) of a crystal in k-dependent intrinsic atomic orbitals, and H(R).

With C the states of the large basis, f their weights (1 in a *frozen window*, 0 above), S the
overlaps of the large basis, S₂ those of the free atoms' functions and S₁₂ between,

    P₁₂ = S⁻¹ S₁₂ ,   C̃ = orth(P₁₂ S₂⁻¹ S₂₁ C) ,   O = C f Cᴴ S ,   Õ = C̃ f C̃ᴴ S ,
    A = (1 + 2 O Õ − O − Õ) P₁₂ ,   B = orth((1 − C_core C_coreᴴ S) A_valence) ,   H = Bᴴ F B

at each k; orth is symmetric. With weights of 0 and 1 these are the intrinsic atomic orbitals of G.
Knizia, J. Chem. Theory Comput. 9, 4834 (2013), and all bands inside the window are exact on the
mesh. What is frozen in a metal must go beyond the Fermi level: with occupied states alone the
bands near it are off by 12 meV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import torch
from pyscf.data.elements import charge
from pyscf.lo import iao
from pyscf.pbc import gto
from pyscf.pbc.gto.basis import load
from pyscf.pbc.gto.cell import intor_cross
from pyscf.pbc.gto.pseudo import load as load_pseudo

from esml.physics.crystals.bloch import RealSpaceHamiltonian
from esml.physics.crystals.shells import SHELLS, atom_of_orbital
from esml.typing import Array
from esml.units import BOHR, HARTREE

from ..scf import CalculationError
from .cell import CrystalLevel, conduction_bands, semicore_bands
from .grid import Complex
from .ground_state import GroundState

LEAST = 1e-4
"""Smallest eigenvalue of an overlap that may be orthogonalized."""


@dataclass(frozen=True)
class MinimalBands:
    """The minimal Hamiltonian on the mesh, and the large basis' bands it stands for."""

    hamiltonians: Complex  # (K, n, n) eV
    functions: Complex  # (K, n_ao, n) in the large basis
    energies: Array  # (K, n) eV: the lowest bands of the large basis, without semicore
    n_exact: Array  # (K,) how many of these, from the lowest, lie inside the window


def free_atoms(cell: gto.Cell, level: CrystalLevel) -> gto.Cell:
    """The cell in functions of the free atoms: ``level.atomic_basis``, with p where it has none.

    That basis lacks 2p of Li and 4p of Cr to Ni; there the last p of ``level.basis`` is taken.
    """
    basis = {}
    for symbol in {cell.atom_pure_symbol(atom) for atom in range(cell.natm)}:
        functions = load(level.atomic_basis, symbol)
        if _lacks_p(functions, load_pseudo(level.pseudopotential, symbol)[0]):
            large = next(f for f in load(level.basis, symbol) if f[0] == 1)
            functions = [*functions, [1, *([row[0], row[-1]] for row in large[1:])]]
        basis[symbol] = functions
    return iao.reference_mol(cell, basis)


def _lacks_p(functions: list[Any], filling: list[int]) -> bool:
    """Whether an atom's functions have no p beyond the semicore: a full p shell is semicore."""
    present = sum(len(f[1]) - 1 for f in functions if f[0] == 1)
    return present == int(len(filling) > 1 and filling[1] == 6)


def _valence(atoms: gto.Cell) -> list[int]:
    """Functions of the valence shells, atom by atom as s, p, d: the last of their kind."""
    last: list[dict[str, list[int]]] = [{} for _ in range(atoms.natm)]
    start = 0
    for shell in range(atoms.nbas):
        size = 2 * atoms.bas_angular(shell) + 1
        for _ in range(atoms.bas_nctr(shell)):
            kind = "spdf"[atoms.bas_angular(shell)]
            last[atoms.bas_atom(shell)][kind] = list(range(start, start + size))
            start += size
    return [
        place
        for atom, found in enumerate(last)
        for kind in SHELLS[charge(atoms.atom_symbol(atom))]
        for place in found[kind]
    ]


def _orthogonal(functions: Complex, overlap: Complex) -> Complex:
    """Symmetrically orthogonalized columns; raises CalculationError where they are dependent."""
    metric = functions.conj().T @ overlap @ functions
    values, vectors = np.linalg.eigh(metric)
    if values.min() < LEAST:
        raise CalculationError(
            "the minimal functions cannot hold all bands of the frozen window: expected fewer "
            "bands; lower the level's window"
        )
    result: Complex = functions @ (vectors * values**-0.5) @ vectors.conj().T
    return result


def intrinsic_orbitals(
    states: Complex, weights: Array, overlap: Complex, atomic: Complex, cross: Complex
) -> Complex:
    """(n_ao, n₂) intrinsic atomic orbitals at one k, not orthogonalized.

    Parameters
    ----------
    states:
        (n_ao, m) those of weight above zero.
    weights:
        (m,) between 0 and 1.
    overlap, atomic, cross:
        S (n_ao, n_ao), S₂ (n₂, n₂) and S₁₂ (n_ao, n₂).
    """
    projector = scipy.linalg.solve(overlap, cross, assume_a="pos")
    inner = scipy.linalg.solve(atomic, cross.conj().T @ states, assume_a="pos")
    depolarized = _orthogonal(projector @ inner, overlap)
    onto = ((states * weights) @ states.conj().T) @ overlap
    onto_depolarized = ((depolarized * weights) @ depolarized.conj().T) @ overlap
    mixed = onto_depolarized @ projector
    result: Complex = projector + 2.0 * onto @ mixed - onto @ projector - mixed
    return result


def downfold(state: GroundState, level: CrystalLevel) -> MinimalBands:
    """The Hamiltonian of ``state`` in valence orbitals, exact up to ``level.window``.

    The window is counted from the Fermi level of the mesh; of an insulator the valence bands and
    ``level.conduction`` are exact. Raises CalculationError where the minimal functions cannot hold
    all bands that are to be exact.
    """
    cell, k_points = state.grid.cell, state.grid.k_points
    atoms = free_atoms(cell, level)
    valence, n_core = _valence(atoms), semicore_bands(cell)
    atomic = np.array(atoms.pbc_intor("int1e_ovlp", 1, 1, k_points))
    cross = np.array(intor_cross("int1e_ovlp", cell, atoms, kpts=k_points))
    exact = _exact_bands(state, level)
    hamiltonians, functions = [], []
    for kept, energies, c, s, s2, s12 in zip(
        exact, state.energies, state.coefficients, state.overlap, atomic, cross, strict=True
    ):
        inside = c[:, :kept]
        raw = intrinsic_orbitals(inside, np.ones(inside.shape[1]), s, s2, s12)[:, valence]
        core = c[:, :n_core]
        basis = _orthogonal(raw - core @ (core.conj().T @ s @ raw), s)
        rotated = c.conj().T @ s @ basis  # F = S C ε Cᴴ S
        h = (rotated.conj().T * energies) @ rotated * HARTREE
        hamiltonians.append(0.5 * (h + h.conj().T))
        functions.append(basis)
    n = len(valence)
    return MinimalBands(
        hamiltonians=np.array(hamiltonians),
        functions=np.array(functions),
        energies=state.energies[:, n_core : n_core + n] * HARTREE,
        n_exact=np.minimum(exact - n_core, n),
    )


def _exact_bands(state: GroundState, level: CrystalLevel) -> Array:
    """(K,) bands that are kept exactly at each k, semicore included."""
    cell = state.grid.cell
    if not level.insulating:
        top = state.fermi + level.window / HARTREE
        below: Array = (state.energies < top).sum(1)
        return below
    numbers = np.array([charge(cell.atom_symbol(atom)) for atom in range(cell.natm)])
    kept = cell.nelectron // 2 + conduction_bands(numbers, level)
    return np.full(len(state.energies), kept)


def real_space(bands: MinimalBands, state: GroundState) -> RealSpaceHamiltonian:
    """H(R) of ``bands`` by minimum images, eV."""
    cell = state.grid.cell
    numbers = [charge(cell.atom_symbol(atom)) for atom in range(cell.natm)]
    return RealSpaceHamiltonian.from_mesh(
        torch.as_tensor(bands.hamiltonians),
        state.divisions,
        np.asarray(cell.lattice_vectors()) * BOHR,
        cell.atom_coords() * BOHR,
        atom_of_orbital(numbers),
    )
