"""How stated errors grow beyond the training molecules: with size, unseen bonds and charge.

Validation molecules are no larger than those trained on, and have no bonds or chains that these
lack. So how errors grow cannot be learned from them. It is learned here from molecules farther
away, in a second step, which leaves the coefficients of all other descriptors as they are.
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
"""The last descriptors, which ``extend`` learns from molecules farther from those trained on."""

ONE = torch.ones((), dtype=torch.float64)


def add_reach(
    path: Path,
    validation: Sequence[Record],
    others: Sequence[Sequence[Record]],
    output: Path | None = None,
) -> Surrogate:
    """Let the errors that the model file ``path`` states grow beyond its training molecules.

    Parameters
    ----------
    path : Path
        A model file with an error model.
    validation : Sequence of Record
        Molecules like those it was trained on.
    others : sequence of sequences of Record
        Sets of others that it was not trained on (see ``extend``).
    output : Path, optional
        Where to write; back to ``path`` by default.

    Returns
    -------
    Surrogate
        The model as written; ``metadata["uncertainty"]["reach"]`` holds what ``extend`` found.

    Raises
    ------
    CheckpointError
        A file that cannot be read or written.
    ValueError
        A model without an error model.
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
    """``model`` with coefficients of the descriptors ``ADDED``, and with its scale renewed.

    What ``model`` says of an error is multiplied by exp(a + b·x), x the descriptors ``ADDED`` and
    a and b ≥ 0 by maximal likelihood of Laplace-distributed errors, those ``own`` on validation
    molecules and those of ``others``, sets that reach farther: each set has the same weight. Its
    other coefficients stay. What exceeds the largest of these molecules counts as that. The scale
    is the largest that one of the sets needs for 90 % intervals, from molecules left out of the
    fit.

    Parameters
    ----------
    model : ErrorModel
        With or without these coefficients; old ones are replaced.
    own : Errors
        On validation molecules.
    others : sequence of Errors
        On molecules that the model was not trained on, larger ones or with bonds unseen.

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
    # Beyond the largest of these molecules nothing is known: there a descriptor is bounded.
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
    """a and b ≥ 0 (1 + d,) for which exp(a + b·x) is the mean of Laplace-distributed ``ratios``."""

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
