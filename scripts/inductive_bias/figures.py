"""Draw the figures of the study, docs/figures/study/*.png."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from scripts.inductive_bias.curves import StudyTable, title
from scripts.pictures.axes import plain_numbers

COLOURS = {"equivariant": "#3b6ea8", "unconstrained": "#d9822b"}
LINES = {"hamiltonian": "-", "direct": "--"}
MARKERS = {"hamiltonian": "o", "direct": "s"}


def plot(
    axes: Axes,
    study: StudyTable,
    name: str,
    quantity: str,
    variants: Iterable[tuple[str, str, int]],
) -> None:
    for backbone, head, rotations in variants:
        curve = study.curve(backbone, head, name, quantity, rotations)
        if not curve:
            continue
        means, halves, _ = zip(*curve.values(), strict=True)
        axes.errorbar(
            list(curve),
            means,
            yerr=halves,
            color=COLOURS.get(backbone),
            linestyle=LINES.get(head, ":"),
            marker=MARKERS.get(head, "x") if rotations == 1 else "x",
            alpha=1.0 if rotations == 1 else 0.55,
            markersize=4,
            capsize=2,
            label=title(backbone, head, rotations),
        )
    axes.set(xscale="log", yscale="log")
    axes.minorticks_on()
    axes.spines[["right", "top"]].set_visible(False)


def curves(
    study: StudyTable, panels: Sequence[tuple[str, str, str]], path: Path, averaged: bool = False
) -> None:
    """Draw panels (set, quantity, axis label) side by side."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.3 * len(panels), 3.6), layout="constrained", squeeze=False
    )
    variants = [kind for kind in study.variants() if averaged or kind[2] == 1]
    sizes = sorted({n for k in variants for n in study.curve(k[0], k[1], "test", "s1", k[2])})
    for place, (name, quantity, label) in zip(axes[0], panels, strict=True):
        plot(place, study, name, quantity, variants)
        place.set_xlabel("structures trained on")
        place.set_ylabel(label)
        plain_numbers(place.yaxis)
        place.set_xticks(sizes, [f"{size:,}" for size in sizes])
        place.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    handles, labels = axes[0][0].get_legend_handles_labels()
    # The widest legend must fit below two panels.
    size = "small" if len(panels) < 3 else "medium"
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=size
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


FIGURES: dict[str, tuple[Sequence[tuple[str, str, str]], bool]] = {
    "learning": (
        (
            ("test", "s1", "S1, mean absolute error (eV)"),
            ("test", "bright", "brightest state (eV)"),
            ("test", "occupied", "occupied orbitals (eV)"),
        ),
        False,
    ),
    "extrapolation": (
        (
            ("extrapolation", "s1", "larger molecules: S1 (eV)"),
            ("extrapolation", "bright", "brightest state (eV)"),
            ("extrapolation", "occupied", "occupied orbitals (eV)"),
        ),
        False,
    ),
    "distorted": (
        (
            ("undistorted", "s1", "relaxed: S1 (eV)"),
            ("stretched", "s1", "stretched: S1 (eV)"),
            ("twisted", "s1", "twisted further: S1 (eV)"),
        ),
        False,
    ),
    "symmetry": (
        (
            ("turned", "s1_spread", "S1, spread over orientations (eV)"),
            ("turned", "s1", "S1 of turned structures, error (eV)"),
        ),
        True,
    ),
}
