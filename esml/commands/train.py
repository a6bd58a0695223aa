"""``esml train``: train a model from a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esml.commands.messages import fail, refusing
from esml.commands.options import DeviceOption, check_packages


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train, and how.")],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Continue from the last checkpoint, if any.")
    ] = True,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write curves for TensorBoard beside log.csv."),
    ] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Train a model; write log.csv, model.safetensors and the state to continue from."""
    if not config.is_file():
        fail(f"no file '{config}': expected a training configuration in YAML; check the path")
    if tensorboard:
        check_packages("tensorboard", option="--tensorboard", extra="tensorboard")
    from esml.training import train as run
    from esml.training.crystals import is_of_crystals
    from esml.training.crystals import train as run_crystals

    with refusing(ValueError, OSError):
        if is_of_crystals(config):
            run_crystals(config, resume=resume)
            return
        run(config, resume=resume, tensorboard=tensorboard, device=device)
