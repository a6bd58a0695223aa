"""Checks of a set of crystals: every record against what must hold, and the splits together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from esml.io.records import CrystalRecord, iterate
from esml.physics.crystals.bands import zero_name
from esml.physics.crystals.bloch import k_mesh
from esml.physics.crystals.shells import SHELLS, atom_of_orbital

from ..validate import Report
from .alloys import HELD_OUT_PAIR, HELD_OUT_SETS
from .cell import CrystalLevel, valence_electrons
from .record import d_centres, interpolated, key_of, shell_populations

ROUNDING = 2e-3
"""eV; far above what storing H(R) in steps of 1e-5 eV does to a band of a fine mesh."""
LEARNED_FROM = ("train", "validation")


def _level(text: str) -> CrystalLevel | None:
    try:
        return CrystalLevel(**json.loads(text))
    except (json.JSONDecodeError, TypeError):
        return None


def _shapes(record: CrystalRecord) -> list[str]:
    """Fields whose shape does not follow from atoms, k mesh and lattice vectors."""
    N = len(record.numbers)
    n = len(atom_of_orbital(record.numbers.tolist()))
    K, T = len(record.k_points), len(record.images)
    n_d = sum("d" in SHELLS[int(z)] for z in record.numbers)
    expected = {
        "positions": (N, 3),
        "cell": (3, 3),
        "divisions": (3,),
        "dense_divisions": (3,),
        "k_points": (K, 3),
        "k_weights": (K,),
        "images": (T, 3),
        "blocks": (T, n, n),
        "energies": (K, n),
        "n_exact": (K,),
        "populations": (N, 3),
        "d_centres": (n_d,),
    }
    return [
        f"{name} has shape {shape}: expected {wanted}"
        for name, wanted in expected.items()
        if (shape := getattr(record, name).shape) != wanted
    ]


def check_record(record: CrystalRecord) -> list[str]:
    """What is wrong with one record; empty when all holds."""
    if not len(record.numbers) or not set(record.numbers.tolist()) <= set(SHELLS):
        return ["an element outside the supported ones"]
    level = _level(record.level)
    if level is None:
        return ["a level of theory that is not one for crystals"]
    wrong = _shapes(record)
    arrays = [value for value in vars(record).values() if isinstance(value, np.ndarray)]
    if not all(np.isfinite(a.astype(float)).all() for a in arrays):
        wrong.append("a value that is not finite")
    if wrong:
        return wrong

    def expect(holds: bool, what: str) -> None:
        if not holds:
            wrong.append(what)

    mesh = k_mesh([int(n) for n in record.divisions])
    same = np.array_equal(mesh.fractional.numpy(), record.k_points)
    expect(same, "k points that are not those of its mesh")
    expect(key_of(record) == record.key, "a content key that is not that of its structure")
    electrons = valence_electrons(record.numbers)
    expect(int(record.n_electrons) == electrons, f"not the {electrons} electrons of its atoms")
    expect(abs(float(record.k_weights.sum()) - 1.0) < 1e-9, "weights that do not add up to one")
    expect(bool((np.diff(record.energies, axis=1) >= -1e-6).all()), "bands not ascending")
    if wrong:
        return wrong
    wrong.extend(_bands(record))
    wrong.extend(_dense(record, level))
    return wrong


def _bands(record: CrystalRecord) -> list[str]:
    """Whether H(R) has the bands of the large basis, as far as it says so."""
    points = k_mesh([int(n) for n in record.divisions]).fractional
    energies = np.linalg.eigvalsh(record.hamiltonian.at(points).numpy())
    inside = np.arange(energies.shape[1]) < record.n_exact[:, None]
    off = float(np.abs(energies - record.energies)[inside].max(initial=0.0))
    if off > ROUNDING:
        return [f"bands off those of the large basis by {off:.1e} eV"]
    return []


def _dense(record: CrystalRecord, level: CrystalLevel) -> list[str]:
    """Whether Fermi level, populations and d-band centres follow from H(R)."""
    bands = interpolated(record.hamiltonian, record.cell, int(record.n_electrons), level)
    wrong = []
    if abs(float(bands.zero)) > ROUNDING:
        wrong.append(
            f"a {zero_name(level.insulating)} {float(bands.zero):+.1e} eV off that of its bands"
        )
    for name, stored, found, unit in (
        ("populations", record.populations, shell_populations(bands, record.numbers), "e"),
        ("d-band centres", record.d_centres, d_centres(bands, record.numbers), "eV"),
    ):
        off = float(np.abs(stored - found).max(initial=0.0))
        if off > 2.0 * ROUNDING:
            wrong.append(f"{name} off those of its bands by {off:.1e} {unit}")
    return wrong


def check_split(record: CrystalRecord) -> list[str]:
    """Whether a record that a model learns from is one kept for tests."""
    elements = frozenset(chemical_symbols[int(z)] for z in record.numbers)
    if record.split not in LEARNED_FROM:
        return []
    if elements in HELD_OUT_SETS or elements >= HELD_OUT_PAIR or len(elements) > 4:
        return [f"in the split {record.split!r}, though {' '.join(sorted(elements))} is for tests"]
    return []


def validate(paths: Iterable[str | Path]) -> Report:
    """Check the records of ``paths``, each alone and all together.

    Raises DatasetError for an unreadable shard.
    """
    report = Report()
    for record in iterate(list(paths), unique=False, kind=CrystalRecord):
        report.add(record, check_record(record) + check_split(record))
    return report
