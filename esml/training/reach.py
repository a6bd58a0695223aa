"""Growth of the expected errors beyond the training molecules, with size, new bonds and charge.

Validation molecules are no larger than the training molecules and have no other bonds or chains, so
they cannot show how errors grow. This second step learns it from molecules that differ more, and
leaves the coefficients of all other descriptors unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

from esml.confidence.uncertainty import BOUND, NAMES, ErrorModel
from esml.io.records import Record
from esml.predict.model_files import load_model, save_model
from esml.predict.surrogate import Surrogate
from esml.training.calibration import COVERAGE, FOLDS, Errors, folds_of, states

Array = NDArray[np.float64]

ADDED = ("size", "unseen", "charge")
"""The last descriptors; ``extend`` fits them to molecules farther from the training molecules."""

ONE = torch.ones((), dtype=torch.float64)


def add_reach(
    path: Path,
    validation: Sequence[Record],
    others: Sequence[Sequence[Record]],
    output: Path | None = None,
) -> Surrogate:
    """Extend the error model in the file ``path`` beyond its training molecules.

    Parameters
    ----------
    path : Path
        A model file with an error model.
    validation : Sequence of Record
        Molecules like the training molecules.
    others : sequence of sequences of Record
        Sets of other molecules that the model was not trained on (see ``extend``).
    output : Path, optional
        The file to write; ``path`` by default.

    Returns
    -------
    Surrogate
        The model as written; ``metadata["uncertainty"]["reach"]`` holds the summary of ``extend``.

    Raises
    ------
    CheckpointError
        If a file cannot be read or written.
    ValueError
        If the model has no error model.
    """
    model = load_model(path)
    if model.error_model is None:
        raise ValueError(f"{path} has no error model to extend: expected a calibrated model")
    own, *far = (states(model, records) for records in (validation, *others))
    model.error_model, found = extend(model.error_model, own, far)
    model.metadata["uncertainty"] = {**model.metadata.get("uncertainty", {}), "reach": found}
    save_model(model, path if output is None else output)
    return model


def extend(
    model: ErrorModel, own: Errors, others: Sequence[Errors]
) -> tuple[ErrorModel, dict[str, Any]]:
    """Return ``model`` with coefficients of the descriptors ``ADDED`` and with a new scale.

    The expected error of ``model`` is multiplied by exp(a + b·x), with x the descriptors ``ADDED``.
    a and b ≥ 0 are fitted by maximum likelihood to Laplace-distributed errors: ``own`` for
    validation molecules and ``others`` for sets of molecules farther away, with equal weight for
    each set. The other coefficients do not change. A descriptor larger than in any of these
    molecules is set to their maximum. The scale is the largest that any of the sets needs for 90 %
    intervals, from molecules left out of the fit.

    Parameters
    ----------
    model : ErrorModel
        The model, with or without these coefficients; existing ones are replaced.
    own : Errors
        Errors on validation molecules.
    others : sequence of Errors
        Errors on larger molecules or molecules with unseen bonds that were not trained on.

    Returns
    -------
    tuple of ErrorModel and dict
        The extended model, and a summary: coefficients and cross-validated coverage of the 90 %
        intervals, for ``own`` and each of ``others``.
    """
    first, to = NAMES.index(ADDED[0]), torch.from_numpy
    state = {name: tensor.numpy() for name, tensor in model.state().items()}
    known = {name: state[name][:first] for name in ("centre", "spread")}
    known["coefficients"] = state["coefficients"][: 1 + first]
    everything = own.joined(others)
    before = ErrorModel({k: to(v) for k, v in known.items()} | {"factor": ONE})
    stated = before(to(everything.values)).numpy()
    sizes = np.abs(everything.errors)
    counts = [len(each.errors) for each in (own, *others)]
    weights = np.concatenate([np.full(n, counts[0] / n) for n in counts])
    added = everything.values[:, first:]
    centre, folds = added.mean(0), folds_of(everything.molecules)
    # Nothing is known beyond the largest of these molecules, so the descriptors are bounded.
    spread = (added.max(0) - centre) / BOUND
    spread = np.where(spread > 1e-6, spread, np.inf)
    x = np.clip((added - centre) / spread, -BOUND, BOUND)
    left_out = np.zeros(len(sizes))
    for fold in range(FOLDS):
        out = folds == fold
        a, *b = _growth(x[~out], sizes[~out] / stated[~out], weights[~out])
        left_out[out] = stated[out] * np.exp(a + x[out] @ np.array(b))
    ratios = np.split(sizes / left_out, np.cumsum(counts)[:-1])
    width = norm.ppf(0.5 + 0.5 * COVERAGE)
    factor = max(float(np.quantile(r, COVERAGE)) for r in ratios) / width
    a, *b = _growth(x, sizes / stated, weights)
    known["coefficients"] = np.concatenate([known["coefficients"], b])
    known["coefficients"][0] += a
    known["centre"] = np.concatenate([known["centre"], centre])
    known["spread"] = np.concatenate([known["spread"], spread])
    growth = (np.array(b) / spread).tolist()
    summary = {
        **{name: round(value, 3) for name, value in zip(ADDED, growth, strict=True)},
        "inside_90_left_out": [round(float(np.mean(r <= width * factor)), 3) for r in ratios],
    }
    tensors = {k: to(v) for k, v in known.items()} | {"factor": factor * ONE}
    return ErrorModel(tensors), summary


def _growth(x: Array, ratios: Array, weights: Array) -> Array:
    """Fit a and b ≥ 0 (1 + d,) so that Laplace-distributed ``ratios`` have mean exp(a + b·x)."""

    def loss(at: Array) -> tuple[float, Array]:
        logarithm = at[0] + x @ at[1:]
        scaled_ratio = ratios * np.exp(-logarithm)
        slope = weights * (1.0 - scaled_ratio)
        value = float((weights * (logarithm + scaled_ratio)).sum())
        return value, np.concatenate([[slope.sum()], x.T @ slope])

    bounds = [(None, None), *[(0.0, None)] * x.shape[1]]
    start = np.zeros(1 + x.shape[1])
    found: Array = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found
