"""Points for ``esml.plots.plot_parity``: computed over true energies."""

from __future__ import annotations

from collections.abc import Sequence

from esml.io.records import Record
from esml.results import Failure
from esml.training.scores import LEAST_WEIGHT
from scripts.accuracy.methods import Outcome


def lowest_points(
    outcomes: Sequence[Outcome], records: Sequence[Record], multiplicity: str
) -> tuple[list[float], list[float]]:
    """Return label and computed energies of the lowest state, if the label is a valence state."""
    true, found = [], []
    for outcome, record in zip(outcomes, records, strict=True):
        weights = getattr(record, f"{multiplicity[:-1]}_valence_weights")
        if isinstance(outcome, Failure) or weights[0] < LEAST_WEIGHT:
            continue
        if len(energies := getattr(outcome, multiplicity)):
            true.append(float(getattr(record, f"{multiplicity[:-1]}_energies")[0]))
            found.append(float(energies[0]))
    return true, found
