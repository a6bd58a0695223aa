"""Functional groups that the reference data must cover: the table ``coverage.csv``.

Each line names a class (an element or a kind of ion), a group, the SMARTS pattern that finds it in
a molecule, and at least five small molecules. Groups marked ``held_out`` are for the test split
only: no training molecule matches their pattern.

Reading the table needs no RDKit.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

TABLE: Final = "coverage.csv"
COLUMNS: Final = ("class", "group", "held_out", "dyes", "pattern", "molecules")


@dataclass(frozen=True)
class Group:
    """One line of the table."""

    kind: str  # class: an element or a kind of ion
    name: str
    held_out: bool
    dyes: int  # number of dyes with a measured spectrum that contain the group
    pattern: str  # SMARTS
    molecules: tuple[str, ...]  # SMILES


def parse_table(text: str) -> tuple[Group, ...]:
    """Parse the groups of a table; lines that begin with ``#`` are comments.

    Raises ValueError, naming the line, for a malformed line.
    """
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{TABLE} has the columns {reader.fieldnames}: expected {list(COLUMNS)}.")
    groups = []
    for row in reader:
        if None in row or None in row.values() or row["held_out"] not in ("", "yes"):
            raise ValueError(
                f"{TABLE}: the line of '{row['group']}' is not of the form expected: "
                f"{', '.join(COLUMNS)}, held_out empty or yes."
            )
        if not row["dyes"].isdecimal():
            raise ValueError(
                f"{TABLE}: the line of '{row['group']}' has '{row['dyes']}' dyes: expected a count."
            )
        molecules = tuple(row["molecules"].split())
        held_out = row["held_out"] == "yes"
        groups.append(
            Group(
                row["class"],
                row["group"],
                held_out,
                int(row["dyes"]),
                row["pattern"],
                molecules,
            )
        )
    return tuple(groups)


@cache
def groups() -> tuple[Group, ...]:
    """Return the groups of :data:`TABLE`, in the order of the table."""
    return parse_table((files(__package__) / TABLE).read_text(encoding="utf-8"))


def held_out_patterns() -> dict[str, str]:
    """Return the SMARTS of the groups held out for testing, by name."""
    return {group.name: group.pattern for group in groups() if group.held_out}


def interleaved() -> Iterator[tuple[str, Group]]:
    """Yield all molecules (SMILES) with their groups, so that the first few cover the table.

    One molecule of every group comes first, then a second of every group, and so on; in each round
    the groups that occur in most dyes come first.
    """
    ordered = sorted(groups(), key=lambda group: -group.dyes)
    for place in range(max(len(group.molecules) for group in ordered)):
        for group in ordered:
            if place < len(group.molecules):
                yield group.molecules[place], group
