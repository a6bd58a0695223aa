"""Picture of time and memory against the size of the molecule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from scripts.pictures.axes import plain_numbers
from scripts.speed.growth import SIZES
from scripts.speed.molecules import FAMILIES
from scripts.speed.single import N_STATES


def measured(results: dict[str, Any], family: str) -> list[dict[str, Any]]:
    """Return the finished runs of one family, sorted by size for the line through them."""
    runs = [*results["sizes"]["molecules"], *results.get("largest", {}).values()]
    finished = [r for r in runs if r["name"].startswith(family) and "cpu_s" in r]
    return sorted(finished, key=lambda r: int(r["n_atoms"]))


def plot(results: dict[str, Any], picture: Path) -> None:
    """Plot time and memory against size."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.0), layout="constrained")
    for family, marker in zip(FAMILIES, "osd", strict=True):
        rows = measured(results, family)
        n = [r["n_atoms"] for r in rows]
        label = f"esml, {family}"
        left.loglog(n, [r["cpu_s"] for r in rows], marker=marker, label=label)
        right.loglog(n, [r["peak_MB"] for r in rows], marker=marker, label=label)
    styles = {
        "batch": ("tab:gray", "esml, in batches"),
        "sparrow": ("tab:red", "Sparrow, TD-DFTB3"),
        "mopac": ("tab:purple", "MOPAC, INDO/S"),
        "label": ("black", "PySCF, labels"),
    }
    for program, (color, label) in styles.items():
        # One line for all families: the geometric mean of the finished runs.
        points = []
        for size in SIZES:
            done = [
                (r["n_atoms"], r["cpu_s"])
                for r in results.get("beside", [])
                if (r["program"], r["outcome"]) == (program, "ok")
                and r["name"].endswith(f"-{size}")
            ]
            if done:
                points.append(np.exp(np.log(done).mean(0)))
        if points:
            left.loglog(*np.array(points).T, "--", marker=".", color=color, label=label)
    left.set(
        xlabel="atoms",
        ylabel="processor time, s",
        title=f"{N_STATES} singlets with strengths",
    )
    right.set(xlabel="atoms", ylabel="peak memory, MB", title="Memory of the same runs of esml")
    plain_numbers(right.yaxis)
    left.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)
