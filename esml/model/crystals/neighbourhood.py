"""What a Hamiltonian of two centres needs to know of a crystal, whatever its tables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.model.crystals.periodic_pairs import PeriodicPairs, periodic_pairs
from esml.physics.crystals.pair_blocks import PairHamiltonian
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

    rows: Tensor  # (N,) row of each atom's element in the tables
    pairs: PeriodicPairs  # of neighbours
    basis: Tensor  # (E, n_radial)
    matrices: Tensor  # (E, 10, 9, 9) of the ten integrals

    @classmethod
    def of(
        cls, rows: Tensor, cell: Array, positions: Array, cutoff: float, n_radial: int
    ) -> Neighbourhood:
        """Of a crystal: ``cell`` (3, 3) Å in rows, ``positions`` (N, 3) Å, ``cutoff`` Å."""
        pairs = periodic_pairs(cell, positions, cutoff)
        return cls(
            rows=rows,
            pairs=pairs,
            basis=radial_functions(pairs.distances, cutoff, n_radial),
            matrices=direction_matrices(pairs.directions),
        )

    def integrals(self, table: Tensor, back: bool = False) -> Tensor:
        """(E, 10) of each pair, or of its reverse, from a table (Z, Z, 10, n_radial)."""
        one, other = self.rows[self.pairs.first], self.rows[self.pairs.second]
        chosen = table[other, one] if back else table[one, other]
        return torch.einsum("en,ean->ea", self.basis, chosen)

    def hamiltonian(self, blocks: Tensor, onsite: Tensor) -> PairHamiltonian:
        """From the blocks of the pairs (E, 9, 9) and of the atoms (N, 9, 9)."""
        pairs = self.pairs
        return PairHamiltonian(pairs.first, pairs.second, pairs.images, blocks, onsite)
