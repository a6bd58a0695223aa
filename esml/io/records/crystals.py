"""Reference records of crystals, in the same shards as those of molecules (``esml.io.records``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from esml.io.records.fields import StoredRecord, array_field, text_field
from esml.typing import Array

if TYPE_CHECKING:
    from esml.physics.crystals.bloch import RealSpaceHamiltonian


@dataclass
class CrystalRecord(StoredRecord):
    """One crystal with its minimal-basis Hamiltonian and its bands.

    N atoms of the cell, n minimal orbitals (``esml.physics.crystals.shells``), K k points, T
    lattice vectors, M atoms that have d orbitals. Energies in eV from the Fermi level of the dense
    mesh, because the zero of a crystal's potential is a convention; lengths in Å. Non-magnetic.
    """

    FORMAT: ClassVar[str] = "esml-crystals"  # format stated in files
    VERSION: ClassVar[int] = 1  # version of the files written

    numbers: Array = array_field("i2", 1, "atomic numbers (N,)")
    positions: Array = array_field("f8", 2, "positions (N, 3), Å")
    cell: Array = array_field("f8", 2, "lattice vectors in rows (3, 3), Å")
    divisions: Array = array_field("i2", 1, "divisions of the k mesh (3,), Γ among its points")
    dense_divisions: Array = array_field("i2", 1, "divisions of the interpolated mesh (3,)")
    k_points: Array = array_field("f8", 2, "k points, in reciprocal lattice vectors (K, 3)")
    k_weights: Array = array_field("f8", 1, "their shares of the zone (K,)")
    n_electrons: Array = array_field("i4", 0, "valence electrons of the cell")
    total_energy: Array = array_field("f8", 0, "total energy of the cell, eV")
    fermi_level: Array = array_field("f8", 0, "Fermi level of the dense mesh, eV, cell's own zero")
    mesh_fermi_level: Array = array_field("f4", 0, "that of the k mesh, eV from the dense one")
    images: Array = array_field("i2", 2, "lattice vectors R, one of R and −R (T, 3)")
    blocks: Array = array_field("f4", 3, "⟨μ0|H|νR⟩ (T, n, n), eV", step=1e-5)
    energies: Array = array_field("f4", 2, "large-basis bands without semicore (K, n), eV")
    n_exact: Array = array_field("i2", 1, "lowest bands that H(k) has exactly (K,)")
    populations: Array = array_field("f4", 2, "electrons in s, p, d (N, 3), dense mesh")
    d_centres: Array = array_field("f4", 1, "d-band centres (M,), eV, dense mesh")
    key: str = text_field("content key: hash of structure, k mesh and level")
    name: str = text_field("name of the crystal")
    split: str = text_field("train, validation, test, or apart: for none of these")
    lattice: str = text_field("fcc, bcc or the type of structure, where known")
    family: str = text_field("why it is in its split, or what is special about it")
    level: str = text_field("level of theory, JSON")
    provenance: str = text_field("program versions, date and timings, JSON")

    @property
    def gap(self) -> float:
        """Gap between the bands of the record's own k mesh, eV; not positive for a metal."""
        filled = int(self.n_electrons) // 2
        return float(self.energies[:, filled].min() - self.energies[:, filled - 1].max())

    @property
    def hamiltonian(self) -> RealSpaceHamiltonian:
        """H(R) with all lattice vectors, eV from the Fermi level."""
        # Imported here, because records are also read without torch, to save time.
        import torch

        from esml.physics.crystals.bloch import RealSpaceHamiltonian

        return RealSpaceHamiltonian.from_half(
            torch.as_tensor(self.images.astype(np.int64)),
            torch.as_tensor(self.blocks.astype(np.float64)),
        )
