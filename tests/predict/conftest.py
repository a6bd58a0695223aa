"""Models: a small one with random weights, where every layer is at work, and the shipped one."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import perturbed

import esml
from esml.predict.surrogate import Surrogate


@pytest.fixture(scope="module", params=["perturbed", "shipped"])
def model(request: pytest.FixtureRequest) -> Surrogate:
    if request.param == "shipped":
        return esml.load_model(dtype=torch.float64)
    return perturbed()


@pytest.fixture(scope="module")
def small() -> Surrogate:
    return perturbed()


@pytest.fixture(scope="module")
def distorted() -> Atoms:
    atoms: Atoms = molecule("H2CO")
    atoms.rattle(0.05, seed=1)
    return atoms
