"""The point group of a molecule: its symmetry operations and its Schoenflies symbol.

Operations are sought only where they are possible: about the axes of inertia and, in symmetric and
spherical tops, about directions between equivalent atoms.

Axes are chosen as R. S. Mulliken, J. Chem. Phys. 23, 1997 (1955), recommends. z is the principal
axis. C2v: yz is the plane with most atoms, so that B1 is antisymmetric under reflection in it.
D2h and D2: x is perpendicular to the plane with most atoms, and z is the one of the two other axes
that passes through most atoms; B1, B2, B3 are symmetric about z, y, x. In other groups the
subscripts 1 and 2 mean symmetric and antisymmetric under the perpendicular twofold axis, or the
vertical plane, with most atoms. Cubic groups: under the fourfold operation.

Shape letter: N atoms. Lengths in Å.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import cos, pi, sin

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]

TOLERANCE = 0.1
"""Å; largest distance of an atom from the place where an operation puts its partner."""

HIGHEST_ORDER = 8
"""Highest order of a rotation axis sought in a nonlinear molecule."""

LINEAR_TURN = 2.0 * pi / 7.0
"""Angle of the rotation that distinguishes Σ, Π, Δ and Φ of a linear molecule."""


@dataclass(frozen=True)
class Operation:
    """An orthogonal transformation that maps the molecule onto itself."""

    matrix: Array  # (3, 3)
    image: Index  # (N,) the atom that each atom is mapped onto


@dataclass(frozen=True)
class PointGroup:
    """A point group, with the operations that distinguish its irreducible representations."""

    name: str  # Schoenflies symbol, such as C2v
    order: int  # of the principal axis, 0 for a linear molecule
    operations: dict[str, Operation] = field(default_factory=dict)
    """By role: "rotation", "improper", "second", "horizontal", "inversion", "x", "y", "third"."""


def point_group(atoms: Atoms, tolerance: float = TOLERANCE) -> PointGroup:
    """Return the point group of a molecule.

    Parameters
    ----------
    atoms
        The molecule.
    tolerance
        Largest distance (Å) of an atom from the place where an operation puts its partner.

    Returns
    -------
    The point group, with operations that distinguish its irreducible representations.
    """
    finder = _Finder(atoms, tolerance)
    if len(atoms) == 1:
        return PointGroup("K", 1)
    if finder.is_linear:
        return finder.linear()
    axes = finder.axes()
    high = [(axis, order) for axis, order in axes if order > 2]
    if len(high) > 1:
        return finder.cubic(axes)
    return finder.axial(axes)


class _Finder:
    """Search for the symmetry operations of one molecule."""

    def __init__(self, atoms: Atoms, tolerance: float) -> None:
        weights = atoms.numbers.astype(np.float64)
        self.positions = atoms.positions - weights @ atoms.positions / weights.sum()
        self.tolerance = tolerance
        self.different = atoms.numbers[:, None] != atoms.numbers
        radii = np.linalg.norm(self.positions, axis=1)
        # Atoms an operation may exchange: same element, same distance from the centre.
        self.alike = ~self.different & (np.abs(radii[:, None] - radii) < tolerance)
        self.off_centre = radii > tolerance
        squares = np.einsum("a,ai,aj->ij", weights, self.positions, self.positions)
        self.moments, axes = np.linalg.eigh(np.trace(squares) * np.eye(3) - squares)
        self.inertia = axes.T
        spread = np.linalg.svd(self.positions, compute_uv=False)
        self.is_linear = bool(len(spread) < 2 or spread[1] < tolerance)

    def operation(self, matrix: Array) -> Operation | None:
        """The operation ``matrix``, or None if the molecule does not have it."""
        moved = self.positions @ matrix.T
        distances = np.linalg.norm(moved[:, None] - self.positions, axis=2)
        distances[self.different] = np.inf
        image = distances.argmin(1)
        if distances.min(1).max() > self.tolerance or len(set(image.tolist())) < len(image):
            return None
        return Operation(matrix, image)

    def _directions(self) -> Iterator[Array]:
        """Possible directions of rotation axes and of normals to mirror planes."""
        yield from self.inertia
        middle = self.moments[1]
        top = [
            axis
            for axis, one, other in zip(
                self.inertia, self.moments[[1, 0, 0]], self.moments[[2, 2, 1]], strict=True
            )
            if abs(one - other) < 0.05 * middle
        ]
        if not top:
            return
        spherical = len(top) == 3
        shells = [np.flatnonzero(row) for row in np.unique(self.alike[self.off_centre], axis=0)]
        flat = self.positions
        if not spherical:
            flat = self.positions - np.outer(self.positions @ top[0], top[0])
        off_axis = [s for s in shells if np.linalg.norm(flat[s], axis=1).min() > self.tolerance]
        if not off_axis:
            return
        shell = flat[min(off_axis, key=len)]
        candidates = [*shell]
        # An operation takes each of these few to another, which gives the direction of its axis.
        for a, b in product(shell[:4], shell):
            candidates += [a + b, a - b]
            if spherical:
                candidates.append(np.cross(a, b))
        for candidate in candidates:
            length = np.linalg.norm(candidate)
            if length > self.tolerance:
                yield candidate / length
                if not spherical:
                    yield np.cross(top[0], candidate / length)

    def axes(self) -> list[tuple[Array, int]]:
        """Rotation axes with their orders, highest order first."""
        self.normals: list[Array] = []
        found: list[tuple[Array, int]] = []
        tried: list[Array] = []
        for axis in self._directions():
            if any(abs(axis @ other) > 0.999 for other in tried):
                continue
            tried.append(axis)
            orders = [n for n in range(2, HIGHEST_ORDER + 1) if self.operation(rotation(axis, n))]
            if orders:
                found.append((axis, max(orders)))
            if self.operation(reflection(axis)):
                self.normals.append(axis)
        return sorted(found, key=lambda pair: -pair[1])

    def _put(self, group: PointGroup, **matrices: Array | None) -> PointGroup:
        for role, matrix in matrices.items():
            operation = None if matrix is None else self.operation(matrix)
            if operation is not None:
                group.operations[role] = operation
        return group

    def linear(self) -> PointGroup:
        axis = np.linalg.svd(self.positions)[2][0]
        normal = np.linalg.svd(axis[None])[2][1]
        inversion = self.operation(-np.eye(3))
        group = PointGroup("D∞h" if inversion else "C∞v", 0)
        return self._put(
            group,
            rotation=turn(axis, LINEAR_TURN),
            second=reflection(normal),
            inversion=-np.eye(3) if inversion else None,
        )

    def cubic(self, axes: Sequence[tuple[Array, int]]) -> PointGroup:
        order = axes[0][1]
        inversion = self.operation(-np.eye(3)) is not None
        if order >= 5:
            name = "Ih" if inversion else "I"
        elif order == 4:
            name = "Oh" if inversion else "O"
        else:
            name = "Th" if inversion else "Td" if self.normals else "T"
        fourfold: Array = rotation(*axes[0])
        if name == "Td":
            # Its S4 axes are its C2 axes.
            axis = next(axis for axis, n in axes if n == 2)
            fourfold = rotation(axis, 4) @ reflection(axis)
        # Threefold axes that pass through no atom lie between three equivalent axes.
        between = [
            a + sign * b + other * c
            for (a, _), (b, _), (c, _) in combinations(axes, 3)
            for sign in (1, -1)
            for other in (1, -1)
        ]
        thirds = [axis for axis, n in axes if n == 3]
        thirds += [axis / np.linalg.norm(axis) for axis in between if np.linalg.norm(axis) > 0.1]
        third = next((axis for axis in thirds if self.operation(rotation(axis, 3))), None)
        return self._put(
            PointGroup(name, order),
            rotation=fourfold,
            third=None if third is None else rotation(third, 3),
            inversion=-np.eye(3) if inversion else None,
        )

    def axial(self, axes: Sequence[tuple[Array, int]]) -> PointGroup:
        """Groups with at most one axis of order above two."""
        inversion = -np.eye(3) if self.operation(-np.eye(3)) else None
        if not axes:
            name = "Cs" if self.normals else "C1" if inversion is None else "Ci"
            plane = reflection(self.normals[0]) if self.normals else None
            return self._put(PointGroup(name, 1), horizontal=plane, inversion=inversion)
        z, n = self._principal(axes)
        perpendicular = self._by_atoms([a for a, _ in axes if abs(a @ z) < 0.1])
        horizontal = any(abs(normal @ z) > 0.99 for normal in self.normals)
        vertical = [normal for normal in self.normals if abs(normal @ z) < 0.1]
        improper = rotation(z, 2 * n) @ reflection(z)
        put = {
            "rotation": rotation(z, n),
            "inversion": inversion,
            "horizontal": reflection(z) if horizontal else None,
        }
        if perpendicular:
            name = f"D{n}" + ("h" if horizontal else "d" if vertical else "")
            put["second"] = rotation(perpendicular[0], 2)
            if name in ("D2", "D2h"):
                x, y = self._plane_normal_first(perpendicular)
                put |= {"x": rotation(x, 2), "y": rotation(y, 2)}
        elif horizontal:
            name = f"C{n}h"
        elif vertical:
            name = f"C{n}v"
            # In C2v the label refers to the plane with fewer atoms.
            planes = sorted(vertical, key=lambda normal: self._near_plane(normal))
            put["second"] = reflection(planes[0] if n == 2 else planes[-1])
        else:
            name = f"S{2 * n}" if self.operation(improper) else f"C{n}"
        if (name.endswith("d") and n % 2 == 0) or name.startswith("S"):
            put["improper"] = improper
        return self._put(PointGroup(name, n), **put)

    def _principal(self, axes: Sequence[tuple[Array, int]]) -> tuple[Array, int]:
        best = [axis for axis, n in axes if n == axes[0][1]]
        order = axes[0][1]
        if order > 2 or len(best) == 1:
            return best[0], order
        for axis in best:
            if self.operation(rotation(axis, 4) @ reflection(axis)):
                return axis, order
        return self._by_atoms(self._plane_normal_first(best)[1:])[0], order

    def _plane_normal_first(self, axes: Sequence[Array]) -> list[Array]:
        """``axes`` sorted by the number of atoms in the plane normal to each, most first."""
        return sorted(axes, key=lambda axis: -self._near_plane(axis))

    def _near_plane(self, normal: Array) -> int:
        return int((np.abs(self.positions @ normal) < self.tolerance).sum())

    def _by_atoms(self, axes: Sequence[Array]) -> list[Array]:
        """``axes`` sorted by the number of atoms on each, most first."""

        def on_axis(axis: Array) -> int:
            off = self.positions - np.outer(self.positions @ axis, axis)
            return int((np.linalg.norm(off, axis=1) < self.tolerance).sum())

        return sorted(axes, key=lambda axis: -on_axis(axis))


def turn(axis: Array, angle: float) -> Array:
    """Return the rotation (3, 3) about the unit vector ``axis`` by ``angle`` (radians)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix: Array = np.eye(3) + sin(angle) * cross + (1.0 - cos(angle)) * cross @ cross
    return matrix


def rotation(axis: Array, order: int) -> Array:
    """Return the rotation C_n (3, 3) about the unit vector ``axis``."""
    return turn(axis, 2.0 * pi / order)


def reflection(normal: Array) -> Array:
    """Return the reflection (3, 3) in the plane normal to the unit vector ``normal``."""
    matrix: Array = np.eye(3) - 2.0 * np.outer(normal, normal)
    return matrix
