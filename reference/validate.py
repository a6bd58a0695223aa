"""Checks of a reference set: every record against what must hold, and outliers for a human."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from esml.basis import ELEMENTS, VALENCE_ELECTRONS
from esml.dataset import Record, iterate

from .scf import core_orbitals

OUTLIER_Z = 6.0


@dataclass
class Report:
    """What was found."""

    n_records: int = 0
    errors: list[str] = field(default_factory=list)
    outliers: list[str] = field(default_factory=list)

    def summary(self) -> str:
        lines = [*(f"error: {e}" for e in self.errors), *(f"outlier: {o}" for o in self.outliers)]
        lines.append(
            f"{self.n_records} records: {len(self.errors)} errors, {len(self.outliers)} outliers "
            f"(more than {OUTLIER_Z:g} standard deviations from their kind)"
        )
        return "\n".join(lines)


def check_record(record: Record) -> list[str]:
    """What is wrong with one record; empty when all holds.

    Tolerances are those of the stored precision: 1e-4 eV on orbital energies and 1e-4 on
    orthonormality (float32), 1e-4 e on charges, 0.02 on amplitude norms (float16).
    """
    wrong: list[str] = []

    def expect(holds: bool, what: str) -> None:
        if not holds:
            wrong.append(what)

    numbers = record.numbers
    n_orbitals = int(np.where(numbers == 1, 1, 4).sum())
    o = int(record.n_occupied)
    v = n_orbitals - o
    expect(set(numbers.tolist()) <= set(ELEMENTS), "an element outside the supported ones")
    electrons = sum(VALENCE_ELECTRONS.get(int(z), 0) for z in numbers) - int(record.charge)
    expect(electrons == 2 * o, f"{o} occupied orbitals for {electrons} valence electrons")
    expect(record.energies.shape == (n_orbitals,), "a wrong number of orbitals")
    arrays = [value for value in vars(record).values() if isinstance(value, np.ndarray)]
    expect(all(np.isfinite(a.astype(float)).all() for a in arrays), "a value that is not finite")
    if wrong:
        return wrong
    for name, energies, coefficients in (
        ("downfolded", record.energies, record.coefficients),
        ("scf", record.scf_energies, record.scf_coefficients),
    ):
        expect(bool((np.diff(energies) >= 0).all()), f"{name} orbital energies not ascending")
        c = coefficients.astype(float)
        deviation = float(np.abs(c.T @ c - np.eye(n_orbitals)).max())
        expect(deviation < 1e-4, f"{name} orbitals off orthonormal by {deviation:.1e}")
    n_core = core_orbitals(numbers)
    occupied = record.reference_energies[n_core : n_core + o]
    gap = float(np.abs(occupied - record.energies[:o]).max())
    expect(gap < 1e-4, f"downfolded occupied energies off the large-basis ones by {gap:.1e} eV")
    total = float(record.charges.sum()) - float(record.charge)
    expect(abs(total) < 1e-4, f"charges off the total charge by {total:.1e} e")
    expect(bool((record.singlet_strengths > -1e-6).all()), "a negative oscillator strength")
    n_s, n_t = len(record.singlet_energies), len(record.triplet_energies)
    expect(record.singlet_x.shape == (n_s, o, v), "singlet amplitudes of a wrong shape")
    expect(record.triplet_x.shape == (n_t, o, v), "triplet amplitudes of a wrong shape")
    strengths = (
        2.0 / 3.0 * record.singlet_energies / 27.211386 * (record.singlet_dipoles**2).sum(1)
    )
    expect(
        bool(np.allclose(strengths, record.singlet_strengths, atol=1e-3, rtol=1e-3)),
        "oscillator strengths at odds with the transition dipoles",
    )
    for name, energies in (
        ("singlet", record.singlet_energies),
        ("triplet", record.triplet_energies),
    ):
        expect(bool((energies > 0).all()), f"a {name} energy that is not positive")
        expect(bool((np.diff(energies) >= 0).all()), f"{name} energies not ascending")
    norms = (record.singlet_x.astype(float) ** 2).sum((1, 2))
    norms -= (record.singlet_y.astype(float) ** 2).sum((1, 2))
    expect(
        bool(np.allclose(norms, record.singlet_valence_weights, atol=0.02)),
        "singlet amplitudes at odds with their valence weights",
    )
    expect(
        bool((record.singlet_valence_weights < 1.02).all()), "a singlet valence weight above one"
    )
    norms = (record.triplet_x.astype(float) ** 2).sum((1, 2))
    expect(
        bool(np.allclose(norms, record.triplet_valence_weights, atol=0.02)),
        "triplet amplitudes at odds with their valence weights",
    )
    return wrong


def _outliers(records: dict[str, dict[str, float]]) -> list[str]:
    found = []
    for quantity in next(iter(records.values()), {}):
        values = np.array([r[quantity] for r in records.values()])
        spread = values.std()
        if not spread > 0:
            continue
        scores = (values - values.mean()) / spread
        for name, value, z in zip(records, values, scores, strict=True):
            if abs(z) > OUTLIER_Z:
                found.append(f"{name}: {quantity} {value:.3f} ({z:+.1f} σ)")
    return found


def validate(paths: Iterable[str | Path], limit: int | None = None) -> Report:
    """Check the records of ``paths`` (all, or the first ``limit``), duplicates and leakage included.

    Leakage is a molecule, by the connectivity block of its InChIKey, in more than one split.
    Raises DatasetError for an unreadable shard.
    """
    report = Report()
    keys: set[str] = set()
    homes: dict[str, str] = {}
    figures: dict[str, dict[str, float]] = {}
    for record in iterate(list(paths)):
        if limit is not None and report.n_records >= limit:
            break
        report.n_records += 1
        label = f"{record.name} [{record.key}]"
        report.errors.extend(f"{label}: {what}" for what in check_record(record))
        if record.key in keys:
            report.errors.append(f"{label}: stored twice")
        keys.add(record.key)
        if record.inchikey and record.split:
            home = homes.setdefault(record.inchikey[:14], record.split)
            if home != record.split:
                report.errors.append(f"{label}: in {record.split} and in {home}")
        heavy = max(int((record.numbers > 1).sum()), 1)
        figures[label] = {
            "S1 (eV)": float(record.singlet_energies[0]),
            "T1 (eV)": float(record.triplet_energies[0]),
            "gap (eV)": float(
                record.energies[int(record.n_occupied)] - record.energies[int(record.n_occupied) - 1]
            ),
            "dipole per heavy atom (e·bohr)": float(np.linalg.norm(record.dipole)) / heavy,
            "largest charge (e)": float(np.abs(record.charges).max()),
        }
    report.outliers = _outliers(figures)
    return report
