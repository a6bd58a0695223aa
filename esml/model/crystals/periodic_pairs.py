"""Pairs of atoms of a crystal: each atom of the cell with every atom within a cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor

from esml.typing import Array


@dataclass(frozen=True)
class PeriodicPairs:
    """E directed pairs; every pair stands in both directions."""

    first: Tensor  # (E,) atom of the cell
    second: Tensor  # (E,) atom of the cell at ``images``
    images: Tensor  # (E, 3) lattice vectors, whole numbers
    vectors: Tensor  # (E, 3) Å from first to second

    @property
    def distances(self) -> Tensor:
        """(E,) Å."""
        result: Tensor = self.vectors.norm(dim=1)
        return result

    @property
    def directions(self) -> Tensor:
        """(E, 3) unit vectors."""
        return self.vectors / self.distances[:, None]


def periodic_pairs(cell: Array, positions: Array, cutoff: float) -> PeriodicPairs:
    """All pairs nearer than ``cutoff``.

    Parameters
    ----------
    cell:
        (3, 3) lattice vectors in rows, Å.
    positions:
        (N, 3) Å.
    cutoff:
        Å.
    """
    atoms = Atoms(f"X{len(positions)}", positions=positions, cell=cell, pbc=True)
    first, second, images, vectors = neighbor_list("ijSD", atoms, float(cutoff))
    return PeriodicPairs(
        torch.as_tensor(first),
        torch.as_tensor(second),
        torch.as_tensor(np.asarray(images, dtype=np.int64)),
        torch.as_tensor(vectors),
    )
