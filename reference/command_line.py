"""Helpers of the reference-data commands: error exits, reading structures, printing reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from .generate import Summary
    from .validate import Report


def fail(message: str, code: int = 2) -> typer.Exit:
    """Print ``message`` as an error and return the exception to raise."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(code)


def read_images(paths: Sequence[Path]) -> list[Any]:
    """Read all structures of ``paths``, in order.

    Raises typer.Exit, after naming the file, for one that ASE cannot read.
    """
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


def tell_run(summary: Summary, output: Path) -> None:
    """Print what a run of ``generate`` did. Raises typer.Exit if structures failed."""
    typer.echo(
        f"{output}: {summary.computed} computed, {summary.present} present before, "
        f"{summary.failed} failed"
        + (
            f"; {summary.failed_before} failed earlier and were not tried again (--retry does)"
            if summary.failed_before
            else ""
        )
    )
    if summary.failed:
        raise fail(f"{summary.failed} structures failed; see {output / 'failures.jsonl'}", 1)


def tell_report(report: Report) -> None:
    """Print what ``validate`` found. Raises typer.Exit if something is wrong."""
    typer.echo(report.summary())
    if report.errors:
        raise typer.Exit(1)


def tell(name: str, what: object) -> None:
    """Print one line of ``info``: a number, a text, or the counts of a mapping."""
    if isinstance(what, Counter):
        what = ", ".join(f"{k}: {v}" for k, v in sorted(what.items()) if v)
    typer.echo(f"{name:<11} {what}")
