"""How good are the labels? Several levels of theory against best estimates.

    python -m scripts.accuracy.label_quality quest_main.json LABELS [--max-heavy 4] [--json OUT]

LABELS is a directory of records of the benchmark's molecules at the default level; missing ones are
computed. Every other level goes into LABELS-FUNCTIONAL-BASIS, for molecules of at most --max-heavy
heavy atoms, through the same pipeline. Levels are compared on the states that all of them have. You
can interrupt the script and run it again. The default level takes about half an hour on one core,
the others together about as long.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from reference.scf import Level
from scripts.accuracy import quest

DEFAULT = "camb3lyp/def2-svp"

OTHERS = ("camb3lyp/def2-tzvp", "wb97x/def2-svp", "pbe0/def2-svp")


def format_basis(pairs: dict[str, list[quest.Pair]], name: str) -> str:
    """Describe how each kind of state changes from the default level to ``name``."""
    before = {p.state: p for p in pairs[DEFAULT]}
    lines = []
    for row, chosen in quest.ROWS.items():
        shifts = [p.computed - before[p.state].computed for p in pairs[name] if chosen(p)]
        d = quest.Deviations.of(shifts)
        largest = np.abs(shifts).max() if shifts else float("nan")
        lines.append(f"{row:<24}{d.mean:>+10.3f}{d.mae:>10.3f}{largest:>10.3f}{d.count:>7}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("quest", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--max-heavy", type=int, default=4)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    molecules = quest.load(args.quest)
    records = quest.labels(molecules, args.labels)
    found = quest.pairs_of(molecules, {n: quest.valence_of(r) for n, r in records.items()})
    tables = {DEFAULT: quest.table(found)}
    safe = {DEFAULT: quest.table([p for p in found if p.safe])}
    print(f"{len(records)} of {len(molecules)} molecules; MAE / mean error / median |error|, eV\n")
    print(quest.format_tables(tables))
    print("\nestimates believed within 0.05 eV alone\n\n" + quest.format_tables(safe))

    small = [m for m in molecules if int((m.atoms.numbers > 1).sum()) <= args.max_heavy]
    pairs = {DEFAULT: quest.pairs_of(small, {n: quest.valence_of(r) for n, r in records.items()})}
    for name in OTHERS:
        functional, basis = name.split("/")
        folder = args.labels.with_name(f"{args.labels.name}-{functional}-{basis}")
        others = quest.labels(small, folder, Level(functional=functional, basis=basis))
        pairs[name] = quest.pairs_of(small, {n: quest.valence_of(r) for n, r in others.items()})
    common = quest.shared(pairs, list(pairs))
    levels = {name: quest.table(p) for name, p in common.items()}
    print(f"\nlevels on the states all have, at most {args.max_heavy} heavy atoms\n")
    print(quest.format_tables(levels))
    for name in OTHERS:
        print(f"\n{name} less {DEFAULT}: mean, mean |shift|, largest |shift| in eV, count\n")
        print(format_basis(common, name))
    if args.json:
        report = {"default": tables, "safe": safe, "levels": levels}
        rows = {
            part: {n: {row: asdict(d) for row, d in t.items()} for n, t in those.items()}
            for part, those in report.items()
        }
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
