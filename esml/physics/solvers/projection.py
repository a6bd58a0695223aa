"""Solve the response problem projected on a space.

The projected matrices are factorized, A + B = RRᵀ and A − B = LLᵀ. With the overlap S of the two
spaces, R⁻¹ S L⁻ᵀ has the singular values 1/ω.

Shape letters: M molecules, S vectors, d single excitations, m dimension of a space.
"""

from __future__ import annotations

import torch
from torch import Tensor

from esml.physics.solvers.space import products
from esml.physics.strategy import Strategy


def project_pair(
    projected: Tensor, overlap: Tensor, n_wanted: int, strategy: Strategy
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest solutions of the linear-response problem between vectors T and U.

    Parameters
    ----------
    projected:
        (2 M, m, m) A + B between the vectors T and A − B between the vectors U, eV.
    overlap:
        (M, m, m) scalar products TᵀU.
    n_wanted:
        Number of solutions.
    strategy:
        Its threshold ``smallest_inverse`` is used.

    Returns
    -------
    The lowest energies (M, n_wanted), eV; the coefficients (2 M, m, n_wanted) of T and of U; and
    (M,) True where both matrices are positive definite.
    """
    factor, bad = _factor(projected)
    positive = ~bad.unflatten(0, (2, -1)).any(0)
    identity = torch.eye(factor.shape[1]).to(factor)
    factor = torch.where(positive.repeat(2)[:, None, None], factor, identity)
    r, l = factor.chunk(2)
    left = torch.linalg.solve_triangular(r, overlap.double(), upper=False)
    kernel = torch.linalg.solve_triangular(l, left.mT, upper=False).mT
    values, vectors = torch.linalg.eigh((kernel @ kernel.mT).to(overlap))
    values, vectors = (x[..., -n_wanted:].double().flip(-1) for x in (values, vectors))
    found = values > strategy.smallest_inverse
    energies = torch.where(found, values, torch.inf).rsqrt()
    root = torch.where(found, values, 1.0).pow(-0.25) * found
    both = torch.cat([vectors * root[:, None], kernel.mT @ vectors * root[:, None] ** 3])
    return energies, torch.linalg.solve_triangular(factor.mT, both, upper=True), positive


def project_one(
    projected: Tensor, overlap: Tensor, n_wanted: int, _strategy: Strategy
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest states of one matrix between vectors X; arguments: ``project_pair``."""
    factor, _ = _factor(overlap)
    left = torch.linalg.solve_triangular(factor, projected.double(), upper=False)
    matrix = torch.linalg.solve_triangular(factor, left.mT, upper=False)
    # Empty places are shifted above all eigenvalues, so they come last (Gershgorin).
    top = matrix.abs().sum(2).amax(1) + 1.0
    empty = overlap.diagonal(dim1=1, dim2=2) == 0
    matrix = 0.5 * (matrix + matrix.mT) + torch.diag_embed(top[:, None] * empty)
    energies, vectors = torch.linalg.eigh(matrix.to(overlap))
    x = torch.linalg.solve_triangular(factor.mT, vectors[:, :, :n_wanted].double(), upper=True)
    return energies[:, :n_wanted], x, torch.ones_like(top, dtype=torch.bool)


def resolved(
    vectors: list[Tensor], applied: list[Tensor], strategy: Strategy
) -> tuple[Tensor, list[Tensor]]:
    """Return the states within the span of given vectors.

    Parameters
    ----------
    vectors:
        T and U, or X, (M, S, d) each.
    applied:
        Products of the matrices with the vectors, eV.
    strategy:
        Its thresholds ``piece`` and ``smallest_inverse`` are used.

    Returns
    -------
    Energies (M, S), eV, and the states, like ``vectors``.
    """
    project = project_pair if len(vectors) == 2 else project_one
    piece = strategy.piece
    projected = torch.cat([products(a, x, piece) for a, x in zip(applied, vectors, strict=True)])
    overlap = products(vectors[0], vectors[-1], piece)
    energies, coefficients, _ = project(projected, overlap, vectors[0].shape[1], strategy)
    of_each = coefficients.mT.to(vectors[0]).chunk(len(vectors))
    return energies, [c @ x for c, x in zip(of_each, vectors, strict=True)]


def _factor(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return Cholesky factors (M, m, m), 1 in empty places, and (M,) True where not positive."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    factor, failed = torch.linalg.cholesky_ex(
        matrix.double() + torch.diag_embed((diagonal == 0).double())
    )
    return factor, failed > 0
