"""The rows of the study as curves over the number of training structures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from scripts.csv_rows import Row

Key = tuple[str, str, str, int, str]  # backbone, head, set, rotations, quantity
Curve = dict[int, tuple[float, float, int]]
"""Number of training structures → mean over seeds, half the range, number of seeds."""

HEADS = {"hamiltonian": "Hamiltonian", "direct": "direct"}


class StudyTable:
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
        """Return a curve, which is empty if the table has none."""
        found = self._values.get((backbone, head, name, rotations, quantity), {})
        curve: Curve = {}
        for entries in found.values():
            structures, values = (np.array(column) for column in zip(*entries, strict=True))
            middle = float(values.mean()), 0.5 * float(np.ptp(values)), len(values)
            curve[round(float(structures.mean()))] = middle
        return dict(sorted(curve.items()))

    def rotations(self, backbone: str, head: str) -> list[int]:
        """Return the numbers of orientations over which predictions were averaged."""
        return sorted({key[3] for key in self._values if key[:2] == (backbone, head)})

    def variants(self) -> Iterable[tuple[str, str, int]]:
        """Yield all kinds of models, those with averaged predictions separately."""
        for backbone, head in self.kinds:
            for rotations in self.rotations(backbone, head):
                yield backbone, head, rotations

    def last(self, backbone: str, head: str, name: str, quantity: str, rotations: int = 1) -> str:
        """Format the mean ± half range over seeds at the largest size."""
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


def law(curve: Curve) -> tuple[float, float] | None:
    """Fit (ln a, b) of a Nᵇ by least squares of the logarithms of all sizes but the smallest."""
    sizes = [size for size in list(curve)[1:] if curve[size][0] > 0]
    if len(sizes) < 2:
        return None
    b, a = np.polyfit(np.log(sizes), np.log([curve[size][0] for size in sizes]), 1)
    return float(a), float(b)


def meeting(base: tuple[float, float], other: tuple[float, float]) -> str:
    """Describe the size at which ``other`` becomes as good as ``base``."""
    if other[1] >= base[1]:
        return "never: it falls no faster"
    size = (other[0] - base[0]) / (base[1] - other[1])
    if size > math.log(1e9):
        return "beyond 10⁹"
    return f"{math.exp(size):,.0f}" if size > math.log(1e3) else "below 1,000"
