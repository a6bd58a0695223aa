"""The space that the vectors of the iterations span.

The vectors of both matrices form one stack of length P·M: those of the first matrix of every
molecule, then, if P = 2, those of the second. All operations act on the whole stack.

Shape letters: M molecules, P matrices of each, S vectors, d single excitations (padded), m
dimension of a space.
"""

from __future__ import annotations

import torch
from torch import Tensor

from esml.physics.strategy import Strategy


def products(left: Tensor, right: Tensor, piece: int) -> Tensor:
    """Return scalar products (M, a, b) of vectors (M, a, d), (M, b, d), in their ``precision``."""
    if left.shape[2] <= piece:
        return left @ right.mT
    total = left.new_zeros((*left.shape[:2], right.shape[1]), dtype=precision(left, piece))
    for one, other in zip(left.split(piece, 2), right.split(piece, 2), strict=True):
        total += one @ other.mT
    return total


def precision(vectors: Tensor, piece: int) -> torch.dtype:
    """Return the dtype in which products of ``vectors`` (…, d) are summed.

    Single precision is too inaccurate for sums of a million products. Vectors of up to ``piece``
    elements keep their own precision: in single precision the projected problem takes half the
    time.
    """
    return vectors.dtype if vectors.shape[-1] <= piece else torch.float64


def stacked(molecules: Tensor, n_molecules: int, n_matrices: int) -> Tensor:
    """Return the indices of some ``molecules`` in a stack of length P·M."""
    return torch.cat([molecules + p * n_molecules for p in range(n_matrices)])


class Space:
    """Nearly orthonormal vectors and their products with symmetric matrices.

    Parameters
    ----------
    like:
        (M, d) a tensor with the dtype and device of the vectors.
    n_matrices:
        Number P of matrices.
    capacity:
        Largest number of vectors of each matrix.
    strategy:
        Thresholds of linear dependence.
    """

    def __init__(self, like: Tensor, n_matrices: int, capacity: int, strategy: Strategy) -> None:
        n_molecules, d = like.shape
        stack = n_matrices * n_molecules, capacity
        self.size = 0
        self.capacity = capacity
        self._n_matrices = n_matrices
        self._piece, self._independent = strategy.piece, strategy.independent
        self._dependent = strategy.dependent.of(like.dtype)
        self._vectors = like.new_empty((*stack, d))
        self._applied = like.new_empty((*stack, d))
        dtype = precision(like, strategy.piece)
        self._projected = like.new_empty((*stack, capacity), dtype=dtype)
        self._overlap = like.new_empty((n_molecules, capacity, capacity), dtype=dtype)

    @property
    def vectors(self) -> Tensor:
        """(P·M, m, d) vectors of the space; padded with zeros for molecules with fewer vectors."""
        return self._vectors[:, : self.size]

    @property
    def applied(self) -> Tensor:
        """(P·M, m, d) products of the matrices with ``vectors``."""
        return self._applied[:, : self.size]

    @property
    def projected(self) -> Tensor:
        """(P·M, m, m) matrices projected on ``vectors``."""
        return self._projected[:, : self.size, : self.size]

    @property
    def overlap(self) -> Tensor:
        """(M, m, m) scalar products of the vectors of the first matrix with those of the last."""
        return self._overlap[:, : self.size, : self.size]

    def add(self, vectors: Tensor, applied: list[Tensor]) -> None:
        """Add ``vectors`` (P·M, S, d) and the products (M, S, d) of each matrix with its own."""
        old, new = self.size, self.size + vectors.shape[1]
        self._vectors[:, old:new] = vectors
        torch.cat(applied, out=self._applied[:, old:new])
        self._multiply(old, new)

    def restrict(self, coefficients: Tensor) -> None:
        """Keep only the combinations ``coefficients`` (P·M, m, S), orthonormalized."""
        # Coefficients of empty places are arbitrary; the vectors there are zero.
        orthonormal = torch.linalg.qr(coefficients)[0].mT.to(self._vectors)
        vectors, applied = orthonormal @ self.vectors, orthonormal @ self.applied
        new = coefficients.shape[2]
        self._vectors[:, :new] = vectors
        self._applied[:, :new] = applied
        self._multiply(0, new)

    def _multiply(self, old: int, new: int) -> None:
        """Update the scalar products for the last vectors, from ``old`` to ``new``."""
        self.size = new
        added = slice(old, new)
        rows = products(self._applied[:, added], self.vectors, self._piece)
        self._projected[:, added, :new] = rows
        self._projected[:, :old, added] = rows[:, :, :old].mT
        n_molecules = len(self._overlap)
        first, last = self.vectors[:n_molecules], self.vectors[-n_molecules:]
        self._overlap[:, added, :new] = products(first[:, added], last, self._piece)
        self._overlap[:, :old, added] = products(first[:, :old], last[:, added], self._piece)

    def keep(self, molecules: Tensor) -> None:
        """Keep only some ``molecules`` of the batch, by index."""
        stack = stacked(molecules, len(self._overlap), self._n_matrices)
        self._vectors = self._rows(self._vectors, stack)
        self._applied = self._rows(self._applied, stack)
        self._projected = self._rows(self._projected, stack)
        self._overlap = self._rows(self._overlap, molecules)

    def _rows(self, old: Tensor, rows: Tensor) -> Tensor:
        """Return some ``rows`` of ``old``, of the same capacity; copy only the part in use."""
        kept = old.new_empty((len(rows), *old.shape[1:]))
        kept[:, : self.size] = old[rows, : self.size]
        return kept

    def new_directions(self, vectors: Tensor) -> Tensor:
        """Return an orthonormal basis of the directions that ``vectors`` (P·M, S, d) add.

        For molecules with fewer new directions, the last vectors are zero. ``vectors`` are
        overwritten.
        """
        vectors = self._project_out(_normalized(vectors))
        values, axes = torch.linalg.eigh(products(vectors, vectors, self._piece))
        kept = values > self._dependent**2
        axes = axes * torch.where(kept, values, 1.0).rsqrt()[:, None] * kept[:, None]
        first = vectors.shape[1] - int(kept.sum(1).max())
        new: Tensor = axes[:, :, first:].flip(2).mT.to(vectors) @ vectors
        # Small remainders are mostly rounding errors, which must not grow into a state.
        n_sure = int((values > self._independent**2).sum(1).min())
        unsure = new[:, n_sure:]
        _normalized(self._project_out(unsure))
        return new

    def _project_out(self, vectors: Tensor) -> Tensor:
        """Remove the part of ``vectors`` (P·M, S, d) inside the space, in place."""
        if self.size and vectors.shape[1]:
            inside = products(vectors, self.vectors, self._piece).to(vectors)
            vectors.baddbmm_(inside, self.vectors, alpha=-1.0)
        return vectors


def _normalized(vectors: Tensor) -> Tensor:
    """Divide ``vectors`` (M, S, d) by their norms, in place."""
    norm = torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
    return vectors.div_(torch.where(norm > 0, norm, 1.0))
