"""The model of local pairs: exact when complete, and it saves iterations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from solver_cases import (
    ITERATIVE,
    PRECISIONS,
    assert_agree,
    butadiene_chain,
    problem,
    row_of_formaldehydes,
)

from esml.physics.solvers.pair_model import Frontier, PairModel
from esml.physics.solvers.problem import Problem
from esml.physics.strategy import Strategy
from esml.predict.surrogate import Surrogate
from esml.typing import Multiplicity


@pytest.mark.parametrize("coupling", ["singlet", "triplet"])
def test_a_model_of_all_pairs_is_the_matrix(model: Surrogate, coupling: Multiplicity) -> None:
    """With every local orbital and every pair it has the states of A, whatever is local."""
    strategy = Strategy(frontier_width=1e6, frontier_rank=1e-9, frontier_overlap=0.0)
    response, _ = problem(model, [molecule("CH3CHO")])
    whole = response.dense("A" if coupling == "singlet" else "triplet")
    frontier = Frontier(response, int(response.n_available), strategy)
    found = PairModel.of(frontier, response.kernel, coupling, strategy)
    energies, vectors = torch.linalg.eigh(whole[0])
    torch.testing.assert_close(found.energies, energies, atol=1e-9, rtol=0)
    # And so its inverse is that of A − ω.
    omega = energies[:1, None] - 1.0
    exact = vectors[:, 3] / (energies[3] - omega)
    torch.testing.assert_close(
        found.corrected(torch.randn_like(exact), vectors[None, :, 3], omega),
        exact,
        atol=1e-9,
        rtol=0,
    )


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "make", [lambda: butadiene_chain(4), lambda: row_of_formaldehydes(4)], ids=["polyene", "row"]
)
def test_iterations_from_the_model_agree(
    model: Surrogate, make: Callable[[], Atoms], precision: torch.dtype
) -> None:
    response, dipole = problem(model, [make()])
    assert_agree(response, dipole, 10, precision, replace(ITERATIVE, large=0))


def test_the_model_saves_iterations_where_states_crowd(model: Surrogate) -> None:
    response, _ = problem(model, [row_of_formaldehydes(10)])
    multiplied = [
        Problem(response, torch.float32, Strategy(large=large)).lowest("singlet", 10)
        for large in (0, 10**9)
    ]
    with_model, without = (found.statistics[-1].products for found in multiplied)
    assert with_model < 0.8 * without
