"""From a vertical energy to the measured maximum of a band: a small last step, fitted to maxima.

What the physics leaves out on the way from the vertical excitation to the maximum that a
spectrometer shows (vibrations and temperature, errors of the level of theory, hydrogen bonds) is
alike for many dyes. Six numbers take it into account, with E the lowest maximum of the broadened
vertical spectrum, p the state-specific polarization (:mod:`esml.analysis.solvation`) and q the
charge transfer (:mod:`esml.analysis.characters`) of the state that makes most of it, and Δ the gap
between HOMO and LUMO:

    E_band = E + shift + slope (E − 3 eV) + polarization · p + ion · [the molecule is charged]
               + gap (Δ − 6.5 eV) + transfer · q

Δ tells apart what E alone does not: Δ − E is how strongly electron and hole are bound. The numbers
are fitted to measured maxima and belong to a model file, in whose metadata they stand under
``last_step`` (``scripts.training.last_step``); a model without them has no last step. It moves
λmax only: energies of states stay what the model says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from esml.io.structure_checks import molecular_charge
from esml.results import Result
from esml.typing import Array
from esml.units import HC

CENTRE, CENTRAL_GAP = 3.0, 6.5
"""eV; where slope and gap have their zero."""

NAMES = ("shift", "slope", "polarization", "ion", "gap", "transfer")
"""Of the coefficients, in order."""

DATA = "measured maxima of dyes in solution"


@dataclass(frozen=True)
class BandMaximum:
    """A maximum after the last step."""

    energy: float
    """eV"""
    uncertainty: float
    """eV, one standard deviation; it stands for everything, the vertical energy included."""

    @property
    def wavelength(self) -> float:
        """nm"""
        return HC / self.energy

    @property
    def spread_nm(self) -> float:
        """The uncertainty in nm."""
        return self.wavelength * self.uncertainty / self.energy


@dataclass(frozen=True)
class LastStep:
    """The fitted last step of a model."""

    coefficients: tuple[float, ...]
    """eV, and 1 for those of energies, in the order of ``NAMES``."""
    uncertainty: float
    """eV, from molecules whose scaffolds were left out of the fit."""
    n_maxima: int  # measured maxima it is fitted to
    n_dyes: int  # dyes these are of

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> LastStep | None:
        """That of a model with such ``metadata``; None where it has none."""
        stored = metadata.get("last_step")
        if stored is None:
            return None
        coefficients = tuple(float(stored["coefficients"].get(name, 0.0)) for name in NAMES)
        counts = int(stored["n_maxima"]), int(stored["n_dyes"])
        return cls(coefficients, float(stored["uncertainty"]), *counts)

    def plain(self) -> dict[str, Any]:
        """As it stands in the metadata of a model."""
        named = dict(zip(NAMES, self.coefficients, strict=True))
        return asdict(self) | {"coefficients": named, "fitted_to": DATA}

    def __call__(self, result: Result) -> BandMaximum | None:
        """The maximum of the lowest band of a ``result``; None where it has no band.

        Raises
        ------
        MissingWavefunctionsError
            For a result without wave functions.
        """
        found = descriptors(result)
        if found is None:
            return None
        return BandMaximum(found[0] + float(shifts(found) @ self.coefficients), self.uncertainty)

    def describe(self) -> str:
        """What it is, in a few words."""
        return f"last step fitted to {self.n_maxima} {DATA}"


def descriptors(result: Result) -> Array | None:
    """E, p (eV), whether the molecule is charged, Δ (eV) and q, (5,); None without a band.

    Raises as ``Result.wavefunctions``.
    """
    wavelength = result.absorption_max_nm
    if math.isnan(wavelength):
        return None
    energy = HC / wavelength
    states = result.singlets
    near = np.exp(-0.5 * np.square((states.energies - energy) / 0.13))
    state = int((states.oscillator_strengths * near).argmax())
    polarization = float(result.solvation().polarization[state])
    ion = float(molecular_charge(result.atoms) != 0)
    transfer = result.characters()[state].charge_transfer
    return np.array([energy, polarization, ion, result.gap, transfer])


def shifts(descriptors: Array) -> Array:
    """(..., 6) what the coefficients multiply, for ``descriptors`` (..., 5)."""
    energy, polarization, ion, gap, transfer = np.moveaxis(descriptors, -1, 0)
    one = np.ones_like(energy)
    return np.stack([one, energy - CENTRE, polarization, ion, gap - CENTRAL_GAP, transfer], -1)
