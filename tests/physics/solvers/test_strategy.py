"""Thresholds are checked, and reach the solvers from wherever they are given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ase.build import molecule
from solver_cases import ITERATIVE, problem

from esml.physics import ConvergenceError, Strategy, singlets_and_triplets
from esml.physics.solvers.problem import Problem
from esml.physics.strategy import ByPrecision
from esml.predict.surrogate import Surrogate


def test_a_negative_threshold_is_named() -> None:
    with pytest.raises(ValueError, match=r"binding of a strategy must not be negative, got -0\.7"):
        Strategy(binding=-0.7)
    with pytest.raises(ValueError, match="tolerance of a strategy"):
        Strategy(tolerance=ByPrecision(1e-4, -1e-8))


def test_thresholds_of_each_precision() -> None:
    tolerance = ByPrecision(single=1e-3, double=1e-7)
    assert tolerance.of(torch.float32) == 1e-3
    assert tolerance.of(torch.float64) == 1e-7


def test_a_strategy_reaches_the_solvers(model: Surrogate) -> None:
    """One that cannot converge fails, wherever it is given; with the default all goes well."""
    response, dipole = problem(model, [molecule("C6H6")])
    hopeless = replace(ITERATIVE, most_iterations=1)
    surrogate = Surrogate(model.hamiltonian)
    assert len(surrogate.predict(molecule("C6H6"), 2).singlets.energies) == 2
    surrogate.strategy = hopeless
    with pytest.raises(ConvergenceError):
        surrogate.predict(molecule("C6H6"), 2)
    with pytest.raises(ConvergenceError):
        Surrogate(model.hamiltonian, strategy=hopeless).predict(molecule("C6H6"), 2)
    with pytest.raises(ConvergenceError):
        singlets_and_triplets(response, dipole, 2, 2, strategy=hopeless)


def test_the_way_follows_the_strategy(model: Surrogate) -> None:
    response, _ = problem(model, [molecule("C6H6")])
    runs = [
        len(Problem(response, strategy=strategy).lowest("singlet", 4).statistics)
        for strategy in (
            Strategy(dense=10**9),
            ITERATIVE,
            replace(ITERATIVE, large=0, pairs_per_atom=1),
        )
    ]
    # None; those of A ± B; those of A from the model of local pairs before them.
    assert runs == [0, 1, 2]
