from __future__ import annotations

import pytest
import torch
from ase import Atoms
from solver_cases import DATA, problem
from torch import Tensor

import esml
from esml.io.records import read
from esml.physics.response import Response
from esml.predict.surrogate import Surrogate


@pytest.fixture(scope="session")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


@pytest.fixture(scope="session")
def assorted(model: Surrogate) -> tuple[Response, Tensor]:
    records = read(DATA)
    picked = [records[i] for i in range(0, len(records), max(1, len(records) // 16))]
    return problem(model, [Atoms(r.numbers, r.positions) for r in picked if r.charge == 0])
