"""Iterations: spaces stay sound, converged molecules leave, failures are reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from solver_cases import (
    DENSE,
    ITERATIVE,
    assert_agree,
    copies,
    polygon,
    problem,
    row_of_formaldehydes,
    solved,
)
from torch import Tensor

from esml.physics.excitations import singlets
from esml.physics.response import Response
from esml.physics.solvers import davidson
from esml.physics.solvers.representations import Relaxed
from esml.physics.solvers.space import Space, products
from esml.physics.strategy import DEFAULT
from esml.predict.surrogate import Surrogate


def test_products_of_long_vectors_are_exact_in_single_precision() -> None:
    """A plain sum of a million products of numbers of one sign is wrong in the fourth digit."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(1, 3, 2**20, generator=generator)
    vectors /= torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
    exact = vectors.double() @ vectors.double().mT
    torch.testing.assert_close(products(vectors, vectors, DEFAULT.piece), exact, atol=3e-7, rtol=0)


def test_what_is_new_of_nearly_dependent_vectors_is_apart() -> None:
    """Again and again, in single precision: errors do not grow from one addition to the next."""
    generator = torch.Generator().manual_seed(0)
    space = Space(torch.zeros(1, 5000), 1, 40, DEFAULT)
    for _ in range(8):
        vectors = torch.randn(1, 4, 5000, generator=generator)
        if space.size:
            mixture = torch.randn(1, 4, space.size, generator=generator)
            vectors = mixture @ space.vectors + 1e-4 * vectors
        new = space.new_directions(vectors)
        space.add(new, [new])
    identity = torch.eye(space.size, dtype=torch.float64)[None]
    torch.testing.assert_close(space.projected.double(), identity, atol=1e-4, rtol=0)


def test_molecules_that_are_done_are_left_behind(
    assorted: tuple[Response, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that go on are no other for it."""
    response, dipole = assorted
    sizes = []
    apply = Relaxed.apply_pair

    def noted(self: Relaxed, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(plus))
        return apply(self, plus, minus)

    monkeypatch.setattr(Relaxed, "apply_pair", noted)
    with torch.no_grad():
        found = singlets(response, dipole, 10, torch.float64, strategy=ITERATIVE).energies
        assert sizes[0] == len(found) > sizes[-2] > 0
        strategy = replace(ITERATIVE, left_behind=0.0)
        together = singlets(response, dipole, 10, torch.float64, strategy=strategy).energies
    torch.testing.assert_close(found, together, atol=1e-10, rtol=0, equal_nan=True)


def test_states_that_do_not_converge_are_said_to(model: Surrogate) -> None:
    response, dipole = problem(model, [polygon(6)])
    with pytest.raises(davidson.ConvergenceError, match=r"molecule 0 .* did not converge"):
        singlets(response, dipole, 5, strategy=replace(ITERATIVE, most_iterations=2))


def test_a_space_that_starts_again_finds_the_same(model: Surrogate) -> None:
    response, dipole = problem(model, [polygon(6)])
    small = solved(response, dipole, 6, torch.float64, replace(ITERATIVE, memory=0))
    large = solved(response, dipole, 6, torch.float64, ITERATIVE)
    for one, other in zip(small, large, strict=True):
        torch.testing.assert_close(one.energies, other.energies, atol=1e-10, rtol=0)


@pytest.mark.parametrize("at_once", [1, 3])
def test_corrections_are_the_same_a_few_vectors_at_a_time(model: Surrogate, at_once: int) -> None:
    response, dipole = problem(model, [row_of_formaldehydes(4)])
    room = 2 * at_once * int(response.n_available)
    strategy = replace(ITERATIVE, large=0, correction_room=room)
    assert_agree(response, dipole, 10, torch.float64, strategy)


@pytest.mark.parametrize(
    ("name", "n_copies", "n_states"),
    [("HCN", 4, 4), ("HCN", 8, 10), ("N2", 6, 1), ("C6H6", 2, 1), ("H2CO", 6, 4)],
)
def test_no_copy_of_a_state_is_missed(
    model: Surrogate, name: str, n_copies: int, n_states: int
) -> None:
    """Equal molecules with symmetry, far apart: in single precision, as a user would ask.

    Runs that are not careful end with the next higher level, up to an eV above.
    """
    response, dipole = problem(model, [copies(name, n_copies, 30.0)])
    dense = solved(response, dipole, n_states, torch.float64, DENSE)
    found = solved(response, dipole, n_states, torch.float32, DEFAULT)
    for one, other in zip(found, dense, strict=True):
        torch.testing.assert_close(one.energies, other.energies, atol=1e-5, rtol=0)
