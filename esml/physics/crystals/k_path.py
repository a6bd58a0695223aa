"""Paths between special points of the Brillouin zone.

Special points and their names are those of Setyawan and Curtarolo (Comput. Mater. Sci. 49, 299
(2010)), as in ASE, for the Bravais lattice nearest to the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase.cell import Cell
from ase.dft.kpoints import parse_path_string

from esml.typing import Array

SPELLINGS = str.maketrans({"Γ": "G", "|": ",", " ": "", "-": "", "–": "", "→": ""})
"""What is accepted in a path, and how ASE spells it: ``Γ-X-W|K`` as in pictures is ``GXW,K``."""

LIKE_A_LATTICE = 0.05
"""Largest deviation of a strained cell from the Bravais lattice that gives its special points."""


@dataclass(frozen=True)
class KPath:
    """Points of the Brillouin zone along straight lines between special points."""

    k_points: Array  # (P, 3) in reciprocal lattice vectors
    distances: Array  # (P,) along the path, 1/Å; a break has no length
    labels: tuple[tuple[int, str], ...]  # row of each special point, and its name
    path: str  # names as in ASE: GXWKG,UX


def k_path(cell: Cell, path: str | None = None, n_points: int = 120) -> KPath:
    """Return points along a path between special points.

    Parameters
    ----------
    cell
        The cell.
    path
        Names of special points, with a comma for a break, as in ``"GXWKG,UX"``, or written
        ``"Γ-X-W-K-Γ|U-X"``; the usual path if None.
    n_points
        Number of points along the whole path. Each line has its two ends at least.

    Raises
    ------
    ValueError
        For names that the lattice does not have, or fewer than two points.
    """
    if n_points < 2:
        raise ValueError(f"{n_points} points: expected at least two along a path; ask for more")
    try:
        spelt = None if path is None else path.translate(SPELLINGS)
        found = cell.bandpath(spelt, npoints=n_points, eps=LIKE_A_LATTICE)
        parts = [list(part) for part in parse_path_string(found.path)]
        if any(len(part) < 2 or any(a == b for a, b in pairwise(part)) for part in parts):
            raise ValueError("a line needs two different ends")
    except Exception as error:  # ASE raises whatever its parser hits
        usual = cell.bandpath(npoints=0, eps=LIKE_A_LATTICE)
        raise ValueError(
            f"'{path}' is not a path of this lattice ({' '.join(str(error).split())}): "
            f"expected names of special points among {''.join(sorted(usual.special_points))}, "
            "such as GX; correct it or leave it out"
        ) from error
    points = np.asarray(found.kpts)
    steps = 2.0 * np.pi * np.linalg.norm(np.diff(points, axis=0) @ cell.reciprocal().array, axis=1)
    labels: list[tuple[int, str]] = []
    for part in parts:
        for place, name in enumerate(part):
            start = labels[-1][0] + 1 if labels else 0
            there = (points[start:] == found.special_points[name]).all(1)
            row = start + int(there.argmax())
            labels.append((row, name))
            if place == 0 and row:
                steps[row - 1] = 0.0
    return KPath(points, np.concatenate([[0.0], np.cumsum(steps)]), tuple(labels), found.path)
