"""Prediction from composition alone, a baseline that a model's errors should be far below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from esml.io.records import Record
from esml.physics.basis import ELEMENTS
from esml.training.scores import QUANTITIES, Scores, valence
from esml.typing import Array, Multiplicity


def _composition(record: Record) -> Array:
    """Return counts of each element, the logarithm of their sum, and a constant, (9,)."""
    counts = [float((record.numbers == z).sum()) for z in ELEMENTS]
    return np.array([*counts, np.log(sum(counts)), 1.0])


def _with_rank(record: Record, fractions: Array) -> Array:
    """Return the composition times powers of a rank in [0, 1], (len(fractions), 36)."""
    powers = np.stack([np.ones_like(fractions), fractions, fractions**2, fractions**3], axis=1)
    composition = _composition(record)
    rows: Array = powers[:, :, None] * composition
    return rows.reshape(len(fractions), powers.shape[1] * len(composition))


class CompositionBaseline:
    """Ridge regression of every quantity on element counts and, for orbital levels, on rank.

    Parameters
    ----------
    training:
        Records to fit.
    ridge:
        Penalty on the squared coefficients.
    """

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
        """Return mean absolute errors by name, for the ``QUANTITIES`` that composition predicts."""
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


def _pick_states(
    multiplicity: Multiplicity, quantity: str, lowest: bool
) -> Callable[[Record], tuple[Array, Array]]:
    def pick(record: Record) -> tuple[Array, Array]:
        states = np.flatnonzero(valence(record, multiplicity))
        if lowest:
            states = states[states == 0]
        values = getattr(record, f"{multiplicity}_{quantity}")[states].astype(float)
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
