"""What the commands of the reference data share: refusals, and structures from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def fail(message: str, code: int = 2) -> typer.Exit:
    """What to raise after ``message``, which is printed as an error."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(code)


def read_images(paths: Sequence[Path]) -> list[Any]:
    """All structures of ``paths``, in order. Raises typer.Exit, naming one ASE does not read."""
    import ase.io

    images: list[Any] = []
    for path in paths:
        try:
            images.extend(ase.io.read(path, index=":"))
        except Exception as error:
            raise fail(
                f"{path} could not be read as structures ({error}): expected a file ASE reads; "
                "check the path and the format"
            ) from error
    return images
