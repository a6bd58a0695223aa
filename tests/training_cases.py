"""Short training runs: configurations and logs; predictions of a model as its labels."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch

from esml.model.backbones.equivariant import NetworkConfig
from esml.model.hamiltonian import HamiltonianConfig
from esml.physics.excitations import Excitations
from esml.predict.solution import Solution
from esml.training import (
    TrainingConfig,
)
from esml.training.targets import StateTargets

DATA = Path(__file__).parent / "data" / "tiny.h5"


SMALL = HamiltonianConfig(
    network=NetworkConfig(channels=8, layers=2, cutoff=4.0, radial=4, radial_hidden=8),
    pair_channels=4,
    hidden=8,
    products=2,
)


def configuration(output: Path, **changed: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "data": [DATA],
        "output": output,
        "model": SMALL,
        "epochs": 2,
        "batch_size": 1,
        "learning_rate": 0.03,
        "warmup": 0,
        "exact_from": 0.5,
        "validate_every": 1,
        "seed": 1,
    }
    return TrainingConfig(**{**values, **changed})


def log_of(output: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((output / "log.csv").read_text().splitlines()))


def own_states(found: Excitations, solution: Solution, order: list[int]) -> StateTargets:
    """Solved states as if they were labels, in another order and with random signs."""
    generator = torch.Generator().manual_seed(0)
    sign = torch.sign(torch.randn(found.energies.shape, generator=generator)).double()
    c_o, c_v = solution.orbitals.occupied, solution.orbitals.virtual
    plus, minus = (
        sign[:, :, None, None] * torch.einsum("mui,msia,mva->msuv", c_o, x, c_v)
        for x in (found.X + found.Y, found.X - found.Y)
    )
    dipoles = sign[:, :, None] * found.transition_dipoles
    energies, strengths = found.energies.nan_to_num(), found.oscillator_strengths
    values = (energies, strengths, dipoles, plus, minus, found.mask)
    return StateTargets(*(x[:, order] for x in values))


ORDER = [3, 0, 7, 1, 6, 2, 5, 4]
