"""Initial guess for a PySCF self-consistent field in any basis.

The predicted valence orbitals C_i of the minimal basis are expanded in the basis of the molecule,
and the polarization missing from a minimal basis is added to first order:

1. Free-atom functions (PySCF's ``minao``) are projected on the molecule's basis. Cores are used as
   they are; valence functions are made orthogonal to them and to each other (Löwdin). These are the
   functions of the model's minimal basis, except for the polarization of intrinsic atomic orbitals,
   which requires a converged calculation (G. Knizia, J. Chem. Theory Comput. 9, 4834 (2013)).
2. The resulting occupied orbitals i are polarized by the functions a outside the minimal space,

       δC_i = s Σ_a C_a ⟨a|F|i⟩ / (F_ii − F_aa − Δ) ,   F = T + V_SAP − Σ_A q_A / |r − R_A| ,

   with V_SAP a superposition of atomic potentials (S. Lehtola, J. Chem. Theory Comput. 15, 1593
   (2019); S. Lehtola, L. Visscher and E. Engel, J. Chem. Phys. 152, 144105 (2020)) and q_A the
   predicted charges. Only one-electron integrals are needed. s and Δ account for the screening that
   is missing because the response is not iterated.
3. The orbitals are orthonormalized, so that the density is idempotent and has the right trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase import Atoms

from esml.io.structure_checks import StructureError
from esml.physics import orbitals
from esml.predict.model_files import load_model
from esml.predict.surrogate import Surrogate
from esml.typing import Array
from esml.units import BOHR

if TYPE_CHECKING:
    from pyscf.gto import Mole

SCREENING = 0.8
"""s; with Δ optimal for Hartree–Fock in def2-SVP (``scripts/speed/scf_guess.py --scan``)."""

LEVEL_SHIFT = 1.0
"""Δ, hartree."""

POTENTIALS = "sapgrasplarge"
"""PySCF's name for the fitted atomic potentials."""


def pyscf_guess(
    mol: Mole,
    model: Surrogate | None = None,
    screening: float = SCREENING,
    level_shift: float = LEVEL_SHIFT,
) -> Any:
    """Return a density matrix to start an SCF of the PySCF molecule ``mol``: ``mf.kernel(dm0)``.

    For an unrestricted SCF use ``[dm0 / 2, dm0 / 2]``. Needs PySCF.

    Parameters
    ----------
    mol
        A closed-shell molecule of the model's elements, in any basis.
    model
        The model; the shipped one if left out.
    screening
        s of the polarization (see the module's docstring).
    level_shift
        Δ, hartree.

    Returns
    -------
    ndarray
        Density matrix (n_ao, n_ao), idempotent in the overlap of ``mol``, with ``mo_coeff`` and
        ``mo_occ`` attached as PySCF expects.

    Raises
    ------
    StructureError
        For open shells, effective core potentials, ghost atoms and structures that
        ``Surrogate.predict`` refuses.
    """
    from pyscf import lib
    from pyscf.lo import orth

    model = load_model() if model is None else model
    _check(mol, model.elements)
    coefficients, charges = _predicted(mol, model)
    overlap = mol.intor_symmetric("int1e_ovlp")
    core, valence = _minimal_functions(mol, overlap)
    occupied = valence @ coefficients
    minimal = np.hstack([core, valence])
    fock = mol.intor_symmetric("int1e_kin") + _potential(mol, charges)
    polarization = _polarization(fock, overlap, minimal, occupied, level_shift)
    found = np.hstack([core, occupied + screening * polarization])
    found = found @ orth.lowdin(found.T @ overlap @ found)
    density = 2.0 * found @ found.T
    return lib.tag_array(density, mo_coeff=found, mo_occ=np.full(found.shape[1], 2.0))


def _check(mol: Mole, elements: Sequence[int]) -> None:
    if mol.spin != 0:
        raise StructureError(
            f"the molecule has {mol.spin} unpaired electrons where a closed shell is expected: "
            "start an open shell from PySCF's own guess"
        )
    if mol.has_ecp():
        raise StructureError(
            "the molecule has effective core potentials where all electrons are expected: choose "
            "an all-electron basis"
        )
    strange = [mol.atom_symbol(i) for i, z in enumerate(mol.atom_charges()) if z not in elements]
    if strange:
        raise StructureError(
            f"{strange[0]} is an element the model does not know, or a ghost atom: start this "
            "molecule from PySCF's own guess"
        )


def _predicted(mol: Mole, model: Surrogate) -> tuple[Array, Array]:
    """Predict occupied orbitals (n, n_occupied) in the minimal basis, and charges (N,), e."""
    atoms = Atoms(mol.atom_charges(), mol.atom_coords() * BOHR, info={"charge": int(mol.charge)})
    graph = model.graph([atoms])
    with torch.no_grad():
        operators = model.hamiltonian(graph).double()
        layout = operators.layout
        found = orbitals.diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
        charges = orbitals.charges(found, layout)
    return found.occupied[0].cpu().numpy(), charges[0].cpu().numpy()


def _minimal_functions(mol: Mole, overlap: Array) -> tuple[Array, Array]:
    """Return orthonormal core (n_ao, c) and valence (n_ao, n) functions in the basis of ``mol``.

    Valence functions are ordered by atom as s, x, y, z (``esml.physics.basis``).
    """
    from pyscf import gto
    from pyscf.lo import orth
    from pyscf.scf import addons

    free = gto.M(
        atom=mol._atom, unit="Bohr", basis="minao", charge=mol.charge, cart=mol.cart, verbose=0
    )
    projected = addons.project_mo_nr2nr(free, np.eye(free.nao), mol)
    order = {"s": 0, "px": 1, "py": 2, "pz": 3}
    labels = [(atom, int(shell[0]), order[shell[1:] + m]) for atom, _, shell, m in _labels(free)]
    outermost = {atom: max(n for a, n, _ in labels if a == atom) for atom, _, _ in labels}
    is_valence = np.array([n == outermost[atom] for atom, n, _ in labels])
    places = sorted(np.flatnonzero(is_valence), key=lambda i: (labels[i][0], labels[i][2]))
    core, valence = projected[:, ~is_valence], projected[:, places]
    if core.shape[1]:
        core = core @ orth.lowdin(core.T @ overlap @ core)
        valence = valence - core @ (core.T @ overlap @ valence)
    return core, valence @ orth.lowdin(valence.T @ overlap @ valence)


def _labels(mol: Mole) -> list[tuple[int, str, str, str]]:
    """Return atom, element, shell and component of every basis function."""
    labels: list[tuple[int, str, str, str]] = mol.ao_labels(fmt=False)
    return labels


def _potential(mol: Mole, charges: Array) -> Array:
    """Return V_SAP − Σ_A q_A / |r − R_A|, including the nuclei, (n_ao, n_ao) hartree."""
    from pyscf.df.incore import aux_e2
    from pyscf.gto.basis import load
    from pyscf.gto.mole import fakemol_for_cgtf_charge

    fits: dict[str, Array] = {}
    for symbol in {symbol for symbol, _ in mol._atom}:
        shells = load(POTENTIALS, symbol)
        shells = shells[symbol] if isinstance(shells, dict) else shells
        fits[symbol] = np.asarray(shells[0][1:], dtype=np.float64)
    potential: Array = mol.intor_symmetric("int1e_nuc")
    for atom, (symbol, position) in enumerate(mol._atom):
        # Represent the electrons of the atom by Gaussian charges.
        cloud = fakemol_for_cgtf_charge(np.array([position]), *fits[symbol].T)
        cloud.cart = mol.cart
        potential = potential - aux_e2(mol, cloud, "int3c2e")[:, :, 0]
        with mol.with_rinv_at_nucleus(atom):
            potential = potential - charges[atom] * mol.intor_symmetric("int1e_rinv")
    return potential


def _polarization(
    fock: Array, overlap: Array, minimal: Array, occupied: Array, level_shift: float
) -> Array:
    """Return δC / s (n_ao, n_occupied), the polarization by functions outside ``minimal``."""
    from pyscf.scf import addons

    # In an orthonormal basis, the left singular vectors without a singular value span the
    # complement of the minimal functions.
    basis = addons.canonical_orth_(overlap)
    left, _, _ = np.linalg.svd(basis.T @ overlap @ minimal, full_matrices=True)
    outside = basis @ left[:, minimal.shape[1] :]
    levels, axes = np.linalg.eigh(outside.T @ fock @ outside)
    outside = outside @ axes
    energies = np.einsum("pi,pq,qi->i", occupied, fock, occupied, optimize=True)
    coupling = outside.T @ fock @ occupied
    denominators = energies[None, :] - levels[:, None] - level_shift
    polarization: Array = outside @ (coupling / denominators)
    return polarization
