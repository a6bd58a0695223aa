"""Tables and figures of docs/physics-and-scaling.md, from the table that study.py makes.

Blocks of the page between ``<!-- filled: NAME -->`` and ``<!-- end -->`` are filled anew, the text
around them is left alone. Figures are docs/figures/study/*.png.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

import esml
from esml.analysis.characters import Character
from esml.io.records import Record, read
from esml.results import Result
from esml.training.targets import structure
from scripts import ROOT

PAGE = ROOT / "docs" / "physics-and-scaling.md"

Row = dict[str, Any]
Key = tuple[str, str, str, int, str]  # backbone, head, set, rotations, quantity
Curve = dict[int, tuple[float, float, int]]
"""Structures trained on → mean over seeds, half the distance of the extremes, seeds."""

COLOURS = {"equivariant": "#3b6ea8", "unconstrained": "#d9822b"}
LINES = {"hamiltonian": "-", "direct": "--"}
MARKERS = {"hamiltonian": "o", "direct": "s"}
HEADS = {"hamiltonian": "Hamiltonian", "direct": "direct"}

QUANTITIES = {
    "s1": ("S1", "eV"),
    "t1": ("T1", "eV"),
    "bright": ("brightest state", "eV"),
    "bright_f": ("its strength", ""),
    "occupied": ("occupied orbitals", "eV"),
    "gap": ("gap", "eV"),
}

DYES = ("trans-azobenzene", "DMABN", "merocyanine-C7")
"""Records of data/extrapolation."""
N_DYE_STATES = 4


class Table:
    """The rows of a study as curves over the number of training structures."""

    def __init__(self, rows: Sequence[Row]) -> None:
        facts = {
            (r["backbone"], r["head"], r["size"], r["seed"]): float(r["value"])
            for r in rows
            if (r["set"], r["quantity"]) == ("training", "structures")
        }
        self.kinds = list(dict.fromkeys((r["backbone"], r["head"]) for r in rows))
        values: dict[Key, dict[str, list[tuple[float, float]]]] = {}
        for r in rows:
            key = r["backbone"], r["head"], r["set"], int(r["rotations"]), r["quantity"]
            structures = facts[r["backbone"], r["head"], r["size"], r["seed"]]
            entry = values.setdefault(key, {}).setdefault(r["size"], [])
            entry.append((structures, float(r["value"])))
        self._values = values

    def curve(
        self, backbone: str, head: str, name: str, quantity: str, rotations: int = 1
    ) -> Curve:
        """Empty where the table has none."""
        found = self._values.get((backbone, head, name, rotations, quantity), {})
        curve: Curve = {}
        for entries in found.values():
            structures, values = (np.array(column) for column in zip(*entries, strict=True))
            middle = float(values.mean()), 0.5 * float(np.ptp(values)), len(values)
            curve[round(float(structures.mean()))] = middle
        return dict(sorted(curve.items()))

    def rotations(self, backbone: str, head: str) -> list[int]:
        """Numbers of orientations that predictions were averaged over."""
        return sorted({key[3] for key in self._values if key[:2] == (backbone, head)})

    def variants(self) -> Iterable[tuple[str, str, int]]:
        """All kinds of models, those with averaged predictions apart."""
        for backbone, head in self.kinds:
            for rotations in self.rotations(backbone, head):
                yield backbone, head, rotations

    def last(self, backbone: str, head: str, name: str, quantity: str, rotations: int = 1) -> str:
        """Mean ± half range over seeds at the largest size."""
        curve = self.curve(backbone, head, name, quantity, rotations)
        return number(curve[max(curve)]) if curve else "–"


def number(entry: tuple[float, float, int]) -> str:
    mean, half, seeds = entry
    if not math.isfinite(mean):
        return "–"
    return f"{mean:.3f}" + (f" ± {half:.3f}" if seeds > 1 else "")


def title(backbone: str, head: str, rotations: int = 1) -> str:
    extra = f", mean of {rotations} orientations" if rotations > 1 else ""
    return f"{backbone}, {HEADS.get(head, head)}{extra}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


# --- tables ---------------------------------------------------------------------------------------


def sizes_table(study: Table, name: str, quantity: str) -> str:
    """Every cell of one set and quantity, error bars over seeds."""
    curves = {
        kind: study.curve(kind[0], kind[1], name, quantity, kind[2]) for kind in study.variants()
    }
    sizes = sorted({size for curve in curves.values() for size in curve})
    rows = [
        (title(*kind), *(number(curve[size]) if size in curve else "–" for size in sizes))
        for kind, curve in curves.items()
    ]
    return table(("trained on", *(f"{size:,}" for size in sizes)), rows)


def budgets(study: Table) -> str:
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


def main_table(study: Table) -> str:
    """All quantities on the test split, at the largest size."""
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


def sets_table(study: Table, quantity: str) -> str:
    rows = [
        (title(*kind), *(study.last(kind[0], kind[1], name, quantity, kind[2]) for name in SETS))
        for kind in study.variants()
    ]
    return table(("", *SETS.values()), rows)


def refusals(study: Table) -> str:
    rows = []
    for backbone, head, rotations in study.variants():
        curves = [study.curve(backbone, head, name, "refused", rotations) for name in SETS]
        shares = [f"{100 * c[max(c)][0]:.1f} %" if c else "–" for c in curves]
        rows.append((title(backbone, head, rotations), *shares))
    return table(("", *SETS.values()), rows)


def symmetry_table(study: Table) -> str:
    """Error of symmetry of S1, meV, against the size."""
    rows = []
    for backbone, head, rotations in study.variants():
        curve = study.curve(backbone, head, "turned", "s1_spread", rotations)
        rows.append(
            (title(backbone, head, rotations), *(f"{1e3 * v[0]:.2g}" for v in curve.values()))
        )
    sizes = study.curve(*study.kinds[0], "turned", "s1_spread")
    return table(("trained on", *(f"{size:,}" for size in sizes)), rows)


def cost(study: Table) -> str:
    rows = []
    for backbone, head, rotations in study.variants():
        times = [
            study.curve(backbone, head, name, "seconds", rotations)
            for name in ("test", "extrapolation")
        ]
        # Of all sizes: what a prediction costs does not depend on what was learned.
        means = [f"{1e3 * np.median([v[0] for v in c.values()]):.1f}" if c else "–" for c in times]
        rows.append((title(backbone, head, rotations), *means))
    return table(("ms of one core for a molecule", "test split", "larger molecules"), rows)


def crossings(study: Table) -> str:
    """Where the power laws through the last two sizes of two kinds meet."""
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


def law(curve: Curve) -> tuple[float, float] | None:
    """(ln a, b) of a Nᵇ by least squares in the logarithms of all sizes but the smallest."""
    sizes = [size for size in list(curve)[1:] if curve[size][0] > 0]
    if len(sizes) < 2:
        return None
    b, a = np.polyfit(np.log(sizes), np.log([curve[size][0] for size in sizes]), 1)
    return float(a), float(b)


def meeting(base: tuple[float, float], other: tuple[float, float]) -> str:
    """The size at which ``other`` becomes as good as ``base``, in words."""
    if other[1] >= base[1]:
        return "never: it falls no faster"
    size = (other[0] - base[0]) / (base[1] - other[1])
    if size > math.log(1e9):
        return "beyond 10⁹"
    return f"{math.exp(size):,.0f}" if size > math.log(1e3) else "below 1,000"


# --- figures --------------------------------------------------------------------------------------


def plot(
    axes: Axes, study: Table, name: str, quantity: str, variants: Iterable[tuple[str, str, int]]
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
    study: Table, panels: Sequence[tuple[str, str, str]], path: Path, averaged: bool = False
) -> None:
    """Panels (set, quantity, what the axis says) side by side."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.3 * len(panels), 3.6), layout="constrained", squeeze=False
    )
    variants = [kind for kind in study.variants() if averaged or kind[2] == 1]
    sizes = sorted({n for k in variants for n in study.curve(k[0], k[1], "test", "s1", k[2])})
    for place, (name, quantity, label) in zip(axes[0], panels, strict=True):
        plot(place, study, name, quantity, variants)
        place.set_xlabel("structures trained on")
        place.set_ylabel(label)
        place.set_xticks(sizes, [f"{size:,}" for size in sizes])
        place.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
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
            ("turned", "s1_spread", "S1, root mean square over orientations (eV)"),
            ("turned", "s1", "S1 of turned structures, error (eV)"),
        ),
        True,
    ),
}


def draw(rows: Sequence[Row], rates: Sequence[Row], page: Path = PAGE) -> None:
    """Fill the page from the rows of the study and of its tuning; SystemExit without rows."""
    if not rows:
        raise SystemExit("the table of the study is empty: run some cells first")
    study = Table(rows)
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
    """Validation S1 errors (eV) of every kind at every rate."""
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


def fill(page: Path, blocks: dict[str, str]) -> None:
    """Fill the blocks of ``page``; SystemExit for one that is not there."""
    text = page.read_text(encoding="utf-8")
    for name, content in blocks.items():
        pattern = re.compile(rf"(<!-- filled: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{page} has no single block '<!-- filled: {name} -->'")
        text = pattern.sub(lambda m, content=content: f"{m[1]}\n{content}\n\n{m[2]}", text)
    page.write_text(text, encoding="utf-8")


# --- dyes -----------------------------------------------------------------------------------------


def describe_dyes(model: str, page: Path = PAGE) -> None:
    """Fill the section on dyes with what the Hamiltonian model ``model`` says of them."""
    surrogate = esml.load_model(model)
    records = {r.name: r for r in read(ROOT / "data" / "extrapolation")}
    parts = []
    for name in DYES:
        result = surrogate.predict(structure(records[name]), n_states=N_DYE_STATES)
        parts.append(dye(name, records[name], result))
    fill(page, {"dyes": "\n\n".join(parts)})
    print(f"{page}: {len(DYES)} dyes")


def dye(name: str, record: Record, result: Result) -> str:
    """States of one dye, beside the label's energies and strengths."""
    characters = result.characters()
    label = {
        kind: [f"{e:.2f} ({f:.2f})" for e, f in zip(*values, strict=True)]
        for kind, values in (("singlets", (record.singlet_energies, record.singlet_strengths)),)
    }
    columns: tuple[tuple[str, Callable[[int, Character], str]], ...] = (
        ("state", lambda i, c: f"S{i + 1}"),
        ("E, eV (f)", lambda i, c: energy(result, i)),
        ("label's S of that rank", lambda i, c: ([*label["singlets"], *["–"] * 9])[i]),
        ("what it is", lambda i, c: c.description),
        ("electrons moved", lambda i, c: f"{c.moved:.2f}"),
        ("hole to electron, Å", lambda i, c: f"{c.centroid_distance:.1f}"),
        ("NTO pairs", lambda i, c: f"{c.participation:.1f}"),
    )
    rows = [[make(i, c) for _, make in columns] for i, c in enumerate(characters)]
    text = [
        f"**{name}** (`{record.smiles}`): HOMO {result.homo:.2f} eV, LUMO {result.lumo:.2f} eV.",
        table([head for head, _ in columns], rows),
    ]
    bright = int(np.argmax(result.singlets.oscillator_strengths))
    text.append(matrix(bright, characters[bright]))
    return "\n\n".join(text)


def energy(result: Result, state: int) -> str:
    states = result.singlets
    return f"{states.energies[state]:.2f} ({states.oscillator_strengths[state]:.2f})"


def matrix(state: int, character: Character) -> str:
    """In words: from which fragments to which the brightest state takes its electron."""
    transfer, names = character.transfer, character.fragments
    order = np.dstack(np.unravel_index(np.argsort(-transfer, axis=None), transfer.shape))[0][:3]
    shares = [
        f"{names[i]} → {names[j]} {transfer[i, j]:.0%}"
        if i != j
        else f"within {names[i]} {transfer[i, j]:.0%}"
        for i, j in order
        if transfer[i, j] >= 0.05
    ]
    return f"Its brightest state, S{state + 1}: {', '.join(shares)}."
