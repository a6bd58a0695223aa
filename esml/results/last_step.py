"""The last step: from a vertical energy to the measured maximum of a band, fitted to maxima.

The difference between the vertical excitation and the maximum that a spectrometer shows
(vibrations and temperature, errors of the level of theory, hydrogen bonds) is similar for many
dyes. A few numbers correct for it:

    E_band = E + Σ_k c_k x_k ,

where E is the lowest maximum of the broadened vertical spectrum, and the x_k (``Band.terms``)
describe the state that contributes most to it:

- ``shift`` 1;
- ``slope`` E − 3 eV;
- ``binding`` E/Δ − 1/2 with the HOMO–LUMO gap Δ: what electron and hole, bound to each other, leave
  of it;
- ``dispersion`` n² − 1.9 with the refractive index n of the solvent, which dispersion follows;
- ``ion`` 1 for a charged molecule, else 0;
- ``transfer``, the probability of hole and electron on different fragments
  (:mod:`esml.analysis.characters`);
- ``overlap`` Σ_A √(h_A e_A) − 1/2 with the shares h and e of the atoms in hole and electron: small
  also where they are on alternate atoms, as in cyanines and BODIPYs;
- ``distance`` between the centroids of hole and electron, Å: large if charge is transferred to one
  side, and small if it goes there and back;
- ``pi`` weight of π → π* in the excitation, minus 1.

A term beyond those of all fitted dyes is taken at the end of their range, and said to be beyond.
The numbers are fitted to measured maxima and belong to a model file, which stores them in its
metadata under ``last_step`` (``scripts.training.last_step``); a model without them has no last
step. It changes only λmax, not the energies of states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from esml.io.structure_checks import molecular_charge
from esml.results import Result
from esml.results.band_maximum import BandMaximum
from esml.typing import Array
from esml.units import HC

LINE = 0.13
"""eV; standard deviation of a line in the broadened vertical spectrum."""

NAMES = (
    "shift",
    "slope",
    "binding",
    "dispersion",
    "ion",
    "transfer",
    "overlap",
    "distance",
    "pi",
)
"""Names of the coefficients, in order."""

USUAL = {"slope": 3.0, "binding": 0.5, "dispersion": 1.9, "overlap": 0.5, "pi": 1.0}
"""Usual values, at which the terms of these names are zero."""

PARTS = ("coefficients", "lowest", "highest")
"""Parts of the entry in a model's metadata that have a number for each name."""

SLACK = 0.05
"""Share of the range of the fitted dyes by which a term may leave it without being beyond."""

DATA = "measured maxima of dyes in solution"


@dataclass(frozen=True)
class Band:
    """What the last step knows of the lowest band of a vertical spectrum."""

    energy: float  # E, the maximum of the broadened spectrum, eV
    terms: Array  # (9,) x_k in the order of ``NAMES``

    @classmethod
    def of(cls, result: Result) -> Band | None:
        """Describe the lowest band of a ``result``; None if it has no band.

        Raises as ``Result.wavefunctions``.
        """
        state = lowest_band_state(result)
        if state is None:
            return None
        energy = HC / result.absorption_max_nm
        character = result.characters()[state]
        index = 1.0 if result.solvent is None else result.solvent.refractive_index
        values = {
            "shift": 1.0,
            "slope": energy,
            "binding": energy / result.gap,
            "dispersion": index**2,
            "ion": float(molecular_charge(result.atoms) != 0),
            "transfer": character.charge_transfer,
            "overlap": float(np.sqrt(character.hole * character.electron).sum()),
            "distance": character.centroid_distance,
            "pi": character.weights["ππ*"],
        }
        return cls(energy, np.array([values[name] - USUAL.get(name, 0.0) for name in NAMES]))


@dataclass(frozen=True)
class LastStep:
    """The fitted last step of a model."""

    coefficients: tuple[float, ...]
    """c_k in the order of ``NAMES``, eV in units of the terms."""
    lowest: tuple[float, ...]
    """Smallest terms of the fitted dyes."""
    highest: tuple[float, ...]
    """Largest terms of the fitted dyes."""
    uncertainty: float
    """eV, from molecules whose cores were left out of the fit."""
    n_maxima: int  # number of measured maxima in the fit
    n_dyes: int  # number of dyes in the fit

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> LastStep | None:
        """Read it from a model's ``metadata``; None if the model has no last step.

        Raises
        ------
        ValueError
            If it has terms that this version does not know.
        """
        stored = metadata.get("last_step")
        if stored is None:
            return None
        named = stored["coefficients"]
        if unknown := sorted(set(named) - set(NAMES)):
            raise ValueError(
                f"the model's last step has unknown terms ({', '.join(unknown)}): expected some of "
                f"{', '.join(NAMES)}; fit it again with scripts.training.last_step, or leave it "
                "out (--raw)"
            )
        coefficients, lowest, highest = (
            tuple(float(stored[part].get(name, 0.0)) for name in NAMES) for part in PARTS
        )
        return cls(
            coefficients,
            lowest,
            highest,
            uncertainty=float(stored["uncertainty"]),
            n_maxima=int(stored["n_maxima"]),
            n_dyes=int(stored["n_dyes"]),
        )

    def plain(self) -> dict[str, Any]:
        """Return the entry for the metadata of a model."""
        entry = asdict(self)
        named = {part: dict(zip(NAMES, entry[part], strict=True)) for part in PARTS}
        return entry | named | {"fitted_to": DATA}

    def maximum(self, band: Band) -> BandMaximum:
        """Return E_band of ``band``."""
        within = np.clip(band.terms, self.lowest, self.highest)
        allowed = SLACK * (np.array(self.highest) - np.array(self.lowest))
        beyond = np.abs(band.terms - within) > allowed
        return BandMaximum(
            band.energy + float(within @ self.coefficients),
            self.uncertainty,
            tuple(name for name, out in zip(NAMES, beyond, strict=True) if out),
        )

    def __call__(self, result: Result) -> BandMaximum | None:
        """Return the maximum of the lowest band of a ``result`` in a solvent.

        None in vacuum and among point charges, where it is not fitted, or if there is no band.

        Raises
        ------
        MissingWavefunctionsError
            If the result has no wave functions.
        """
        band = None if result.solvent is None else Band.of(result)
        return None if band is None else self.maximum(band)

    def describe(self) -> str:
        """Return a short description."""
        return f"last step fitted to {self.n_maxima} {DATA}"


def lowest_band_state(result: Result) -> int | None:
    """Return the singlet (from 0) that contributes most to the lowest band; None without a band."""
    wavelength = result.absorption_max_nm
    if math.isnan(wavelength):
        return None
    states = result.singlets
    near = np.exp(-0.5 * np.square((states.energies - HC / wavelength) / LINE))
    return int((states.oscillator_strengths * near).argmax())


def with_band_maximum(result: Result, last: LastStep | None) -> Result:
    """Return ``result`` with its band maximum after the ``last`` step, for files and pictures.

    It has none without a step, and where the step gives none. Raises MissingWavefunctionsError if
    the result has no wave functions.
    """
    return replace(result, band_maximum=None if last is None else last(result))
