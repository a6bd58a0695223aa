"""The command line: ``esml``.

Its commands are ``spectrum | predict | relax | bands | dos | serve | merge | train | evaluate |
info | doctor``.
Bad input ends with one sentence on stderr and exit code 2. A batch in which some molecules failed
ends with their number and exit code 1. Every command imports what takes time inside its function,
so that ``esml --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from esml import __version__
from esml.commands.crystals import bands, dos
from esml.commands.doctor import doctor
from esml.commands.evaluate import evaluate
from esml.commands.info import info
from esml.commands.merge import merge
from esml.commands.messages import one_sentence
from esml.commands.predict import predict
from esml.commands.relax import relax
from esml.commands.serve import serve
from esml.commands.spectrum import spectrum
from esml.commands.train import train


class _Commands(TyperGroup):
    """The commands; wrong options end in one sentence, as all bad input does."""

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


for command in (spectrum, predict, relax, bands, dos, serve, merge, train, evaluate, info, doctor):
    app.command()(command)
