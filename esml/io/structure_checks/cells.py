"""Molecules torn by the boundary of a periodic cell, as programs wrap atoms into it."""

from __future__ import annotations

from collections import deque

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from esml.io.structure_checks.plausibility import LIMITS

Indices = NDArray[np.int64]

THINNEST = 3.0
"""Å; a cell with a smaller distance between opposite faces holds no whole molecule."""

FARTHEST_WRAPPED = 1e4
"""Å; atoms farther from the origin than this are not searched for neighbours."""


def join_torn(atoms: Atoms) -> int:
    """Move atoms by vectors of the cell so that no bond crosses its boundary.

    Nothing is moved if bonds go on without end from cell to cell, as in crystals and polymers.

    Parameters
    ----------
    atoms
        A periodic structure, whose positions are changed.

    Returns
    -------
    How many atoms were moved.
    """
    if not _searchable(atoms):
        return 0
    reach = (LIMITS.neighbour * covalent_radii[atoms.numbers]).tolist()
    i, j, cells = neighbor_list("ijS", atoms, reach)
    if not cells.any():
        return 0
    moves = _moves(len(atoms), i, j, cells)
    if moves is None:
        return 0
    atoms.positions += moves @ atoms.cell.array
    return int(moves.any(axis=1).sum())


def _searchable(atoms: Atoms) -> bool:
    positions = atoms.positions
    if atoms.cell.rank < 3 or not (np.abs(positions) < FARTHEST_WRAPPED).all():
        return False
    thickness = 1.0 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    return bool((thickness > THINNEST).all())


def _moves(n: int, i: Indices, j: Indices, cells: Indices) -> Indices | None:
    """Vectors of the cell (n, 3) that join every molecule; None if one has no end.

    ``j`` has a bond to ``i`` from the cell ``cells`` away. The largest piece of a molecule that
    hangs together in the cell stays where it is.
    """
    bonds: list[list[tuple[int, Indices]]] = [[] for _ in range(n)]
    for a, b, cell in zip(i.tolist(), j.tolist(), cells, strict=True):
        bonds[a].append((b, cell))
    moves, seen = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=bool)
    for start in range(n):
        if seen[start]:
            continue
        seen[start], queue, members = True, deque([start]), [start]
        while queue:
            a = queue.popleft()
            for b, cell in bonds[a]:
                if not seen[b]:
                    seen[b], moves[b] = True, moves[a] + cell
                    queue.append(b)
                    members.append(b)
                elif (moves[b] != moves[a] + cell).any():
                    return None
        kinds, counts = np.unique(moves[members], axis=0, return_counts=True)
        moves[members] -= kinds[counts.argmax()]
    return moves
