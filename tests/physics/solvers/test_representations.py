"""Products between relaxed and local orbitals are those between canonical ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from ase import Atoms
from solver_cases import (
    ITERATIVE,
    PRECISIONS,
    assert_agree,
    butadiene_chain,
    cubane,
    problem,
    row_of_formaldehydes,
    scaled_exchange,
)
from torch import Tensor

from esml.physics.response import Response, ResponseMatrix
from esml.physics.solvers.representations import Representations
from esml.physics.strategy import DEFAULT, Strategy
from esml.predict.surrogate import Surrogate


@pytest.mark.parametrize("kind", get_args(ResponseMatrix))
def test_products_between_relaxed_orbitals_are_those_between_canonical_ones(
    assorted: tuple[Response, Tensor], kind: ResponseMatrix
) -> None:
    response, _ = assorted
    relaxed = Representations(response, DEFAULT).relaxed(torch.float64)
    mask = response.singles_mask[:, None]
    amplitudes = torch.randn(len(mask), 3, *mask.shape[2:], dtype=torch.float64) * mask
    expected = response.apply(relaxed.to_canonical(amplitudes), kind)
    found = relaxed.to_canonical(relaxed.apply(amplitudes, kind))
    torch.testing.assert_close(found * mask, expected * mask, atol=1e-10, rtol=0)
    some = torch.tensor([3, 1])
    torch.testing.assert_close(
        relaxed.select(some).apply(amplitudes[some], kind), relaxed.apply(amplitudes, kind)[some]
    )


def test_without_interaction_relaxed_orbitals_leave_nothing_to_do(
    assorted: tuple[Response, Tensor],
) -> None:
    """The diagonal is all there is, however much the virtual orbitals relax."""
    response = scaled_exchange(assorted[0], 0.0)
    relaxed = Representations(response, DEFAULT).relaxed(torch.float64)
    mask = response.singles_mask[:, None]
    amplitudes = torch.randn(len(mask), 1, *mask.shape[2:], dtype=torch.float64) * mask
    found = relaxed.apply(amplitudes, "A-B")
    expected = relaxed.diagonal()[:, None] * amplitudes
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", get_args(ResponseMatrix))
def test_products_between_local_orbitals_are_those_between_canonical_ones(
    model: Surrogate, kind: ResponseMatrix
) -> None:
    response, _ = problem(model, [butadiene_chain(10)])
    local = Representations(response, Strategy(strip_rows=16)).local(torch.float64)
    amplitudes = torch.randn(1, 3, *response.singles_mask.shape[1:], dtype=torch.float64)
    expected = response.apply(local.to_canonical(amplitudes), kind)
    found = local.to_canonical(local.apply(amplitudes, kind))
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_an_order_is_found_in_which_a_chain_is_narrow(model: Surrogate) -> None:
    """However its atoms are numbered; a compact molecule fills all of the matrix."""
    chain = butadiene_chain(40)
    shuffled = chain[np.random.default_rng(0).permutation(len(chain))]

    def is_narrow(atoms: Atoms) -> bool:
        response, _ = problem(model, [atoms])
        return Representations(response, Strategy(strip_rows=16)).is_narrow(torch.float32)

    assert is_narrow(chain)
    assert is_narrow(shuffled)
    assert not is_narrow(cubane())


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "make", [lambda: butadiene_chain(4), lambda: row_of_formaldehydes(4)], ids=["polyene", "row"]
)
def test_iterations_between_local_orbitals_agree(
    model: Surrogate, make: Callable[[], Atoms], precision: torch.dtype
) -> None:
    response, dipole = problem(model, [make()])
    assert_agree(response, dipole, 10, precision, replace(ITERATIVE, large=0, widest_band=2.0))
