"""Congruence: non-orthogonality and three-centre terms at the cost of two matrix products.

If functions of neighbouring atoms overlap by S, symmetric orthogonalization gives the Hamiltonian
S^−½ H S^−½. With X in place of ln S^−½,

    H'(k) = W(k) H(k) W(k) ,      W = 1 + X + X²/2 ≈ e^X ,

where X is a Hermitian Bloch sum of two-centre blocks. H' is Hermitian, couples two atoms through a
third one (X_ab H_bc), and has a longer range than X and H.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.crystals.bloch import PeriodicHamiltonian


@dataclass(frozen=True)
class CongruentHamiltonian:
    """W H W of two Bloch sums over the same orbitals."""

    hamiltonian: PeriodicHamiltonian  # H
    exponent: PeriodicHamiltonian  # X, no unit

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals of the cell."""
        return self.hamiltonian.n_orbitals

    def at(self, k_points: Tensor) -> Tensor:
        """Return H'(k), (K, n, n) complex and exactly Hermitian, at ``k_points`` (K, 3)."""
        x = self.exponent.at(k_points)
        w = torch.eye(self.n_orbitals).to(x) + x + 0.5 * x @ x
        moved = w @ self.hamiltonian.at(k_points) @ w
        return 0.5 * (moved + moved.mH)
