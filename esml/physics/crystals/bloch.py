"""Bloch sums: from blocks in real space to H(k), and back.

    H_μν(k) = Σ_R e^{2πi k·R} ⟨μ0|H|νR⟩ ,      H_μν(R) = 1/N_k Σ_k e^{−2πi k·R} H_μν(k)

with lattice vectors R in whole numbers and k in fractions of the reciprocal lattice vectors, so
H(k + G) = H(k). Blocks are real (time reversal), hence H(−k) = H(k)*; ⟨μ0|H|νR⟩ = ⟨ν0|H|μ−R⟩ makes
H(k) Hermitian. A mesh of N₁×N₂×N₃ points gives H(R) only within a supercell of that size: R and
R + (N₁,0,0) cannot be told apart. Interpolation is smoothest if each pair of orbitals takes the
image in which its atoms are nearest ("minimum image"); if several are equally near, it takes equal
shares of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from esml.typing import Array

NEAR = 1e-4
"""Å; images whose distances differ by less are equally near."""


@dataclass(frozen=True)
class KPoints:
    """Points of the Brillouin zone and the share of the zone that each represents."""

    fractional: Tensor  # (K, 3) in reciprocal lattice vectors
    weights: Tensor  # (K,) sum 1


def three_divisions(divisions: Sequence[int]) -> tuple[int, int, int]:
    """Return the divisions of a k mesh; raise ValueError unless three positive whole numbers."""
    try:
        a, b, c = map(index, divisions)
        if min(a, b, c) < 1:
            raise ValueError("a division below 1")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"k mesh is {divisions!r}: expected three positive whole numbers, as in (4, 4, 4); "
            "correct it"
        ) from error
    return a, b, c


def k_mesh(divisions: Sequence[int]) -> KPoints:
    """Return a mesh that contains Γ and only one of k and −k, whose energies are equal.

    Parameters
    ----------
    divisions:
        Number of points along each of the three reciprocal lattice vectors.

    Raises
    ------
    ValueError
        If ``divisions`` are not three positive numbers.
    """
    counts = np.array(three_divisions(divisions))
    grid = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3)
    own = np.ravel_multi_index(tuple(grid.T), tuple(counts))
    mirror = np.ravel_multi_index(tuple((-grid % counts).T), tuple(counts))
    kept = own <= mirror
    weights = np.where(own == mirror, 1.0, 2.0)[kept] / len(grid)
    return KPoints(torch.as_tensor(grid[kept] / counts), torch.as_tensor(weights))


Eigenstates = tuple[Tensor, Tensor]
"""Energies (K, n) and states (K, n, n), columns."""


def eigenstates(hamiltonians: Tensor) -> Eigenstates:
    """Diagonalize Hermitian matrices: energies (K, n), ascending, states (K, n, n), in columns.

    Real matrices, as at Γ, are diagonalized in real arithmetic, in a quarter of the time. Large
    cells need no point but Γ.
    """
    if hamiltonians.is_complex() and not hamiltonians.imag.any():
        energies, states = torch.linalg.eigh(hamiltonians.real)
        return energies, states.to(hamiltonians.dtype)
    found: tuple[Tensor, Tensor] = torch.linalg.eigh(hamiltonians)
    return found


class PeriodicHamiltonian(Protocol):
    """A Hamiltonian H(k), from which bands are computed."""

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals of the cell."""
        ...

    def at(self, k_points: Tensor) -> Tensor:
        """Return H(k), (K, n, n), Hermitian."""
        ...


@dataclass(frozen=True)
class RealSpaceHamiltonian:
    """Blocks ⟨μ0|H|νR⟩ of all lattice vectors R and −R; the blocks of −R are the transposes."""

    images: Tensor  # (T, 3) lattice vectors R, whole numbers
    blocks: Tensor  # (T, n, n) eV

    @classmethod
    def from_half(cls, images: Tensor, blocks: Tensor) -> RealSpaceHamiltonian:
        """Return all blocks from those of R = 0 and of one vector of each pair R and −R.

        Parameters
        ----------
        images
            (T, 3) lattice vectors R, whole numbers.
        blocks
            (T, n, n) ⟨μ0|H|νR⟩, eV.
        """
        others = (images != 0).any(1)
        return cls(
            torch.cat([images, -images[others]]),
            torch.cat([blocks, blocks[others].transpose(1, 2)]),
        )

    def half(self) -> RealSpaceHamiltonian:
        """Return the blocks of R = 0 and of the lexicographically larger one of each R and −R."""
        weight = self.images @ torch.tensor([10**8, 10**4, 1])
        kept = weight >= 0
        return RealSpaceHamiltonian(self.images[kept], self.blocks[kept])

    @classmethod
    def from_mesh(
        cls,
        hamiltonians: Tensor,
        divisions: Sequence[int],
        cell: Array,
        positions: Array,
        atom_of_orbital: Tensor,
    ) -> RealSpaceHamiltonian:
        """Return the blocks of a Hamiltonian known on a mesh, by minimum images.

        Parameters
        ----------
        hamiltonians:
            (K, n, n) H at the points of ``k_mesh(divisions)``, eV.
        divisions:
            Divisions of the mesh.
        cell:
            (3, 3) lattice vectors in rows, Å.
        positions:
            (N, 3) positions of the atoms, Å.
        atom_of_orbital:
            (n,) atom of each orbital.
        """
        mesh = k_mesh(divisions)
        counts = np.array(divisions)
        box = np.stack(np.meshgrid(*map(np.arange, divisions), indexing="ij"), -1).reshape(-1, 3)
        turns = torch.as_tensor(box, dtype=torch.float64) @ mesh.fractional.T
        phases = torch.exp(-2j * torch.pi * turns)
        waves = phases * mesh.weights
        blocks = torch.einsum("tk,kmn->tmn", waves, hamiltonians).real
        owner = atom_of_orbital.numpy()
        shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
        candidates = box[:, None] + shifts * counts  # (T, S, 3) the same R, modulo the supercell
        vectors = candidates @ cell
        apart = positions[None, :] - positions[:, None]  # (N, N, 3)
        found: dict[tuple[int, int, int], Array] = {}
        for place in range(len(box)):
            distances = np.linalg.norm(vectors[place][:, None, None] + apart, axis=-1)  # (S, N, N)
            near = distances < distances.min(0) + NEAR
            share = near / near.sum(0)
            for shift in np.flatnonzero(near.any((1, 2))):
                image = tuple(candidates[place, shift].tolist())
                part = share[shift][np.ix_(owner, owner)] * blocks[place].numpy()
                found[image] = found[image] + part if image in found else part
        images = torch.tensor(list(found))
        return cls(images, torch.as_tensor(np.stack(list(found.values()))))

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals of the cell."""
        return int(self.blocks.shape[1])

    def within(
        self, radius: float, cell: Array, positions: Array, atom_of_orbital: Tensor
    ) -> RealSpaceHamiltonian:
        """Keep only blocks of atoms at most ``radius`` (Å) apart; arguments as in `from_mesh`.

        Parameters
        ----------
        radius
            Å.
        cell, positions, atom_of_orbital
            Those of ``from_mesh``.
        """
        owner = atom_of_orbital.numpy()
        apart = positions[None, :] - positions[:, None]
        vectors = self.images.numpy() @ cell
        distances = np.linalg.norm(vectors[:, None, None] + apart[None], axis=-1)
        kept = torch.as_tensor(distances[:, owner][:, :, owner] <= radius)
        blocks = torch.where(kept, self.blocks, torch.zeros_like(self.blocks))
        used = blocks.flatten(1).abs().amax(1) > 0
        return RealSpaceHamiltonian(self.images[used], blocks[used])

    def at(self, k_points: Tensor) -> Tensor:
        """Return H(k), (K, n, n) complex and exactly Hermitian, at ``k_points`` (K, 3)."""
        angles = (
            2.0 * torch.pi * k_points.to(self.blocks.dtype) @ self.images.to(self.blocks.dtype).T
        )
        flat = self.blocks.flatten(1)
        n = self.n_orbitals
        real, imaginary = (wave @ flat for wave in (torch.cos(angles), torch.sin(angles)))
        total = torch.complex(real, imaginary).view(-1, n, n)
        return 0.5 * (total + total.mH)
