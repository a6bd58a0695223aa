"""Gradients by positions and by weights against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import (
    SYMMETRIC,
    benzene,
    degenerate_sets,
    distorted,
    formate,
    nitrogen,
)
from torch import Tensor

from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate

Observable = Callable[[Solution], Tensor]


def slope_and_gradient(
    model: Surrogate, atoms: Atoms, observables: dict[str, Observable], seed: int
) -> dict[str, tuple[float, float]]:
    """d/dh of each observable along a random displacement: by differences and by autograd.

    Central differences of two steps, extrapolated to an error of O(step⁴).
    """
    graph = model.graph([atoms])
    generator = torch.Generator().manual_seed(seed)
    change = torch.randn(graph.positions.shape, generator=generator, dtype=torch.float64)
    change = change / change.norm()
    step = 5e-4

    def solve(positions: Tensor) -> Solution:
        solution: Solution = model(replace(graph, positions=positions), 10)
        return solution

    with torch.no_grad():
        moved = {h: solve(graph.positions + h * step * change) for h in (-2, -1, 1, 2)}
    positions = graph.positions.clone().requires_grad_()
    solution = solve(positions)
    found = {}
    for name, observable in observables.items():
        at = {h: float(observable(s)) for h, s in moved.items()}
        slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
        (gradient,) = torch.autograd.grad(observable(solution), positions, retain_graph=True)
        found[name] = slope, float((gradient * change).sum())
    return found


def test_gradients_are_those_of_finite_differences(model: Surrogate) -> None:
    observables: dict[str, Observable] = {
        "S1": lambda s: s.singlets.energies[0, 0],
        "S3": lambda s: s.singlets.energies[0, 2],
        "T1": lambda s: s.triplets.energies[0, 0],
        "T2": lambda s: s.triplets.energies[0, 1],
        "homo": lambda s: s.orbitals.homo[0],
        "charge": lambda s: s.charges[0, 1],
        "dipole": lambda s: s.dipole[0, 0],
    }
    for seed, atoms in enumerate((distorted("CH3CHO"), formate())):
        for name, (slope, gradient) in slope_and_gradient(model, atoms, observables, seed).items():
            assert gradient == pytest.approx(slope, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("name", SYMMETRIC)
def test_gradients_of_symmetric_molecules(model: Surrogate, name: str) -> None:
    """Finite for every state; exact for what has a derivative, the sum over a degenerate set."""
    atoms = SYMMETRIC[name]()
    with torch.no_grad():
        solution = model(model.graph([atoms]), 10)
    observables: dict[str, Observable] = {}
    for kind in ("singlets", "triplets"):
        energies = getattr(solution, kind).energies[0].numpy()
        # Sets that the last state asked for may have cut apart are left out.
        pairs = [s for s in degenerate_sets(energies)[:-1] if len(s) == 2]
        isolated = [
            s
            for s in pairs
            # No other may cross within the steps: some move by 50 eV/Å.
            if energies[s[1] + 1] - energies[s[1]] > 0.25
            and (s[0] == 0 or energies[s[0]] - energies[s[0] - 1] > 0.25)
        ]
        for pair in isolated:

            def total(s: Solution, kind: str = kind, pair: list[int] = pair) -> Tensor:
                energies: Tensor = getattr(s, kind).energies
                return energies[0, pair].sum()

            observables[f"{kind} {pair}"] = total
    assert len(observables) >= 2
    for what, (slope, gradient) in slope_and_gradient(model, atoms, observables, 5).items():
        assert gradient == pytest.approx(slope, rel=1e-5, abs=1e-6), what

    graph = model.graph([atoms])
    positions = graph.positions.clone().requires_grad_()
    solution = model(replace(graph, positions=positions), 10)
    values: list[Tensor] = [
        *solution.singlets.energies[0],
        *solution.triplets.energies[0],
        solution.singlets.oscillator_strengths.sum(),
        solution.orbitals.energies.sum(),
        solution.charges[0, 0],
        solution.dipole.sum(),
    ]
    for value in values:
        (there,) = torch.autograd.grad(value, positions, retain_graph=True)
        assert there.isfinite().all()
        # Nothing here depends on where the molecule is (the dipole of a neutral one neither).
        assert there.sum(0).abs().max() < 1e-7


def test_every_weight_has_a_finite_gradient(small: Surrogate) -> None:
    structures = [distorted("CH3CHO"), benzene(), nitrogen(), distorted("CH3SH")]
    structures += [distorted("CH3Cl"), molecule("CH3CN"), Atoms("HF", positions=np.eye(2, 3))]
    solution = small(small.graph(structures), 4)
    loss = solution.singlets.energies.nansum() + solution.triplets.energies.nansum()
    loss = loss + solution.dipole.square().sum() + solution.singlets.oscillator_strengths.sum()
    gradients = torch.autograd.grad(loss, list(small.parameters()))
    for (name, _), gradient in zip(small.named_parameters(), gradients, strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name
