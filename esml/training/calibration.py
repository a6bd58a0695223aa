"""Find the domain of a trained model and fit its error model.

``Domain`` is built from the training molecules, ``ErrorModel`` is fitted to the errors on
validation molecules, which were not trained on. Hyperparameters are chosen by cross-validation over
whole molecules. The scale, which makes intervals hold 90 % of the errors, is a 95 % upper bound
from held-out molecules.

Validation molecules resemble the training molecules. How errors grow for unfamiliar molecules is
learned from models trained without part of the data (``LeftOut``, scripts/training/cross_fit.py).
Their errors are scaled by the mean error of each model on the validation molecules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm, spearmanr

from esml.confidence.domain import Domain
from esml.confidence.uncertainty import NAMES, ErrorModel, descriptors, of_atoms, scaled
from esml.io.records import Record
from esml.predict.model_files import load_model, save_model
from esml.predict.surrogate import Surrogate
from esml.training.domain import batches, build_domain, molecule_of, seen_bonds
from esml.training.evaluation import partners, solve
from esml.typing import MULTIPLICITIES

Array = NDArray[np.float64]

HIGHEST = 9.0
"""Highest energy (eV) of label states used in the fit."""

LEAST_MOLECULES = 20
"""Smallest number of validation molecules for which an error model is fitted."""

PENALTIES = tuple(10.0 ** (0.5 * k) for k in range(1, 10))
"""Ridge penalties to try, 3 to 30,000, on coefficients of standardized descriptors."""

MAIN = 3
"""Number of first descriptors (novelty, energy, multiplicity) with a tenth of the penalty."""

GROWING = ("novelty", "size", "unseen")
"""Descriptors with which the expected error may only grow."""

FOLDS = 8

COVERAGE = 0.9
"""Share of the errors on unseen molecules that a 90 % interval must hold at least."""

CONFIDENCE = 0.95
"""Confidence with which ``COVERAGE`` must be reached, as validation molecules are few."""

RESAMPLES = 1000


@dataclass(frozen=True)
class LeftOut:
    """A model with a domain, trained like the one to calibrate but without ``records``."""

    model: Surrogate  # trained without the records
    records: Sequence[Record]  # left out of its training


def calibrate(
    model: Surrogate,
    training: Sequence[Record],
    validation: Sequence[Record],
    left_out: Sequence[LeftOut] = (),
) -> Surrogate:
    """Find the domain of a model and, with at least ``LEAST_MOLECULES``, fit its error model.

    The same records give the same result. ``metadata["uncertainty"]`` of the result holds the
    numbers of states and molecules in the fit, and the rank correlation of predicted and actual
    errors for validation molecules left out of the fit.

    Parameters
    ----------
    model
        The trained model.
    training
        The records it was trained on.
    validation
        Records it was not trained on.
    left_out
        Models trained on fewer molecules, with the same validation records.

    Returns
    -------
    The model with its domain and error model.
    """
    domain = build_domain(model, training, validation)
    metadata = {k: v for k, v in model.metadata.items() if k != "uncertainty"}
    result = Surrogate(model.hamiltonian, metadata, domain).eval()
    own = states(result, validation)
    if len(set(own.molecules)) >= LEAST_MOLECULES:
        others = [unseen(each, validation, own) for each in left_out]
        result.error_model, result.metadata["uncertainty"] = fit(own, others)
    return result


def calibrate_file(
    path: Path,
    training: Sequence[Record],
    validation: Sequence[Record],
    output: Path | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Surrogate:
    """Calibrate the model in a file.

    Parameters
    ----------
    path
        The model file.
    training, validation, left_out
        As for ``calibrate``.
    output
        The file to write; ``path`` if None.

    Returns
    -------
    The calibrated model.

    Raises
    ------
    CheckpointError
        If the file holds no effective Hamiltonian or cannot be written.
    """
    model = calibrate(load_model(path), training, validation, left_out)
    save_model(model, path if output is None else output)
    return model


def add_bonds(path: Path, training: Sequence[Record], output: Path | None = None) -> Surrogate:
    """Add the bonds that occur in ``training`` to the domain of the model file ``path``.

    Parameters
    ----------
    path : Path
        A model file with a domain.
    training : Sequence of Record
        The records the model was trained on.
    output : Path, optional
        The file to write; ``path`` by default.

    Returns
    -------
    Surrogate
        The model as written.

    Raises
    ------
    CheckpointError
        If a file cannot be read or written.
    ValueError
        If the model has no domain.
    """
    model = load_model(path)
    if model.domain is None:
        raise ValueError(f"{path} has no domain to add to: expected a calibrated model")
    model.domain = Domain(model.domain.state() | seen_bonds(model, training))
    save_model(model, path if output is None else output)
    return model


# ---- errors -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Errors:
    """Descriptors and errors of predicted states of unseen molecules."""

    values: Array  # (n, d) descriptors
    errors: Array  # (n,) eV
    molecules: list[str]  # the molecule of each state

    def joined(self, others: Sequence[Errors]) -> Errors:
        """Return these errors followed by ``others``."""
        parts = [self, *others]
        return Errors(
            np.concatenate([p.values for p in parts]),
            np.concatenate([p.errors for p in parts]),
            [name for p in parts for name in p.molecules],
        )


def unseen(left_out: LeftOut, validation: Sequence[Record], own: Errors) -> Errors:
    """Return the scaled errors of a model trained on fewer records, on the records left out.

    They are scaled so that the model's mean error on ``validation`` equals that of ``own``, the
    model to calibrate: only the ratio of errors on unknown and familiar molecules matters.
    """
    known = states(left_out.model, validation)
    found = known.joined([states(left_out.model, left_out.records)])
    scale = np.abs(own.errors).mean() / np.abs(known.errors).mean()
    return replace(found, errors=found.errors * scale)


def states(model: Surrogate, records: Sequence[Record]) -> Errors:
    """Return descriptors and errors of all valence states of ``records``.

    Predicted states are paired with label states as in ``evaluation``. Structures predicted to be
    unstable are left out: for them the user gets no energies or a warning.
    """
    rows, errors, molecules = [np.zeros((0, len(NAMES)))], [np.zeros(0)], []
    for batch in batches(records):
        group = [records[i] for i in batch]
        graph, solution, places = solve(model, group, HIGHEST)
        assert model.domain is not None
        layout = solution.operators.layout
        surroundings = model.domain(graph, solution.operators.features)
        atoms = of_atoms(layout, solution.charges, surroundings)
        for multiplicity in MULTIPLICITIES:
            found = getattr(solution, f"{multiplicity}s")
            values = descriptors(
                found, solution.orbitals, layout, atoms, multiplicity == "triplet"
            ).numpy()
            for m, record in enumerate(group):
                if not bool(solution.singlets.stable[m] & solution.triplets.stable[m]):
                    continue
                labels, index = partners(
                    record, multiplicity, places[multiplicity][m], found.mask[m], HIGHEST
                )
                truth = getattr(record, f"{multiplicity}_energies")[labels]
                rows.append(values[m, index])
                errors.append(found.energies[m].numpy()[index] - truth)
                molecules += [molecule_of(record)] * len(labels)
    return Errors(np.concatenate(rows), np.concatenate(errors), molecules)


def fit(own: Errors, others: Sequence[Errors] = ()) -> tuple[ErrorModel, dict[str, Any]]:
    """Fit the error model of a model with errors ``own`` on validation molecules; add a summary.

    c + b·z is fitted by maximum likelihood to the errors of ``own`` and ``others``, assuming a
    Laplace distribution (robust against outliers), with the penalty that predicts left-out
    molecules best. The factor s is fitted to ``own`` only.
    """
    everything = own.joined(others)
    values, sizes = everything.values, np.abs(everything.errors)
    centre, spread = values.mean(0), values.std(0)
    # A descriptor that never varied has no effect.
    spread = np.where(spread > 1e-6, spread, np.inf)
    to = torch.from_numpy
    z = scaled(to(values), to(centre), to(spread)).numpy()
    folds = folds_of(everything.molecules)
    best, logarithm, lowest = 0.0, sizes, np.inf
    for penalty in PENALTIES:
        found = np.zeros(len(sizes))
        for fold in range(FOLDS):
            out = folds == fold
            if out.any():
                coefficients = _log_size(z[~out], sizes[~out], penalty)
                found[out] = coefficients[0] + z[out] @ coefficients[1:]
        likelihood = float((found + sizes * np.exp(-found)).sum())
        if likelihood < lowest:
            best, logarithm, lowest = penalty, found, likelihood
    stated, known = np.exp(logarithm[: len(own.errors)]), np.abs(own.errors)
    factor = _sure_quantile(known / stated, own.molecules) / norm.ppf(0.5 + 0.5 * COVERAGE)
    tensors = {
        "centre": centre,
        "spread": spread,
        "coefficients": _log_size(z, sizes, best),
        "factor": np.array(factor),
    }
    summary = {
        "n_states": len(sizes),
        "n_molecules": len(set(everything.molecules)),
        "n_models": 1 + len(others),
        "spearman_left_out": round(float(spearmanr(stated, known).statistic), 4),
        "penalty": round(best, 3),
    }
    return ErrorModel({k: to(np.asarray(v)) for k, v in tensors.items()}), summary


def _sure_quantile(values: Array, molecules: Sequence[str]) -> float:
    """Return a number that exceeds a share ``COVERAGE`` of ``values`` with ``CONFIDENCE``.

    The bootstrap draws molecules with replacement, not states, because errors of states of the same
    molecule are correlated.
    """
    names, owner = np.unique(np.array(molecules), return_inverse=True)
    order = np.argsort(values)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        share = np.cumsum(times[owner[order]])
        found.append(values[order][np.searchsorted(share, COVERAGE * share[-1])])
    return float(np.quantile(found, CONFIDENCE))


def folds_of(molecules: Sequence[str]) -> NDArray[np.int64]:
    """Return the fold of each state; states of a molecule share one, folds have similar sizes."""
    names = sorted(set(molecules))
    place = np.random.default_rng(0).permutation(len(names)) % FOLDS
    fold = dict(zip(names, place.tolist(), strict=True))
    return np.array([fold[m] for m in molecules])


def _log_size(z: Array, sizes: Array, penalty: float) -> Array:
    """Fit c and b (1 + d,) to ``sizes`` of Laplace-distributed errors of mean exp(c + b·z).

    The coefficients of novelty, size and unseen bonds are not negative: a molecule that is farther
    from the training molecules, or larger, is not predicted better.
    """
    weights = np.full(z.shape[1], penalty)
    weights[:MAIN] *= 0.1
    start = np.zeros(1 + z.shape[1])
    start[0] = np.log(max(float(sizes.mean()), 1e-6))

    def loss(x: Array) -> tuple[float, Array]:
        logarithm = x[0] + z @ x[1:]
        ratio = sizes * np.exp(-logarithm)
        slope = 1.0 - ratio
        value = (logarithm + ratio).sum() + (weights * x[1:] ** 2).sum()
        gradient = np.concatenate([[slope.sum()], z.T @ slope + 2.0 * weights * x[1:]])
        return float(value), gradient

    bounds = [(None, None), *((0.0 if name in GROWING else None, None) for name in NAMES)]
    found: Array = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found
