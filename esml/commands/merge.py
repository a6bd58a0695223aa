"""``esml merge``: merge the outputs of a job array into one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from esml.commands.messages import fail, refusing
from esml.commands.options import check_output


def merge(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PARTS...", help="HDF5 files of esml predict --shard.")
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File to write; its name's end tells the format."),
    ],
    format: Annotated[
        str | None,
        typer.Option("--format", help="As of esml predict, whatever the name's end."),
    ] = None,
) -> None:
    """Merge the shards of a job array into one file of any format, structures in order."""
    check_output(output, "--output")
    if any(os.path.realpath(output) == os.path.realpath(part) for part in parts):
        fail(f"--output '{output}' is one of the parts: expected a file of its own; choose another")
    for part in parts:
        _check_part(part)
    from esml.export import ExportError
    from esml.export.merging import merge as put_together

    with refusing(ExportError, OSError):
        predicted, failed = put_together(parts, output, format)
    typer.echo(f"{predicted} predicted, {failed} failed, of {len(parts)} parts: {output}")


def _check_part(part: Path) -> None:
    """End the command if a file exists that is no HDF5 file, such as a table."""
    import h5py

    if part.is_file() and not h5py.is_hdf5(part):
        fail(
            f"'{part}' is not an HDF5 file: expected shards that esml predict --shard wrote to "
            ".h5 files, the only ones that can be merged; predict them into .h5"
        )
