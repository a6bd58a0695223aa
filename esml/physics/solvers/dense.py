"""States of small molecules from their full matrices.

The singlet problem is reduced to a symmetric one: with A − B = LLᵀ, the eigenvalues of Lᵀ(A + B)L
are ω².

Shape letters: M molecules, S states, o and v occupied and virtual orbitals (padded).
"""

from __future__ import annotations

import torch
from torch import Tensor

from esml.physics.orbitals import eigh
from esml.physics.response import Response, ResponseMatrix


def singlets(response: Response, n_states: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest singlets.

    Returns
    -------
    T and U (M, S, o, v) by ascending energy, zero beyond the last state, and (M,) True for stable
    molecules.
    """
    mask = response.singles_mask.flatten(1)
    difference = response.dense("A-B") + torch.diag_embed((~mask).to(response.dtype))
    identity = torch.eye(mask.shape[1]).to(difference)
    factor, failed = torch.linalg.cholesky_ex(0.5 * (difference + difference.mT))
    positive = failed == 0
    factor = torch.where(positive[:, None, None], factor, identity)
    square, vectors = eigh(factor.mT @ response.dense("A+B") @ factor, mask)
    stable = positive & (square > 0).all(1)
    root = torch.where(stable[:, None], square, 1.0) ** 0.25
    plus = factor @ vectors / root[:, None, :]
    minus = torch.linalg.solve_triangular(factor.mT, vectors, upper=True) * root[:, None, :]
    return _lowest(response, plus, n_states), _lowest(response, minus, n_states), stable


def lowest(response: Response, matrix: ResponseMatrix, n_states: int) -> tuple[Tensor, Tensor]:
    """Return the lowest eigenvalues (M, S), eV, and eigenvectors (M, S, o, v) of one matrix.

    They are sorted by ascending eigenvalue and zero beyond the last state.
    """
    mask = response.singles_mask.flatten(1)
    values, vectors = eigh(response.dense(matrix), mask)
    values = torch.nn.functional.pad((values * mask.sort(1, descending=True).values), (0, n_states))
    return values[:, :n_states], _lowest(response, vectors, n_states)


def _lowest(response: Response, vectors: Tensor, n_states: int) -> Tensor:
    """Return the first ``n_states`` columns of ``vectors`` as (M, S, o, v), padded with zeros."""
    n_molecules, o, v = response.singles_mask.shape
    chosen = vectors[:, :, :n_states].mT
    missing = n_states - chosen.shape[1]
    chosen = torch.nn.functional.pad(chosen, (0, 0, 0, missing))
    return chosen.reshape(n_molecules, n_states, o, v)
