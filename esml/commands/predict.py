"""``esml predict``: predict all structures of many files into one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml.commands.messages import INTERRUPTED, SOME_FAILED, fail, note, refusing
from esml.commands.options import (
    CellOption,
    ChargeOption,
    ColumnOption,
    DeviceOption,
    GeometryOption,
    LargestOption,
    ModelOption,
    PointChargesOption,
    SolventColumnOption,
    SolventOption,
    StatesOption,
    check_apart,
    check_n_states,
    check_output,
    load,
    reading_options,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from esml.predict.run import Tally


def predict(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Geometries; all structures of each.")
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File to write; its name's end tells the format."),
    ],
    n_states: StatesOption = 10,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Predict on the Dask cluster whose scheduler is there; local: on a process for "
            "each core here.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="hdf5, csv, parquet, json, jsonl, xyz or chemiscope, whatever the name's end.",
        ),
    ] = None,
    geometry: GeometryOption = None,
    charge: ChargeOption = None,
    largest_fragment: LargestOption = False,
    smiles_column: ColumnOption = None,
    solvent: SolventOption = None,
    solvent_column: SolventColumnOption = None,
    point_charges: PointChargesOption = None,
    ignore_cell: CellOption = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Part I of N of all structures, for job arrays; see esml merge."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--restart", help="Continue from what a stopped run has kept, if any."
        ),
    ] = True,
) -> None:
    """Predict all structures of many files into one file.

    Formats: HDF5 (.h5; everything, read back with esml.export.read_results), tables (.csv,
    .parquet), .json, .jsonl, extended xyz (.xyz) and a map for chemiscope (.chemiscope.json). A
    molecule or file that fails is recorded with its reason and the rest continue. Run the same
    command again to continue a run that was stopped.
    """
    check_n_states(n_states)
    check_output(output, "--output")
    _check_apart(output, files, {"--point-charges": point_charges, "--model": model})

    from esml.export import ExportError, format_of
    from esml.io.files import BusyError, sole_writer
    from esml.jobs import JournalError
    from esml.predict.cluster import ClusterError
    from esml.predict.run import predict_files

    with refusing(ExportError):
        format = format or format_of(output)
    surrogate = load(model, device)
    options = reading_options(
        geometry,
        charge,
        largest_fragment,
        smiles_column,
        ignore_cell,
        surrogate.elements,
        solvent,
        solvent_column,
        point_charges,
    )
    options = replace(options, shard=_shard(shard))
    lock = output.with_name(f".{output.name}.lock")
    refused = refusing(BusyError, ClusterError, ExportError, JournalError, OSError)
    with refused, sole_writer(lock, output), _telling_what_is_kept(output):
        tally = _follow(
            predict_files(
                surrogate,
                files,
                output,
                n_states,
                format=format,
                dask=dask,
                restart=not resume,
                label=model or "shipped",
                options=options,
            )
        )
    _report(tally, output, listed=format not in ("xyz", "chemiscope"))


@contextmanager
def _telling_what_is_kept(output: Path) -> Iterator[None]:
    """If the command is interrupted, end it with a line on where its predictions are kept."""
    from esml.predict.journal import journal_path

    try:
        yield
    except KeyboardInterrupt:
        kept = journal_path(output)
        note(
            f"stopped: what was predicted is kept in {kept}; run the same command to continue"
            if kept.exists()
            else "stopped: nothing was predicted yet"
        )
        raise typer.Exit(INTERRUPTED) from None


def _shard(text: str | None) -> tuple[int, int] | None:
    """Parse ``2/8`` as ``(1, 8)``; end the command if it is not a valid part."""
    if text is None:
        return None
    parts = text.split("/")
    part, of = map(int, parts) if len(parts) == 2 and all(map(str.isdecimal, parts)) else (0, 0)
    if not 1 <= part <= of:
        fail(f"--shard is '{text}': expected a part of a whole such as 1/8 or 8/8; choose one")
    return part - 1, of


def _check_apart(output: Path, files: Sequence[Path], others: Mapping[str, object]) -> None:
    """End the command if the output is not a regular file or is one of the input files.

    ``others`` are the files that options name.
    """
    if output.exists() and not output.is_file():
        fail(
            f"--output '{output}' is not a regular file: expected a new name or a file to "
            "replace; choose another name"
        )
    # Path.resolve would raise for circular links.
    if any(os.path.realpath(output) == os.path.realpath(path) for path in files):
        fail(
            f"--output '{output}' is one of the input files: expected a file of its own; choose "
            "another name"
        )
    check_apart({"--output": output}, others)


def _follow(tallies: Generator[Tally, None, None]) -> Tally:
    """Run all predictions, with a live progress line on standard error."""
    from esml.jobs import progress_bar

    tally = next(tallies)
    with closing(tallies), progress_bar() as progress:
        task = progress.add_task("predicting molecules", remark="")

        def show() -> None:
            remark = f"{tally.failed} failed" if tally.failed else ""
            progress.update(task, completed=tally.done, total=tally.expected, remark=remark)

        show()
        for tally in tallies:  # noqa: B007  # read by show()
            show()
    return tally


def _report(tally: Tally, output: Path, listed: bool) -> None:
    """Print a summary of the run; exit with code 1 if something failed.

    ``listed`` tells whether the output lists all failures.
    """
    if tally.resumed:
        note(f"note: {tally.resumed} of them are from an earlier run, which this one continued")
    typer.echo(f"{tally.predicted} predicted, {tally.failed} failed: {output}")
    if tally.outside:
        note(
            f"warning: {tally.outside} of the predicted are unlike what the model was trained on; "
            "in_domain tells which"
        )
    if tally.failed:
        for line in tally.reasons:
            note(f"failed: {line}")
        if tally.failed > len(tally.reasons):
            where = f", listed in {output}" if listed else ""
            note(f"… and {tally.failed - len(tally.reasons)} more{where}")
        raise typer.Exit(SOME_FAILED)
