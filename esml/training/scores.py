"""Deviations of predictions from labels, and which label states are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from esml.io.records import Record
from esml.training.targets import valence_states
from esml.typing import Array, Multiplicity

LEAST_WEIGHT = 0.85
"""A label state with at least this valence weight counts as valence."""

HIGHEST = 8.0
"""Highest energy (eV) of label states that are scored."""

BRIGHT = 0.1
"""A state with a larger oscillator strength is bright."""

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
"""Name of an error in the report → name of its deviations in ``Scores``."""


class Scores:
    """Deviations by quantity, and their mean absolute errors."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self.labels: dict[str, list[float]] = {}

    def compare(self, name: str, found: Any, label: Any) -> None:
        """Add the deviations of ``found`` from ``label``, and keep the labels for ``pairs``.

        Parameters
        ----------
        name
            Name of the quantity.
        found, label
            Predicted values and labels, of one shape.
        """
        labels = np.atleast_1d(np.asarray(label, dtype=float)).ravel()
        self.labels.setdefault(name, []).extend(labels.tolist())
        self.add(name, np.asarray(found, dtype=float) - label)

    def pairs(self) -> dict[str, tuple[Array, Array]]:
        """Return labels and predictions of every quantity that was compared."""
        return {
            name: (np.array(labels), np.array(labels) + np.array(self.values[name]))
            for name, labels in self.labels.items()
        }

    def add(self, name: str, deviations: Any) -> None:
        """Add ``deviations`` of the quantity ``name``.

        Parameters
        ----------
        name
            Name of the quantity.
        deviations
            Predicted values minus labels.
        """
        found = np.atleast_1d(np.asarray(deviations, dtype=float)).ravel()
        self.values.setdefault(name, []).extend(found.tolist())

    def mae(self, name: str) -> float:
        """Return the mean absolute deviation; NaN if there is none."""
        found = self.values.get(name)
        return float(np.abs(found).mean()) if found else float("nan")

    def rmse(self, name: str) -> float:
        """Return the root mean square deviation; NaN if there is none."""
        found = self.values.get(name)
        return float(np.sqrt(np.square(found).mean())) if found else float("nan")


def valence(
    record: Record, multiplicity: Multiplicity, highest: float = HIGHEST
) -> NDArray[np.bool_]:
    """Return a mask (S,) of the scored label states: valence states up to ``highest`` (eV)."""
    return valence_states(
        getattr(record, f"{multiplicity}_energies"),
        getattr(record, f"{multiplicity}_valence_weights"),
        LEAST_WEIGHT,
        highest,
    ).astype(bool)
