"""The training loop, seeded and resumable.

The state of the run is written after every epoch (:mod:`esml.training.state`), so an interrupted
run continues from its last epoch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from esml.io.records import Record, read
from esml.jobs import progress_bar
from esml.predict.model_files import check_device
from esml.training.card import model_card
from esml.training.config import ConfigError, TrainingConfig, load_config, own_output
from esml.training.log import COLUMNS, Curves, append, epoch_line, take_back
from esml.training.run import Run, averaged, start, steps_per_epoch, train_epoch
from esml.training.state import load_state, save_state


def train(
    config: TrainingConfig | str | Path,
    resume: bool = True,
    progress: bool = True,
    tensorboard: bool = False,
    device: str = "cpu",
) -> Path:
    """Train a model.

    Parameters
    ----------
    config:
        The configuration: a ``TrainingConfig`` or the path of its YAML file.
    resume:
        Continue a run found in the output directory; if false, start over.
    progress:
        Show progress on standard error.
    tensorboard:
        Also write the rows of ``log.csv`` as curves, to the folder ``tensorboard`` of the output.
    device:
        Device for training and validation: ``"cpu"`` or an accelerator such as ``"cuda"``. A run
        may continue on another device.

    Returns
    -------
    The path of the model file.

    Raises
    ------
    ConfigError
        If the configuration is invalid, or the run in the output directory does not fit it.
    DatasetError
        If the data cannot be read.
    ValueError
        If the device does not exist.
    BusyError
        If another process trains in the output directory.
    OSError
        If a file cannot be written.
    """
    if not isinstance(config, TrainingConfig):
        config = load_config(config)
    check_device(device)
    torch.set_num_threads(config.threads)
    records = read(config.data)
    training = [r for r in records if r.split == "train"]
    validation = [r for r in records if r.split == "validation"]
    if not training or not validation:
        raise ConfigError(
            f"the data hold {len(training)} training and {len(validation)} validation records: "
            "expected some of both; generate more or check the splits"
        )
    with own_output(config.output):
        curves = Curves(config.output / "tensorboard" if tensorboard else None)
        return _train(config, training, validation, resume, progress, curves, device)


def _train(
    config: TrainingConfig,
    training: Sequence[Record],
    validation: Sequence[Record],
    resume: bool,
    progress: bool,
    curves: Curves,
    device: str,
) -> Path:
    state = config.output / "state.safetensors"
    model_path = config.output / "model.safetensors"
    a_pass = [*training, *repeated(config)]
    run = start(config, training, device)
    if resume and state.is_file():
        load_state(run, state)
    steps = steps_per_epoch(config, len(a_pass))
    if run.step != run.epoch * steps:
        raise ConfigError(
            f"{state} belongs to a run with {run.step // max(run.epoch, 1)} steps an epoch where "
            f"the data now make {steps}: expected the same training records; choose another "
            "output or train afresh"
        )
    log = config.output / "log.csv"
    take_back(log, run.epoch)
    # Steps take different times, and only the late ones solve for states.
    with progress_bar(enabled=progress, period=600.0) as display:
        task = display.add_task(
            "steps", total=config.epochs * steps, completed=run.epoch * steps, remark=""
        )
        while run.epoch < config.epochs:
            display.update(task, description=f"steps, epoch {run.epoch + 1} of {config.epochs}")
            began = time.perf_counter()
            terms = train_epoch(run, a_pass, after_step=lambda: display.advance(task))
            row: dict[str, float] = {"epoch": run.epoch, **terms}
            if run.epoch == config.epochs or run.epoch % config.validate_every == 0:
                metrics = _validate(run, training, validation, model_path)
                row |= {k: metrics[k] for k in COLUMNS if k in metrics}
            row["seconds"] = time.perf_counter() - began
            # First the log: if the run is killed here, the log is cut back to the state.
            append(log, row)
            curves.add(row)
            save_state(run, state)
            line = epoch_line(config, row)
            display.console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not model_path.is_file():  # deleted after the run was completed
        _validate(run, training, validation, model_path)
    return model_path


def repeated(config: TrainingConfig) -> list[Record]:
    """Return the training records that a pass contains beside those of all data, as often."""
    again: list[Record] = []
    for path, times in config.repeats.items():
        again += (times - 1) * read([path], split="train")
    return again


def _validate(
    run: Run, training: Sequence[Record], validation: Sequence[Record], path: Path
) -> dict[str, Any]:
    """Score the averaged model, write it to ``path`` with its scores, and return them.

    At the end of the run the file also gets its domain and error model.
    """
    model = averaged(run)
    metrics = run.objective.evaluate(model, validation)
    run.objective.save(model, model_card(run.config, training, validation, metrics), path)
    if run.epoch == run.config.epochs:
        run.objective.complete(path, training, validation)
    return metrics
