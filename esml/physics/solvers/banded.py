"""Banded matrices of large molecules, and windows on pairs of orbitals near each other.

If local orbitals are ordered so that neighbours are adjacent, their coefficients fill a band:
narrow for a chain, the whole matrix for a compact molecule
(:mod:`esml.physics.solvers.local_orbitals`). A band is stored as strips of rows, each with the
columns from its first to its last nonzero one.

The pairs of a hole and an electron near each other also form a band in the matrix (o, v) of all
pairs: a :class:`PairWindow`.

Shape letters: n rows, k columns, r rows of another matrix, S matrices, o holes and v electrons, w
pairs in a window.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def extent(rows: Tensor, negligible: float) -> slice:
    """Return the columns from first to last with an element above ``negligible``; may be empty."""
    places = (rows.abs() > negligible).any(0).nonzero()[:, 0]
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def strips(matrix: Tensor, negligible: float, n_rows: int) -> Iterator[tuple[slice, slice]]:
    """Yield ``n_rows`` rows of ``matrix`` (n, k) at a time, with the columns they extend over."""
    for start in range(0, len(matrix), n_rows):
        rows = slice(start, start + n_rows)
        columns = extent(matrix[rows], negligible)
        if columns.stop:
            yield rows, columns


class Banded:
    """A matrix (n, k) as strips of ``n_rows`` rows; elements outside the band are omitted.

    Parameters
    ----------
    matrix:
        (n, k).
    negligible:
        Elements up to this size may be omitted.
    n_rows:
        Number of rows in a strip.
    """

    def __init__(self, matrix: Tensor, negligible: float, n_rows: int) -> None:
        self._rows = len(matrix)
        self._strips = [
            (rows, columns, matrix[rows, columns].contiguous())
            for rows, columns in strips(matrix, negligible, n_rows)
        ]

    def times(self, other: Tensor) -> Tensor:
        """Return the matrix times ``other`` (S, k, r): (S, n, r)."""
        product = other.new_zeros((len(other), self._rows, other.shape[2]))
        for rows, columns, block in self._strips:
            for one, out in zip(other, product, strict=True):
                torch.mm(block, one[columns], out=out[rows])
        return product

    def transposed_after(self, other: Tensor) -> Tensor:
        """Return ``other`` (r, k) times the transpose of the matrix: (r, n)."""
        product = other.new_zeros((len(other), self._rows))
        self.add_transposed_after(product, other)
        return product

    def add_transposed_after(self, total: Tensor, other: Tensor) -> None:
        """Add the result of ``transposed_after`` for ``other`` (r, k) to ``total`` (r, n)."""
        for rows, columns, block in self._strips:
            total[:, rows].addmm_(other[:, columns], block.mT)


class PairWindow:
    """Pairs of a hole and an electron: strips of holes, each with a range of electrons.

    Vectors hold one number for each pair, strip after strip; their length is ``size``, w.

    Parameters
    ----------
    near:
        (o, v) True for the pairs that must be inside.
    n_holes:
        Number of holes in a strip.
    """

    def __init__(self, near: Tensor, n_holes: int) -> None:
        self.shape = near.shape
        self.strips: list[tuple[slice, slice]] = []
        places = torch.arange(near.numel(), device=near.device).view(near.shape)
        found = []
        for start in range(0, len(near), n_holes):
            holes = slice(start, min(start + n_holes, len(near)))
            electrons = extent(near[holes].double(), 0.5)
            if electrons.stop:
                self.strips.append((holes, electrons))
                found.append(places[holes, electrons].flatten())
        self._places = torch.cat(found) if found else places.flatten()[:0]
        self.size = len(self._places)
        self.fill = self.size / max(1, near.numel())

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """Return the part of ``amplitudes`` (…, o·v) inside the window, (…, w)."""
        return amplitudes[..., self._places]

    def spread(self, inside: Tensor) -> Tensor:
        """Pad the amplitudes ``inside`` the window (…, w) with zeros to (…, o·v)."""
        amplitudes = inside.new_zeros((*inside.shape[:-1], self.shape.numel()))
        amplitudes[..., self._places] = inside
        return amplitudes

    def parts(self, inside: Tensor) -> list[Tensor]:
        """Return views of the strips of ``inside`` (S, w), each (S, holes, electrons)."""
        sizes = [(h.stop - h.start, e.stop - e.start) for h, e in self.strips]
        parts = inside.split([a * b for a, b in sizes], 1)
        return [part.unflatten(1, size) for part, size in zip(parts, sizes, strict=True)]

    def joined(self, parts: list[Tensor]) -> Tensor:
        """Join strips to vectors (S, w); the inverse of ``parts``."""
        return torch.cat([part.flatten(1) for part in parts], 1)


class Sandwich:
    """Map T → L T R of amplitudes (S, o·v), with L (o, o) and R (v, v) symmetric and banded."""

    def __init__(self, left: Tensor, right: Tensor, negligible: float, n_rows: int) -> None:
        self._shape = len(left), len(right)
        self._left = Banded(left, negligible, n_rows)
        self._right = Banded(right, negligible, n_rows)

    def __call__(self, amplitudes: Tensor) -> Tensor:
        turned = self._right.transposed_after(amplitudes.view(-1, self._shape[1]))
        return self._left.times(turned.view(-1, *self._shape)).flatten(1)


class WindowSandwich:
    """Map T → L T R of amplitudes (S, w) in a ``window``; None for L or R means the identity."""

    def __init__(
        self, window: PairWindow, left: Tensor | None, right: Tensor | None, negligible: float
    ) -> None:
        self._window = window
        self._right = self._left = None
        if right is not None:
            self._right = [right[e, e].contiguous() for _, e in window.strips]
        if left is not None:
            self._left = [
                [
                    (k, left[h, other].contiguous(), *_shared(e, others))
                    for k, (other, others) in enumerate(window.strips)
                    if bool((left[h, other].abs() > negligible).any())
                    and min(e.stop, others.stop) > max(e.start, others.start)
                ]
                for h, e in window.strips
            ]

    def __call__(self, inside: Tensor) -> Tensor:
        parts = self._window.parts(inside)
        if self._right is not None:
            parts = [part @ right for part, right in zip(parts, self._right, strict=True)]
        if self._left is not None:
            parts = [self._combined(parts, k) for k in range(len(parts))]
        return self._window.joined(parts)

    def _combined(self, parts: list[Tensor], k: int) -> Tensor:
        """Return the ``k``-th strip of ``left`` times all strips."""
        assert self._left is not None
        total = torch.zeros_like(parts[k])
        for other, block, mine, theirs in self._left[k]:
            total[:, :, mine] += block @ parts[other][:, :, theirs]
        return total


def _shared(one: slice, other: slice) -> tuple[slice, slice]:
    """Return the common part of two slices, as a slice of ``one`` and as a slice of ``other``."""
    start = max(one.start, other.start)
    stop = max(start, min(one.stop, other.stop))
    return slice(start - one.start, stop - one.start), slice(
        start - other.start, stop - other.start
    )


class WindowTurn:
    """Transforms amplitudes (S, w) in a window to fewer orbitals, LᵀTR (S, h, e), and back.

    Parameters
    ----------
    window:
        The window on (o, v).
    left, right:
        (o, h) and (v, e); columns are local orbitals, with neighbours adjacent.
    pairs:
        (h, e) True for the elements that are needed; all others are zero or meaningless.
    negligible:
        Coefficients up to this size may be omitted.
    """

    def __init__(
        self, window: PairWindow, left: Tensor, right: Tensor, pairs: Tensor, negligible: float
    ) -> None:
        self._window = window
        self._shape = pairs.shape
        self._strips = []
        for holes, electrons in window.strips:
            h = extent(left[holes], negligible)
            e = extent(pairs[h].double(), 0.5)
            columns = extent(right[electrons, e].mT, negligible)
            of_electrons = right[electrons, e][columns].contiguous()
            self._strips.append((h, e, columns, left[holes, h].contiguous(), of_electrons))

    def turned(self, inside: Tensor) -> Tensor:
        """Return LᵀTR (S, h, e) of T = ``inside`` (S, w)."""
        total = inside.new_zeros((len(inside), *self._shape))
        for part, strip in zip(self._window.parts(inside), self._strips, strict=True):
            h, e, columns, left, right = strip
            total[:, h, e] += left.mT @ (part[:, :, columns] @ right)
        return total

    def back(self, turned: Tensor) -> Tensor:
        """Return the part of L T Rᵀ inside the window (S, w), for T = ``turned`` (S, h, e)."""
        inside = turned.new_zeros((len(turned), self._window.size))
        for part, strip in zip(self._window.parts(inside), self._strips, strict=True):
            h, e, columns, left, right = strip
            part[:, :, columns] = left @ (turned[:, h, e] @ right.mT)
        return inside
