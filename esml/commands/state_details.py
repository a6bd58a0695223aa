"""Compute and print one excited state in detail for ``esml spectrum --state``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esml.commands.messages import console, refusing, working

if TYPE_CHECKING:
    from esml.predict.surrogate import Surrogate
    from esml.results import Result
    from esml.results.details import StateDetails


def details_of(surrogate: Surrogate, result: Result, state: str) -> StateDetails:
    """Compute the details of ``state``; end the command if there is no such state."""
    from esml.predict.details import state_details

    with refusing(ValueError), working(f"details of {state}"):
        return state_details(surrogate, result, state)


def print_details(details: StateDetails) -> None:
    """Print sentences, tables and an explanation."""
    from rich.table import Table
    from rich.text import Text

    from esml.results.details import ABSORPTION

    screen = console()
    screen.print()
    for line in details.sentences():
        screen.print(Text(line), soft_wrap=True)
    for headings, rows in details.tables():
        screen.print()
        table = Table(show_edge=False, pad_edge=False)
        for column, heading in enumerate(headings):
            table.add_column(heading, justify="right" if column else "left")
        for row in rows:
            table.add_row(*row)
        screen.print(table)
    screen.print()
    screen.print(Text(ABSORPTION), soft_wrap=True)
