"""Gradients of energies and strengths against finite differences, degenerate states included."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from systems import MOLECULES, System, lay_out, parameters, random_system
from torch import Tensor

from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.interaction import Interaction, distances, gamma


def assert_gradients(function: Callable[..., Tensor], arguments: list[Tensor]) -> None:
    """Compare all gradients of a scalar with central differences along random changes."""
    arguments = [x.detach().clone().requires_grad_() for x in arguments]
    gradients = torch.autograd.grad(function(*arguments), arguments, materialize_grads=True)
    generator = torch.Generator().manual_seed(11)
    step = 1e-3
    for which, gradient in enumerate(gradients):
        change = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype)
        if change.dim() >= 3:
            change = change + change.mT
        change = change / change.norm()

        def along(distance: float, which: int = which, change: Tensor = change) -> float:
            moved = list(arguments)
            moved[which] = arguments[which] + distance * change
            with torch.no_grad():
                return function(*moved).item()

        near, far = ((along(h) - along(-h)) / (2 * h) for h in (step, 2 * step))
        numeric = (4 * near - far) / 3  # Richardson: the error is O(step⁴)
        analytic = (gradient * change).sum().item()
        assert analytic == pytest.approx(numeric, rel=1e-8, abs=1e-8), which


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
def test_energy_gradients(spin: str) -> None:
    system = random_system(MOLECULES[:3], seed=9)

    def observable(hamiltonian: Tensor, *interaction: Tensor) -> Tensor:
        changed = replace(system, hamiltonian=hamiltonian, interaction=Interaction(*interaction))
        energies = getattr(changed, spin)(4).energies
        assert isinstance(energies, Tensor)
        return (energies * torch.tensor([1.0, -0.3, 0.5, 0.2], dtype=torch.float64)).sum()

    assert_gradients(observable, [system.hamiltonian, *parameters(system.interaction)])


def ring(size: int) -> System:
    """A regular ring of hydrogens with the full symmetry of the polygon: degenerate states."""
    angle = 2 * math.pi * torch.arange(size, dtype=torch.float64) / size
    positions = 2.0 * torch.stack([angle.cos(), angle.sin(), 0 * angle], 1)
    distance = distances(positions[None])
    atoms = torch.arange(size)
    hopping = torch.zeros(size, size, dtype=torch.float64)
    hopping[atoms, (atoms + 1) % size] = -4.0
    one = torch.ones(1, size, dtype=torch.float64)
    return System(
        lay_out([[1] * size]),
        (hopping + hopping.mT)[None],
        torch.diag_embed(positions.mT)[None],
        Interaction(
            gamma(distance, torch.tensor(10.0)).double(),
            gamma(distance, torch.tensor(6.0), 0.65).double(),
            gamma(distance, torch.tensor(5.6), 0.65).double(),
            *(one, one, -one, one, one, one, one),
            0.7 * torch.eye(size, dtype=torch.float64)[None],
            torch.tensor(-0.1, dtype=torch.float64),
        ),
    )


def degenerate_sets(energies: Tensor) -> list[list[int]]:
    sets: list[list[int]] = []
    for state, energy in enumerate(energies.tolist()):
        if sets and energy - energies[sets[-1][0]].item() < 1e-8:
            sets[-1].append(state)
        else:
            sets.append([state])
    return sets


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
@pytest.mark.parametrize("size", [6, 10])
def test_gradients_of_degenerate_states(size: int, spin: str) -> None:
    system = ring(size)
    sets = degenerate_sets(getattr(system, spin)().energies[0])
    assert any(len(states) == 2 for states in sets)
    # Only a whole degenerate set has a derivative; weight the sets differently.
    weight = torch.zeros(int(system.layout.n_occupied) ** 2, dtype=torch.float64)
    for number, states in enumerate(sets):
        weight[states] = math.cos(number)

    def observable(hamiltonian: Tensor, *interaction: Tensor) -> Tensor:
        changed = replace(system, hamiltonian=hamiltonian, interaction=Interaction(*interaction))
        energies = getattr(changed, spin)().energies
        assert isinstance(energies, Tensor)
        return (weight * energies).sum()

    assert_gradients(observable, [system.hamiltonian, *parameters(system.interaction)])


def test_a_single_degenerate_state_has_a_finite_gradient() -> None:
    system = ring(6)
    system.hamiltonian.requires_grad_()
    found = system.singlets(3)
    (found.energies.sum() + found.oscillator_strengths.sum()).backward()
    assert system.hamiltonian.grad is not None
    assert system.hamiltonian.grad.isfinite().all()


@pytest.mark.parametrize("spin", ["singlets", "triplets"])
def test_gradients_follow_from_the_response_not_from_the_mode(spin: str) -> None:
    """A response made without gradients has none; the energies are the same with and without."""
    system = random_system(MOLECULES[:2], seed=9)
    system.hamiltonian.requires_grad_()
    recorded = system.response()
    with torch.no_grad():
        plain = system.response()
        solve: Callable[..., Excitations] = partial(
            singlets, dipole_operator=system.dipole_operator
        )
        if spin == "triplets":
            solve = triplets
        without = solve(plain, n_states=3)
        unrecorded = solve(recorded, n_states=3)
    assert (recorded.requires_grad, plain.requires_grad) == (True, False)
    energies = solve(recorded, n_states=3).energies
    assert energies.requires_grad
    for found in (solve(plain, n_states=3), without, unrecorded):
        assert not found.energies.requires_grad
        torch.testing.assert_close(found.energies, energies.detach(), equal_nan=True)


def test_strength_gradients_hold_the_amplitudes_fixed() -> None:
    """The documented gradient: exact in r, and in H that of C_o, C_v and ω at fixed X, Y."""
    system = random_system(MOLECULES[:2], seed=10)
    fixed = system.singlets(3)

    def strengths(hamiltonian: Tensor, operator: Tensor) -> Tensor:
        found = replace(system, hamiltonian=hamiltonian, dipole_operator=operator).singlets(3)
        return found.oscillator_strengths.sum()

    operator = system.dipole_operator.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(strengths(system.hamiltonian, operator), operator)
    change = torch.randn_like(operator)
    step = 1e-4
    ends = [strengths(system.hamiltonian, operator + s * step * change) for s in (1, -1)]
    numeric = (ends[0] - ends[1]).item() / (2 * step)
    assert (gradient * change).sum().item() == pytest.approx(numeric, rel=1e-6)

    # A single pair of orbitals has no amplitudes that could respond beyond a factor; for H2 with
    # B = 0 that factor is 1 too, and the gradient is the whole one.
    pair = random_system([[1, 1]], seed=3)
    values = [torch.zeros_like(x) for x in parameters(pair.interaction)]
    pair.interaction = Interaction(*values)

    def whole(hamiltonian: Tensor) -> Tensor:
        return replace(pair, hamiltonian=hamiltonian).singlets().oscillator_strengths.sum()

    assert_gradients(whole, [pair.hamiltonian])
    assert not fixed.X.requires_grad
