"""What a Hamiltonian of two centres needs to know of a crystal, whatever its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from esml.model.crystals.periodic_pairs import PeriodicPairs
from esml.physics.crystals.ewald import coulomb_matrix
from esml.physics.crystals.pair_blocks import PairHamiltonian
from esml.physics.crystals.shells import formal_charges
from esml.physics.crystals.two_centre import direction_matrices
from esml.typing import Array

FLAT = 0.7
"""Part of the cutoff up to which the envelope is one."""


def radial_functions(distances: Tensor, cutoff: float, n: int) -> Tensor:
    """(E, n) sin(kπr/r_c)/r · √(2/r_c) for k = 1 … n, times the envelope."""
    k = torch.arange(1, n + 1).to(distances)
    waves = torch.sin(torch.pi / cutoff * k * distances[:, None]) / distances[:, None]
    x = ((distances / cutoff - FLAT) / (1.0 - FLAT)).clamp(0.0, 1.0)
    envelope = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
    result: Tensor = (2.0 / cutoff) ** 0.5 * waves * envelope[:, None]
    return result


@dataclass(frozen=True)
class Neighbourhood:
    """The pairs of a crystal with N atoms, their directions and functions of their distances."""

    rows: Tensor  # (N,) row of each atom in the tables
    pairs: PeriodicPairs  # of neighbours
    basis: Tensor  # (E, n_radial)
    matrices: Tensor  # (E, A, b, b) of the integrals, for b orbitals of an atom
    coulomb: Tensor | None  # (N, N) V at an atom of a unit charge at another; None in metals
    formal: Tensor  # (N,) charges of the ions, e

    @classmethod
    def of(
        cls,
        numbers: Sequence[int],
        rows: Tensor,
        pairs: PeriodicPairs,
        cell: Array,
        positions: Array,
        cutoff: float,
        n_radial: int,
        n_orbitals: int,
        ionic: bool = False,
        polarizabilities: Sequence[float] = (),
    ) -> Neighbourhood:
        """Of a crystal.

        Parameters
        ----------
        numbers:
            Atomic numbers.
        rows:
            (N,) row of each atom in the tables.
        pairs:
            Of atoms nearer than ``cutoff``.
        cell, positions:
            (3, 3) lattice vectors in rows and (N, 3), Å.
        cutoff, n_radial:
            Å, and number of functions of the distance.
        n_orbitals:
            Of an atom.
        ionic:
            Whether its atoms are charged.
        polarizabilities:
            Of the rows of the tables, Å³; none: rigid ions.

        Raises
        ------
        PolarizationError
            As ``coulomb_matrix``.
        """
        soft = (
            np.array([polarizabilities[row] for row in rows.tolist()]) if polarizabilities else None
        )
        return cls(
            rows=rows,
            pairs=pairs,
            basis=radial_functions(pairs.distances, cutoff, n_radial),
            matrices=direction_matrices(pairs.directions, n_orbitals),
            coulomb=(torch.as_tensor(coulomb_matrix(cell, positions, soft)) if ionic else None),
            formal=torch.tensor(formal_charges(numbers), dtype=torch.float64),
        )

    def charges(self, share: Tensor, table: Tensor) -> Tensor:
        """(N,) effective charges, e, as many positive as negative.

            q_i = κ z_i + Σ_j ½ [ t(r_ij; Z_i, Z_j) − t(r_ij; Z_j, Z_i) ]

        with formal charges z.

        Parameters
        ----------
        share
            () κ.
        table
            (Z, Z, n_radial) coefficients of t, e.
        """
        moved = 0.5 * (table - table.transpose(0, 1))
        one, other = self.rows[self.pairs.first], self.rows[self.pairs.second]
        lost = (self.basis * moved[one, other]).sum(1)
        return (share * self.formal).index_add(0, self.pairs.first, lost)

    def integrals(self, table: Tensor, back: bool = False) -> Tensor:
        """(E, A) of each pair, or of its reverse, from a table (Z, Z, A, n_radial).

        Parameters
        ----------
        table
            (Z, Z, A, n_radial) coefficients.
        back
            Whether to return those of the reversed pairs.
        """
        one, other = self.rows[self.pairs.first], self.rows[self.pairs.second]
        chosen = table[other, one] if back else table[one, other]
        return torch.einsum("en,ean->ea", self.basis, chosen)

    def hamiltonian(self, blocks: Tensor, onsite: Tensor) -> PairHamiltonian:
        """Return the Hamiltonian with given blocks.

        Parameters
        ----------
        blocks
            (E, b, b) of the pairs, eV.
        onsite
            (N, b, b) of the atoms, eV.
        """
        pairs = self.pairs
        return PairHamiltonian(pairs.first, pairs.second, pairs.images, blocks, onsite)
