"""Pictures of computed over true energies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from esml.io.records import Record
from esml.training.scores import LEAST_WEIGHT
from scripts.accuracy.methods import Outcome


def plot_parity(
    path: Path, points: dict[str, tuple[list[float], list[float]]], xlabel: str
) -> None:
    """One panel for each method: its energies over the true ones."""
    figure, axes = plt.subplots(
        1, len(points), figsize=(3.2 * len(points), 3.7), squeeze=False, layout="constrained"
    )
    both = np.concatenate([np.concatenate(p) for p in points.values()])
    ends = both.min() - 0.3, both.max() + 0.3
    for ax, (name, (true, found)) in zip(axes[0], points.items(), strict=True):
        ax.plot(ends, ends, color="0.6", linewidth=0.8)
        ax.scatter(true, found, s=9, alpha=0.5, linewidths=0)
        mae = np.abs(np.subtract(found, true)).mean()
        ax.set_box_aspect(1)
        ax.set(title=f"{name}\nMAE {mae:.2f} eV", xlabel=xlabel, xlim=ends, ylim=ends)
    axes[0, 0].set_ylabel("computed (eV)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def lowest_points(
    outcomes: Sequence[Outcome], records: Sequence[Record], kind: str
) -> tuple[list[float], list[float]]:
    """(labels, computed) lowest states of one kind, where the label is valence."""
    true, found = [], []
    for outcome, record in zip(outcomes, records, strict=True):
        weights = getattr(record, f"{kind[:-1]}_valence_weights")
        if isinstance(outcome, str) or weights[0] < LEAST_WEIGHT:
            continue
        if len(energies := getattr(outcome, kind)):
            true.append(float(getattr(record, f"{kind[:-1]}_energies")[0]))
            found.append(float(energies[0]))
    return true, found
