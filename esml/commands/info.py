"""``esml info``: the card of a model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from esml.commands.options import load


def info(
    model: Annotated[
        str | None, typer.Argument(help="Name or path of a model; the shipped one if left out.")
    ] = None,
) -> None:
    """Print a model's card: what it was trained on and how."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    surrogate = load(model)
    table = Table.grid(padding=(0, 2))
    for key, value in surrogate.metadata.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(key), Text(shown))
    Console().print(table)
