"""Emission spectra: photons emitted by a relaxed state, per energy or per wavelength.

With a band L(E) of area 1, the rate of spontaneous emission per interval of energy is

    I(E) = k (E/E_v)³ L(E) ,   k = ``radiative_rate`` at the vertical energy E_v ,

so that the rate of the whole band is k ∫ (E/E_v)³ L dE, with Strickler and Berg's ⟨ν̃⁻³⟩⁻¹ in
place of E_v³.
Fluorimeters count photons per interval of wavelength, I(λ) = I(E) E²/hc, whose maximum lies at
shorter wavelength than that of I(E).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from esml.analysis.absorption import bands, strongest
from esml.analysis.curve_files import write_curve
from esml.analysis.spectrum import Spectrum
from esml.analysis.spectrum_axes import LOWEST_ENERGY, Unit, begin, on_axis, unit_of
from esml.analysis.vibronic import TEMPERATURE, WIDTH, VibronicBand, VibronicSpectrum
from esml.typing import Array
from esml.units import HC

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class EmissionSpectrum:
    """The emission of one state."""

    energies: Array  # (P,) eV, ascending
    intensity: Array  # (P,) photons per energy, 1/eV, area 1
    cubed: float  # ∫ (E/E_v)³ L dE, the factor for the rate at the vertical energy
    band: VibronicBand  # the transition with its vibrations
    fwhm: float  # eV
    temperature: float  # K

    @property
    def wavelengths(self) -> Array:
        """(P,) nm, descending."""
        wavelengths: Array = HC / self.energies
        return wavelengths

    @property
    def intensity_per_wavelength(self) -> Array:
        """(P,) photons per wavelength, 1/nm, area 1."""
        intensity: Array = self.intensity * self.energies**2 / HC
        return intensity

    @property
    def emission_max_nm(self) -> float:
        """λ_em, the wavelength (nm) with the most photons per nm."""
        found = strongest(
            bands(self.energies, self.intensity_per_wavelength, shortest=0.0, faintest=0.0)
        )
        return found.wavelength if found else float("nan")

    def stokes_shift(self, absorption: Spectrum) -> float | None:
        """Return the maximum of ``absorption`` less that of this emission, eV; None without one."""
        found = absorption.absorption_max
        return None if found is None else found.energy - HC / self.emission_max_nm

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write columns ``energy_eV,wavelength_nm,photons_per_eV,photons_per_nm``; area 1 each."""
        columns = {
            "photons_per_eV": self.intensity,
            "photons_per_nm": self.intensity_per_wavelength,
        }
        write_curve(path, self.energies, columns)

    def plot(
        self,
        ax: Axes | None = None,
        axis: Unit | None = None,
        limits: tuple[float, float] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw photons per nm, or per eV, relative to the highest point; needs matplotlib.

        Parameters
        ----------
        ax
            Axes to draw into; new ones if left out. A second curve uses the axis of the first.
        axis
            ``"nm"`` (None) or ``"eV"``; the other is on the upper axis.
        limits
            Lower and upper end of ``axis``; the ends of the curve if left out.
        style
            Style of the curve (``color``, ``label``, …).

        Returns
        -------
        The axes of the curve.
        """
        low, high = float(self.energies[0]), float(self.energies[-1])
        ends: dict[Unit, tuple[float, float]] = {"nm": (HC / high, HC / low), "eV": (low, high)}
        label = f"Emission, photons per {axis or 'nm'} (highest: 1)"
        ax, line = begin(ax, label, "nm", ends, axis, limits)
        curve = self.intensity_per_wavelength if unit_of(ax) == "nm" else self.intensity
        ax.plot(on_axis(ax, self.energies), curve / curve.max(), **line | style)
        ax.set_ylim(0.0, 1.05)
        return ax


def emission_spectrum(
    band: VibronicBand,
    fwhm: float = WIDTH,
    temperature: float = TEMPERATURE,
    energies: ArrayLike | None = None,
) -> EmissionSpectrum:
    """Return the emission spectrum of a ``band``.

    Parameters
    ----------
    band
        A band with ``emission=True``; without modes it is a Gaussian at the vertical energy.
    fwhm
        Full width at half maximum of the Gaussian on each line, eV.
    temperature
        Temperature, K.
    energies
        Grid, eV; if left out, it covers the band.

    Raises
    ------
    ValueError
        If the band is one of absorption, or a width or temperature is not possible.
    """
    if not band.emission:
        raise ValueError(
            "the band is one of absorption: expected one with emission=True, from the minimum of "
            "the excited state; make it with VibronicBand.of"
        )
    if energies is None:
        reach = 0.5 + 3.0 * fwhm
        low = max(LOWEST_ENERGY, band.vertical - 2.0 * band.reorganization - reach)
        high = band.zero_zero + reach
        energies = np.linspace(low, high, 1 + int(np.ceil((high - low) / (fwhm / 20))))
    grid = np.asarray(energies, dtype=np.float64)
    rate = (grid / band.vertical) ** 3 * band.profile(grid, fwhm, temperature).clip(min=0.0)
    cubed = float(trapezoid(rate, grid))
    return EmissionSpectrum(grid, rate / cubed, cubed, band, float(fwhm), float(temperature))


def mirror_image(absorption: VibronicSpectrum) -> EmissionSpectrum | None:
    """Return the emission of the lowest state as the mirror image of its absorption.

    It needs no minimum of the excited state (``VibronicBand.mirrored``) and holds for molecules
    that keep their shape; line width and temperature are those of the absorption. It is None if the
    image would lie at an energy of zero or below.
    """
    band = absorption.transitions[0].mirrored()
    if band.vertical <= LOWEST_ENERGY:
        return None
    return emission_spectrum(band, absorption.fwhm, absorption.temperature)
