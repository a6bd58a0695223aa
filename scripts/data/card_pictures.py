"""Pictures of the data card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from rdkit import Chem

from esml.training.scores import LEAST_WEIGHT
from scripts.data.entries import ENDS, GROUPS, LARGEST_SAMPLED, Entry, molecules

COLOURS = {"sampled": "#3b6ea8", "larger": "#d9822b"}


def families(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    found = {
        "sampled": [e for e in entries if not e.is_larger],
        "larger": [e for e in entries if e.is_larger],
    }
    return {name: members for name, members in found.items() if members}


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=100)
    plt.close(figure)


def histogram(
    axes: Axes,
    entries: Sequence[Entry],
    values: Callable[[Entry], np.ndarray],
    bins: np.ndarray,
    label: str,
) -> None:
    """Draw shares of each family, because the larger molecules are too few to be seen as counts."""
    for name, members in families(entries).items():
        data = np.concatenate([np.atleast_1d(values(e)) for e in members])
        axes.hist(
            np.clip(data, bins[0], bins[-1]),
            bins=bins.tolist(),
            weights=np.full(len(data), 1.0 / len(data)),
            histtype="stepfilled" if name == "sampled" else "step",
            linewidth=1.5,
            color=COLOURS[name],
            alpha=0.8,
            label=f"{name} ({len(data):,})",
        )
    axes.set_xlabel(label)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    if len(families(entries)) > 1:
        # Above the axes, because bars fill the inside.
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def draw_composition(entries: Sequence[Entry], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    members = list(molecules(entries).values())
    sizes = Counter(e.n_heavy for e in members)
    left.bar(
        list(sizes),
        list(sizes.values()),
        color=[COLOURS["larger" if n > LARGEST_SAMPLED else "sampled"] for n in sizes],
    )
    kinds = {"sampled": "in the splits", "larger": "larger, in none of them"}
    there = {"larger" if n > LARGEST_SAMPLED else "sampled" for n in sizes}
    handles = [Patch(color=COLOURS[kind], label=kinds[kind]) for kind in kinds if kind in there]
    left.legend(handles=handles, frameon=False)
    left.set_xlabel("heavy atoms")
    left.set_ylabel("molecules")
    mols = [Chem.MolFromSmiles(e.smiles) for e in members if e.smiles]
    shares = {
        name: 100 * np.mean([m.HasSubstructMatch(Chem.MolFromSmarts(smarts)) for m in mols])
        for name, smarts in GROUPS.items()
    }
    names = sorted(shares, key=lambda name: shares[name])
    right.barh(names, [shares[name] for name in names], color=COLOURS["sampled"])
    right.tick_params(axis="y", labelsize=8)
    right.set_xlabel("molecules (%)")
    for axes in (left, right):
        axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


def draw_states(entries: Sequence[Entry], path: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    energies = np.linspace(0, 10, 41)
    histogram(axes[0], entries, lambda e: e.singlets[:1], energies, "S1 (eV)")
    histogram(axes[1], entries, lambda e: e.triplets[:1], energies, "T1 (eV)")
    logarithms = np.linspace(-5, 1, 37)
    histogram(
        axes[2],
        entries,
        lambda e: np.log10(np.maximum(e.strengths, 1e-12)),
        logarithms,
        "strength of each singlet (first bar: ≤)",
    )
    axes[2].set_xticks(range(-5, 2), [f"$10^{{{k}}}$" for k in range(-5, 2)])
    save(figure, path)


def draw_valence(entries: Sequence[Entry], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    w = np.concatenate([e.singlet_weights for e in entries])
    wt = np.concatenate([e.triplet_weights for e in entries])
    bins = np.linspace(0.4, 1, 31)
    for weights, name, colour in ((wt, "triplets", "#999999"), (w, "singlets", "#3b6ea8")):
        left.hist(np.clip(weights, bins[0], 1), bins=bins, color=colour, alpha=0.8, label=name)
    left.axvline(LEAST_WEIGHT, color="black", linewidth=1)
    left.set_xlabel(f"valence weight (line: {LEAST_WEIGHT:g})")
    left.set_ylabel("states")
    left.legend(frameon=False)
    energies = np.concatenate([e.singlets for e in entries])
    f = np.concatenate([e.strengths for e in entries])
    energies_t = np.concatenate([e.triplets for e in entries])
    grid = np.linspace(2, 9.5, 61)

    def below(at: np.ndarray, held: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        order = np.argsort(at)
        every, kept = np.cumsum(amounts[order]), np.cumsum((held * amounts)[order])
        last = np.searchsorted(at[order], grid) - 1
        return np.where(last < 0, np.nan, 100 * kept[last] / every[last])

    ones, held = np.ones(len(w)), w >= LEAST_WEIGHT
    right.plot(grid, below(energies, held, ones), color="#3b6ea8", label="of the singlets")
    right.plot(grid, below(energies, held, f), color="#d9822b", label="of their strength")
    right.plot(
        grid,
        below(energies_t, wt >= LEAST_WEIGHT, np.ones(len(wt))),
        color="#999999",
        label="of the triplets",
    )
    for end in ENDS:
        right.axvline(end, color="black", linewidth=0.5)
    right.set_ylim(0, 102)
    right.set_xlabel("all states below (eV)")
    right.set_ylabel(f"valence weight ≥ {LEAST_WEIGHT:g} (%)")
    right.legend(frameon=False, loc="lower left")
    for axes in (left, right):
        axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


def draw_cost(entries: Sequence[Entry], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    known = [e for e in entries if np.isfinite(e.seconds)]
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(known))
    axes.semilogy(
        np.array([e.n_heavy for e in known]) + jitter,
        [e.seconds for e in known],
        ".",
        color=COLOURS["sampled"],
        markersize=3,
        alpha=0.5,
        markeredgewidth=0,
    )
    sizes = sorted({e.n_heavy for e in known})
    medians = [np.median([e.seconds for e in known if e.n_heavy == n]) for n in sizes]
    axes.plot(sizes, medians, "_", color="black", markersize=12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("heavy atoms")
    axes.set_ylabel("core seconds a structure")
    axes.spines[["right", "top"]].set_visible(False)
    save(figure, path)


DRAWINGS = {
    "data_composition.png": draw_composition,
    "data_states.png": draw_states,
    "data_valence.png": draw_valence,
    "data_cost.png": draw_cost,
}
