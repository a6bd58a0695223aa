"""The last step: from a vertical energy to the measured maximum of a band, fitted to maxima.

The difference between the vertical excitation and the maximum that a spectrometer shows
(vibrations and temperature, errors of the level of theory, hydrogen bonds) is similar for many
dyes. Six numbers correct for it. E is the lowest maximum of the broadened vertical spectrum; p is
the state-specific polarization (:mod:`esml.analysis.solvation`) and q the charge transfer
(:mod:`esml.analysis.characters`) of the state that contributes most to it; Δ is the HOMO–LUMO gap:

    E_band = E + shift + slope (E − 3 eV) + polarization · p + ion · [the molecule is charged]
               + gap (Δ − 6.5 eV) + transfer · q

Δ adds what E alone does not tell: Δ − E measures how strongly electron and hole are bound. The
numbers are fitted to measured maxima and belong to a model file, which stores them in its metadata
under ``last_step`` (``scripts.training.last_step``); a model without them has no last step. It
changes only λmax, not the energies of states.
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
"""eV; values of E and Δ at which the slope and gap terms are zero."""

LINE = 0.13
"""eV; standard deviation of a line in the broadened vertical spectrum."""

NAMES = ("shift", "slope", "polarization", "ion", "gap", "transfer")
"""Names of the coefficients, in order."""

DATA = "measured maxima of dyes in solution"


@dataclass(frozen=True)
class BandMaximum:
    """The maximum of a band after the last step."""

    energy: float
    """eV"""
    uncertainty: float
    """eV, one standard deviation of the total error, the vertical energy included."""

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
    """In the order of ``NAMES``: eV, or dimensionless if they multiply an energy."""
    uncertainty: float
    """eV, from molecules whose cores were left out of the fit."""
    n_maxima: int  # number of measured maxima in the fit
    n_dyes: int  # number of dyes in the fit

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> LastStep | None:
        """Read it from a model's ``metadata``; None if the model has no last step."""
        stored = metadata.get("last_step")
        if stored is None:
            return None
        coefficients = tuple(float(stored["coefficients"].get(name, 0.0)) for name in NAMES)
        counts = int(stored["n_maxima"]), int(stored["n_dyes"])
        return cls(coefficients, float(stored["uncertainty"]), *counts)

    def plain(self) -> dict[str, Any]:
        """Return the entry for the metadata of a model."""
        named = dict(zip(NAMES, self.coefficients, strict=True))
        return asdict(self) | {"coefficients": named, "fitted_to": DATA}

    def __call__(self, result: Result) -> BandMaximum | None:
        """Return the maximum of the lowest band of a ``result``; None if it has no band.

        Raises
        ------
        MissingWavefunctionsError
            If the result has no wave functions.
        """
        found = descriptors(result)
        if found is None:
            return None
        return BandMaximum(found[0] + float(shifts(found) @ self.coefficients), self.uncertainty)

    def describe(self) -> str:
        """Return a short description."""
        return f"last step fitted to {self.n_maxima} {DATA}"


def descriptors(result: Result) -> Array | None:
    """Return (5,) E and p (eV), 1 for an ion, Δ (eV) and q of a ``result``; None without a band.

    Raises as ``Result.wavefunctions``.
    """
    state = lowest_band_state(result)
    if state is None:
        return None
    energy = HC / result.absorption_max_nm
    polarization = float(result.solvation().polarization[state])
    ion = float(molecular_charge(result.atoms) != 0)
    transfer = result.characters()[state].charge_transfer
    return np.array([energy, polarization, ion, result.gap, transfer])


def lowest_band_state(result: Result) -> int | None:
    """Return the singlet (from 0) that contributes most to the lowest band; None without a band."""
    wavelength = result.absorption_max_nm
    if math.isnan(wavelength):
        return None
    states = result.singlets
    near = np.exp(-0.5 * np.square((states.energies - HC / wavelength) / LINE))
    return int((states.oscillator_strengths * near).argmax())


def shifts(descriptors: Array) -> Array:
    """Return the factors (..., 6) of the coefficients for ``descriptors`` (..., 5)."""
    energy, polarization, ion, gap, transfer = np.moveaxis(descriptors, -1, 0)
    one = np.ones_like(energy)
    return np.stack([one, energy - CENTRE, polarization, ion, gap - CENTRAL_GAP, transfer], -1)
