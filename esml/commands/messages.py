"""Messages of the commands on stderr, and their exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

BAD_INPUT = 2
SOME_FAILED = 1
INTERRUPTED = 130

_UsageError: Any = typer.BadParameter.__base__
"""Click's error for wrong options, from whichever module this version of typer uses."""


WHOLE = 10_000
"""Console width when output is not a terminal: wide enough never to wrap."""


def console() -> Console:
    """Return a console that wraps text to the terminal but not in a file or a pipe."""
    from rich.console import Console

    made = Console()
    if not made.is_terminal:
        made.width = WHOLE
    return made


PYTHON_ADVICE = {
    "set atoms.info['charge']": "set --charge",
    "call atoms.set_pbc(False)": "add --ignore-cell",
    "give lattice vectors and call atoms.set_pbc(True), or load a model of molecules": "give "
    "lattice vectors in the file, or take esml spectrum for molecules",
    "as with k_points=(1, 1, 1)": "as with --k-points 1,1,1",
    "leave k_points out": "leave --k-points out",
    "take esml.load_model('solids')": "take esml bands or esml dos",
    "take esml.load_model('electrolytes')": "take esml bands or esml dos",
}
"""Advice of sentences about an ``Atoms`` object, and what it is on the command line."""


def for_commands(sentence: str) -> str:
    """Reword a sentence about an ``Atoms`` object in terms of the command line."""
    for advice, here in PYTHON_ADVICE.items():
        sentence = sentence.replace(advice, here)
    return sentence


def note(message: str) -> None:
    """Print a line to stderr, in terms of the command line."""
    typer.echo(for_commands(message), err=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show ``what`` on stderr while the work runs, if stderr is a terminal."""
    from rich.console import Console

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    with screen.status(f"{what} …"):
        yield


def fail(message: object, code: int = BAD_INPUT) -> NoReturn:
    """Print ``error: message`` on one line and end the command with ``code``."""
    note(f"error: {' '.join(str(message).split())}")
    raise typer.Exit(code)


@contextmanager
def refusing(*errors: type[Exception], code: int = BAD_INPUT) -> Iterator[None]:
    """Turn expected ``errors`` into one sentence and an exit code instead of a traceback."""
    from pydantic import ValidationError

    try:
        yield
    except errors as error:
        if isinstance(error, ValidationError):
            from esml.io.comparison import validation_reasons

            fail(validation_reasons(error), code)
        if isinstance(error, OSError):
            where = f"'{error.filename}'" if error.filename else "a file"
            fail(
                f"{where} could not be read or written ({error.strerror or error}): expected a "
                "place that may be written to, with room; free space or choose another",
                code,
            )
        fail(error, code)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Report wrong options in one sentence, like all other bad input."""
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        command = error.ctx.command_path if error.ctx else "esml"
        fail(
            f"{error.format_message().rstrip('.')}: expected what `{command} --help` lists; fix "
            "the command"
        )
