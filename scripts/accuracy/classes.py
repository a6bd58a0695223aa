"""Errors by class: each element beyond H C N O F S Cl, cations, anions, zwitterions, the rest.

    python -m scripts.accuracy.classes MODEL DATA ... [--split validation test]

Labels are those of DATA; a structure counts in every class it belongs to. Some groups, such as
borazine, are held out altogether: where a class has such molecules, those with a group held out and
those of known groups have a row of their own. ``composition`` is the S1 of a ridge regression on
the counts of elements, fitted to the training molecules of DATA: a baseline that ignores the
structure.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from esml import load_model
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.training.baseline import CompositionBaseline
from esml.training.evaluation import evaluate_records
from reference.molecules import held_out_core, molecule_from_smiles
from scripts.data.entries import is_zwitterion

COMMON = frozenset({1, 6, 7, 8, 9, 16, 17})
KNOWN, HELD_OUT = "known groups", "groups held out"
"""Parts of a class: whether the model has seen molecules with the groups of a molecule."""

COLUMNS = {
    "levels": "occupied_mae_eV",
    "gap": "gap_mae_eV",
    "S1": "s1_mae_eV",
    "T1": "t1_mae_eV",
    "f": "oscillator_mae",
}


def classes_of(record: Record) -> list[str]:
    """Return the classes in which ``record`` counts."""
    numbers = {int(z) for z in record.numbers}
    found = [chemical_symbols[z] for z in sorted(numbers - COMMON)]
    if record.charge:
        found.append("cations" if record.charge > 0 else "anions")
    elif is_zwitterion(record.smiles):
        found.append("zwitterions")
    return found or ["H C N O F S Cl"]


def table(
    model: Surrogate, records: Sequence[Record], splits: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return per class the molecules trained on and held out, and mean absolute errors.

    The rows of a class with groups held out are followed by ``KNOWN`` and ``HELD_OUT``.
    """
    training = [r for r in records if r.split == "train"]
    baseline = CompositionBaseline(training)
    members: dict[str, list[Record]] = {}
    trained: dict[str, set[str]] = {}
    for record in records:
        for name in classes_of(record):
            if record.split == "train":
                trained.setdefault(name, set()).add(record.inchikey)
            elif record.split in splits:
                members.setdefault(name, []).append(record)
    rows = {}
    for name, part, chosen in _with_parts(members):
        errors = evaluate_records(model, chosen)
        rows[f"{name}, {part}" if part else name] = {
            "trained": 0 if part == HELD_OUT else len(trained.get(name, ())),
            "held out": errors["n_molecules"],
            "unstable": errors["unstable"],
            **{column: errors[source] for column, source in COLUMNS.items()},
            "composition": baseline.evaluate(chosen)["s1_mae_eV"],
        }
    return rows


def _with_parts(
    members: dict[str, list[Record]],
) -> Iterator[tuple[str, str, list[Record]]]:
    """Yield class, part and records, the largest class first, whole and then by its two parts."""
    for name in sorted(members, key=lambda name: (-len(members[name]), name)):
        yield name, "", members[name]
        parts: dict[str, list[Record]] = {KNOWN: [], HELD_OUT: []}
        for record in members[name]:
            core = held_out_core(molecule_from_smiles(record.smiles))
            parts[KNOWN if core is None else HELD_OUT].append(record)
        if all(parts.values()):
            for part, records in parts.items():
                yield name, part, records


def formatted(rows: dict[str, dict[str, Any]]) -> str:
    """Format the table: counts, then mean absolute errors in eV (f: a number)."""
    names = ("trained", "held out", "unstable", *COLUMNS, "composition")
    lines = [f"{'':<36}" + "".join(f"{name:>12}" for name in names)]
    for name, row in rows.items():
        cells = (row[key] for key in names)
        lines.append(
            f"{name:<36}"
            + "".join(f"{c:>12}" if isinstance(c, int) else f"{c:>12.3f}" for c in cells)
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or file of a model")
    parser.add_argument("data", type=Path, nargs="+", help="reference data")
    parser.add_argument(
        "--split", nargs="+", default=["validation", "test"], help="splits to score"
    )
    options = parser.parse_args()
    print(formatted(table(load_model(options.model), read(options.data), options.split)))


if __name__ == "__main__":
    main()
