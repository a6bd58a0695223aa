"""The command line: ``esml spectrum | predict | train | evaluate | info``.

Bad input ends with one sentence on stderr and exit code 2, a batch some of whose molecules failed
with their number and exit code 1. Whatever takes time to import is imported by the command that
needs it, so that ``esml --help`` answers at once.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from esml import __version__

if TYPE_CHECKING:
    from ase import Atoms
    from rich.progress import Progress

    from esml.export import ResultWriter
    from esml.structures import Structure
    from esml.surrogate import Surrogate

BAD_INPUT = 2
SOME_FAILED = 1
INTERRUPTED = 130

PICTURES = (".png", ".pdf", ".svg")
MOST_FAILURES_SHOWN = 10

app = typer.Typer(
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
            from esml.report import validation_reasons

            _fail(validation_reasons(error), code)
        _fail(error, code)


def _load(model: str | None) -> Surrogate:
    from esml.surrogate import load_model

    with _refusing(ValueError, OSError):
        return load_model(model)


def _check_n_states(n_states: int) -> None:
    if n_states < 1:
        _fail(f"--n-states is {n_states}: expected a number of states of at least 1")


def _check_output(path: Path | None, option: str) -> None:
    """Find out before the work whether its result can be written."""
    if path is None:
        return
    if path.is_dir():
        _fail(f"{option} '{path}' is a directory: expected the name of a file to write")
    if not path.parent.is_dir():
        _fail(f"{option} '{path}' lies in no directory that exists: make '{path.parent}' first")


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
    from esml.structures import InputError, from_smiles, looks_like_file, read_structure

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
) -> None:
    """Excited states and absorption spectrum of one molecule."""
    _check_n_states(n_states)
    if not (math.isfinite(fwhm) and fwhm > 0):
        _fail(f"--fwhm is {fwhm:g}: expected a width in eV above 0")
    for path, option in ((plot, "--plot"), (csv, "--csv")):
        _check_output(path, option)
    if plot is not None and plot.suffix.lower() not in PICTURES:
        _fail(f"--plot '{plot}' ends in '{plot.suffix}': expected one of {', '.join(PICTURES)}")
    if plot is not None:
        try:
            import matplotlib as mpl
        except ImportError:
            _fail('--plot needs matplotlib: pip install "esml[plot]"')
        mpl.use("Agg")

    from rich.console import Console
    from rich.text import Text

    from esml.excitations import InstabilityError
    from esml.graph import StructureError
    from esml.report import ground_state_table, plot_comparison, read_comparison, states_table
    from esml.structures import InputError

    with _refusing(InputError):
        comparison = read_comparison(compare) if compare else None
    structure = _one_structure(molecule, index, charge)
    surrogate = _load(model)
    with _refusing(InstabilityError, code=SOME_FAILED):
        try:
            result = surrogate.predict(structure.atoms, n_states=n_states)
        except StructureError as error:
            _fail(str(error).replace("set atoms.info['charge']", "set --charge"))

    # Files first: a reader of the tables may hang up early.
    with _refusing(OSError):
        if csv is not None:
            result.spectrum(fwhm=fwhm).to_csv(csv)
            _note(f"curve: {csv}")
        if plot is not None:
            curve = result.spectrum(fwhm=fwhm)
            overlay = comparison is not None and comparison.singlets.oscillator_strengths
            axes = plot_comparison(curve, comparison) if comparison and overlay else curve.plot()
            figure = axes.get_figure(root=True)
            assert figure is not None
            figure.savefig(plot, dpi=200)
            _note(f"picture: {plot}")

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


class _Sources:
    """The structures of many files in turn, kept in mind until their predictions come out.

    Iterating yields bare atoms for the model to batch; ``next_origin`` gives the structures in the
    same order. Files that cannot be read go to the writer as failures.
    """

    def __init__(self, files: list[Path], writer: ResultWriter, progress: Progress) -> None:
        from esml.structures import count_structures

        self._files = files
        self._writer = writer
        self._progress = progress
        self._expected = [count_structures(path) for path in files]
        self._waiting: deque[Structure] = deque()
        self.failures: list[str] = []
        self._task = progress.add_task("molecules", total=sum(self._expected))

    def next_origin(self) -> Structure:
        return self._waiting.popleft()

    def advance(self) -> None:
        self._progress.advance(self._task)

    def fail(self, name: str, reason: str, source: str, index: int) -> None:
        self._writer.add_failure(name, reason, source=source, index=index)
        # The sentences of a reader name their file.
        self.failures.append(
            reason if source in reason else f"{source}, structure {index}: {reason}"
        )

    def __iter__(self) -> Iterator[Atoms]:
        from esml.structures import InputError, read_structures

        read = 0
        for place, path in enumerate(self._files):
            found = 0
            try:
                for structure in read_structures(path):
                    found += 1
                    self._waiting.append(structure)
                    yield structure.atoms
            except InputError as error:
                self.fail(path.stem, str(error), str(path), found)
            read += found
            self._progress.update(self._task, total=read + sum(self._expected[place + 1 :]))


@app.command()
def predict(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES...", help="Geometries; all structures of each.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="HDF5 file to write.")],
    n_states: StatesOption = 10,
    model: ModelOption = None,
) -> None:
    """Predict all structures of many files into one HDF5 file.

    A molecule or file that fails is recorded there with its reason and the rest go on. Read it all
    with esml.export.read_results.
    """
    _check_n_states(n_states)
    _check_output(output, "--output")
    if any(output.resolve() == path.resolve() for path in files):
        _fail(f"--output '{output}' is one of the input files: expected another name")

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from esml.export import ExportError, ResultWriter, part_path
    from esml.surrogate import Failure

    surrogate = _load(model)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with _refusing(ExportError):
        writer = ResultWriter(
            output, model=model or "shipped", n_states=n_states, esml_version=__version__
        )
    try:
        with writer, Progress(*columns, console=Console(stderr=True)) as progress:
            sources = _Sources(files, writer, progress)
            for result in surrogate.predict_many(sources, n_states=n_states, errors="return"):
                origin = sources.next_origin()
                if isinstance(result, Failure):
                    sources.fail(origin.name, result.reason, origin.source, origin.index)
                else:
                    writer.add(
                        result,
                        origin.atoms,
                        name=origin.name,
                        source=origin.source,
                        index=origin.index,
                    )
                sources.advance()
    except KeyboardInterrupt:
        _note(f"stopped: {writer.n_results} predictions are kept in {part_path(output)}")
        raise typer.Exit(INTERRUPTED) from None

    typer.echo(f"{writer.n_results} predicted, {writer.n_failures} failed: {output}")
    if writer.n_failures:
        for line in sources.failures[:MOST_FAILURES_SHOWN]:
            _note(f"failed: {line}")
        if writer.n_failures > MOST_FAILURES_SHOWN:
            _note(f"… and {writer.n_failures - MOST_FAILURES_SHOWN} more, listed in {output}")
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
        _fail(f"no file '{config}': expected a training configuration in YAML")
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
) -> None:
    """Compare a model's predictions with the labels of a dataset."""
    _check_output(json_path, "--json")
    if not data.exists():
        _fail(f"no dataset '{data}': expected an HDF5 shard or a directory of them")
    from esml.training import evaluate as run
    from esml.training import format_evaluation

    surrogate = _load(model)
    with _refusing(ValueError, OSError):
        numbers = run(surrogate, data, split=split)
    typer.echo(format_evaluation(numbers))
    if json_path is not None:
        with _refusing(OSError):
            json_path.write_text(json.dumps(_finite(numbers), indent=2) + "\n", encoding="utf-8")


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
