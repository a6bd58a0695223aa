"""Local orbitals of a large molecule: matrices that are zero but for a band.

Canonical orbitals spread over all of a molecule; those of the occupied and those of the virtual
space may be turned into local ones, whose tails fall off exponentially. With atomic and local
orbitals in an order in which neighbours stand together (Cuthill and McKee, 1969) the coefficients
fill a band, narrow for a chain and all of the matrix for a compact molecule.

The local orbitals are columns of the projector P = C Cᵀ on the space, those that pivoted Cholesky
decomposition chooses, orthonormalized (Damle, Lin and Ying, J. Chem. Theory Comput. 11, 1463,
2015).

An exciton is local too: pairs of a hole and an electron far from each other hardly take part. The
pairs near enough are a ``Window`` on the matrix of all pairs, which follows its diagonal as a band.

Shape letters: n orbitals of the basis, k orbitals of the space, r rows, S matrices, o holes and
v electrons, w pairs in a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from scipy.linalg.lapack import dpstrf
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

NEGLIGIBLE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Coefficients below it are left out, by precision."""

STRIP = 48
"""Rows of a strip of a banded matrix."""

NARROW = 48
"""Holes of a strip of a window: of less, products are too small to be fast."""

_TIMES = (0.05, 0.3, 1.5)  # 1/eV
_ROUGH = 1e-3  # coefficients left out of what only improves steps
_SMALLEST = 0.3  # eV
_COUPLED = 1e-2  # element of the density matrix that makes two orbitals neighbours


def extent(rows: Tensor, negligible: float) -> slice:
    """The columns from the first to the last in which ``rows`` hold something; maybe none."""
    places = (rows.abs() > negligible).any(0).nonzero()[:, 0]
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def strips(matrix: Tensor, negligible: float) -> Iterator[tuple[slice, slice]]:
    """Rows of ``matrix`` (n, k), ``STRIP`` at a time, with their columns from first to last."""
    for start in range(0, len(matrix), STRIP):
        rows = slice(start, start + STRIP)
        columns = extent(matrix[rows], negligible)
        if columns.stop:
            yield rows, columns


class Banded:
    """A matrix (n, k) as strips of rows, each with the columns from its first to its last."""

    def __init__(self, matrix: Tensor, negligible: float | None = None) -> None:
        negligible = NEGLIGIBLE[matrix.dtype] if negligible is None else negligible
        self._rows = len(matrix)
        self._strips = [
            (rows, columns, matrix[rows, columns].contiguous())
            for rows, columns in strips(matrix, negligible)
        ]

    def times(self, other: Tensor) -> Tensor:
        """The matrix times ``other`` (S, k, r): (S, n, r)."""
        product = other.new_zeros((len(other), self._rows, other.shape[2]))
        for rows, columns, block in self._strips:
            for one, out in zip(other, product, strict=True):
                torch.mm(block, one[columns], out=out[rows])
        return product

    def transposed_after(self, other: Tensor) -> Tensor:
        """``other`` (r, k) times the transpose of the matrix: (r, n)."""
        product = other.new_zeros((len(other), self._rows))
        self.add_transposed_after(product, other)
        return product

    def add_transposed_after(self, total: Tensor, other: Tensor) -> None:
        """Add ``transposed_after`` of ``other`` to ``total`` (r, n)."""
        for rows, columns, block in self._strips:
            total[:, rows].addmm_(other[:, columns], block.mT)


def in_line(coupled: Tensor) -> Tensor:
    """(n,) an order of orbitals in which those ``coupled`` (n, n) stand near each other."""
    graph = csr_array(coupled.cpu().numpy())
    order = reverse_cuthill_mckee(graph, symmetric_mode=True).astype("int64")
    return torch.from_numpy(order).to(coupled.device)


def localized(orbitals: Tensor) -> Tensor:
    """The rotation (k, k) that makes ``orbitals`` (n, k) local, in the order of the basis."""
    orbitals = orbitals.double()
    _, pivots, _, _ = dpstrf((orbitals @ orbitals.mT).cpu().numpy(), tol=0.0)
    chosen = torch.from_numpy(pivots[: orbitals.shape[1]].astype("int64") - 1).sort().values
    columns = orbitals[chosen.to(orbitals.device)].mT
    values, axes = torch.linalg.eigh(columns.mT @ columns)
    rotation: Tensor = columns @ (axes * values.rsqrt()) @ axes.mT
    return rotation


class Line:
    """The basis functions of a molecule in an ``order`` in which neighbours stand together.

    ``density`` (n, n) is the projector on the occupied orbitals. That on the virtual ones is zero
    in the same places, and local orbitals are columns of either.
    """

    def __init__(self, density: Tensor) -> None:
        self.order = in_line(density.abs() > _COUPLED)
        self._density = density[self.order][:, self.order]

    def fill(self, negligible: float) -> float:
        """Share of the coefficients of local orbitals that a band takes."""
        density = self._density
        kept = sum(density[rows, columns].numel() for rows, columns in strips(density, negligible))
        return kept / max(1, density.numel())


class LocalOrbitals:
    """Occupied (n, o) and virtual (n, v) orbitals of a molecule made local, in double precision.

    ``order`` is that of the basis functions in ``hole`` (n, o) and ``electron`` (n, v), which are
    the given orbitals times the rotations ``turn_hole`` and ``turn_electron``; what the Fock
    matrices, of the given orbitals, are between them is ``levels_hole`` and ``levels_electron``,
    eV.
    """

    def __init__(
        self,
        order: Tensor,
        occupied: Tensor,
        virtual: Tensor,
        fock_occupied: Tensor,
        fock_virtual: Tensor,
    ) -> None:
        self.order = order
        occupied, virtual = occupied[self.order].double(), virtual[self.order].double()
        self.turn_hole, self.turn_electron = localized(occupied), localized(virtual)
        self.hole, self.electron = occupied @ self.turn_hole, virtual @ self.turn_electron
        self.levels_hole = self.turn_hole.mT @ fock_occupied.double() @ self.turn_hole
        self.levels_electron = self.turn_electron.mT @ fock_virtual.double() @ self.turn_electron

    @cached_property
    def _eigen(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return torch.linalg.eigh(self.levels_hole), torch.linalg.eigh(self.levels_electron)

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest difference between levels of an electron and a hole, eV."""
        (lower, _), (upper, _) = self._eigen
        return float(upper[0] - lower[-1]), float(upper[-1] - lower[0])

    @cached_property
    def decays(self) -> list[tuple[Tensor, Tensor]]:
        """exp(t F_o) and exp(−t F_v), from the frontier, for each of ``_TIMES``."""
        (lower, of_lower), (upper, of_upper) = self._eigen
        return [
            (
                (of_lower * torch.exp(t * (lower - lower[-1]))) @ of_lower.mT,
                (of_upper * torch.exp(t * (upper[0] - upper))) @ of_upper.mT,
            )
            for t in _TIMES
        ]


class Window:
    """Pairs of a hole and an electron: strips of holes, each with electrons from first to last.

    ``near`` (o, v) says which pairs must be among them. Vectors of numbers for the pairs, strip
    after strip, have ``size`` w.
    """

    def __init__(self, near: Tensor) -> None:
        self.shape = near.shape
        self.strips: list[tuple[slice, slice]] = []
        places = torch.arange(near.numel(), device=near.device).view(near.shape)
        found = []
        for start in range(0, len(near), NARROW):
            holes = slice(start, min(start + NARROW, len(near)))
            electrons = extent(near[holes].double(), 0.5)
            if electrons.stop:
                self.strips.append((holes, electrons))
                found.append(places[holes, electrons].flatten())
        self._places = torch.cat(found) if found else places.flatten()[:0]
        self.size = len(self._places)
        self.fill = self.size / max(1, near.numel())

    def gathered(self, amplitudes: Tensor) -> Tensor:
        """(…, w) what of ``amplitudes`` (…, o·v) is inside."""
        return amplitudes[..., self._places]

    def spread(self, inside: Tensor) -> Tensor:
        """(…, o·v) ``inside`` (…, w), zeros around it."""
        amplitudes = inside.new_zeros((*inside.shape[:-1], self.shape.numel()))
        amplitudes[..., self._places] = inside
        return amplitudes

    def parts(self, inside: Tensor) -> list[Tensor]:
        """The strips of ``inside`` (S, w), each (S, holes, electrons), views of it."""
        sizes = [(h.stop - h.start, e.stop - e.start) for h, e in self.strips]
        parts = inside.split([a * b for a, b in sizes], 1)
        return [part.unflatten(1, size) for part, size in zip(parts, sizes, strict=True)]

    def joined(self, parts: list[Tensor]) -> Tensor:
        """The inverse of ``parts``."""
        return torch.cat([part.flatten(1) for part in parts], 1)


class Sandwich:
    """Amplitudes T (S, o·v) → L T R, with symmetric local ``left`` (o, o) and ``right`` (v, v)."""

    def __init__(self, left: Tensor, right: Tensor, negligible: float | None = None) -> None:
        self._shape = len(left), len(right)
        self._left, self._right = Banded(left, negligible), Banded(right, negligible)

    def __call__(self, amplitudes: Tensor) -> Tensor:
        turned = self._right.transposed_after(amplitudes.view(-1, self._shape[1]))
        return self._left.times(turned.view(-1, *self._shape)).flatten(1)


class NearSandwich:
    """The same within a ``window``, for amplitudes (S, w); a side may be missing, for 1."""

    def __init__(
        self,
        window: Window,
        left: Tensor | None,
        right: Tensor | None,
        negligible: float | None = None,
    ) -> None:
        self._window = window
        self._right = self._left = None
        if right is not None:
            self._right = [right[e, e].contiguous() for _, e in window.strips]
        if left is not None:
            negligible = NEGLIGIBLE[left.dtype] if negligible is None else negligible
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
        """What ``left`` makes of all strips for the ``k``-th."""
        assert self._left is not None
        total = torch.zeros_like(parts[k])
        for other, block, mine, theirs in self._left[k]:
            total[:, :, mine] += block @ parts[other][:, :, theirs]
        return total


def _shared(one: slice, other: slice) -> tuple[slice, slice]:
    """Where in ``one`` and where in ``other`` lies what both have."""
    start = max(one.start, other.start)
    stop = max(start, min(one.stop, other.stop))
    return slice(start - one.start, stop - one.start), slice(
        start - other.start, stop - other.start
    )


class NearTurn:
    """Amplitudes (S, w) in a ``window`` in terms of fewer orbitals, LᵀTR (S, h, e), and back.

    Columns of ``left`` (o, h) and ``right`` (v, e) are local, and neighbours stand together. Only
    the elements in ``pairs`` (h, e) have a meaning, and only they may be other than zero.
    """

    def __init__(self, window: Window, left: Tensor, right: Tensor, pairs: Tensor) -> None:
        self._window = window
        self._shape = pairs.shape
        self._strips = []
        for holes, electrons in window.strips:
            h = extent(left[holes], _ROUGH)
            e = extent(pairs[h].double(), 0.5)
            columns = extent(right[electrons, e].mT, _ROUGH)
            of_electrons = right[electrons, e][columns].contiguous()
            self._strips.append((h, e, columns, left[holes, h].contiguous(), of_electrons))

    def turned(self, inside: Tensor) -> Tensor:
        """LᵀTR (S, h, e) of T ``inside`` (S, w)."""
        total = inside.new_zeros((len(inside), *self._shape))
        for part, strip in zip(self._window.parts(inside), self._strips, strict=True):
            h, e, columns, left, right = strip
            total[:, h, e] += left.mT @ (part[:, :, columns] @ right)
        return total

    def back(self, turned: Tensor) -> Tensor:
        """L T Rᵀ (S, w) of T ``turned`` (S, h, e), what of it is inside."""
        inside = turned.new_zeros((len(turned), self._window.size))
        for part, strip in zip(self._window.parts(inside), self._strips, strict=True):
            h, e, columns, left, right = strip
            part[:, :, columns] = left @ (turned[:, h, e] @ right.mT)
        return inside


Between = Callable[[Tensor, Tensor, float], Callable[[Tensor], Tensor]]
"""``Sandwich``, or ``NearSandwich`` of some window."""


class Inverse:
    """About (Δ − ω)⁻¹, Δ = F_v ⊗ 1 − 1 ⊗ F_o, between local orbitals.

    As 1/(Δ − ω) is nearly a sum of exponentials Σ_k w_k exp(−t_k Δ), and these are products of
    matrices of holes and of electrons, every one of them local (Häser and Almlöf, J. Chem. Phys.
    96, 489, 1992). Denominators below ``_SMALLEST`` count as that.
    """

    def __init__(
        self, orbitals: LocalOrbitals, dtype: torch.dtype, between: Between = Sandwich
    ) -> None:
        gap, span = orbitals.extremes
        self._grid = torch.logspace(0, 1, 200, max(1.001, span / gap), dtype=torch.float64) * gap
        time = torch.tensor(_TIMES, dtype=torch.float64)
        self._decay = torch.exp(-time * (self._grid - gap)[:, None])
        self._terms = [
            between(left.to(dtype), right.to(dtype), _ROUGH) for left, right in orbitals.decays
        ]

    def __call__(self, residuals: Tensor, omega: Tensor) -> Tensor:
        """The inverse times ``residuals`` (S, pairs), same shape; ``omega`` (S,) eV."""
        wanted = (self._grid[:, None] - omega.double()).clamp(min=_SMALLEST)  # (grid, S)
        # Relative errors count: each column has equations of its own.
        equations = wanted.mT[:, :, None] * self._decay
        weights = torch.linalg.lstsq(equations, torch.ones_like(wanted.mT)[:, :, None]).solution
        weights = weights[:, :, 0].to(residuals)
        total = torch.zeros_like(residuals)
        for term, weight in zip(self._terms, weights.unbind(1), strict=True):
            total.addcmul_(weight[:, None], term(residuals))
        return total
