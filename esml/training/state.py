"""The state of a run on disk, from which it resumes: weights, averages, optimizer, progress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from esml.io.files import write_whole
from esml.model import checkpoint
from esml.training.config import ConfigError, difference
from esml.training.run import Run

FREE = {"data", "initial", "name", "output", "threads", "validate_every"}
"""Settings that may change when a run continues: they decide no step that is still to be taken.
Data may move to another place; that the number of records is the same is checked."""

STATE = "esml-run"
"""Metadata entry of a state file that holds the configuration and the progress of the run."""


def save_state(run: Run, path: Path) -> None:
    """Write the state of ``run`` to ``path``, with a checksum."""
    tensors = {f"model.{k}": v for k, v in run.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in run.average.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    progress = {"epoch": run.epoch, "step": run.step}
    header = {"progress": progress, "config": run.config.model_dump(mode="json")}
    write_whole(path, checkpoint.pack(tensors, STATE, header))


def _read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a state file. Raises CheckpointError, ValueError or KeyError."""
    tensors, entries = checkpoint.unpack(path)
    if STATE in entries:
        header = json.loads(entries[STATE])
        checkpoint.verify(path, tensors, header)
        return tensors, header
    # From before there were checksums.
    return tensors, {key: json.loads(entries[key]) for key in ("config", "progress")}


def load_state(run: Run, path: Path) -> None:
    """Continue ``run`` from the state file ``path``.

    Raises
    ------
    ConfigError
        If the file is damaged, or belongs to a run with another configuration.
    """
    try:
        tensors, header = _read_state(path)
        # States from before ``frozen`` existed lack the entry.
        stored, progress = {"frozen": [], **header["config"]}, header["progress"]
        run.epoch, run.step = int(progress["epoch"]), int(progress["step"])
    except checkpoint.CheckpointError as error:
        raise ConfigError(f"{error}, or delete it to train afresh") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path} could not be read ({error}): expected the state of a training run; delete it "
            "to train afresh, or choose another output"
        ) from error
    current = json.loads(run.config.model_dump_json())
    for key in sorted((stored.keys() & current.keys()) - FREE):
        mismatch = difference(stored[key], current[key], key)
        if mismatch:
            raise ConfigError(
                f"{path} belongs to another run: expected {mismatch}; restore that setting, choose "
                "another output, or train afresh (--restart)"
            )

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    groups = run.optimizer.state_dict()["param_groups"]
    try:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in part("optimizer.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        run.objective.build().load_state_dict(part("average."))
        run.model.load_state_dict(part("model."))
        run.optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"{path} does not fit this version of esml ({' '.join(str(error).split())[:200]}): "
            "expected the weights of this model; train afresh or choose another output"
        ) from error
    run.average = {name: value.to(run.device) for name, value in part("average.").items()}
