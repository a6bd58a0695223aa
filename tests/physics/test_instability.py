"""A closed shell that is no minimum: singlets of A alone near one, no answer far from it."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from systems import System, lay_out, parameters, random_system

from esml.physics.excitations import Excitations, singlets, singlets_and_triplets, triplets
from esml.physics.interaction import Interaction
from esml.physics.strategy import Strategy
from esml.units import HARTREE

DELTA, COULOMB = 9.0, 2.0  # of ``hydrogen``: Δ and 2(γ₀ − γ₁), eV
DENSE, ITERATIVE = Strategy(dense=10**9), Strategy(dense=0, dense_per_state=0)


def hydrogen(j0: float, j1: float, t_m: float = 0.0) -> System:
    """H2 with C = (1, ±1)/√2 and no relaxation: Δ = 9 eV, 2(γ₀ − γ₁) = 2 eV.

    Then A + B = Δ + 2 − γᴶ₀, A − B = Δ − γᴶ₁, and triplets have A = Δ + t_m − ½(γᴶ₀ + γᴶ₁).
    """
    two, e, t = torch.ones(1, 2, dtype=torch.float64), -4.0, 0.5 * DELTA

    def pair(same: float, other: float) -> torch.Tensor:
        return torch.tensor([[[same, other], [other, same]]], dtype=torch.float64)

    return System(
        lay_out([[1, 1]]),
        pair(e, -t),
        0.7 * torch.tensor([[[[-1.0, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]]).double(),
        Interaction(
            pair(12.0, 11.0),
            *(pair(j0, j1), pair(j0, j1)),
            *(two, two, t_m * two, two, two, two, two),
            torch.zeros(1, 2, 2, dtype=torch.float64),
            torch.zeros((), dtype=torch.float64),
        ),
    )


@pytest.mark.parametrize(
    ("j0", "j1"), [(DELTA + COULOMB + 0.3, 4.0), (5.0, DELTA + 0.3)], ids=["A + B", "A − B"]
)
def test_two_orbitals_by_hand(j0: float, j1: float) -> None:
    """Either matrix at −0.3 eV: ω = A and μ = √2 d. At −0.6 eV nothing."""
    found = hydrogen(j0, j1).singlets()
    expected = DELTA + 0.5 * (COULOMB - j0 - j1)
    assert found.energies.item() == pytest.approx(expected, rel=1e-13)
    assert found.instability.item() == pytest.approx(0.3, rel=1e-12)
    assert found.transition_dipoles[0, 0, 0].abs().item() == pytest.approx(
        math.sqrt(2) * 0.7, rel=1e-13
    )
    assert (found.stable.item(), found.given.item(), found.doubtful.item()) == (False, True, True)
    assert not found.Y.any()
    far = hydrogen(j0 + 0.3 * (j0 > DELTA), j1 + 0.3 * (j1 > DELTA)).singlets()
    assert far.instability.item() == pytest.approx(0.6, rel=1e-12)
    assert far.energies.isnan().all()
    assert not far.given.any()
    assert not far.oscillator_strengths.any()


def test_no_answer_where_the_states_of_a_are_below_the_ground_state() -> None:
    """A + B at −0.1 and A − B at −0.2 eV: so is A, at −0.15 eV."""
    found = hydrogen(DELTA + COULOMB + 0.1, DELTA + 0.2).singlets()
    assert found.instability.item() == pytest.approx(0.2, rel=1e-12)
    assert not found.given.any()


def test_how_far_is_a_matter_of_the_strategy() -> None:
    system = hydrogen(DELTA + COULOMB + 0.6, 4.0)
    for saddle, given in ((0.5, False), (0.7, True), (0.0, False)):
        found = singlets(
            system.response(), system.dipole_operator, 1, strategy=Strategy(saddle=saddle)
        )
        assert found.given.tolist() == [given]


def test_a_triplet_below_spoils_triplets_only() -> None:
    """Singlets stay those of full linear response, ω² = (A + B)(A − B)."""
    j0, j1 = 6.0, 4.0
    plus, minus = DELTA + COULOMB - j0, DELTA - j1
    for depth, given in ((0.3, True), (0.6, False)):
        system = hydrogen(j0, j1, t_m=-DELTA + 0.5 * (j0 + j1) - depth)
        below = system.triplets()
        assert below.energies.item() == pytest.approx(-depth, rel=1e-12)
        assert below.instability.item() == pytest.approx(depth, rel=1e-12)
        assert (below.stable.item(), below.given.item()) == (False, given)
        singlet = system.singlets()
        assert (singlet.stable.item(), singlet.instability.item()) == (True, 0.0)
        assert singlet.energies.item() == pytest.approx(math.sqrt(plus * minus), rel=1e-13)


def nearly_unstable(depth: float) -> System:
    """Three molecules, the second with A ± B of lowest eigenvalue −``depth`` (eV)."""
    system = random_system([[6, 8, 1], [6, 8, 1, 1], [16, 6]], seed=4)
    matrices = [parameters(system.interaction)[1].clone() for _ in range(2)]

    def lowest(factor: float) -> float:
        exchange = matrices[0].clone()
        exchange[1] *= factor
        system.interaction = replace(system.interaction, exchange=exchange)
        both = [torch.linalg.eigvalsh(_compact(system, kind))[0] for kind in ("A+B", "A-B")]
        return float(torch.stack(both).min())

    low, high = 1.0, 10.0
    assert lowest(low) > 0 > lowest(high)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if lowest(middle) > -depth else (low, middle)
    lowest(low)
    return system


def _compact(system: System, kind: str) -> torch.Tensor:
    """A response matrix of the second molecule, without padding."""
    response = system.response()
    there = response.singles_mask[1].flatten()
    matrix: torch.Tensor = response.dense(kind)[1][there][:, there]  # type: ignore[arg-type]
    return matrix


@pytest.mark.parametrize("strategy", [DENSE, ITERATIVE], ids=["dense", "iterative"])
def test_singlets_are_those_of_a(strategy: Strategy) -> None:
    system = nearly_unstable(0.3)
    response = system.response()
    found, _ = singlets_and_triplets(response, system.dipole_operator, 4, 4, strategy=strategy)
    assert found.stable.tolist() == [True, False, True]
    assert found.instability.tolist() == pytest.approx([0.0, 0.3, 0.0], abs=1e-7)
    values, vectors = np.linalg.eigh(_compact(system, "A").numpy())
    np.testing.assert_allclose(found.energies[1], values[:4], atol=1e-9)
    moments = torch.einsum(
        "mui,mxuv,mva->mxia", response.occupied, system.dipole_operator, response.virtual
    )
    there = response.singles_mask[1].flatten()
    own = moments[1].flatten(1)[:, there].numpy()
    expected = 4 / 3 * values[:4] / HARTREE * np.square(own @ vectors[:, :4]).sum(0)
    np.testing.assert_allclose(found.oscillator_strengths[1], expected, rtol=1e-6, atol=1e-9)
    assert not found.Y[1].any()


def test_both_solvers_agree_and_others_are_not_disturbed() -> None:
    before = random_system([[6, 8, 1], [6, 8, 1, 1], [16, 6]], seed=4).singlets(4)
    system = nearly_unstable(0.3)
    dense, iterative = (
        singlets(system.response(), system.dipole_operator, 4, strategy=s)
        for s in (DENSE, ITERATIVE)
    )
    for field in fields(Excitations):
        if field.name in ("X", "Y", "transition_dipoles"):  # signs are arbitrary
            continue
        one, other = getattr(dense, field.name), getattr(iterative, field.name)
        torch.testing.assert_close(one.double(), other.double(), atol=1e-7, rtol=0, equal_nan=True)
    for m in (0, 2):
        torch.testing.assert_close(dense.energies[m], before.energies[m], atol=1e-10, rtol=0)


def test_all_below_an_energy() -> None:
    system = nearly_unstable(0.3)
    everything = system.singlets()
    limit = float(everything.energies[1, 3]) + 1e-6
    found = singlets(system.response(), system.dipole_operator, energy_window=limit)
    torch.testing.assert_close(found.energies[1, :4], everything.energies[1, :4])
    assert found.mask[1].sum() == 4


@pytest.mark.parametrize("strategy", [DENSE, ITERATIVE], ids=["dense", "iterative"])
def test_gradients_are_finite_differences(strategy: Strategy) -> None:
    system = nearly_unstable(0.3)
    direction = torch.randn(system.hamiltonian.shape[1:], dtype=torch.float64)
    direction = direction + direction.mT

    def lowest(shift: float | torch.Tensor) -> torch.Tensor:
        hamiltonian = system.hamiltonian.clone()
        hamiltonian[1] = hamiltonian[1] + shift * direction
        moved = replace(system, hamiltonian=hamiltonian)
        found = singlets(moved.response(), system.dipole_operator, 3, strategy=strategy)
        assert found.doubtful.tolist() == [False, True, False]
        return found.energies[1].sum()

    at = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(lowest(at), at)
    step = 1e-5
    numeric = (lowest(step) - lowest(-step)) / (2 * step)
    assert float(gradient) == pytest.approx(float(numeric), rel=1e-5)


def test_triplets_do_not_mind() -> None:
    """They are those of their own A, whatever the singlets are."""
    system = nearly_unstable(0.3)
    found = triplets(system.response(), 4)
    values = torch.linalg.eigvalsh(_compact(system, "triplet"))[:4]
    torch.testing.assert_close(found.energies[1], values, atol=1e-10, rtol=0)
