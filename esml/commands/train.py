"""``esml train``: train a model from a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from esml.commands.messages import fail, refusing


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train, and how.")],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the last checkpoint, if any.")
    ] = True,
) -> None:
    """Train a model."""
    if not config.is_file():
        fail(f"no file '{config}': expected a training configuration in YAML; check the path")
    from esml.training import train as run

    with refusing(ValueError, OSError):
        run(config, resume=resume)
