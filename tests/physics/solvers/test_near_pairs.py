"""The problem of near pairs, and the windows that hold them."""

from __future__ import annotations

import pytest
import torch
from solver_cases import (
    DENSE,
    PRECISIONS,
    assert_agree,
    butadiene_chain,
    copies,
    from_near_pairs,
    problem,
    row_of_formaldehydes,
    solved,
)

from esml.physics.response import ResponseMatrix
from esml.physics.solvers.banded import PairWindow, WindowTurn
from esml.physics.solvers.near_pairs import Near
from esml.physics.solvers.problem import Problem
from esml.physics.solvers.representations import Representations
from esml.physics.strategy import DEFAULT, Strategy
from esml.predict.surrogate import Surrogate
from esml.typing import Multiplicity


@pytest.mark.parametrize("coupling", ["singlet", "triplet"])
def test_products_of_near_pairs_are_those_of_all_pairs_between_them(
    model: Surrogate, coupling: Multiplicity
) -> None:
    """Whatever strips there are, and of a window that is a small part of all pairs."""
    strategy = Strategy(strip_rows=16, strip_holes=1, binding=3.0, widest_band=2.0)
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, strategy).local(torch.float64)
    window = local.near()
    assert window is not None
    near = Near(local, window, coupling)
    assert 0.05 < near.window.fill < 0.7
    names: list[ResponseMatrix] = ["A+B", "A-B"] if coupling == "singlet" else ["triplet"]
    vectors = [torch.randn(1, 3, near.window.size, dtype=torch.float64) for _ in names]
    shape = response.singles_mask.shape[1:]
    for name, vector, found in zip(names, vectors, near.apply(vectors), strict=True):
        everywhere = local.apply(near.window.spread(vector).unflatten(2, shape), name)
        expected = near.window.gathered(everywhere.flatten(2))
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_a_window_holds_what_is_near_and_forgets_nothing() -> None:
    near = torch.zeros(200, 90, dtype=torch.bool)
    for hole in range(200):
        near[hole, max(0, hole // 2 - 5) : hole // 2 + 5] = True
    near[130:] = False  # holes without an electron near them
    window = PairWindow(near, DEFAULT.strip_holes)
    everything = torch.randn(2, near.numel(), dtype=torch.float64)
    inside = window.gathered(everything)
    back = window.spread(inside)
    assert inside.shape == (2, window.size)
    assert window.fill < 0.6
    torch.testing.assert_close(window.gathered(back), inside, atol=0, rtol=0)
    torch.testing.assert_close(back[:, near.flatten()], everything[:, near.flatten()])
    torch.testing.assert_close(window.joined(window.parts(inside)), inside, atol=0, rtol=0)


def test_a_turn_of_a_window_is_that_of_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(40.0, dtype=torch.float64)
    near = (place[:30, None] - place).abs() < 6
    left, right = (
        torch.randn(n, k, generator=generator, dtype=torch.float64)
        * ((place[:n, None] - 4.0 * place[:k]).abs() < 5)
        for n, k in ((30, 7), (40, 10))
    )
    pairs = (torch.arange(7)[:, None] - torch.arange(10)).abs() < 2
    window = PairWindow(near, 8)
    turn = WindowTurn(window, left, right, pairs, DEFAULT.rough)
    inside = torch.randn(3, window.size, generator=generator, dtype=torch.float64)
    amplitudes = window.spread(inside).unflatten(1, near.shape)
    expected = left.mT @ amplitudes @ right
    torch.testing.assert_close(turn.turned(inside)[:, pairs], expected[:, pairs])
    turned = torch.randn(3, 7, 10, generator=generator, dtype=torch.float64) * pairs
    back = (left @ turned @ right.mT).flatten(1)
    torch.testing.assert_close(turn.back(turned), window.gathered(back))


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("n_states", [1, 4, 13])
def test_no_state_of_equal_molecules_far_apart_is_missed(
    model: Surrogate, n_states: int, precision: torch.dtype
) -> None:
    """Exactly degenerate states, more of them than are asked for or fewer, from near pairs."""
    response, dipole = problem(model, [copies("H2CO", 6, 60.0)])
    dense = solved(response, dipole, n_states, torch.float64, DENSE)
    found = solved(response, dipole, n_states, precision, from_near_pairs(2.0))
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-10}[precision]
    for one, other in zip(found, dense, strict=True):
        torch.testing.assert_close(one.energies, other.energies, atol=tolerance, rtol=0)


@pytest.mark.parametrize("bound", [2.0, 4.0])
def test_near_pairs_only_start_the_iterations(model: Surrogate, bound: float) -> None:
    """The answer is that of all pairs, however many are near, in double precision."""
    response, dipole = problem(model, [row_of_formaldehydes(4)])
    strategy = from_near_pairs(bound)
    assert_agree(response, dipole, 10, torch.float64, strategy)
    runs = Problem(response, torch.float64, strategy).lowest("singlet", 10).statistics
    sizes = [run.dimension for run in runs]
    assert min(sizes) < 0.9 * max(sizes)
