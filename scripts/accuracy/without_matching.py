"""Compare methods with labels where states need no matching: S1, T1, the spectrum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from esml.analysis.spectrum import broaden
from esml.io.records import Record
from esml.results import Failure
from esml.training.scores import LEAST_WEIGHT
from scripts.accuracy import quest
from scripts.accuracy.methods import Outcome, Prediction

SPECTRUM_LIMIT = 7.0
"""Highest energy (eV) at which spectra are compared."""

SPECTRUM_FWHM = 0.3
"""Full width of a line at half maximum (eV)."""

SPECTRUM_GRID = np.linspace(0.5, SPECTRUM_LIMIT, 1301)

DARK = 0.01
"""Sum of oscillator strengths below which a spectrum counts as empty and is not compared."""


def curve(energies: np.ndarray, strengths: np.ndarray, highest: float) -> np.ndarray:
    """Return the normalized broadened spectrum on ``SPECTRUM_GRID`` up to ``highest``, or zero."""
    real = energies > 0  # a peer may give a state below its ground state
    if not real.any():
        return np.zeros(len(SPECTRUM_GRID))
    found = broaden(
        energies[real], strengths[real], fwhm=SPECTRUM_FWHM, energies=SPECTRUM_GRID
    ).absorption
    found = np.where(highest < SPECTRUM_GRID, 0.0, found)
    norm = np.linalg.norm(found)
    return found / norm if norm > 0 else found


def similarity(states: Prediction, record: Record, least_weight: float = 0.0) -> float | None:
    """Return the overlap, 0 to 1, of the normalized spectra of ``states`` and the labels.

    Label states of at least ``least_weight`` valence weight count, up to ``SPECTRUM_LIMIT``, or up
    to the last label state if no higher states were computed. Returns None if the labels have no
    absorption there.
    """
    energies = record.singlet_energies.astype(float)
    highest = SPECTRUM_LIMIT
    if len(energies) >= json.loads(record.level)["n_singlets"]:
        highest = min(highest, float(energies[-1]))
    chosen = record.singlet_valence_weights >= least_weight
    energies, strengths = energies[chosen], record.singlet_strengths[chosen].astype(float)
    if strengths[energies <= highest].sum() < DARK:
        return None
    ours = curve(states.singlets, states.strengths, highest)
    return float(ours @ curve(energies, strengths, highest))


def against_labels(outcomes: Sequence[Outcome], records: Sequence[Record]) -> dict[str, Any]:
    """Return errors of a method for S1 and T1 (if the lowest label is valence) and spectra."""
    errors: dict[str, list[float]] = {"s1": [], "t1": []}
    similarities: dict[str, list[float]] = {"spectra": [], "valence_spectra": []}
    seconds = []
    for outcome, record in zip(outcomes, records, strict=True):
        if isinstance(outcome, Failure):
            continue
        seconds.append(outcome.seconds)
        if record.singlet_valence_weights[0] >= LEAST_WEIGHT:
            errors["s1"].append(float(outcome.singlets[0] - record.singlet_energies[0]))
        if record.triplet_valence_weights[0] >= LEAST_WEIGHT and len(outcome.triplets):
            errors["t1"].append(float(outcome.triplets[0] - record.triplet_energies[0]))
        for name, least in (("spectra", 0.0), ("valence_spectra", LEAST_WEIGHT)):
            if (overlap := similarity(outcome, record, least)) is not None:
                similarities[name].append(overlap)
    return {
        **{name: asdict(quest.Deviations.of(values)) for name, values in errors.items()},
        **{
            name: {"mean": float(np.mean(v)) if v else float("nan"), "count": len(v)}
            for name, v in similarities.items()
        },
        "seconds": float(np.mean(seconds)) if seconds else float("nan"),
        "failed": sum(isinstance(o, Failure) for o in outcomes),
    }


def _cell(d: dict[str, Any]) -> str:
    if not d["count"]:
        return "–"
    return f"{d['mae']:.3f} / {d['mean']:+.3f} / {d['median']:.3f} ({d['count']})"


def format_against_labels(tables: dict[str, dict[str, Any]]) -> str:
    lines = [
        "S1 and T1: MAE / mean error / median |error| in eV (count). Spectra: mean overlap with",
        f"all label states, and with the valence ones (count), up to {SPECTRUM_LIMIT} eV.",
        f"{'':<12}{'S1':>30}{'T1':>30}{'spectra':>14}{'valence':>14}{'s each':>9}{'failed':>8}",
    ]
    for name, t in tables.items():
        line = f"{name:<12}{_cell(t['s1']):>30}{_cell(t['t1']):>30}"
        for kind in ("spectra", "valence_spectra"):
            cell = f"{t[kind]['mean']:.3f} ({t[kind]['count']})"
            line += f"{cell:>14}"
        lines.append(line + f"{t['seconds']:>9.3f}{t['failed']:>8}")
    return "\n".join(lines)
