"""The command line: ``esml spectrum | predict | train | evaluate | info``.

Bad input ends with one sentence on stderr and exit code 2, a batch some of whose molecules failed
with their number and exit code 1. Whatever takes time to import is imported by the command that
needs it, so that ``esml --help`` answers at once.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from esml import __version__

if TYPE_CHECKING:
    from ase import Atoms

    from esml.io.structures import Structure
    from esml.predict.surrogate import Surrogate
    from esml.results import Result

BAD_INPUT = 2
SOME_FAILED = 1
INTERRUPTED = 130

PICTURES = (".png", ".pdf", ".svg")

_UsageError: Any = typer.BadParameter.__base__
"""Click's, wherever this version of typer has it from."""


class _Commands(TyperGroup):
    """The commands, refusing wrong options as everything else is refused: in one sentence."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with _one_sentence():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        with _one_sentence():
            return super().invoke(ctx)


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        command = error.ctx.command_path if error.ctx else "esml"
        _fail(
            f"{error.format_message().rstrip('.')}: expected what `{command} --help` lists; mend "
            "the command"
        )


app = typer.Typer(
    cls=_Commands,
    help="Excited states of organic molecules from a learned minimal-basis Hamiltonian.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Name or path of a model; the shipped one if left out."),
]
StatesOption = Annotated[
    int, typer.Option("--n-states", help="Singlets and triplets, as many of each.")
]


def _note(message: str) -> None:
    typer.echo(message, err=True)


def _fail(message: object, code: int = BAD_INPUT) -> NoReturn:
    _note(f"error: {' '.join(str(message).split())}")
    raise typer.Exit(code)


@contextmanager
def _refusing(*errors: type[Exception], code: int = BAD_INPUT) -> Iterator[None]:
    """End with the one sentence an expected error carries, in place of a traceback."""
    from pydantic import ValidationError

    try:
        yield
    except errors as error:
        if isinstance(error, ValidationError):
            from esml.commands.report import validation_reasons

            _fail(validation_reasons(error), code)
        if isinstance(error, OSError):
            where = f"'{error.filename}'" if error.filename else "a file"
            _fail(
                f"{where} could not be read or written ({error.strerror or error}): expected a "
                "place that may be written to, with room; free space or choose another",
                code,
            )
        _fail(error, code)


def _load(model: str | None) -> Surrogate:
    from esml.predict.model_files import load_model

    with _refusing(ValueError, OSError):
        return load_model(model)


def _check_n_states(n_states: int) -> None:
    if n_states < 1:
        _fail(f"--n-states is {n_states}: expected a number of states of at least 1; choose one")


def _check_output(path: Path | None, option: str) -> None:
    """Find out before the work whether its result can be written."""
    if path is None:
        return
    if path.is_dir():
        _fail(f"{option} '{path}' is a directory: expected the name of a file to write; add one")
    if not path.parent.is_dir():
        _fail(
            f"{option} '{path}' lies in no directory that exists: expected '{path.parent}'; make "
            "it or choose another place"
        )


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"esml {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Excited states of organic molecules from a learned minimal-basis Hamiltonian."""


def _one_structure(text: str, index: int | None, charge: int | None) -> Structure:
    """The molecule a person means by a file name or a SMILES."""
    from esml.io.structures import InputError, from_smiles, looks_like_file, read_structure

    with _refusing(InputError):
        if looks_like_file(text):
            structure = read_structure(Path(text), index)
            if index is None and structure.index > 0:
                _note(
                    f"note: '{text}' holds {structure.index + 1} structures; this is the last "
                    "(--index chooses another, esml predict takes all)"
                )
        else:
            structure = from_smiles(text)
            _note(
                "note: the geometry is one conformer from a force field (ETKDG, MMFF94); relax it "
                "with a better method for states you mean to rely on"
            )
    if charge is not None:
        structure.atoms.info["charge"] = charge
    return structure


@app.command()
def spectrum(
    molecule: Annotated[
        str, typer.Argument(metavar="FILE|SMILES", help="Geometry in any format of ASE, or SMILES.")
    ],
    n_states: StatesOption = 10,
    fwhm: Annotated[float, typer.Option(help="Full width of a line at half maximum, eV.")] = 0.3,
    model: ModelOption = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the spectrum here (.png, .pdf, .svg).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the curve here.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="JSON of a reference calculation to show beside.")
    ] = None,
    index: Annotated[
        int | None, typer.Option(help="Structure of the file, from 0; the last if left out.")
    ] = None,
    charge: Annotated[
        int | None, typer.Option(help="Total charge; the file's own, or 0, if left out.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page for the browser here (.html): states, orbitals, spectrum."),
    ] = None,
    molden: Annotated[
        Path | None, typer.Option(help="Write the orbitals here, as a Molden file.")
    ] = None,
    cubes: Annotated[
        Path | None,
        typer.Option(help="Write cubes of HOMO, LUMO and what makes S1 to S3 to this folder."),
    ] = None,
    average: Annotated[
        bool,
        typer.Option("--average", help="Mean spectrum of all structures of FILE, a trajectory."),
    ] = False,
) -> None:
    """Excited states and absorption spectrum of one molecule."""
    _check_n_states(n_states)
    from esml.analysis.spectrum import check_width

    with _refusing(ValueError):
        check_width(fwhm, "--fwhm")
    outputs = ((plot, "--plot"), (csv, "--csv"), (report, "--report"), (molden, "--molden"))
    for path, option in outputs:
        _check_output(path, option)
    if cubes is not None and cubes.exists() and not cubes.is_dir():
        _fail(f"--cubes '{cubes}' is a file: expected a folder to write to; choose another name")
    _check_picture(plot)
    if average:
        single = {"--compare": compare, "--index": index, "--report": report}
        single |= {"--molden": molden, "--cubes": cubes}
        for option, given in single.items():
            if given is not None:
                _fail(f"{option} is about one structure and --average about many: leave one out")
        _average(Path(molecule), n_states, fwhm, _load(model), charge, plot, csv)
        return
    if report is not None:
        if report.suffix.lower() not in (".html", ".htm"):
            _fail(f"--report '{report}' ends in '{report.suffix}': expected .html; rename it")
        _need("plotly", "skimage.measure", option="--report", extra="report")

    from rich.console import Console
    from rich.text import Text

    from esml.commands.report import (
        ground_state_table,
        plot_comparison,
        read_comparison,
        states_table,
    )
    from esml.io.structure_checks import StructureError
    from esml.io.structures import InputError
    from esml.physics.excitations import InstabilityError
    from esml.plots.figures import draw_band

    with _refusing(InputError):
        comparison = read_comparison(compare) if compare else None
    structure = _one_structure(molecule, index, charge)
    surrogate = _load(model)
    with _refusing(InstabilityError, code=SOME_FAILED):
        try:
            result = surrogate.predict(structure.atoms, n_states=n_states)
        except StructureError as error:
            _fail(str(error).replace("set atoms.info['charge']", "set --charge"))
    for warning in result.warnings:
        _note(f"warning: {warning}")

    # Files first: a reader of the tables may hang up early.
    with _refusing(OSError):
        if csv is not None:
            result.spectrum(fwhm=fwhm).to_csv(csv)
            _note(f"curve: {csv}")
        if plot is not None:
            curve = result.spectrum(fwhm=fwhm)
            overlay = comparison is not None and comparison.singlets.oscillator_strengths
            axes = plot_comparison(curve, comparison) if comparison and overlay else curve.plot()
            if not overlay:
                draw_band(axes, result, curve)
            figure = axes.get_figure(root=True)
            assert figure is not None
            figure.savefig(plot, dpi=200)
            _note(f"picture: {plot}")
        _write_orbitals(result, structure, fwhm, model, report, molden, cubes)

    console = Console()
    formula = structure.atoms.get_chemical_formula()
    # Text, for a SMILES may hold what looks like markup.
    console.print(Text.assemble((structure.name, "bold"), f"  {formula}"))
    if comparison:
        console.print(Text(f"reference: {comparison.level}"))
    console.print()
    console.print(ground_state_table(result, comparison))
    console.print()
    console.print(states_table(result, comparison))


def _check_picture(path: Path | None) -> None:
    """Find out before the work whether a picture can be drawn."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        _fail(
            f"--plot '{path}' ends in '{path.suffix}': expected one of {', '.join(PICTURES)}; "
            "rename it"
        )
    _need("matplotlib", option="--plot", extra="plot")
    import matplotlib as mpl

    mpl.use("Agg")


def _need(*packages: str, option: str, extra: str) -> None:
    from importlib import import_module

    for package in packages:
        try:
            import_module(package)
        except ImportError:
            _fail(f'{option} needs {package}: pip install "esml[{extra}]"')


def _write_orbitals(
    result: Result,
    structure: Structure,
    fwhm: float,
    model: str | None,
    report: Path | None,
    molden: Path | None,
    cubes: Path | None,
) -> None:
    if report is not None:
        from esml.plots.page import write_page

        source = structure.source if structure.source != structure.name else "SMILES"
        notes = [f"Geometry: {source}. Model: {model or 'shipped'}, esml {__version__}."]
        notes += [f"Warning: {warning}." for warning in result.warnings]
        write_page(result, report, name=structure.name, fwhm=fwhm, notes=notes)
        _note(f"report: {report}")
    if molden is not None:
        from esml.export import write_molden

        write_molden(result, molden)
        _note(f"orbitals: {molden}")
    if cubes is not None:
        from esml.export import write_cubes

        written = write_cubes(result, cubes)
        _note(f"cubes: {', '.join(str(path) for path in written)}")


def _average(
    path: Path,
    n_states: int,
    fwhm: float,
    surrogate: Surrogate,
    charge: int | None,
    plot: Path | None,
    csv: Path | None,
) -> None:
    """Predict all frames of a trajectory and give their mean spectrum."""
    from esml.analysis.spectrum import average as mean_spectrum
    from esml.io.structures import InputError, read_structures
    from esml.results import Failure

    formulas: set[str] = set()

    def frames() -> Iterator[Atoms]:
        for structure in read_structures(path):
            formulas.add(structure.atoms.get_chemical_formula())
            if len(formulas) > 1:
                raise InputError(
                    f"'{path}' holds different molecules ({', '.join(sorted(formulas))}): expected "
                    "one molecule in many geometries; take esml predict for a set"
                )
            if charge is not None:
                structure.atoms.info["charge"] = charge
            yield structure.atoms

    transitions, lowest, failures = [], [], []
    warnings: list[str] = []
    with _refusing(InputError):
        for result in surrogate.predict_many(frames(), n_states=n_states, errors="return"):
            if isinstance(result, Failure):
                failures.append(result.reason)
            else:
                transitions.append((result.singlets.energies, result.singlets.oscillator_strengths))
                lowest.append(result.singlets.energies[0])
                warnings += result.warnings[:1]
    if not transitions:
        _fail(f"no structure of '{path}' could be predicted: {failures[0]}", SOME_FAILED)
    if warnings:
        _note(f"warning: in {len(warnings)} of {len(lowest)} structures, first {warnings[0]}")
    curve = mean_spectrum(transitions, fwhm=fwhm)
    with _refusing(OSError):
        if csv is not None:
            curve.to_csv(csv)
            _note(f"curve: {csv}")
        if plot is not None:
            figure = curve.plot().get_figure(root=True)
            assert figure is not None
            figure.savefig(plot, dpi=200)
            _note(f"picture: {plot}")
    import numpy as np

    top = int(curve.absorption.argmax())
    typer.echo(f"{path}: {next(iter(formulas))}, mean of {curve.n_frames} structures")
    typer.echo(f"S1 {np.mean(lowest):.2f} eV, standard deviation {np.std(lowest):.2f} eV")
    error = curve.standard_error[top]
    spread = f" ± {error:.0f}" if np.isfinite(error) else ""
    typer.echo(
        f"absorption maximum {curve.energies[top]:.2f} eV, {curve.wavelengths[top]:.0f} nm, "
        f"{curve.absorption[top]:.0f}{spread} L/mol/cm (standard error of the mean)"
    )
    if failures:
        _note(f"failed: {len(failures)} structures left out, the first because {failures[0]}")
        raise typer.Exit(SOME_FAILED)


@app.command()
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
    resume: Annotated[
        bool,
        typer.Option("--resume/--restart", help="Go on after what a stopped run kept, if any."),
    ] = True,
) -> None:
    """Predict all structures of many files into one file.

    Formats: HDF5 (.h5; everything, read back with esml.export.read_results), tables (.csv,
    .parquet), .json, .jsonl, extended xyz (.xyz) and a map for chemiscope (.chemiscope.json). A
    molecule or file that fails is recorded with its reason and the rest go on. A run that was
    stopped is gone on with by the same command.
    """
    _check_n_states(n_states)
    _check_output(output, "--output")
    if output.exists() and not output.is_file():
        _fail(
            f"--output '{output}' is no regular file: expected one, which is put in place whole; "
            "choose another name"
        )
    # Not Path.resolve, which raises where links go in circles.
    if any(os.path.realpath(output) == os.path.realpath(path) for path in files):
        _fail(
            f"--output '{output}' is one of the input files: expected a file of its own; choose "
            "another name"
        )

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from esml.export import ExportError, format_of
    from esml.io.files import BusyError, sole_writer
    from esml.predict.cluster import ClusterError
    from esml.predict.journal import journal_path
    from esml.predict.run import predict_files

    with _refusing(ExportError):
        format = format or format_of(output)
    surrogate = _load(model)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    lock = output.with_name(f".{output.name}.lock")
    refusing = _refusing(BusyError, ClusterError, ExportError, OSError)
    with refusing, sole_writer(lock, output):
        try:
            tallies = predict_files(
                surrogate,
                files,
                output,
                n_states,
                format=format,
                dask=dask,
                restart=not resume,
                label=model or "shipped",
            )
            tally = next(tallies)
            with closing(tallies), Progress(*columns, console=Console(stderr=True)) as progress:
                task = progress.add_task("molecules")
                progress.update(task, completed=tally.done, total=tally.expected)
                for tally in tallies:
                    progress.update(task, completed=tally.done, total=tally.expected)
        except KeyboardInterrupt:
            kept = journal_path(output)
            _note(
                f"stopped: what was predicted is kept in {kept}; the same command goes on"
                if kept.exists()
                else "stopped: nothing was predicted yet"
            )
            raise typer.Exit(INTERRUPTED) from None

    if tally.resumed:
        _note(f"note: {tally.resumed} of them are from an earlier run, which this one went on with")
    typer.echo(f"{tally.predicted} predicted, {tally.failed} failed: {output}")
    if tally.outside:
        _note(
            f"warning: {tally.outside} of the predicted are unlike what the model was trained on; "
            "in_domain tells which"
        )
    if tally.failed:
        for line in tally.reasons:
            _note(f"failed: {line}")
        if tally.failed > len(tally.reasons):
            listed = "" if format in ("xyz", "chemiscope") else f", listed in {output}"
            _note(f"… and {tally.failed - len(tally.reasons)} more{listed}")
        raise typer.Exit(SOME_FAILED)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train, and how.")],
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the last checkpoint, if any.")
    ] = True,
) -> None:
    """Train a model."""
    if not config.is_file():
        _fail(f"no file '{config}': expected a training configuration in YAML; check the path")
    from esml.training import train as run

    with _refusing(ValueError, OSError):
        run(config, resume=resume)


def _finite(value: object) -> object:
    """``value`` with null where a number is not finite: JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Name or path of a model.")],
    data: Annotated[Path, typer.Argument(help="Dataset: a shard or a directory of shards.")],
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers here as well.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw predictions over labels here (.png, .pdf, .svg).")
    ] = None,
) -> None:
    """Compare a model's predictions with the labels of a dataset."""
    _check_output(json_path, "--json")
    _check_output(plot, "--plot")
    _check_picture(plot)
    if not data.exists():
        _fail(f"no dataset '{data}': expected an HDF5 shard or a directory of them; check the path")
    from esml.training import Scores, format_evaluation
    from esml.training import evaluate as run

    surrogate = _load(model)
    with _refusing(ValueError, OSError):
        scores = Scores()
        numbers = run(surrogate, data, split=split, scores=scores)
    typer.echo(format_evaluation(numbers))
    if json_path is not None:
        with _refusing(OSError):
            json_path.write_text(json.dumps(_finite(numbers), indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        from esml.plots.figures import plot_parity

        shown = {
            "S1": ("s1", "eV"),
            "T1": ("t1", "eV"),
            "HOMO–LUMO gap": ("gap", "eV"),
            "valence singlets": ("singlets", "eV"),
            "valence triplets": ("triplets", "eV"),
            "oscillator strengths": ("oscillator", ""),
        }
        pairs = scores.pairs()
        figure = plot_parity(
            {label: pairs[key] for label, (key, _) in shown.items() if key in pairs},
            {label: unit for label, (_, unit) in shown.items()},
        )
        with _refusing(OSError):
            figure.savefig(plot, dpi=200)
            _note(f"picture: {plot}")


@app.command()
def info(
    model: Annotated[
        str | None, typer.Argument(help="Name or path of a model; the shipped one if left out.")
    ] = None,
) -> None:
    """Print a model's card: what it was trained on and how."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    surrogate = _load(model)
    table = Table.grid(padding=(0, 2))
    for key, value in surrogate.metadata.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(key), Text(shown))
    Console().print(table)
