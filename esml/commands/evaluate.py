"""``esml evaluate``: errors of a model against the labels of a dataset or measured maxima."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml.commands.measured import compared, finite
from esml.commands.messages import fail, note, refusing
from esml.commands.options import (
    ColumnOption,
    DeviceOption,
    StatesOption,
    check_apart,
    check_n_states,
    check_output,
    check_picture,
    load,
    reading_options,
)

if TYPE_CHECKING:
    from esml.training import Scores

SHOWN = {
    "S1": ("s1", "eV"),
    "T1": ("t1", "eV"),
    "HOMO–LUMO gap": ("gap", "eV"),
    "valence singlets": ("singlets", "eV"),
    "valence triplets": ("triplets", "eV"),
    "oscillator strengths": ("oscillator", ""),
}
"""Panels of the picture: title, key of ``Scores.pairs`` and unit."""


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(help="Name or path of a model; the shipped one if left out."),
    ] = None,
    data: Annotated[
        Path | None, typer.Argument(help="Dataset: a shard or a directory of shards.")
    ] = None,
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    experiment: Annotated[
        Path | None,
        typer.Option(help="In place of DATA, a table of SMILES, solvent and measured λmax (nm)."),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="With --experiment, λmax without the fitted last step."),
    ] = False,
    vibrations: Annotated[
        bool,
        typer.Option(
            "--vibrations",
            help="With --experiment, λmax with GFN2-xTB's vibrations in place of the last step; 10 "
            "to 30 s per compound.",
        ),
    ] = False,
    smiles_column: ColumnOption = None,
    n_states: StatesOption = 10,
    device: DeviceOption = "cpu",
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers here as well.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw predictions over labels here (.png, .pdf, .svg).")
    ] = None,
) -> None:
    """Compare a model's predictions with the labels of a dataset, or with measured λmax."""
    check_output(json_path, "--json")
    check_output(plot, "--plot")
    check_apart(
        {"--json": json_path, "--plot": plot},
        {"the model": model, "the dataset": data, "--experiment": experiment},
    )
    check_picture(plot)
    if (data is None) == (experiment is None):
        fail("expected DATA or --experiment, one of the two; give one")
    for option, given in {"--raw": raw, "--vibrations": vibrations}.items():
        if given and experiment is None:
            fail(f"{option} is about measured λmax: expected --experiment beside it; leave it out")
    if experiment is not None:
        check_n_states(n_states)
        options = reading_options(None, None, False, smiles_column, False)
        surrogate = load(model, device)
        compared(surrogate, experiment, options, n_states, json_path, plot, raw, vibrations)
        return
    assert data is not None
    if not data.exists():
        fail(f"no dataset '{data}': expected an HDF5 shard or a directory of them; check the path")
    from esml.training import Scores, format_evaluation
    from esml.training import evaluate as run

    surrogate = load(model, device)
    with refusing(ValueError, OSError):
        scores = Scores()
        numbers = run(surrogate, data, split=split, scores=scores)
    typer.echo(format_evaluation(numbers))
    with refusing(OSError):
        if json_path is not None:
            json_path.write_text(json.dumps(finite(numbers), indent=2) + "\n", encoding="utf-8")
        if plot is not None:
            _draw(scores, plot)


def _draw(scores: Scores, path: Path) -> None:
    from esml.plots.figures import plot_parity

    pairs = scores.pairs()
    figure = plot_parity(
        {title: pairs[key] for title, (key, _) in SHOWN.items() if key in pairs},
        {title: unit for title, (_, unit) in SHOWN.items()},
    )
    figure.savefig(path, dpi=200)
    note(f"picture: {path}")
