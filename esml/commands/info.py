"""``esml info``: print the card of a model."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from esml.commands.messages import console, refusing


def info(
    model: Annotated[
        str | None, typer.Argument(help="Name or path of a model; the shipped one if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything the model file says, as JSON.")
    ] = False,
) -> None:
    """Print a model's card: what it was trained on, and its errors."""
    from esml.predict.model_files import load_model

    with refusing(ValueError, OSError):
        metadata = load_model(model).metadata
    if as_json:
        typer.echo(json.dumps(metadata, indent=2, ensure_ascii=False))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for what, said in card(metadata):
        table.add_row(Text(what, "bold"), Text(said))
    screen = console()
    screen.print(table)
    screen.print(Text("\nEverything the file says: esml info --json"))


def card(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Make readable rows of name, training, errors and versions, as far as they are known."""
    from ase.data import chemical_symbols

    rows = [("name", told.get("name", "")), ("trained on", _training(told))]
    rows.append(("level of theory", "; ".join(_level(level) for level in told.get("level", []))))
    elements = ", ".join(chemical_symbols[number] for number in told.get("elements", []))
    rows.append(("elements", elements))
    if energies := told.get("energies"):
        rows.append(("energies", energies if isinstance(energies, str) else json.dumps(energies)))
    rows += _errors(told.get("validation", {}))
    if truth := told.get("truth"):
        errors = ", ".join(f"{key} {value:.2f} eV" for key, value in truth["mae_eV"].items())
        rows.append((f"off the truth ({truth['of']})", errors))
    versions = told.get("versions", {})
    rows.append(("made with", ", ".join(f"{name} {v}" for name, v in versions.items())))
    return [(what, said) for what, said in rows if said]


def _training(told: dict[str, Any]) -> str:
    if "n_structures" not in told:
        return ""
    said = f"{told['n_structures']:,} structures"
    if "n_molecules" in told:
        said += f" of {told['n_molecules']:,} molecules"
    return said + (f", {told['epochs']} epochs" if "epochs" in told else "")


def _level(level: dict[str, Any]) -> str:
    return "/".join(str(level[key]) for key in ("functional", "basis") if key in level)


def _errors(scores: dict[str, Any]) -> list[tuple[str, str]]:
    """Make a row of the mean absolute errors on validation molecules."""
    names = {
        "s1_mae_eV": "S1",
        "t1_mae_eV": "T1",
        "singlets_mae_eV": "singlets",
        "triplets_mae_eV": "triplets",
        "gap_mae_eV": "gap",
        "d_centre_mae_eV": "d-band centre",
    }
    found = [f"{name} {scores[key]:.3f} eV" for key, name in names.items() if key in scores]
    if "oscillator_mae" in scores:
        found.append(f"f {scores['oscillator_mae']:.3f}")
    if not found:
        return []
    of = f" ({scores['n_structures']} structures)" if "n_structures" in scores else ""
    return [(f"off on validation{of}", ", ".join(found))]
