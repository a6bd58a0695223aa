"""Fit the last step to measured maxima of dyes (``esml.results.last_step``).

Dyes of one Bemis–Murcko scaffold are always left out of a fit together. Energies in eV.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from esml.predict.vibronic import VibrationalShift
from esml.results.last_step import Band, LastStep
from esml.typing import Array

FOLDS = 5
SOFT = 0.15
"""Error (eV) beyond which the loss is linear, because some measured bands are other bands."""

EXPECTED = 0.1
"""eV; for a ridge penalty: what a term of the last step does where it is one standard deviation."""


def scaffold_of(smiles: str) -> str:
    """Bemis–Murcko scaffold of the largest fragment; the fragment itself if it has no ring."""
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    largest = max(smiles.split("."), key=len)
    return str(MurckoScaffoldSmiles(largest)) or largest


@dataclass(frozen=True)
class MeasuredDye:
    """A dye in a solvent."""

    smiles: str
    solvent: str
    energy: float  # eV; the median if there are several

    @property
    def scaffold(self) -> str:
        """``scaffold_of`` the dye."""
        return scaffold_of(self.smiles)


@dataclass(frozen=True)
class PredictedMaxima:
    """Predicted maxima of a dye in a solvent, eV."""

    measured: MeasuredDye
    vacuum: float
    polarization: float  # state-specific, of the solvent
    band: Band  # the lowest one in the solvent
    solvent_class: str
    family: str
    vibrations: VibrationalShift = VibrationalShift(math.nan)  # nan if it is not known


def energies(compared: Sequence[PredictedMaxima]) -> Array:
    """Return the measured maxima (P,), eV."""
    return np.array([each.measured.energy for each in compared])


def raw(compared: Sequence[PredictedMaxima]) -> Array:
    """Return the vertical maxima in the solvent (P,), eV."""
    return np.array([each.band.energy for each in compared])


def fitted(compared: Sequence[PredictedMaxima], uncertainty: float = math.nan) -> LastStep:
    """Fit a last step, with a known ``uncertainty`` (eV), to ``compared``."""
    terms = np.stack([each.band.terms for each in compared])
    missing = energies(compared) - raw(compared)
    spread = terms.std(0)

    def residuals(coefficients: Array) -> Array:
        wrong = (terms @ coefficients - missing) / SOFT
        # SciPy's soft_l1, written out so that the ridge penalty stays quadratic.
        soft = np.sign(wrong) * np.sqrt(2.0 * (np.sqrt(1.0 + wrong**2) - 1.0))
        return np.concatenate([soft, coefficients * spread / EXPECTED])

    found = least_squares(residuals, np.zeros(terms.shape[1])).x
    return LastStep(
        coefficients=tuple(found.tolist()),
        lowest=tuple(terms.min(0).tolist()),
        highest=tuple(terms.max(0).tolist()),
        uncertainty=uncertainty,
        n_maxima=len(compared),
        n_dyes=len({each.measured.smiles for each in compared}),
    )


def out_of_fold(compared: Sequence[PredictedMaxima]) -> Array:
    """Return maxima (P,) from last steps fitted to dyes of other scaffolds, eV."""
    scaffolds = [each.measured.scaffold for each in compared]
    names = sorted(set(scaffolds))
    random.Random(0).shuffle(names)
    fold = np.array([names.index(name) % FOLDS for name in scaffolds])
    found = np.full(len(compared), np.nan)
    for k in range(FOLDS):
        inside: list[int] = np.flatnonzero(fold == k).tolist()
        if inside:
            step = fitted([each for each, own in zip(compared, fold, strict=True) if own != k])
            found[inside] = [step.maximum(compared[i].band).energy for i in inside]
    return found


def last_step(compared: Sequence[PredictedMaxima]) -> LastStep:
    """Fit the last step to all dyes; its uncertainty comes from dyes left out of the fit.

    It is the standard deviation of the normal distribution whose central 90 % hold 90 % of the
    errors.
    """
    errors = np.abs(out_of_fold(compared) - energies(compared))
    return fitted(compared, float(np.quantile(errors, 0.9) / 1.645))
