"""The state file from which a run resumes: weights, averages, optimizer, progress.

Runs for molecules and for crystals store the same: tensors of named parts and of the optimizer, the
progress of the run, and its configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from esml.io.files import write_whole
from esml.model import checkpoint
from esml.training.config import ConfigError, difference
from esml.training.run import Run

FREE = {"data", "initial", "name", "output", "threads", "validate_every"}
"""Settings that may change when a run continues, because no remaining step depends on them. Data
may move to another folder; their number of records must stay the same."""

STATE = "esml-run"
"""Metadata entry of a state file that holds the configuration and the progress of the run."""


@dataclass(frozen=True)
class StoredRun:
    """A state file that fits the configuration of the run that continues."""

    path: Path
    progress: dict[str, int]
    """Progress of the run, as given to ``write_run``."""
    tensors: dict[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part by name."""
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    def restore(self, parts: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        """Load ``parts`` by name, and the optimizer. Raises ConfigError if they do not fit."""
        groups = optimizer.state_dict()["param_groups"]
        try:
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in self.part("optimizer").items():
                index, key = name.split(".", 1)
                state.setdefault(int(index), {})[key] = value
            for name, part in parts.items():
                part.load_state_dict(self.part(name))
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"{self.path} does not fit this version of esml "
                f"({' '.join(str(error).split())[:200]}): expected the weights of this model; "
                "train afresh or choose another output"
            ) from error


def write_run(
    path: Path,
    config: BaseModel,
    progress: Mapping[str, int],
    parts: Mapping[str, Mapping[str, Tensor]],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the tensors of a run's parts and optimizer to ``path``, with a checksum."""
    tensors = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    header = {"progress": dict(progress), "config": config.model_dump(mode="json")}
    write_whole(path, checkpoint.pack(tensors, STATE, header))


def _read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and header of a state file. Raises CheckpointError, ValueError or KeyError."""
    tensors, entries = checkpoint.unpack(path)
    if STATE in entries:
        header = json.loads(entries[STATE])
        checkpoint.verify(path, tensors, header)
        return tensors, header
    # An older file without a checksum.
    return tensors, {key: json.loads(entries[key]) for key in ("config", "progress")}


def read_run(path: Path, config: BaseModel, counts: Sequence[str]) -> StoredRun:
    """Read the run in ``path`` to continue it with ``config``; ``counts`` name its progress.

    Raises
    ------
    ConfigError
        If the file is damaged, or belongs to a run with another configuration.
    """
    try:
        tensors, header = _read_state(path)
        # Older state files lack the entry ``frozen``.
        stored = {"frozen": [], **header["config"]}
        progress = {name: int(header["progress"][name]) for name in counts}
    except checkpoint.CheckpointError as error:
        raise ConfigError(f"{error}, or delete it to train afresh") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path} could not be read ({error}): expected the state of a training run; delete it "
            "to train afresh, or choose another output"
        ) from error
    current = json.loads(config.model_dump_json())
    for key in sorted((stored.keys() & current.keys()) - FREE):
        mismatch = difference(stored[key], current[key], key)
        if mismatch:
            raise ConfigError(
                f"{path} belongs to another run: expected {mismatch}; restore that setting, choose "
                "another output, or train afresh (--restart)"
            )
    return StoredRun(path, progress, tensors)


def save_state(run: Run, path: Path) -> None:
    """Write the state of ``run`` to ``path``, with a checksum."""
    parts = {"model": run.model.state_dict(), "average": run.average}
    write_run(path, run.config, {"epoch": run.epoch, "step": run.step}, parts, run.optimizer)


def load_state(run: Run, path: Path) -> None:
    """Continue ``run`` from the state file ``path``. Raises ConfigError like ``read_run``."""
    stored = read_run(path, run.config, ("epoch", "step"))
    averaged = run.objective.build()
    stored.restore({"average": averaged, "model": run.model}, run.optimizer)
    run.epoch, run.step = stored.progress["epoch"], stored.progress["step"]
    run.average = {name: value.to(run.device) for name, value in stored.part("average").items()}
