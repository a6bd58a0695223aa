"""The metadata of a model file: its data, settings, scores and versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from esml.io.records import Record, StoredRecord
from esml.training.config import TrainingConfig, with_paths
from esml.training.evaluation import STATED


def data_hash(train: Sequence[Record], validation: Sequence[Record]) -> dict[str, Any]:
    """Return a hash of both splits' record keys, independent of order and files, and counts."""
    keys = {"train": sorted(r.key for r in train), "validation": sorted(r.key for r in validation)}
    content = json.dumps(keys, sort_keys=True).encode()
    return {"sha256": hashlib.sha256(content).hexdigest()} | {k: len(v) for k, v in keys.items()}


def settings_of(config: BaseModel) -> dict[str, Any]:
    """Return ``config`` with only the last part of each path, without this machine's folders."""
    settings = config.model_dump(mode="json") | with_paths(config, lambda path: path.name)
    del settings["output"]
    return settings


def common_card(name: str, train: Sequence[StoredRecord], epochs: int, seed: int) -> dict[str, Any]:
    """Return the metadata common to model files for molecules and for crystals."""
    return {
        "name": name,
        "level": [json.loads(level) for level in sorted({r.level for r in train})],
        "n_structures": len(train),
        "elements": sorted({int(z) for r in train for z in r.numbers}),
        "epochs": epochs,
        "seed": seed,
        "versions": {
            "esml": version("esml"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }


def model_card(
    config: TrainingConfig,
    train: Sequence[Record],
    validation: Sequence[Record],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """Make the metadata of a model file.

    Parameters
    ----------
    config, train, validation:
        The configuration and the records that the model was trained with.
    metrics:
        Scores on ``validation``, as ``Objective.evaluate`` returns them.
    """
    return common_card(config.name, train, config.epochs, config.seed) | {
        "n_molecules": len({r.inchikey or r.name for r in train}),
        "valence_weight": config.valence_weight,
        "energy_limit_eV": config.energy_limit,
        "validation": {
            k: v
            for k, v in metrics.items()
            if isinstance(v, int | float) and k not in STATED  # uncertainties are calibrated later
        },
        "validation_rmse_eV": {
            name: metrics.get(f"{name}_rmse_eV", float("nan")) for name in ("singlets", "triplets")
        },
        "data": data_hash(train, validation),
        "config": settings_of(config),
    }
