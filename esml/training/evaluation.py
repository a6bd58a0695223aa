"""How good a model is, in the quantities people use, beside what composition alone tells.

A state of the label and a state of the prediction are the same when their transition densities
overlap most (one to one, ``losses.match``); S1 and T1 are compared as a user sees them: the lowest
predicted state against the lowest label state. Label states a minimal basis cannot hold (valence
weight below ``LEAST_WEIGHT``) are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from esml.io.records import DatasetError, Record, read
from esml.model.graph import Graph, build_graph
from esml.physics.basis import ELEMENTS
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.results import half_width
from esml.training.losses import match
from esml.training.targets import collate, structure, valence_states
from esml.units import DEBYE

Array = NDArray[np.float64]

LEAST_WEIGHT = 0.85
"""Valence weight from which a label state counts as one a minimal basis can hold."""

HIGHEST = 8.0
"""eV; label states above are not scored."""

BRIGHT = 0.1
"""Oscillator strength from which a state is bright."""

BATCH = 16


class Scores:
    """Deviations collected by quantity; a mean absolute error of each."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self.labels: dict[str, list[float]] = {}

    def compare(self, name: str, found: Any, label: Any) -> None:
        """Add the deviations of ``found`` from ``label``, and keep the labels."""
        labels = np.atleast_1d(np.asarray(label, dtype=float)).ravel()
        self.labels.setdefault(name, []).extend(labels.tolist())
        self.add(name, np.asarray(found, dtype=float) - label)

    def pairs(self) -> dict[str, tuple[Array, Array]]:
        """Labels and predictions of every quantity that was compared."""
        return {
            name: (np.array(labels), np.array(labels) + np.array(self.values[name]))
            for name, labels in self.labels.items()
        }

    def add(self, name: str, deviations: Any) -> None:
        found = np.atleast_1d(np.asarray(deviations, dtype=float)).ravel()
        self.values.setdefault(name, []).extend(found.tolist())

    def mae(self, name: str) -> float:
        found = self.values.get(name)
        return float(np.abs(found).mean()) if found else float("nan")

    def rmse(self, name: str) -> float:
        found = self.values.get(name)
        return float(np.sqrt(np.square(found).mean())) if found else float("nan")


def _valence(record: Record, kind: str, highest: float = HIGHEST) -> NDArray[np.bool_]:
    return valence_states(
        getattr(record, f"{kind}_energies"),
        getattr(record, f"{kind}_valence_weights"),
        LEAST_WEIGHT,
        highest,
    ).astype(bool)


def solve(
    model: Surrogate, group: Sequence[Record], highest: float = HIGHEST
) -> tuple[Graph, Solution, dict[str, NDArray[np.int64]]]:
    """Graph and states of ``group``, and for each kind the (M, S) place of each label state.

    A place is −1 where no solved state resembles the label's (``losses.match``).
    """
    atoms = [structure(r) for r in group]
    most = max(len(r.singlet_energies) for r in group), max(len(r.triplet_energies) for r in group)
    with torch.no_grad():
        graph = build_graph(atoms, model.hamiltonian.cutoff, model.dtype)
        solution: Solution = model(graph, max(most) + 4)
        targets = collate(group, LEAST_WEIGHT, highest)
        places = {
            "singlet": match(solution.singlets, solution.orbitals, targets.singlets).numpy(),
            "triplet": match(solution.triplets, solution.orbitals, targets.triplets).numpy(),
        }
    return graph, solution, places


def partners(
    record: Record,
    kind: str,
    places: NDArray[np.int64],
    exists: torch.Tensor,
    highest: float = HIGHEST,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Valence states of the label of ``record``, and the solved state each is compared with.

    ``places`` (S,) are those of ``solve``, ``exists`` (S',) tells which states were solved. A label
    state no solved state resembles is scored against the nearest by rank.
    """
    states = np.flatnonzero(_valence(record, kind, highest))
    index = places[states]
    return states, np.where(index >= 0, index, np.minimum(states, int(exists.sum()) - 1))


def _score_batch(model: Surrogate, group: Sequence[Record], scores: Scores) -> None:
    graph, solution, places = solve(model, group)
    stated = model.uncertainties(graph, solution)
    for m, record in enumerate(group):
        n, o = len(record.energies), int(record.n_occupied)
        energies = solution.orbitals.energies[m, :n].numpy()
        scores.add("occupied", energies[:o] - record.energies[:o])
        if n > o:
            label_gap = record.energies[o] - record.energies[o - 1]
            scores.compare("gap", energies[o] - energies[o - 1], label_gap)
        k = len(record.numbers)
        scores.add("charges", solution.charges[m, :k].numpy() - record.charges)
        dipole = solution.dipole[m].numpy() - record.dipole
        scores.add("dipole", float(np.linalg.norm(dipole)) * DEBYE)
        # What ``predict`` refuses is not scored, but counted.
        if not bool(solution.singlets.stable[m] & solution.triplets.stable[m]):
            scores.add("unstable", 1.0)
            continue
        scores.add("out_of_domain", float(not stated.verdicts[m].in_domain))
        for kind, found, lowest in (
            ("singlet", solution.singlets, "s1"),
            ("triplet", solution.triplets, "t1"),
        ):
            labels = getattr(record, f"{kind}_energies")
            chosen = _valence(record, kind)
            below = labels <= HIGHEST
            scores.add(f"{kind}_left_out", (below & ~chosen)[below].astype(float))
            values = found.energies[m].numpy()
            if chosen[:1].any():
                scores.compare(lowest, values[0], labels[0])
            states, index = partners(record, kind, places[kind][m], found.mask[m])
            scores.compare(f"{kind}s", values[index], labels[states])
            scores.add("stated", getattr(stated, f"{kind}s")[m].numpy()[index])
            scores.add("errors", values[index] - labels[states])
            scores.add(f"{kind}_matched", (places[kind][m, states] >= 0).astype(float))
            if kind == "singlet":
                strengths = found.oscillator_strengths[m].numpy()[index]
                truth = record.singlet_strengths[states]
                scores.compare("oscillator", strengths, truth)
                if len(truth) and truth.max() > BRIGHT:
                    scores.add("bright_oscillator", (strengths - truth)[truth > BRIGHT])
                    scores.add("brightest", float(strengths.argmax() == truth.argmax()))


QUANTITIES = {
    "occupied_mae_eV": "occupied",
    "gap_mae_eV": "gap",
    "s1_mae_eV": "s1",
    "t1_mae_eV": "t1",
    "singlets_mae_eV": "singlets",
    "triplets_mae_eV": "triplets",
    "oscillator_mae": "oscillator",
    "bright_oscillator_mae": "bright_oscillator",
    "dipole_mae_debye": "dipole",
    "charges_mae_e": "charges",
}
"""Names in the report, and of the deviations behind them."""


def evaluate_records(
    model: Surrogate, records: Sequence[Record], scores: Scores | None = None
) -> dict[str, Any]:
    """Mean absolute errors of ``model`` on ``records``, per orbital, per state and per molecule.

    ``scores``, if given, keeps the deviations behind them.
    """
    scores = Scores() if scores is None else scores
    order = sorted(range(len(records)), key=lambda i: len(records[i].energies))
    for begin in range(0, len(order), BATCH):
        _score_batch(model, [records[i] for i in order[begin : begin + BATCH]], scores)
    result: dict[str, Any] = {
        "n_structures": len(records),
        "n_molecules": len({r.inchikey or r.name for r in records}),
        **{name: scores.mae(source) for name, source in QUANTITIES.items()},
        "singlets_rmse_eV": scores.rmse("singlets"),
        "triplets_rmse_eV": scores.rmse("triplets"),
        "brightest_share": scores.mae("brightest"),
        **_calibration(scores),
        "unstable": len(scores.values.get("unstable", [])),
        "n_singlets": len(scores.values.get("singlets", [])),
        "n_triplets": len(scores.values.get("triplets", [])),
        "states_left_out": int(
            sum(scores.values.get("singlet_left_out", []))
            + sum(scores.values.get("triplet_left_out", []))
        ),
        "matched_share": float(
            np.mean(
                scores.values.get("singlet_matched", []) + scores.values.get("triplet_matched", [])
                or [float("nan")]
            )
        ),
    }
    return result


STATED = ("uncertainty_spearman", "coverage_90", "out_of_domain_share")
"""Names, in the report, of what is said of stated uncertainties."""


def _calibration(scores: Scores) -> dict[str, float]:
    """Whether stated uncertainties are the errors of the states; nan where none are stated."""
    stated, errors = (np.array(scores.values.get(name, [])) for name in ("stated", "errors"))
    known = np.isfinite(stated)
    stated, errors = stated[known], np.abs(errors[known])
    varies = len(stated) > 2 and float(np.ptp(stated)) > 1e-6 * float(stated.max())
    return {
        "uncertainty_spearman": float(spearmanr(stated, errors).statistic) if varies else math.nan,
        "coverage_90": float(np.mean(errors <= half_width(0.9) * stated))
        if len(stated)
        else math.nan,
        "out_of_domain_share": scores.mae("out_of_domain"),
    }


def _composition(record: Record) -> Array:
    """(9,) counts of each element, their sum's logarithm and a constant."""
    counts = [float((record.numbers == z).sum()) for z in ELEMENTS]
    return np.array([*counts, np.log(sum(counts)), 1.0])


def _with_rank(record: Record, fractions: Array) -> Array:
    """Composition times powers of a rank in [0, 1]: (len(fractions), 36)."""
    powers = np.stack([np.ones_like(fractions), fractions, fractions**2, fractions**3], axis=1)
    composition = _composition(record)
    rows: Array = powers[:, :, None] * composition
    return rows.reshape(len(fractions), powers.shape[1] * len(composition))


class CompositionBaseline:
    """Ridge regression of every quantity on the elements' counts (and, for levels, on the rank)."""

    def __init__(self, training: Sequence[Record], ridge: float = 1e-2) -> None:
        self._ridge = ridge
        self._fits: dict[str, Array] = {}
        for name, pick in _PICKS.items():
            rows, values = zip(*(pick(r) for r in training), strict=True)
            self._fits[name] = self._fit(np.concatenate(rows), np.concatenate(values))

    def _fit(self, rows: Array, values: Array) -> Array:
        gram = rows.T @ rows + self._ridge * np.eye(rows.shape[1])
        return np.linalg.solve(gram, rows.T @ values).astype(np.float64)

    def evaluate(self, records: Sequence[Record]) -> dict[str, float]:
        """The same mean absolute errors as ``evaluate_records`` gives."""
        scores = Scores()
        for record in records:
            for name, pick in _PICKS.items():
                rows, values = pick(record)
                scores.add(name, rows @ self._fits[name] - values)
        return {name: scores.mae(source) for name, source in QUANTITIES.items() if source in _PICKS}


def _pick_occupied(record: Record) -> tuple[Array, Array]:
    o = int(record.n_occupied)
    fractions = (np.arange(o) + 0.5) / o
    return _with_rank(record, fractions), record.energies[:o].astype(float)


def _pick_gap(record: Record) -> tuple[Array, Array]:
    o = int(record.n_occupied)
    value = record.energies[o : o + 1] - record.energies[o - 1 : o]
    return _composition(record)[None, :][: len(value)], value.astype(float)


def _pick_states(kind: str, quantity: str, lowest: bool) -> Callable[[Record], tuple[Array, Array]]:
    def pick(record: Record) -> tuple[Array, Array]:
        states = np.flatnonzero(_valence(record, kind))
        if lowest:
            states = states[states == 0]
        values = getattr(record, f"{kind}_{quantity}")[states].astype(float)
        return _with_rank(record, states / 10.0), values

    return pick


_PICKS: dict[str, Callable[[Record], tuple[Array, Array]]] = {
    "occupied": _pick_occupied,
    "gap": _pick_gap,
    "s1": _pick_states("singlet", "energies", True),
    "t1": _pick_states("triplet", "energies", True),
    "singlets": _pick_states("singlet", "energies", False),
    "triplets": _pick_states("triplet", "energies", False),
    "oscillator": _pick_states("singlet", "strengths", False),
}


def evaluate(
    model: Surrogate,
    data: str | Path | Sequence[str | Path],
    split: str = "test",
    scores: Scores | None = None,
) -> dict[str, Any]:
    """Score ``model`` on one split of a dataset, beside a baseline fitted to its training split.

    ``scores``, if given, keeps the model's deviations, and labels and predictions (``pairs``).
    Returns the errors by name (``QUANTITIES``), counts, and ``baselines``: name → the same errors.
    Raises DatasetError where the data cannot be read or hold nothing of that split.
    """
    records = read(data)
    chosen = [r for r in records if r.split == split]
    if not chosen:
        known = ", ".join(sorted({r.split for r in records if r.split})) or "none"
        raise DatasetError(
            f"the data hold no records of split {split!r}: expected one of {known}; choose another"
        )
    result = evaluate_records(model, chosen, scores)
    result["split"] = split
    training = [r for r in records if r.split == "train"]
    result["baselines"] = {}
    if training:
        result["baselines"]["composition"] = CompositionBaseline(training).evaluate(chosen)
    return result


_LABELS = {
    "occupied_mae_eV": ("occupied orbital energies", "eV"),
    "gap_mae_eV": ("HOMO–LUMO gap", "eV"),
    "s1_mae_eV": ("S1", "eV"),
    "t1_mae_eV": ("T1", "eV"),
    "singlets_mae_eV": ("valence singlets below 8 eV", "eV"),
    "triplets_mae_eV": ("valence triplets below 8 eV", "eV"),
    "oscillator_mae": ("oscillator strengths", ""),
    "bright_oscillator_mae": ("strengths of bright states", ""),
    "dipole_mae_debye": ("dipole moment", "D"),
    "charges_mae_e": ("atomic charges", "e"),
}


def format_evaluation(result: dict[str, Any]) -> str:
    """The table of ``evaluate`` as text: mean absolute errors, model beside baselines."""
    baselines: dict[str, dict[str, float]] = result.get("baselines", {})
    header = f"{'mean absolute error':<30}{'unit':>5}{'model':>10}"
    header += "".join(f"{name:>14}" for name in baselines)
    lines = [
        f"{result['n_structures']} structures of {result['n_molecules']} molecules"
        f" ({result.get('split', 'all')})",
        header,
    ]
    for key, (label, unit) in _LABELS.items():
        line = f"{label:<30}{unit:>5}{result[key]:>10.3f}"
        for values in baselines.values():
            line += f"{values[key]:>14.3f}" if key in values else f"{'–':>14}"
        lines.append(line)
    share = result["brightest_share"]
    lines.append(
        f"brightest state right: {share:.0%} of molecules with a bright one; states found by their "
        f"density: {result['matched_share']:.1%}"
    )
    if math.isfinite(result["coverage_90"]):
        lines.append(
            f"uncertainties: rank correlation with errors {result['uncertainty_spearman']:.2f}, "
            f"90 % intervals hold {result['coverage_90']:.1%}; "
            f"{result['out_of_domain_share']:.1%} of the structures out of domain"
        )
    lines.append(
        f"scored {result['n_singlets']} singlets and {result['n_triplets']} triplets; "
        f"{result['states_left_out']} label states below 8 eV left out as not valence; "
        f"{result['unstable']} structures refused as unstable, their states not scored"
    )
    return "\n".join(lines)
