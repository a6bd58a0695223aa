"""Larger molecules one by one: S1 of every method, and the gap of the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from esml.io.records import Record
from esml.results import Failure
from esml.training.scores import LEAST_WEIGHT
from scripts.accuracy.methods import OWN, Outcome

FAMILIES = {"polyenes": r"polyene-C(\d+)", "acenes": r"(naphthal|anthrac|tetrac|pentac)ene"}
"""Name patterns of the series whose gap is shown over chain length."""


def extrapolation_table(
    outcomes: dict[str, list[Outcome]], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """Return S1, every method's error, and the model's gap error for each larger molecule."""
    rows = []
    for k, record in enumerate(records):
        n = int(record.n_occupied)
        row: dict[str, Any] = {
            "name": record.name,
            "n_heavy": int((record.numbers > 1).sum()),
            "valence": bool(record.singlet_valence_weights[0] >= LEAST_WEIGHT),
            "s1": float(record.singlet_energies[0]),
            "gap": float(record.energies[n] - record.energies[n - 1]),
            "s1_errors": {},
        }
        for name, found in outcomes.items():
            outcome = found[k]
            if not isinstance(outcome, Failure):
                row["s1_errors"][name] = float(outcome.singlets[0]) - row["s1"]
                if name == OWN:
                    row["gap_error"] = outcome.gap - row["gap"]
        rows.append(row)
    return sorted(rows, key=lambda r: (r["n_heavy"], r["name"]))


def format_extrapolation(rows: list[dict[str, Any]], names: Sequence[str]) -> str:
    width = max(len(r["name"]) for r in rows) + 2
    head = f"{'':<{width}}{'heavy':>6}{'S1/eV':>8}{'gap/eV':>8}{'gap error':>11}"
    lines = [head + "".join(f"{'S1 ' + name:>15}" for name in names)]
    for r in rows:
        line = f"{r['name']:<{width}}{r['n_heavy']:>6}{r['s1']:>8.2f}{r['gap']:>8.2f}"
        line += f"{r['gap_error']:>+11.3f}" if "gap_error" in r else f"{'–':>11}"
        for name in names:
            error = r["s1_errors"].get(name)
            line += f"{error:>+15.3f}" if error is not None else f"{'–':>15}"
        lines.append(line + ("" if r["valence"] else "  not valence: not scored"))
    for family, pattern in FAMILIES.items():
        worst = [
            abs(r["gap_error"]) for r in rows if "gap_error" in r and re.match(pattern, r["name"])
        ]
        if worst:
            lines.append(f"gap of {family}: error at most {max(worst):.3f} eV (bar 0.20)")
    return "\n".join(lines)


def plot_polyenes(path: Path, rows: list[dict[str, Any]]) -> None:
    """Plot S1 and gap of polyenes over chain length, from labels and model."""
    chain = [r for r in rows if re.fullmatch(FAMILIES["polyenes"], r["name"]) and "gap_error" in r]
    if not chain:
        return
    carbons = [r["n_heavy"] for r in chain]
    figure, ax = plt.subplots(figsize=(4.4, 3.4), layout="constrained")
    for values, errors, name in (
        ([r["s1"] for r in chain], [r["s1_errors"][OWN] for r in chain], "S1"),
        ([r["gap"] for r in chain], [r["gap_error"] for r in chain], "gap"),
    ):
        (line,) = ax.plot(carbons, values, "o-", label=f"{name}, label")
        found = np.add(values, errors)
        ax.plot(carbons, found, "x--", color=line.get_color(), label=f"{name}, model")
    ax.set(xlabel="carbon atoms in the polyene", ylabel="eV")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
