"""Labels, losses and scores of the direct model.

This module does for the direct model what ``targets``, ``losses`` and ``evaluation`` do for the
effective Hamiltonian. Only valence states count, which a minimal basis can hold, so that both kinds
of model are compared on the same states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esml.io.records import Record
from esml.model.direct import N_SINGLETS, Direct, Quantities
from esml.model.graph import build_graph
from esml.training.losses import huber, masked_mean
from esml.training.scores import BRIGHT, HIGHEST, LEAST_WEIGHT, Scores
from esml.training.targets import structure, valence_states

BATCH = 64


def labels(records: Sequence[Record], least_weight: float, highest: float) -> Quantities:
    """Collect from labels the quantities that a direct model predicts.

    Parameters
    ----------
    records:
        M records.
    least_weight, highest:
        States with a smaller valence weight, or above this energy (eV), do not count.

    Returns
    -------
    The quantities; NaN if a molecule has no such state.
    """
    shape = (len(records), N_SINGLETS)
    singlets, strengths = np.full(shape, np.nan), np.full(shape, np.nan)
    triplet, homo, gap = np.full((3, len(records)), np.nan)
    occupied = np.full((len(records), max(int(r.n_occupied) for r in records)), np.nan)
    for m, record in enumerate(records):
        held = valence_states(
            record.singlet_energies, record.singlet_valence_weights, least_weight, highest
        )
        found = np.flatnonzero(held)[:N_SINGLETS]
        singlets[m, : len(found)] = record.singlet_energies[found]
        strengths[m, : len(found)] = record.singlet_strengths[found]
        held = valence_states(
            record.triplet_energies, record.triplet_valence_weights, least_weight, highest
        )
        if held.any():
            triplet[m] = record.triplet_energies[held][0]
        o = int(record.n_occupied)
        occupied[m, :o] = record.energies[:o]
        homo[m] = record.energies[o - 1]
        if len(record.energies) > o:
            gap[m] = record.energies[o] - record.energies[o - 1]
    to = torch.from_numpy
    return Quantities(to(singlets), to(strengths), to(triplet), to(homo), to(gap), to(occupied))


def losses(predicted: Quantities, truth: Quantities) -> dict[str, Tensor]:
    """Return Huber losses of energies (eV), oscillator strengths and levels (HOMO and gap, eV).

    ``orbitals`` (eV) is present if the model predicts all occupied orbital energies.
    """

    def deviation(name: str) -> Tensor:
        label = getattr(truth, name)
        known = label.isfinite()
        difference = getattr(predicted, name) - torch.nan_to_num(label)
        return masked_mean(huber(difference, 0.1), known)

    terms = {
        "energies": 0.5 * (deviation("singlets") + deviation("triplet")),
        "oscillator_strengths": deviation("strengths"),
        "levels": 0.5 * (deviation("homo") + deviation("gap")),
    }
    if predicted.occupied is not None:
        terms["orbitals"] = deviation("occupied")
    return terms


def evaluate_records(model: Direct, records: Sequence[Record]) -> dict[str, Any]:
    """Return mean absolute errors of ``model``, named as in ``evaluation.evaluate_records``.

    S1 and T1 are scored if the lowest label state is a valence state. Singlets and strengths are
    compared by rank, over the states that the model predicts.
    """
    scores = Scores()
    for begin in range(0, len(records), BATCH):
        group = records[begin : begin + BATCH]
        graph = build_graph(
            [structure(r) for r in group], model.cutoff, model.centre.dtype, model.centre.device
        )
        with torch.no_grad():
            found = model(graph).to(torch.device("cpu"))
        truth = labels(group, LEAST_WEIGHT, HIGHEST)
        for m, record in enumerate(group):
            known = truth.singlets[m].isfinite()
            deviation = (found.singlets[m] - truth.singlets[m])[known]
            scores.add("singlets", deviation.numpy())
            if record.singlet_valence_weights[0] >= LEAST_WEIGHT and known[0]:
                scores.add("s1", float(deviation[0]))
            if record.triplet_valence_weights[0] >= LEAST_WEIGHT and truth.triplet[m].isfinite():
                scores.add("t1", float(found.triplet[m] - truth.triplet[m]))
            strengths, true = found.strengths[m][known], truth.strengths[m][known]
            scores.add("oscillator", (strengths - true).numpy())
            if len(true) and float(true.max()) > BRIGHT:
                scores.add("brightest", float(strengths.argmax() == true.argmax()))
            scores.add("homo", float(found.homo[m] - truth.homo[m]))
            if found.occupied is not None and truth.occupied is not None:
                o = int(record.n_occupied)
                scores.add("occupied", (found.occupied[m, :o] - truth.occupied[m, :o]).numpy())
            if truth.gap[m].isfinite():
                scores.add("gap", float(found.gap[m] - truth.gap[m]))
    levels = ("occupied", "homo", "gap") if "occupied" in scores.values else ("homo", "gap")
    return {
        "n_structures": len(records),
        "n_molecules": len({r.inchikey or r.name for r in records}),
        "s1_mae_eV": scores.mae("s1"),
        "t1_mae_eV": scores.mae("t1"),
        "singlets_mae_eV": scores.mae("singlets"),
        "oscillator_mae": scores.mae("oscillator"),
        "brightest_share": scores.mae("brightest"),
        **{f"{name}_mae_eV": scores.mae(name) for name in levels},
    }
