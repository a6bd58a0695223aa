"""Represent a converged Fock operator in a minimal orthonormal valence basis.

There are two representations of the same size and layout (``esml.physics.basis``: one s function
on H, otherwise s, x, y, z; cores frozen):

``scf``         the Löwdin-orthogonalized Kohn–Sham matrix of a calculation *in* a minimal basis;
``downfolded``  the Kohn–Sham matrix of a large-basis calculation in intrinsic atomic orbitals
                (G. Knizia, J. Chem. Theory Comput. 9, 4834 (2013)); its occupied eigenvalues are
                exactly the large-basis valence orbital energies.

Core orbitals are projected out *after* the minimal basis is made. Both minimal spaces contain the
whole occupied space, and so the core molecular orbitals. The valence functions, symmetrically
orthogonalized once more, span the complement of the core orbitals in the minimal space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyscf import gto
from pyscf.lo import iao, orth

from esml.physics.basis import VALENCE_ELECTRONS
from esml.units import BOHR, HARTREE

from .scf import CalculationError, core_orbitals_of


@dataclass(frozen=True)
class MinimalOrbitals:
    """Canonical orbitals of a minimal-basis Hamiltonian: n, of which ``n_occupied`` are filled."""

    basis: np.ndarray  # (n_ao, n) the orthonormal valence functions in the large basis
    energies: np.ndarray  # (n,) eV, ascending
    coefficients: np.ndarray  # (n, n) columns are orbitals
    dipole_operator: np.ndarray  # (3, n, n) e·bohr, about the coordinate origin
    n_occupied: int

    @property
    def hamiltonian(self) -> np.ndarray:
        """Effective Hamiltonian H = C ε Cᵀ, (n, n) eV."""
        result: np.ndarray = (self.coefficients * self.energies) @ self.coefficients.T
        return result

    @property
    def orbitals(self) -> np.ndarray:
        """Canonical orbitals in the large basis, (n_ao, n)."""
        result: np.ndarray = self.basis @ self.coefficients
        return result


def _valence_functions(reference: gto.Mole) -> list[int]:
    """Return indices of a minimal basis's valence s and p functions, in the order s, x, y, z.

    They are the last s and p functions of each atom. Shell numbers cannot identify them: with an
    effective core potential, an atom's shells are counted from one again.
    """
    last: list[dict[str, int]] = [{} for _ in range(reference.natm)]
    for index, (atom, _, shell, component) in enumerate(reference.ao_labels(fmt=False)):
        last[atom][shell[-1] + component] = index
    kinds = ("s", "px", "py", "pz")
    return [found[kind] for found in last for kind in kinds if kind in found]


def _represent(mean_field: Any, functions: np.ndarray, valence: list[int]) -> MinimalOrbitals:
    """Represent the Fock and dipole operators in columns ``valence`` of ``functions``, no core."""
    mol = mean_field.mol
    overlap = mean_field.get_ovlp()
    n_core = core_orbitals_of(mol)
    core = mean_field.mo_coeff[:, :n_core]
    raw = functions[:, valence]
    raw = raw - core @ (core.T @ overlap @ raw)
    basis = raw @ orth.lowdin(raw.T @ overlap @ raw)
    # F = S C ε Cᵀ S from the canonical orbitals, so that it agrees with them to the last digit.
    rotated = mean_field.mo_coeff.T @ overlap @ basis
    fock = (rotated.T * mean_field.mo_energy) @ rotated * HARTREE
    energies, coefficients = np.linalg.eigh(fock)
    with mol.with_common_orig((0.0, 0.0, 0.0)):
        position = mol.intor_symmetric("int1e_r", comp=3)
    dipole = np.einsum("xpq,pm,qn->xmn", position, basis, basis, optimize=True)
    n_occupied = int(np.count_nonzero(mean_field.mo_occ)) - n_core
    return MinimalOrbitals(basis, energies, coefficients, dipole, n_occupied)


def downfold(mean_field: Any) -> MinimalOrbitals:
    """Downfold the large-basis Fock operator of ``mean_field`` to valence IAOs.

    The free-atom orbitals are PySCF's ``minao``: all occupied shells of the atom, but for iodine
    only those outside the 28-electron core of the def2 potential (4s4p4d5s5p). Raises
    CalculationError if these are too few: for iodine in a basis without a core potential.
    """
    mol = mean_field.mol
    occupied = mean_field.mo_coeff[:, mean_field.mo_occ > 0]
    available = iao.reference_mol(mol, "minao").nao
    if available < occupied.shape[1]:
        raise CalculationError(
            f"{occupied.shape[1]} occupied orbitals and {available} free-atom orbitals to hold "
            f"them: expected iodine in a basis with an effective core potential, not {mol.basis!r};"
            " choose 'def2-svp' or another def2 basis"
        )
    functions = iao.iao(mol, occupied, minao="minao")
    functions = orth.vec_lowdin(functions, mean_field.get_ovlp())
    return _represent(mean_field, functions, _valence_functions(iao.reference_mol(mol, "minao")))


def lowdin(mean_field: Any) -> MinimalOrbitals:
    """Represent a minimal-basis Fock operator in its Löwdin-orthogonalized basis functions."""
    functions = orth.lowdin(mean_field.get_ovlp())
    return _represent(mean_field, functions, _valence_functions(mean_field.mol))


def valence_charges(numbers: np.ndarray) -> np.ndarray:
    """Return nuclear charges less core electrons of the atoms ``numbers``, (N,) e."""
    return np.array([VALENCE_ELECTRONS[int(z)] for z in numbers], dtype=float)


def atomic_charges(orbitals: MinimalOrbitals, numbers: np.ndarray) -> np.ndarray:
    """Return atomic charges q_A = Z_A − Σ_{μ∈A} P_μμ, Z_A the valence electrons of A, (N,) e."""
    occupied = orbitals.coefficients[:, : orbitals.n_occupied]
    populations = 2.0 * np.einsum("mi,mi->m", occupied, occupied)
    counts = np.where(numbers == 1, 1, 4)
    owner = np.repeat(np.arange(len(numbers)), counts)
    result: np.ndarray = valence_charges(numbers) - np.bincount(
        owner, weights=populations, minlength=len(numbers)
    )
    return result


def dipole_moment(
    orbitals: MinimalOrbitals, numbers: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    """Return the dipole moment μ = Σ_A Z_A R_A − 2 Σ_i ⟨i|r|i⟩ of the valence shell, (3,) e·bohr.

    ``positions`` are in Å.
    """
    occupied = orbitals.coefficients[:, : orbitals.n_occupied]
    electrons = 2.0 * np.einsum("mi,xmn,ni->x", occupied, orbitals.dipole_operator, occupied)
    result: np.ndarray = valence_charges(numbers) @ positions / BOHR - electrons
    return result
