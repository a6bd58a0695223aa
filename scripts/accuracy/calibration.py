"""Compare predicted uncertainties with errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from scipy.stats import spearmanr

from esml.io.records import Record
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from esml.results import Result, half_width
from esml.training.evaluation import BATCH
from esml.training.losses import match
from esml.training.scores import HIGHEST, LEAST_WEIGHT
from esml.training.targets import collate, structure
from scripts.accuracy.methods import N_STATES

Pair = tuple[float, float]
"""Predicted uncertainty and absolute error, eV."""


def calibration(model: Surrogate, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Compare uncertainties with errors of S1, T1, all valence states found, and structures.

    For a structure both are root mean squares over its states. Each row holds the count, Spearman's
    rank correlation of uncertainty and |error| (nan if the uncertainty is always the same), its
    value for normal errors with exactly the predicted standard deviations, the share of errors
    inside the 90 % interval, and the mean uncertainty and error (eV). The row of all states also
    holds the rank correlation of |error| with its mean over the states of the molecule: the value
    that knowing the mean error of each molecule would give.
    """
    found: dict[str, list[Pair]] = {}
    by_molecule: dict[str, list[float]] = {}
    order = sorted(range(len(records)), key=lambda i: len(records[i].energies))
    for begin in range(0, len(order), BATCH):
        group = [records[i] for i in order[begin : begin + BATCH]]
        atoms = [structure(r) for r in group]
        results = list(model.predict_many(atoms, n_states=N_STATES, errors="return"))
        places = _places(model, atoms, group)
        for m, (record, result) in enumerate(zip(group, results, strict=True)):
            if not isinstance(result, Result):
                continue
            own = []
            for multiplicity, lowest in (("singlets", "S1"), ("triplets", "T1")):
                states = getattr(result, multiplicity)
                labels = getattr(record, f"{multiplicity[:-1]}_energies")
                weights = getattr(record, f"{multiplicity[:-1]}_valence_weights")
                if weights[0] >= LEAST_WEIGHT:
                    error = abs(float(states.energies[0] - labels[0]))
                    found.setdefault(lowest, []).append((float(states.uncertainties[0]), error))
                for label, place in enumerate(places[multiplicity][m, : len(labels)]):
                    if place >= 0:
                        error = abs(float(states.energies[place] - labels[label]))
                        own.append((float(states.uncertainties[place]), error))
                        found.setdefault(multiplicity, []).append(own[-1])
            by_molecule.setdefault(record.inchikey, []).extend(error for _, error in own)
            if own:
                stated, error = np.sqrt(np.square(own).mean(0))
                found.setdefault("structures", []).append((float(stated), float(error)))
    found["all"] = found.get("singlets", []) + found.get("triplets", [])
    table = {name: _row(pairs) for name, pairs in found.items() if pairs}
    errors = [np.array(e) for e in by_molecule.values() if e]
    if "all" in table:
        means = np.concatenate([np.full(len(e), e.mean()) for e in errors])
        known = spearmanr(means, np.concatenate(errors)).statistic
        table["all"]["spearman_of_molecule"] = float(known)
    return table


def _places(
    model: Surrogate, atoms: Sequence[Atoms], group: Sequence[Record]
) -> dict[str, np.ndarray]:
    """Return the predicted state of each label, (M, n_labels) by multiplicity; −1 for none."""
    with torch.no_grad():
        solution = model(model.graph(atoms, ELEMENTS), N_STATES)
        targets = collate(group, LEAST_WEIGHT, HIGHEST)
        return {
            multiplicity: match(
                getattr(solution, multiplicity),
                solution.orbitals,
                getattr(targets, multiplicity),
            ).numpy()
            for multiplicity in ("singlets", "triplets")
        }


def _row(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the row of one kind of state."""
    stated, error = np.array(pairs).T
    varies = np.ptp(stated) > 1e-9
    return {
        "count": len(pairs),
        "spearman": float(spearmanr(stated, error).statistic) if varies else float("nan"),
        "spearman_if_exact": if_exact(stated),
        "inside_90": float(np.mean(error <= half_width(0.9) * stated)),
        "mean_uncertainty_eV": float(stated.mean()),
        "mean_error_eV": float(error.mean()),
    }


def if_exact(stated: np.ndarray) -> float:
    """Return the rank correlation that ``stated`` standard deviations have if they are exact."""
    if len(stated) < 3 or np.ptp(stated) < 1e-9:
        return float("nan")
    drawn = np.abs(np.random.default_rng(0).normal(size=(20, len(stated)))) * stated
    return float(np.mean([spearmanr(stated, errors).statistic for errors in drawn]))


def format_calibration(table: dict[str, dict[str, float]]) -> str:
    lines = [
        f"{'':<12}{'count':>7}{'Spearman':>10}{'if exact':>10}{'in 90 %':>9}{'mean σ/eV':>11}"
        f"{'mean error/eV':>15}"
    ]
    for name in ("S1", "T1", "singlets", "triplets", "all", "structures"):
        if t := table.get(name):
            lines.append(
                f"{name:<12}{t['count']:>7}{t['spearman']:>10.2f}"
                f"{t['spearman_if_exact']:>10.2f}{t['inside_90']:>9.1%}"
                f"{t['mean_uncertainty_eV']:>11.3f}{t['mean_error_eV']:>15.3f}"
            )
    if t := table.get("all"):
        lines.append(
            "were every molecule's mean error known and stated, Spearman of all states would be "
            f"{t['spearman_of_molecule']:.2f}"
        )
    return "\n".join(lines)
