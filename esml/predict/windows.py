"""Predict structures for files: a window at a time, with the band maxima to expect in solvents."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from esml.predict.surrogate import Surrogate
from esml.results import Outcome, Result
from esml.results.last_step import with_band_maximum


def predict_window(model: Surrogate, structures: Sequence[Atoms], n_states: int) -> list[Outcome]:
    """Return the outcomes of ``model.predict_many(…, errors="return")``, with band maxima.

    A result has one in a solvent, if the model has a last step.

    Parameters
    ----------
    model, structures, n_states
        As in ``Surrogate.predict_many``.
    """
    last = model.last_step
    needed = last is not None and any(atoms.info.get("solvent") for atoms in structures)
    outcomes = model.predict_many(structures, n_states, errors="return", wavefunctions=needed)
    if not needed:
        return list(outcomes)
    return [
        with_band_maximum(outcome, last) if isinstance(outcome, Result) else outcome
        for outcome in outcomes
    ]
