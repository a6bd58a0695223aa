"""Blocks of the data card about the groups of reference/coverage.csv and the labels that wait."""

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
    """Number of molecules that show a group: in each split, and waiting to be trained on."""

    group: Group
    splits: tuple[int, ...]
    waiting: int

    @property
    def training(self) -> int:
        return self.splits[0]

    @property
    def is_few(self) -> bool:
        return self.training < FEW and not self.group.held_out

    @property
    def cells(self) -> tuple[object, ...]:
        return (*self.splits, self.waiting)


HEAD = ("train", "validation", "test", "waiting")


def new_molecules(entries: Sequence[Entry], waiting: Sequence[Entry]) -> dict[str, Entry]:
    """Return the molecules of ``waiting`` that are not in ``entries``."""
    known = molecules(entries)
    return {name: entry for name, entry in molecules(waiting).items() if name not in known}


def count_groups(
    listed: Sequence[Group], entries: Sequence[Entry], waiting: Sequence[Entry]
) -> list[Count]:
    """Count the molecules that show the pattern of each group; a molecule may show several."""
    there = [(e.split, Chem.MolFromSmiles(e.smiles)) for e in molecules(entries).values()]
    fresh = [
        Chem.MolFromSmiles(e.smiles)
        for e in new_molecules(entries, waiting).values()
        if e.split == SPLITS[0]
    ]
    counts = []
    for group in listed:
        pattern = Chem.MolFromSmarts(group.pattern)
        found = Counter(split for split, mol in there if mol.HasSubstructMatch(pattern))
        n_waiting = sum(mol.HasSubstructMatch(pattern) for mol in fresh)
        counts.append(Count(group, tuple(found[s] for s in SPLITS), n_waiting))
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
    rows = [(f"{c.group.name} ({c.group.kind})", c.group.dyes, *c.cells) for c in chosen]
    return table(("group (class)", "dyes", *HEAD), rows, right=True)


def every_group(counts: Sequence[Count]) -> str:
    """List all groups, a folded table per class."""
    parts = []
    for kind, members in by_class(counts).items():
        rows = [
            (c.group.name + ", held out" * c.group.held_out, c.group.dyes, *c.cells)
            for c in members
        ]
        parts += [
            '<details markdown="1">',
            f"<summary>{kind}: {len(members)} groups</summary>\n",
            table(("group", "dyes", *HEAD), rows, right=True) + "\n",
            "</details>\n",
        ]
    return "\n".join(parts).rstrip()


def groups(listed: Sequence[Group], entries: Sequence[Entry], waiting: Sequence[Entry]) -> str:
    """Say how many molecules show each group of the coverage table."""
    counts = count_groups(listed, entries, waiting)
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


def labels_that_wait(entries: Sequence[Entry], waiting: Sequence[Entry]) -> str:
    """Say what was labelled after the shipped models were trained."""
    if not waiting:
        return "No labels wait: the shipped models were trained on all training structures."
    names = " and ".join(f"`{name}/`" for name in sorted({e.directory for e in waiting}))
    fresh = Counter(e.split for e in new_molecules(entries, waiting).values())
    return (
        f"**Waiting:** {names} holds {len(waiting):,} more structures of "
        f"{len(molecules(waiting)):,} molecules, labelled after the shipped models were trained. "
        "On this page only columns called *waiting* count them. "
        f"{fresh.total():,} of the molecules are in no set above: {fresh['train']} to train on, "
        f"{fresh['validation']} for validation, {fresh['test']} for testing."
    )
