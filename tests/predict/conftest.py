"""A small model with random weights, in which every layer is at work, and the shipped one."""

from __future__ import annotations

import pytest
import torch
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
