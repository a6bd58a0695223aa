"""Blocks of the data card about what labels cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from scripts.data.entries import Entry
from scripts.pages import table

COMMON = frozenset({"H", "C", "N", "O"})
"""Molecules of these elements alone are what others are compared with."""
LEAST = 5
"""A median of fewer structures is not shown."""
SIZES = range(3, 8)
"""Numbers of heavy atoms that have a column: those of most structures, and as fit on the page."""


def timed(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose cost is recorded."""
    return [e for e in entries if np.isfinite(e.seconds)]


def rate(seconds: Sequence[float]) -> str:
    """Labels per core hour at the median cost."""
    return f"{3600 / np.median(seconds):,.0f}"


def cost(entries: Sequence[Entry]) -> str:
    rows = []
    chosen = timed(entries)
    for n in sorted({e.n_heavy for e in chosen}):
        seconds = [e.seconds for e in chosen if e.n_heavy == n]
        middle, most = np.median(seconds), np.quantile(seconds, 0.9)
        rows.append((n, len(seconds), f"{middle:.1f}", f"{most:.1f}", rate(seconds)))
    total = sum(e.seconds for e in chosen) / 3600
    head = ("heavy atoms", "structures", "median (s)", "90 % below (s)", "labels per core hour")
    return (
        f"All in all {len(chosen):,} structures in {total:.1f} core hours, crowded ones included: "
        f"{len(chosen) / total:.0f} labels per core hour.\n\n" + table(head, rows, right=True)
    )


def is_common(entry: Entry) -> bool:
    return entry.symbols <= COMMON


def relative(entries: Sequence[Entry], symbol: str) -> str:
    """Median and middle half of the cost over that of common molecules of the same size and set."""
    common: dict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in filter(is_common, entries):
        common[entry.directory, entry.n_heavy].append(entry.seconds)
    usual = {key: np.median(values) for key, values in common.items() if len(values) >= LEAST}
    ratios = [
        e.seconds / usual[e.directory, e.n_heavy]
        for e in entries
        if symbol in e.symbols and (e.directory, e.n_heavy) in usual
    ]
    if len(ratios) < LEAST:
        return "–"
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.1f} ({low:.1f}–{high:.1f})"


def cost_of_elements(entries: Sequence[Entry]) -> str:
    """Compare labels per core hour of molecules of equal size with and without an element."""
    chosen = [e for e in timed(entries) if not e.is_larger]

    def row(name: str, members: Sequence[Entry], ratio: str) -> tuple[object, ...]:
        costs = [[e.seconds for e in members if e.n_heavy == n] for n in SIZES]
        cells = (rate(seconds) if len(seconds) >= LEAST else "–" for seconds in costs)
        return (name, ratio, *cells)

    rows = [row("H, C, N, O only", [e for e in chosen if is_common(e)], "1")]
    others = {s for e in chosen for s in e.symbols} - COMMON
    for symbol in sorted(others, key=atomic_numbers.__getitem__):
        members = [e for e in chosen if symbol in e.symbols]
        rows.append(row(f"with {symbol}", members, relative(chosen, symbol)))
    return table(("", "relative time", *map(str, SIZES)), rows, right=True)
