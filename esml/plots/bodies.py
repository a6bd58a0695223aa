"""Balls, sticks and surfaces as triangles in space. Lengths in Å.

Shape letters: T triangles, V vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

from esml.plots.style import atom_colour

Array = NDArray[np.float64]

BALL = 0.45
"""Radius of an atom, in covalent radii."""

STICK = 0.11
"""Å, radius of a bond."""

SECTORS = 14
"""Number of sides of the prism that draws a bond."""

LIGHT = np.array([-0.35, 0.5, 0.79])
"""Direction of the light, in the viewer's frame."""


@dataclass(frozen=True)
class Mesh:
    """Triangles of one colour with a normal at each corner."""

    corners: Array  # (T, 3, 3) Å
    normals: Array  # (T, 3, 3) unit vectors
    colour: Array  # (3,) red, green and blue, 0 to 1

    def seen(self, centre: Array, view: Array) -> Mesh:
        """Return the mesh in the viewer's frame: x to the right, y up, z towards the viewer."""
        return Mesh((self.corners - centre) @ view.T, self.normals @ view.T, self.colour)

    def facing(self) -> Mesh:
        """Return the triangles that face the viewer, which suffice for a closed body."""
        kept = self.normals[..., 2].sum(1) > 0.0
        return Mesh(self.corners[kept], self.normals[kept], self.colour)

    def shades(self) -> Array:
        """Return the colours (T, 3, 3) of the corners, lit from both sides."""
        towards = self.normals * np.where(self.normals[..., 2:] < 0.0, -1.0, 1.0)
        lit = np.clip(towards @ (LIGHT / np.linalg.norm(LIGHT)), 0.0, 1.0)[..., None]
        shades: Array = np.clip(self.colour * (0.5 + 0.5 * lit) + 0.25 * lit**16, 0.0, 1.0)
        return shades


def balls_and_sticks(atoms: Atoms, bonds: tuple[tuple[int, int], ...]) -> list[Mesh]:
    """Make a ball for each atom and, for each bond, two half sticks in its atoms' colours."""
    sphere = ball()
    parts = []
    for number, position in zip(atoms.numbers, atoms.positions, strict=True):
        radius = BALL * float(covalent_radii[number])
        parts.append(Mesh(position + radius * sphere, sphere, atom_colour(number)))
    for a, b in bonds:
        start, end = atoms.positions[a], atoms.positions[b]
        middle = 0.5 * (start + end)
        around = _ring(start, end, SECTORS)
        normals = _triangles(np.stack([around, around]))
        for near, number in ((start, atoms.numbers[a]), (end, atoms.numbers[b])):
            net = np.stack([near + STICK * around, middle + STICK * around])
            parts.append(Mesh(_triangles(net), normals, atom_colour(number)))
    return parts


def ball(rings: int = 12, sectors: int = 20) -> Array:
    """Return triangles (T, 3, 3) of a unit sphere; the corners are also the normals."""
    theta, phi = np.linspace(0.0, np.pi, rings + 1), np.linspace(0.0, 2.0 * np.pi, sectors + 1)
    points = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
        ],
        axis=2,
    )
    return _triangles(points)


def stick(start: Array, end: Array, sectors: int = SECTORS) -> Array:
    """Return triangles (T, 3, 3) of an open cylinder of radius ``STICK``."""
    ring = _ring(start, end, sectors)
    return _triangles(np.stack([start + STICK * ring, end + STICK * ring]))


def vertex_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Return unit normals (V, 3): means over the faces at a vertex, weighted by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], np.cross(b - a, c - a))
    unit: Array = normals / (np.linalg.norm(normals, axis=1)[:, None] + 1e-12)
    return unit


def _ring(start: Array, end: Array, sectors: int) -> Array:
    """Unit vectors (sectors + 1, 3) around the axis from ``start`` to ``end``."""
    across = np.linalg.svd((end - start)[None])[2][1:]
    phi = np.linspace(0.0, 2.0 * np.pi, sectors + 1)
    ring: Array = np.outer(np.cos(phi), across[0]) + np.outer(np.sin(phi), across[1])
    return ring


def _triangles(points: Array) -> Array:
    """Two triangles for each cell of a grid of points (r, s, 3)."""
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    net: Array = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2).reshape(-1, 3, 3)
    return net
