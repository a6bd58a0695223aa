"""The command line: ``esml``.

Its commands are ``spectrum | predict | relax | bands | dos | serve | merge | train | evaluate |
info | doctor``.
Bad input ends with one sentence on stderr and exit code 2. A batch in which some molecules failed
ends with their number and exit code 1. Every command imports slow modules inside its function, so
that ``esml --help`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from esml import __version__
from esml.commands.messages import one_sentence

COMMANDS = {
    "spectrum": ("spectrum", "Excited states and absorption spectrum of one molecule."),
    "predict": ("predict", "Predict all structures of many files into one file."),
    "relax": (
        "relax",
        "Relax an excited state; print emission, lifetime, adiabatic energy and Stokes shift.",
    ),
    "bands": (
        "crystals",
        "Bands of a crystal along a path, with a picture beside the density of states.",
    ),
    "dos": (
        "crystals",
        "Density of states of a crystal; d-band centres of metal atoms, the gap of electrolytes.",
    ),
    "serve": (
        "serve",
        "Serve a page to draw molecules and see their spectra, and a REST interface.",
    ),
    "merge": (
        "merge",
        "Merge the shards of a job array into one file of any format, structures in order.",
    ),
    "train": (
        "train",
        "Train a model; write log.csv, model.safetensors and the state to continue from.",
    ),
    "evaluate": (
        "evaluate",
        "Compare a model's predictions with the labels of a dataset, or with measured λmax.",
    ),
    "info": ("info", "Print a model's card: what it was trained on, and its errors."),
    "doctor": (
        "doctor",
        "Say what is installed and what is missing, one line each; exit code 1 if esml cannot "
        "work.",
    ),
}
"""Module of each command in ``esml.commands``, and its line in ``esml --help``."""


class Later(TyperCommand):
    """A command that is imported only when it is called.

    Importing the modules and options of all commands would double the time of ``esml --help``.
    """

    def whole(self) -> Any:
        """Import and return the actual command."""
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        module = import_module(f"esml.commands.{COMMANDS[self.name or ''][0]}")
        alone.command(self.name)(getattr(module, self.name or ""))
        return typer.main.get_command(alone)

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """Make the context of the actual command, which then runs instead of this one."""
        return self.whole().make_context(*arguments, **named)


class _Commands(TyperGroup):
    """Group of all commands; wrong options end in one sentence, like all bad input."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: Later(name, help=text) for name, (_, text) in COMMANDS.items()}

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with one_sentence():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        with one_sentence():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    help="Excited states of organic molecules from a learned minimal-basis Hamiltonian.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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
