"""Shifts of levels that keep atoms neutral, against finite differences and known shifts."""

from __future__ import annotations

import pytest
import torch
from test_bloch import random_hamiltonian
from torch import Tensor

from esml.physics.crystals import Bands, NeutralityError, k_mesh, neutral_shifts, shifted
from esml.physics.crystals.neutrality import population_response

MESH = k_mesh((3, 3, 3))
H = random_hamiltonian(5, seed=4)
GROUPS = [torch.tensor([0, 1]), torch.tensor([3])]
ELECTRONS, WIDTH = 4.4, 0.3


def bands_of(shifts: Tensor) -> Bands:
    return Bands.of(shifted(H, GROUPS, shifts), MESH, ELECTRONS, WIDTH)


def test_shifts_move_the_levels_of_their_groups() -> None:
    shifts = torch.tensor([0.3, -0.2], dtype=torch.float64)
    moved = shifted(H, GROUPS, shifts)
    expected = H.at(MESH.fractional) + torch.diag(
        torch.tensor([0.3, 0.3, 0.0, -0.2, 0.0], dtype=torch.float64)
    )
    torch.testing.assert_close(moved.at(MESH.fractional), expected)


def test_the_response_is_that_of_finite_differences() -> None:
    start = torch.tensor([0.1, -0.4], dtype=torch.float64)
    found = population_response(bands_of(start), GROUPS)
    step = 1e-4
    for b in range(2):
        change = step * torch.eye(2, dtype=torch.float64)[b]
        after, before = (bands_of(start + s * change).populations(GROUPS) for s in (1, -1))
        torch.testing.assert_close(found[:, b], (after - before) / (2 * step), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found, found.T)


def test_known_shifts_are_found_from_their_populations() -> None:
    truth = torch.tensor([0.6, -0.5], dtype=torch.float64)
    targets = bands_of(truth).populations(GROUPS)
    found = neutral_shifts(H, MESH, ELECTRONS, WIDTH, GROUPS, targets, shift_error=None)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-6)


def test_right_populations_ask_for_no_shift() -> None:
    targets = bands_of(torch.zeros(2)).populations(GROUPS)
    found = neutral_shifts(H, MESH, ELECTRONS, WIDTH, GROUPS, targets)
    assert found.abs().max() < 1e-8


def test_doubtful_targets_move_less() -> None:
    truth = torch.tensor([0.6, -0.5], dtype=torch.float64)
    targets = bands_of(truth).populations(GROUPS)
    sure, doubtful = (
        neutral_shifts(H, MESH, ELECTRONS, WIDTH, GROUPS, targets, population_error=e)
        for e in (1e-4, 0.2)
    )
    torch.testing.assert_close(sure, truth, rtol=0, atol=1e-3)
    assert (doubtful.abs() < sure.abs()).all()


def test_targets_that_no_shift_gives_are_told() -> None:
    with pytest.raises(NeutralityError, match="did not reach"):
        neutral_shifts(
            H, MESH, ELECTRONS, WIDTH, GROUPS, torch.tensor([4.5, 0.0]), shift_error=None
        )
