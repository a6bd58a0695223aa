"""H(k) directly from blocks of pairs of atoms, for large cells in which each atom has few pairs.

    H_ij(k) = δ_ij ε_i + Σ_p e^{2πi k·R_p} B_p ,      p: pairs from i to j in the cell at R_p

Every atom has the same number b of orbitals; every pair is listed in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.crystals.bloch import RealSpaceHamiltonian


@dataclass(frozen=True)
class PairHamiltonian:
    """Blocks of N atoms and E pairs."""

    first: Tensor  # (E,) first atom of each pair
    second: Tensor  # (E,) second atom of each pair
    images: Tensor  # (E, 3) lattice vectors, whole numbers
    blocks: Tensor  # (E, b, b) eV
    onsite: Tensor  # (N, b, b) eV

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals of the cell."""
        return len(self.onsite) * self.onsite.shape[1]

    def at(self, k_points: Tensor) -> Tensor:
        """Return H(k), (K, n, n) complex and exactly Hermitian, at ``k_points`` (K, 3)."""
        N, b = self.onsite.shape[:2]
        images = self.images.to(self.blocks.dtype)
        angles = 2.0 * torch.pi * k_points.to(self.blocks.dtype) @ images.T
        flat = self.blocks.flatten(1)
        place = self.first * N + self.second
        own = torch.arange(N) * (N + 1)

        def summed(waves: Tensor) -> Tensor:
            total = flat.new_zeros(len(k_points), N * N, b * b)
            return total.index_add(1, place, waves[:, :, None] * flat)

        real = summed(torch.cos(angles)).index_add(
            1, own, self.onsite.flatten(1).expand(len(k_points), -1, -1)
        )
        total = torch.complex(real, summed(torch.sin(angles)))
        n = N * b
        h = total.view(-1, N, N, b, b).transpose(2, 3).reshape(-1, n, n)
        return 0.5 * (h + h.mH)

    def real_space(self) -> RealSpaceHamiltonian:
        """Return the same Hamiltonian as blocks between cells."""
        N, b = self.onsite.shape[:2]
        zero = torch.zeros(1, 3, dtype=torch.int64)
        images, place = torch.unique(torch.cat([zero, self.images]), dim=0, return_inverse=True)
        blocks = self.blocks.new_zeros(len(images), N, N, b, b)
        atoms = torch.arange(N)
        blocks = blocks.index_put((place[0].expand(N), atoms, atoms), self.onsite)
        between = (place[1:], self.first, self.second)
        blocks = blocks.index_put(between, self.blocks, accumulate=True)
        n = N * b
        return RealSpaceHamiltonian(images, blocks.transpose(2, 3).reshape(len(images), n, n))
