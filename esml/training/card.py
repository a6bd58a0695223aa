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

from esml.io.records import Record
from esml.training.config import TrainingConfig
from esml.training.evaluation import STATED


def data_hash(train: Sequence[Record], validation: Sequence[Record]) -> dict[str, Any]:
    """Hash of the record keys of both splits, independent of order and files, with their counts."""
    keys = {"train": sorted(r.key for r in train), "validation": sorted(r.key for r in validation)}
    content = json.dumps(keys, sort_keys=True).encode()
    return {"sha256": hashlib.sha256(content).hexdigest()} | {k: len(v) for k, v in keys.items()}


def _settings(config: TrainingConfig) -> dict[str, Any]:
    """``config`` without this machine's folders: only the last part of each path."""
    settings = config.model_dump(mode="json", exclude={"output"})
    settings["data"] = [path.name for path in config.data]
    settings["initial"] = config.initial.name if config.initial else None
    return settings


def model_card(
    config: TrainingConfig,
    train: Sequence[Record],
    validation: Sequence[Record],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """The metadata of a model file.

    Parameters
    ----------
    config, train, validation:
        What the model was trained with.
    metrics:
        Scores on ``validation``, as ``Objective.evaluate`` returns them.
    """
    levels = sorted({r.level for r in train})
    return {
        "name": config.name,
        "level": [json.loads(level) for level in levels],
        "n_structures": len(train),
        "n_molecules": len({r.inchikey or r.name for r in train}),
        "elements": sorted({int(z) for r in train for z in r.numbers}),
        "valence_weight": config.valence_weight,
        "energy_limit_eV": config.energy_limit,
        "epochs": config.epochs,
        "seed": config.seed,
        "validation": {
            k: v
            for k, v in metrics.items()
            if isinstance(v, int | float) and k not in STATED  # uncertainties are not known yet
        },
        "validation_rmse_eV": {
            name: metrics.get(f"{name}_rmse_eV", float("nan")) for name in ("singlets", "triplets")
        },
        "data": data_hash(train, validation),
        "config": _settings(config),
        "versions": {
            "esml": version("esml"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }
