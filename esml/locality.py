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

_COUPLED = 1e-2  # element of the density matrix that makes two orbitals neighbours


class Banded:
    """A matrix (n, k) as strips of rows, each with the columns from its first to its last."""

    def __init__(self, matrix: Tensor) -> None:
        self._rows = len(matrix)
        self._strips: list[tuple[slice, slice, Tensor]] = []
        for start in range(0, len(matrix), STRIP):
            rows = slice(start, start + STRIP)
            places = (matrix[rows].abs() > NEGLIGIBLE[matrix.dtype]).any(0).nonzero()[:, 0]
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
