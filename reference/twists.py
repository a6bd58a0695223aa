"""Find bonds worth twisting, and rotate one side of a molecule rigidly about such a bond."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""
Array = NDArray[np.float64]


def _is_unsaturated(atom: Any) -> bool:
    return any(b.GetBondTypeAsDouble() > 1.0 for b in atom.GetBonds())


def twistable_bonds(mol: Mol) -> list[tuple[int, int, str]]:
    """Return the bonds (i, j, "single" or "double") of ``mol`` (with hydrogens) worth twisting.

    These are double bonds between C and N atoms, and single bonds between two unsaturated atoms or
    between one and an amine nitrogen. They are outside rings, and no end is linear or terminal.
    """
    found = []
    for bond in mol.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        if bond.IsInRing() or any(end.GetAtomicNum() not in (6, 7) for end in ends):
            continue
        if any(end.GetDegree() < 2 for end in ends):
            continue
        # A linear end has no plane that could be rotated.
        if any(_is_linear(end) for end in ends):
            continue
        order = bond.GetBondTypeAsDouble()
        unsaturated = [_is_unsaturated(end) for end in ends]
        amine = [end.GetAtomicNum() == 7 and end.GetDegree() == 3 for end in ends]
        pair = (ends[0].GetIdx(), ends[1].GetIdx())
        if order == 2.0:
            found.append((*pair, "double"))
        elif all(u or a for u, a in zip(unsaturated, amine, strict=True)) and any(unsaturated):
            found.append((*pair, "single"))
    return found


def _is_linear(atom: Any) -> bool:
    orders = [b.GetBondTypeAsDouble() for b in atom.GetBonds()]
    return 3.0 in orders or orders == [2.0, 2.0]


def far_side(bonds: list[tuple[int, int]], i: int, j: int) -> list[int]:
    """Return the atoms reached from ``j`` without crossing the bond i-j, including ``j``."""
    neighbours: dict[int, list[int]] = {}
    for a, b in bonds:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    reached, queue = {j}, deque([j])
    while queue:
        for near in neighbours[queue.popleft()]:
            if near not in reached and near != i:
                reached.add(near)
                queue.append(near)
    return sorted(reached)


def twist(positions: Array, bonds: list[tuple[int, int]], i: int, j: int, angle: float) -> Array:
    """Rotate j's side of the bond i-j in ``positions`` (N, 3) about it by ``angle`` (degrees)."""
    axis = positions[j] - positions[i]
    axis = axis / np.linalg.norm(axis)
    side = far_side(bonds, i, j)
    arm = positions[side] - positions[j]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    along = np.outer(arm @ axis, axis)
    turned = along + cosine * (arm - along) + sine * np.cross(axis, arm)
    result = positions.copy()
    result[side] = positions[j] + turned
    return np.asarray(result)
