"""Records, a finished run, and a model with its own predictions as targets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_cases import DATA, ORDER, SMALL, configuration, own_states

from esml.io.records import Record, read
from esml.model.hamiltonian import EffectiveHamiltonian
from esml.physics.basis import ELEMENTS
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.training import (
    train,
)
from esml.training.targets import Targets, structure


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(DATA)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of two epochs."""
    output = tmp_path_factory.mktemp("run")
    assert train(configuration(output), progress=False) == output / "model.safetensors"
    return output


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    """A model without the zeros its output layers start from.

    Weak exchange keeps ground states stable, which those of an untrained model need not be.
    """
    torch.manual_seed(0)
    model = EffectiveHamiltonian(SMALL).double()
    model.set_baseline({z: {"hardness_exchange": 2.0} for z in ELEMENTS})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Surrogate(model, {}).eval()


@pytest.fixture(scope="module")
def solved(surrogate: Surrogate, records: list[Record]) -> Solution:
    with torch.no_grad():
        solution: Solution = surrogate(surrogate.graph([structure(r) for r in records]), 8)
    assert solution.singlets.stable.all()
    return solution


@pytest.fixture(scope="module")
def own(solved: Solution) -> Targets:
    """What the model says, as targets."""
    return Targets(
        hamiltonian=solved.operators.hamiltonian,
        dipole_operator=solved.operators.dipole,
        orbital_energies=solved.orbitals.energies.nan_to_num(),
        charges=solved.charges,
        dipole=solved.dipole,
        singlets=own_states(solved.singlets, solved, ORDER),
        triplets=own_states(solved.triplets, solved, ORDER),
    )
