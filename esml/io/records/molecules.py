"""Reference records of molecules: Hamiltonians, and excitations with their amplitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from esml.io.records.fields import StoredRecord, array_field, text_field
from esml.typing import Array

SCHEMA_VERSION = 3


@dataclass
class Record(StoredRecord):
    """One structure with its minimal-basis Hamiltonians and its excitations.

    N atoms, n minimal orbitals, o occupied and v = n − o virtual ones, S singlets, T triplets.
    Energies in eV, lengths in Å, dipoles in e·bohr. Symmetric operators are packed as lower
    triangles. Amplitudes refer to the canonical orbitals ``coefficients`` of the same record. They
    are normalized in the large basis (XᵀX − YᵀY = 1) and then projected; ``*_valence_weights`` is
    XᵀX − YᵀY after projection, the share that the minimal basis can hold.
    """

    FORMAT: ClassVar[str] = "esml-dataset"  # format stated in files
    VERSION: ClassVar[int] = SCHEMA_VERSION  # version of the files written

    numbers: Array = array_field("i2", 1, "atomic numbers (N,)")
    positions: Array = array_field("f8", 2, "positions (N, 3), Å")
    charge: Array = array_field("i2", 0, "total charge, e")
    total_energy: Array = array_field("f8", 0, "total energy at the label level, eV")
    n_occupied: Array = array_field("i4", 0, "doubly occupied valence orbitals")
    energies: Array = array_field("f4", 1, "downfolded orbital energies (n,), eV")
    coefficients: Array = array_field("f4", 2, "downfolded orbitals in columns (n, n)", step=1e-5)
    dipole_operator: Array = array_field(
        "f4", 2, "position operator, packed (3, n(n+1)/2) or, unknown, (3, 0), e·bohr", step=1e-3
    )
    scf_energies: Array = array_field("f4", 1, "orbital energies of the minimal-basis SCF (n,), eV")
    scf_coefficients: Array = array_field(
        "f4", 2, "orbitals of the minimal-basis SCF (n, n)", step=1e-5
    )
    scf_dipole_operator: Array = array_field(
        "f4", 2, "its position operator, packed, e·bohr", step=1e-3
    )
    reference_energies: Array = array_field(
        "f4", 1, "large-basis orbital energies: cores, occupied and the ten lowest virtuals, eV"
    )
    charges: Array = array_field("f4", 1, "intrinsic-atomic-orbital charges (N,), e")
    dipole: Array = array_field("f4", 1, "dipole moment at the label level (3,), e·bohr")
    singlet_energies: Array = array_field("f4", 1, "singlet excitation energies (S,), eV")
    singlet_strengths: Array = array_field("f4", 1, "oscillator strengths (S,)")
    singlet_dipoles: Array = array_field("f4", 2, "transition dipoles (S, 3), e·bohr")
    singlet_valence_weights: Array = array_field("f4", 1, "valence weights (S,)")
    singlet_x: Array = array_field("f4", 3, "excitation amplitudes X (S, o, v)", step=1e-3)
    singlet_y: Array = array_field("f4", 3, "de-excitation amplitudes Y (S, o, v)", step=1e-3)
    triplet_energies: Array = array_field("f4", 1, "triplet excitation energies (T,), eV")
    triplet_valence_weights: Array = array_field("f4", 1, "valence weights (T,)")
    triplet_x: Array = array_field("f4", 3, "excitation amplitudes X (T, o, v)", step=1e-3)
    key: str = text_field("content key: hash of structure and level")
    name: str = text_field("name of the molecule")
    smiles: str = text_field("SMILES, where known")
    inchikey: str = text_field("InChIKey, where known")
    split: str = text_field("train, validation, test or extrapolation")
    geometry: str = text_field("relaxed, thermal, twisted, triplet or excited")
    level: str = text_field("level of theory, JSON")
    provenance: str = text_field("program versions, date and timings, JSON")

    @property
    def hamiltonian(self) -> Array:
        """Downfolded Hamiltonian (n, n), eV."""
        c = self.coefficients.astype(np.float64)
        result: Array = (c * self.energies) @ c.T
        return result

    @property
    def scf_hamiltonian(self) -> Array:
        """Minimal-basis SCF Hamiltonian (n, n), eV."""
        c = self.scf_coefficients.astype(np.float64)
        result: Array = (c * self.scf_energies) @ c.T
        return result


def pack(operator: Array) -> Array:
    """Return the lower triangles (..., n(n+1)/2) of symmetric matrices (..., n, n)."""
    rows, columns = np.tril_indices(operator.shape[-1])
    result: Array = operator[..., rows, columns]
    return result


def unpack(packed: Array) -> Array:
    """Return the symmetric matrices (..., n, n) of lower triangles (..., n(n+1)/2)."""
    n = int((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2)
    rows, columns = np.tril_indices(n)
    result = np.zeros((*packed.shape[:-1], n, n), dtype=packed.dtype)
    result[..., rows, columns] = packed
    result[..., columns, rows] = packed
    return result
