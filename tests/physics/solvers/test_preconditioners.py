"""Preconditioners are about the inverses they claim to be."""

from __future__ import annotations

import torch
from ase.build import molecule
from solver_cases import butadiene_chain, problem

from esml.physics.solvers.pair_model import Frontier, PairModel
from esml.physics.solvers.preconditioners import Diagonal, WithPairModel
from esml.physics.solvers.representations import Representations
from esml.physics.strategy import DEFAULT, Strategy
from esml.predict.surrogate import Surrogate


def test_the_inverse_is_that_of_differences_of_levels(model: Surrogate) -> None:
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, DEFAULT).local(torch.float64)
    shape = response.singles_mask.shape[1:]
    omega = torch.tensor([[[2.0], [-6.0]]], dtype=torch.float64)
    sought = torch.randn(1, 2, *shape, dtype=torch.float64)
    given = local._levels(sought) - omega[:, :, :, None] * sought
    found = local.levels.excitation(given.flatten(2), omega).unflatten(2, shape)
    assert float((found - sought).norm() / sought.norm()) < 0.1


def test_a_diagonal_is_divided_by_but_never_by_little() -> None:
    diagonal = torch.tensor([[5.0, 7.0, 3.0, 9.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    inverse = Diagonal(diagonal, mask, smallest=0.5)
    residual = torch.ones(1, 1, 4, dtype=torch.float64)
    omega = torch.tensor([[[5.1]]], dtype=torch.float64)
    expected = torch.tensor([[[1 / -0.5, 1 / 1.9, 1 / -2.1, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(inverse.excitation(residual, omega), expected)
    expected = torch.tensor([[[1 / 10.1, 1 / 12.1, 1 / 8.1, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(inverse.de_excitation(residual, omega), expected)


def test_a_model_of_all_pairs_inverts_the_matrix_of_excitations_only(model: Surrogate) -> None:
    strategy = Strategy(frontier_width=1e6, frontier_rank=1e-9, frontier_overlap=0.0)
    response, _ = problem(model, [molecule("CH3CHO")])
    frontier = Frontier(response, int(response.n_available), strategy)
    pairs = PairModel.of(frontier, response.kernel, "triplet", strategy)
    diagonal = Diagonal(response.diagonal().flatten(1), response.singles_mask.flatten(1), 0.3)
    inverse = WithPairModel(diagonal, pairs)
    residual = torch.randn(1, 2, int(response.n_available), dtype=torch.float64)
    omega = torch.tensor([[[1.0], [-2.0]]], dtype=torch.float64)
    matrix = response.dense("triplet")[0]
    shifted = matrix - omega[0, :, :, None] * torch.eye(len(matrix), dtype=torch.float64)
    exact = torch.linalg.solve(shifted, residual[0])
    torch.testing.assert_close(inverse.excitation(residual, omega)[0], exact, atol=1e-9, rtol=0)
    torch.testing.assert_close(
        inverse.de_excitation(residual, omega), diagonal.de_excitation(residual, omega)
    )
