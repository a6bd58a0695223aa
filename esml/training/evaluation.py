"""Errors of a model in the quantities that users need, beside those of composition alone.

Label states and predicted states are paired one to one by the overlap of their transition
densities (``losses.match``). S1 and T1 are compared as a user sees them: the lowest predicted state
with the lowest label state. Label states that a minimal basis cannot hold (valence weight below
``LEAST_WEIGHT``) are counted but not scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from esml.io.records import DatasetError, Record, read
from esml.model.graph import Graph, build_graph
from esml.predict.solution import Solution, answered
from esml.predict.surrogate import Surrogate
from esml.results import half_width
from esml.training.baseline import CompositionBaseline
from esml.training.losses import match
from esml.training.scores import BRIGHT, HIGHEST, LEAST_WEIGHT, QUANTITIES, Scores, valence
from esml.training.targets import collate, structure
from esml.typing import MULTIPLICITIES, Multiplicity
from esml.units import DEBYE

BATCH = 16


def solve(
    model: Surrogate, group: Sequence[Record], highest: float = HIGHEST
) -> tuple[Graph, Solution, dict[str, NDArray[np.int64]]]:
    """Predict ``group`` and find the label states among the predicted ones.

    Parameters
    ----------
    model:
        The surrogate.
    group:
        Records of M structures.
    highest:
        Highest energy (eV) of label states to match.

    Returns
    -------
    The graph, the solution, and for "singlet" and "triplet" the (M, S) index of the predicted state
    that matches each label state, −1 if none does (``losses.match``).
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
    multiplicity: Multiplicity,
    places: NDArray[np.int64],
    exists: torch.Tensor,
    highest: float = HIGHEST,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the scored label states of ``record`` and the predicted state to compare each with.

    Parameters
    ----------
    record:
        The labels.
    multiplicity:
        "singlet" or "triplet".
    places:
        (S,) matches of this structure, from ``solve``.
    exists:
        (S',) true for each state that was predicted.
    highest:
        Label states above this energy (eV) are not scored.

    Returns
    -------
    Indices of label states and of predicted states, of equal length. A label state without a match
    is compared with the predicted state of the same rank.
    """
    states = np.flatnonzero(valence(record, multiplicity, highest))
    index = places[states]
    return states, np.where(index >= 0, index, np.minimum(states, int(exists.sum()) - 1))


def _score_batch(model: Surrogate, group: Sequence[Record], scores: Scores) -> None:
    graph, solution, places = solve(model, group)
    stated, given = model.uncertainties(graph, solution), answered(solution)
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
        # Structures that ``predict`` refuses are counted, not scored.
        if not given[m]:
            scores.add("unstable", 1.0)
            continue
        scores.add("out_of_domain", float(not stated.verdicts[m].in_domain))
        for multiplicity, found, lowest in zip(
            MULTIPLICITIES, (solution.singlets, solution.triplets), ("s1", "t1"), strict=True
        ):
            labels = getattr(record, f"{multiplicity}_energies")
            chosen = valence(record, multiplicity)
            below = labels <= HIGHEST
            scores.add(f"{multiplicity}_left_out", (below & ~chosen)[below].astype(float))
            values = found.energies[m].numpy()
            if chosen[:1].any():
                scores.compare(lowest, values[0], labels[0])
            states, index = partners(record, multiplicity, places[multiplicity][m], found.mask[m])
            scores.compare(f"{multiplicity}s", values[index], labels[states])
            scores.add("stated", getattr(stated, f"{multiplicity}s")[m].numpy()[index])
            scores.add("errors", values[index] - labels[states])
            scores.add(
                f"{multiplicity}_matched", (places[multiplicity][m, states] >= 0).astype(float)
            )
            if multiplicity == "singlet":
                strengths = found.oscillator_strengths[m].numpy()[index]
                truth = record.singlet_strengths[states]
                scores.compare("oscillator", strengths, truth)
                if len(truth) and truth.max() > BRIGHT:
                    scores.add("bright_oscillator", (strengths - truth)[truth > BRIGHT])
                    scores.add("brightest", float(strengths.argmax() == truth.argmax()))


def evaluate_records(
    model: Surrogate, records: Sequence[Record], scores: Scores | None = None
) -> dict[str, Any]:
    """Return mean absolute errors of ``model`` on ``records``, per orbital, state and molecule.

    Parameters
    ----------
    model:
        The surrogate.
    records:
        Labels to compare with.
    scores:
        If given, collects the individual deviations.

    Returns
    -------
    Errors by name (``QUANTITIES``), counts, and measures of how well the predicted uncertainties
    fit the errors (``STATED``).
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
"""Entries of the report about predicted uncertainties."""


def _calibration(scores: Scores) -> dict[str, float]:
    """Measure how well predicted uncertainties fit the errors of the states; NaN without any."""
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


def evaluate(
    model: Surrogate,
    data: str | Path | Sequence[str | Path],
    split: str = "test",
    scores: Scores | None = None,
) -> dict[str, Any]:
    """Score ``model`` on one split of a dataset, and a baseline fitted to its training split.

    Parameters
    ----------
    model:
        The surrogate.
    data:
        Shards, or directories of shards.
    split:
        "train", "validation", "test" or "extrapolation".
    scores:
        If given, collects the deviations, and labels with predictions (``Scores.pairs``).

    Returns
    -------
    What ``evaluate_records`` returns, and ``baselines``: the errors of each baseline by name.

    Raises
    ------
    DatasetError
        If the data cannot be read or have no records of that split.
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
    """Format the mean absolute errors of a model and of baselines as a text table.

    Parameters
    ----------
    result
        The result of ``evaluate``.

    Returns
    -------
    The table.
    """
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
