"""The maximum of a band to expect in a measured spectrum, and what colour it makes."""

from __future__ import annotations

from dataclasses import dataclass

from esml.analysis.colour import Colour
from esml.analysis.spectrum import Spectrum
from esml.units import HC


@dataclass(frozen=True)
class BandMaximum:
    """The maximum of a band after the last step."""

    energy: float
    """eV"""
    uncertainty: float
    """eV, one standard deviation of the total error, the vertical energy included."""
    beyond: tuple[str, ...] = ()
    """Names of the terms that no fitted dye has so small or so large."""

    def __str__(self) -> str:
        return (
            f"{self.wavelength:.0f} ± {self.spread_nm:.0f} nm, "
            f"{self.energy:.2f} ± {self.uncertainty:.2f} eV"
        )

    @property
    def doubt(self) -> str:
        """A sentence on ``beyond``; empty if there is nothing to doubt."""
        if not self.beyond:
            return ""
        return f"the last step was fitted to other dyes (beyond theirs: {', '.join(self.beyond)})"

    @property
    def wavelength(self) -> float:
        """nm"""
        return HC / self.energy

    @property
    def spread_nm(self) -> float:
        """The uncertainty in nm."""
        return self.wavelength * self.uncertainty / self.energy

    def shift(self, curve: Spectrum) -> float:
        """Return the energy (eV) that moves the lowest maximum of ``curve`` here; 0 without one."""
        lowest = curve.absorption_max
        return 0.0 if lowest is None else self.energy - lowest.energy


def expected_colour(curve: Spectrum, expected: BandMaximum | None) -> Colour:
    """Return the colour of a solution with this ``curve``.

    The curve is moved so that its lowest maximum is the ``expected`` one, if there is one.
    """
    return curve.colour(shift=0.0 if expected is None else expected.shift(curve))
