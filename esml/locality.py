"""Local orbitals of a large molecule: matrices that are zero but for a band.

Canonical orbitals spread over all of a molecule; those of the occupied and those of the virtual
space may be turned into local ones, whose tails fall off exponentially. With atomic and local
orbitals in an order in which neighbours stand together (Cuthill and McKee, 1969) the coefficients
fill a band, narrow for a chain and all of the matrix for a compact molecule.

The local orbitals are columns of the projector P = C Cᵀ on the space, those that pivoted Cholesky
decomposition chooses, orthonormalized (Damle, Lin and Ying, J. Chem. Theory Comput. 11, 1463,
2015).

Shape letters: n orbitals of the basis, k orbitals of the space, r rows, S matrices.
"""

from __future__ import annotations

import torch
from scipy.linalg.lapack import dpstrf
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

NEGLIGIBLE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Coefficients below it are left out, by precision."""

STRIP = 128
"""Rows of a strip of a banded matrix."""

_TIMES = (0.03, 0.1, 0.3, 1.0)  # 1/eV
_ROUGH = 1e-3  # coefficients left out of what only improves steps
_SMALLEST = 0.3  # eV
_COUPLED = 1e-2  # element of the density matrix that makes two orbitals neighbours


class Banded:
    """A matrix (n, k) as strips of rows, each with the columns from its first to its last."""

    def __init__(self, matrix: Tensor, negligible: float | None = None) -> None:
        negligible = NEGLIGIBLE[matrix.dtype] if negligible is None else negligible
        self._rows = len(matrix)
        self._strips: list[tuple[slice, slice, Tensor]] = []
        for start in range(0, len(matrix), STRIP):
            rows = slice(start, start + STRIP)
            places = (matrix[rows].abs() > negligible).any(0).nonzero()[:, 0]
            if len(places):
                columns = slice(int(places[0]), int(places[-1]) + 1)
                self._strips.append((rows, columns, matrix[rows, columns].contiguous()))
        kept = sum(block.numel() for _, _, block in self._strips)
        self.fill = kept / max(1, matrix.numel())

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
        for rows, columns, block in self._strips:
            torch.mm(other[:, columns], block.mT, out=product[:, rows])
        return product


def in_line(density: Tensor) -> Tensor:
    """(n,) an order of basis functions in which those coupled by ``density`` (n, n) are near."""
    graph = csr_array((density.abs() > _COUPLED).cpu().numpy())
    order = reverse_cuthill_mckee(graph, symmetric_mode=True).astype("int64")
    return torch.from_numpy(order).to(density.device)


def localized(orbitals: Tensor) -> Tensor:
    """The rotation (k, k) that makes ``orbitals`` (n, k) local, in the order of the basis."""
    orbitals = orbitals.double()
    _, pivots, _, _ = dpstrf((orbitals @ orbitals.mT).cpu().numpy(), tol=0.0)
    chosen = torch.from_numpy(pivots[: orbitals.shape[1]].astype("int64") - 1).sort().values
    columns = orbitals[chosen.to(orbitals.device)].mT
    values, axes = torch.linalg.eigh(columns.mT @ columns)
    rotation: Tensor = columns @ (axes * values.rsqrt()) @ axes.mT
    return rotation


class Inverse:
    """About (Δ − ω)⁻¹, Δ = F_v ⊗ 1 − 1 ⊗ F_o, between local orbitals.

    As 1/(Δ − ω) is nearly a sum of exponentials Σ_k w_k exp(−t_k Δ), and these are products of
    matrices of holes and of electrons, every one of them local (Häser and Almlöf, J. Chem. Phys.
    96, 489, 1992). Denominators below ``_SMALLEST`` count as that. ``holes`` F_o (o, o) and
    ``electrons`` F_v (v, v), eV.
    """

    def __init__(self, holes: Tensor, electrons: Tensor, dtype: torch.dtype) -> None:
        lower, of_lower = torch.linalg.eigh(holes)
        upper, of_upper = torch.linalg.eigh(electrons)
        gap, span = float(upper[0] - lower[-1]), float(upper[-1] - lower[0])
        self._grid = torch.logspace(0, 1, 200, max(1.001, span / gap), dtype=torch.float64) * gap
        time = torch.tensor(_TIMES, dtype=torch.float64)
        self._decay = torch.exp(-time * (self._grid - gap)[:, None])
        self._terms = [
            tuple(
                Banded(((u * torch.exp(-t * level)) @ u.mT).to(dtype), _ROUGH) for u, level in sides
            )
            for t in _TIMES
            for sides in [((of_lower, lower[-1] - lower), (of_upper, upper - upper[0]))]
        ]

    def __call__(self, residuals: Tensor, omega: Tensor) -> Tensor:
        """(S, o, v) the inverse times ``residuals`` (S, o, v), ``omega`` (S,) eV."""
        wanted = (self._grid[:, None] - omega.double()).clamp(min=_SMALLEST)  # (grid, S)
        # Relative errors count: each column has equations of its own.
        equations = wanted.mT[:, :, None] * self._decay
        weights = torch.linalg.lstsq(equations, torch.ones_like(wanted.mT)[:, :, None]).solution
        weights = weights.to(residuals)
        total = torch.zeros_like(residuals)
        for (hole, electron), weight in zip(self._terms, weights.unbind(1), strict=True):
            turned = electron.transposed_after(residuals.flatten(0, 1)).view_as(residuals)
            total += weight[:, :, None] * hole.times(turned)
        return total
