"""Block of the data card about the groups of reference/coverage.csv."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rdkit import Chem

from reference.coverage import Group
from scripts.data.entries import Entry, molecules
from scripts.pages import table

FEW = 5
"""A group with fewer training molecules is named on the page."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Count:
    """Number of molecules of each split that show a group."""

    group: Group
    splits: tuple[int, ...]

    @property
    def training(self) -> int:
        return self.splits[0]

    @property
    def is_few(self) -> bool:
        return self.training < FEW and not self.group.held_out


def count_groups(listed: Sequence[Group], entries: Sequence[Entry]) -> list[Count]:
    """Count the molecules that show the pattern of each group; a molecule may show several."""
    there = [(e.split, Chem.MolFromSmiles(e.smiles)) for e in molecules(entries).values()]
    counts = []
    for group in listed:
        pattern = Chem.MolFromSmarts(group.pattern)
        found = Counter(split for split, mol in there if mol.HasSubstructMatch(pattern))
        counts.append(Count(group, tuple(found[s] for s in SPLITS)))
    return counts


def by_class(counts: Sequence[Count]) -> dict[str, list[Count]]:
    """Sort counts by the class of their group, in the order of the table."""
    classes: dict[str, list[Count]] = {}
    for count in counts:
        classes.setdefault(count.group.kind, []).append(count)
    return classes


def summary(counts: Sequence[Count]) -> str:
    """Say in a line per class how many groups it has and how well they are covered."""
    rows: list[Sequence[object]] = []
    for kind, members in by_class(counts).items():
        trained = [c.training for c in members if not c.group.held_out]
        numbers = (min(trained), f"{median(trained):g}") if trained else ("–", "–")
        few = sum(c.is_few for c in members)
        rows.append((kind, len(members), len(members) - len(trained), *numbers, few))
    head = ("class", "groups", "held out", "least", "median", f"groups with fewer than {FEW}")
    return table(head, rows, right=True)


def few(counts: Sequence[Count]) -> str:
    """Name the groups with few training molecules, those of most dyes first."""
    chosen = sorted((c for c in counts if c.is_few), key=lambda c: -c.group.dyes)
    rows = [(f"{c.group.name} ({c.group.kind})", c.group.dyes, *c.splits) for c in chosen]
    return table(("group (class)", "dyes", *SPLITS), rows, right=True)


def every_group(counts: Sequence[Count]) -> str:
    """List all groups, a folded table per class."""
    parts = []
    for kind, members in by_class(counts).items():
        rows = [
            (c.group.name + ", held out" * c.group.held_out, c.group.dyes, *c.splits)
            for c in members
        ]
        parts += [
            '<details markdown="1">',
            f"<summary>{kind}: {len(members)} groups</summary>\n",
            table(("group", "dyes", *SPLITS), rows, right=True) + "\n",
            "</details>\n",
        ]
    return "\n".join(parts).rstrip()


def groups(listed: Sequence[Group], entries: Sequence[Entry]) -> str:
    """Say how many molecules show each group of the coverage table."""
    counts = count_groups(listed, entries)
    n_few = sum(c.is_few for c in counts)
    n_held = sum(c.group.held_out for c in counts)
    return "\n\n".join(
        (
            f"The table has {len(counts)} groups; {n_held} are held out. **{n_few} of the "
            f"{len(counts) - n_held} others have fewer than {FEW} training molecules.** By class, "
            "the least and the median number of training molecules of its groups, without those "
            "held out:",
            summary(counts),
            f"Groups with fewer than {FEW} training molecules, those that most dyes have first:",
            few(counts),
            "All groups; a click unfolds a class:",
            every_group(counts),
        )
    )
