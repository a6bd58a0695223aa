"""Growth of time and memory with molecule size, for esml and other programs."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from scripts.measuring import in_own_process
from scripts.speed.molecules import FAMILIES

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
TIME_LIMIT = 1800.0
"""Longest wall time for one molecule, s."""
MINUTES = 180.0
"""Longest wall time for one molecule by another program, s."""
LARGEST_BATCH = 128
"""Largest number of atoms of a molecule in a batch; larger ones are predicted one by one."""


def measured(
    name: str, most_s: float = TIME_LIMIT, *arguments: str, threads: int = 1
) -> dict[str, Any]:
    """Return the output of ``scripts.speed.single`` for the molecule ``name``."""
    options = (*arguments, "--threads", str(threads))
    found = in_own_process("scripts.speed.single", name, *options, threads=threads, most_s=most_s)
    return {"name": name} | found


def beside() -> list[dict[str, Any]]:
    """Time batches of one size, and other programs up to the first size that takes minutes."""
    rows = []
    for program in ("batch", "sparrow", "mopac", "label"):
        for family in FAMILIES:
            for size in SIZES:
                if program == "batch" and size > LARGEST_BATCH:
                    break
                name = f"{family}-{size}"
                row = measured(name, MINUTES, "--program", program) | {"program": program}
                print(json.dumps(row), flush=True)
                rows.append(row)
                # Twice as many atoms take at least five times as long.
                if row["outcome"] != "ok" or row["wall_s"] > MINUTES / 5:
                    break
    return rows


def sizes(smallest: int, largest: int, known: list[dict[str, Any]]) -> dict[str, Any]:
    """Time single molecules from ``smallest`` to ``largest``, C60 and β-carotene; fit exponents.

    Rows ``known`` of other sizes are kept.
    """
    names = ["C60", "beta-carotene"] if smallest <= 60 else []
    names += [f"{f}-{size}" for size in SIZES if smallest <= size <= largest for f in FAMILIES]
    rows = [row for row in known if row["name"] not in names]
    for name in names:
        row = measured(name)
        print(json.dumps(row), flush=True)
        rows.append(row)
    return {"molecules": rows, "exponents": exponents(rows)}


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Fit exponents of processor time over the number of atoms, by family, from 128 atoms on."""
    found = {}
    for family in FAMILIES:
        points = [
            (r["n_atoms"], r["cpu_s"])
            for r in rows
            if r["name"].startswith(family) and r.get("n_atoms", 0) >= 120
        ]
        if len(points) > 1:
            n, t = np.log(np.array(points)).T
            found[family] = float(np.polyfit(n, t, 1)[0])
    return found


def largest() -> dict[str, Any]:
    """Time the largest molecules on all cores."""
    rows = {}
    for family in FAMILIES:
        row = measured(f"{family}-{max(SIZES)}", threads=os.cpu_count() or 1)
        print(json.dumps(row), flush=True)
        rows[family] = row
    return rows
