"""Fill the tables and figures of docs/physics-and-scaling.md from the table that study.py makes.

Replaces the blocks of the page between ``<!-- filled: NAME -->`` and ``<!-- end -->``, and the
figures docs/figures/study/*.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts import ROOT
from scripts.csv_rows import Row
from scripts.inductive_bias.curves import StudyTable, law, meeting, number, title
from scripts.inductive_bias.figures import FIGURES, curves
from scripts.pages import fill, table

PAGE = ROOT / "docs" / "physics-and-scaling.md"

QUANTITIES = {
    "s1": ("S1", "eV"),
    "t1": ("T1", "eV"),
    "bright": ("brightest state", "eV"),
    "bright_f": ("its strength", ""),
    "occupied": ("occupied orbitals", "eV"),
    "gap": ("gap", "eV"),
}


def sizes_table(study: StudyTable, name: str, quantity: str) -> str:
    """Make the table of all cells for one set and quantity, with error bars over seeds."""
    curves = {
        kind: study.curve(kind[0], kind[1], name, quantity, kind[2]) for kind in study.variants()
    }
    sizes = sorted({size for curve in curves.values() for size in curve})
    rows = [
        (title(*kind), *(number(curve[size]) if size in curve else "–" for size in sizes))
        for kind, curve in curves.items()
    ]
    return table(("trained on", *(f"{size:,}" for size in sizes)), rows)


def budgets(study: StudyTable) -> str:
    rows = []
    for backbone, head in study.kinds:
        facts = {
            quantity: study.curve(backbone, head, "training", quantity)
            for quantity in ("parameters", "steps", "seconds")
        }
        steps = [value[0] for value in facts["steps"].values()]
        seconds = [value[0] for value in facts["seconds"].values()]
        rows.append(
            (
                title(backbone, head),
                f"{next(iter(facts['parameters'].values()))[0]:,.0f}",
                f"{min(steps):,.0f}–{max(steps):,.0f}",
                f"{min(seconds):.0f}–{max(seconds):.0f}",
            )
        )
    return table(("", "parameters", "steps", "seconds of a run"), rows)


def main_table(study: StudyTable) -> str:
    """Make the table of all quantities on the test split, at the largest size."""
    rows = [
        (title(*kind), *(study.last(kind[0], kind[1], "test", q, kind[2]) for q in QUANTITIES))
        for kind in study.variants()
    ]
    head = [f"{label}, {unit}" if unit else label for label, unit in QUANTITIES.values()]
    return table(("", *head), rows)


SETS = {
    "test": "test",
    "undistorted": "relaxed",
    "stretched": "stretched",
    "twisted": "twisted further",
    "test-twisted": "twisted as in training",
    "extrapolation": "larger",
}


def sets_table(study: StudyTable, quantity: str) -> str:
    rows = [
        (title(*kind), *(study.last(kind[0], kind[1], name, quantity, kind[2]) for name in SETS))
        for kind in study.variants()
    ]
    return table(("", *SETS.values()), rows)


def refusals(study: StudyTable) -> str:
    rows = []
    for backbone, head, rotations in study.variants():
        curves = [study.curve(backbone, head, name, "refused", rotations) for name in SETS]
        shares = [f"{100 * c[max(c)][0]:.1f} %" if c else "–" for c in curves]
        rows.append((title(backbone, head, rotations), *shares))
    return table(("", *SETS.values()), rows)


def symmetry_table(study: StudyTable) -> str:
    """Make the table of symmetry errors of S1, meV, against the size."""
    rows = []
    for backbone, head, rotations in study.variants():
        curve = study.curve(backbone, head, "turned", "s1_spread", rotations)
        rows.append(
            (title(backbone, head, rotations), *(f"{1e3 * v[0]:.2g}" for v in curve.values()))
        )
    sizes = study.curve(*study.kinds[0], "turned", "s1_spread")
    return table(("trained on", *(f"{size:,}" for size in sizes)), rows)


def cost(study: StudyTable) -> str:
    rows = []
    for backbone, head, rotations in study.variants():
        times = [
            study.curve(backbone, head, name, "seconds", rotations)
            for name in ("test", "extrapolation")
        ]
        # Median over all sizes: the time of a prediction does not depend on the training.
        means = [f"{1e3 * np.median([v[0] for v in c.values()]):.1f}" if c else "–" for c in times]
        rows.append((title(backbone, head, rotations), *means))
    return table(("ms of one core for a molecule", "test split", "larger molecules"), rows)


def crossings(study: StudyTable) -> str:
    """Describe where the power laws through the last two sizes of two kinds of model meet."""
    reference = ("equivariant", "hamiltonian")
    rows = []
    for name in ("test", "extrapolation"):
        for quantity in ("s1", "bright", "occupied"):
            base = law(study.curve(*reference, name, quantity))
            for kind in study.kinds:
                other = law(study.curve(*kind, name, quantity))
                if kind == reference or base is None or other is None:
                    continue
                rows.append(
                    (
                        name,
                        QUANTITIES[quantity][0],
                        title(*kind),
                        f"{-base[1]:.2f}",
                        f"{-other[1]:.2f}",
                        meeting(base, other),
                    )
                )
    head = ("set", "quantity", "against", "falls with N to the −", "the other −", "would meet at")
    return table(head, rows)


def draw(rows: Sequence[Row], rates: Sequence[Row], page: Path = PAGE) -> None:
    """Fill the page from the rows of the study and of its tuning; SystemExit without rows."""
    if not rows:
        raise SystemExit("the table of the study is empty: run some cells first")
    study = StudyTable(rows)
    blocks = {
        "budgets": budgets(study),
        "main": main_table(study),
        "s1": sizes_table(study, "test", "s1"),
        "bright": sizes_table(study, "test", "bright"),
        "occupied": sizes_table(study, "test", "occupied"),
        "larger": sizes_table(study, "extrapolation", "s1"),
        "sets": sets_table(study, "s1"),
        "refused": refusals(study),
        "symmetry": symmetry_table(study),
        "cost": cost(study),
        "crossings": crossings(study),
    }
    if rates:
        blocks["rates"] = rates_table(rates)
    folder = page.parent / "figures" / "study"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (panels, averaged) in FIGURES.items():
        curves(study, panels, folder / f"{name}.png", averaged)
        blocks[f"figure {name}"] = f"![{name}](figures/study/{name}.png)"
    fill(page, blocks)
    print(f"{page}: {len(blocks)} blocks, {len(FIGURES)} figures")


def rates_table(rates: Sequence[Row]) -> str:
    """Make the table of validation S1 errors (eV) of every kind of model at every rate."""
    found = {
        (r["backbone"], r["head"], float(r["learning_rate"])): float(r["value"])
        for r in rates
        if r["quantity"] == "s1_mae_eV"
    }
    values = sorted({key[2] for key in found})
    kinds = list(dict.fromkeys(key[:2] for key in found))
    rows = [
        (title(*kind), *(f"{found[*kind, v]:.3f}" if (*kind, v) in found else "–" for v in values))
        for kind in kinds
    ]
    return table(("validation S1, eV", *(f"rate {v:g}" for v in values)), rows)
