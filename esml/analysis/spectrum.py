"""Absorption spectra: from excitation energies and oscillator strengths to a curve.

The molar (decadic) absorption coefficient ε of a transition of oscillator strength f obeys

    f = 4.319·10⁻⁹ ∫ ε(ν̃) dν̃ ,   ε in L mol⁻¹ cm⁻¹, ν̃ in cm⁻¹

(R. S. Mulliken, J. Chem. Phys. 7, 14 (1939); the constant is 4 ln(10) ε₀ m_e c² / (N_A e²), for
light in vacuum). Each transition gets a Gaussian or Lorentzian line with a given full width at half
maximum in energy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from esml.analysis.absorption import Band, bands
from esml.analysis.colour import CONCENTRATION, PATH, VISIBLE, Colour, transmitted
from esml.analysis.curve_files import write_curve
from esml.analysis.spectrum_axes import LOWEST_ENERGY, Unit, draw, fill
from esml.typing import same
from esml.units import HC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Shape = Literal["gaussian", "lorentzian"]

STRENGTH_PER_AREA = 4.319e-9
"""f / ∫ε dν̃ in mol cm² L⁻¹."""

WAVENUMBERS = 1e7 / HC
"""cm⁻¹ per eV."""

WIDTHS = (1e-3, 100.0)
"""eV; allowed line widths, which keep the default grid, in steps of 1/30 width, below a million."""

DRAWS = 1000
"""Number of sets of energies from which the band of uncertainty is computed."""

BAND = (0.16, 0.84)
"""Quantiles at its edges: one standard deviation of a normal distribution to either side."""


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """An absorption spectrum: the broadened curve and the transitions (sticks) behind it."""

    energies: Array  # (P,) eV, ascending
    absorption: Array  # (P,) molar absorption coefficient, L mol⁻¹ cm⁻¹
    stick_energies: Array  # (S,) eV
    stick_strengths: Array  # (S,) oscillator strengths
    fwhm: float  # eV
    shape: Shape  # of a line: gaussian or lorentzian
    stick_labels: tuple[str, ...] = ()  # names of the states, or none

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        low, high = self.energies[0], self.energies[-1]
        found = ", ".join(f"{band.wavelength:.0f} nm" for band in self.bands)
        return (
            f"{type(self).__name__}({len(self.stick_energies)} transitions, {low:.2f} to "
            f"{high:.2f} eV, {self.shape} lines of {self.fwhm:g} eV, bands at {found or '–'})"
        )

    @property
    def wavelengths(self) -> Array:
        """(P,) wavelengths in nm, descending."""
        wavelengths: Array = HC / self.energies
        return wavelengths

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curve as columns ``energy_eV,wavelength_nm,absorption_L_mol-1_cm-1``.

        One header row, then one row for each point by ascending energy.
        """
        write_curve(path, self.energies, {"absorption_L_mol-1_cm-1": self.absorption})

    def at(self, energies: ArrayLike) -> Array:
        """Return the molar absorption coefficient at any ``energies`` (P,) in eV."""
        grid = np.asarray(energies, dtype=np.float64)
        line = _gaussian if self.shape == "gaussian" else _lorentzian
        absorption = np.zeros_like(grid)
        for centre, strength in zip(self.stick_energies, self.stick_strengths, strict=True):
            if strength > 0.0:
                absorption += strength * line(grid - centre, self.fwhm)
        return absorption / (STRENGTH_PER_AREA * WAVENUMBERS)

    @property
    def line_height(self) -> float:
        """Height of a single line of oscillator strength 1, L mol⁻¹ cm⁻¹."""
        line = _gaussian if self.shape == "gaussian" else _lorentzian
        return float(line(np.zeros(1), self.fwhm)[0]) / (STRENGTH_PER_AREA * WAVENUMBERS)

    @property
    def bands(self) -> tuple[Band, ...]:
        """Maxima at 180 nm or longer wavelengths, by energy (``esml.analysis.absorption``)."""
        return bands(self.energies, self.absorption)

    @property
    def absorption_max(self) -> Band | None:
        """The maximum of the lowest band; None without a band at 180 nm or longer wavelengths."""
        found = self.bands
        return found[0] if found else None

    @property
    def absorption_max_nm(self) -> float:
        """λmax, the wavelength (nm) of ``absorption_max``; nan without a band."""
        found = self.absorption_max
        return found.wavelength if found else math.nan

    def colour(
        self, concentration: float = CONCENTRATION, path: float = PATH, shift: float = 0.0
    ) -> Colour:
        """Return the colour of a solution in white light (``esml.analysis.colour``).

        Parameters
        ----------
        concentration
            Concentration, mol/L.
        path
            Optical path through the solution, cm.
        shift
            Energy by which the curve is moved before, eV.

        Returns
        -------
        The colour.
        """
        wavelengths = np.arange(VISIBLE[0], VISIBLE[1] + 1.0)
        transmittance = 10.0 ** (-self.at(HC / wavelengths - shift) * concentration * path)
        return transmitted(wavelengths, transmittance)

    def plot(
        self,
        ax: Axes | None = None,
        sticks: bool = True,
        axis: Unit | None = None,
        limits: tuple[float, float] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw the curve, with the transitions as sticks labelled by their states.

        Parameters
        ----------
        ax
            Axes to draw into; new ones if None. A second spectrum uses the axis of the first.
        sticks
            Draw sticks, each as high as its line alone, with oscillator strengths on the right
            axis. Leave them out to draw several spectra over each other.
        axis
            ``"nm"`` or ``"eV"``; the other is on the upper axis. None: 200 to 800 nm if the
            strongest band lies there, else eV. ε has the same value on both axes: it is not a
            density, so there is no factor dE/dλ.
        limits
            Lower and upper end of ``axis``.
        style
            Style of the curve: ``color``, ``label``, …

        Returns
        -------
        The axes of the curve. Raises ImportError without matplotlib, ValueError for an unknown axis
        or impossible limits.
        """
        return draw(self, ax, sticks, axis, limits, style)


def check_width(fwhm: float, name: str = "fwhm") -> None:
    """Raise ValueError for a width outside ``WIDTHS``."""
    narrowest, widest = WIDTHS
    if not narrowest <= fwhm <= widest:
        raise ValueError(
            f"{name} is {fwhm:g}: expected a width of {narrowest:g} to {widest:g} eV; choose one"
        )


def broaden(
    excitation_energies: ArrayLike,
    oscillator_strengths: ArrayLike,
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    energies: ArrayLike | None = None,
    labels: Sequence[str] = (),
) -> Spectrum:
    """Return the absorption spectrum of transitions at ``excitation_energies`` (S,) eV.

        ε(E) = Σ_n f_n g(E − ω_n) / (4.319·10⁻⁹ · 8065.54 cm⁻¹ per eV) ,   ∫ g dE = 1

    Parameters
    ----------
    excitation_energies, oscillator_strengths:
        (S,); states whose energy is nan (padding) are left out.
    fwhm:
        Full width at half maximum of g in eV.
    shape:
        ``"gaussian"`` or ``"lorentzian"``.
    energies:
        Grid in eV, positive and ascending. Default: from three widths below the lowest state to
        three above the highest, in steps of a thirtieth of ``fwhm``.
    labels:
        Names of the states, for pictures.

    Raises
    ------
    ValueError
        For a width outside ``WIDTHS``, an unknown shape, arrays that do not match, energies that
        are not positive, negative strengths, a grid that does not ascend, or no state at all.
    """
    check_width(fwhm)
    if shape not in ("gaussian", "lorentzian"):
        raise ValueError(f"shape must be 'gaussian' or 'lorentzian', got {shape!r}")
    centres = np.asarray(excitation_energies, dtype=np.float64)
    strengths = np.asarray(oscillator_strengths, dtype=np.float64)
    if centres.ndim != 1 or centres.shape != strengths.shape:
        raise ValueError(
            "excitation_energies and oscillator_strengths must be two (S,) arrays, "
            f"got {centres.shape} and {strengths.shape}"
        )
    exists = ~np.isnan(centres)
    centres, strengths = centres[exists], strengths[exists]
    names = tuple(label for label, there in zip(labels, exists, strict=False) if there)
    if centres.size == 0:
        raise ValueError("there is no excited state to draw a spectrum of")
    if not (np.isfinite(centres).all() and (centres > 0).all()):
        raise ValueError(f"excitation energies must be positive, got {centres.min()} eV")
    if not (np.isfinite(strengths).all() and (strengths >= 0).all()):
        raise ValueError("oscillator strengths must be finite and not negative")
    if energies is None:
        low = max(centres.min() - 3.0 * fwhm, min(LOWEST_ENERGY, 0.5 * centres.min()))
        high = centres.max() + 3.0 * fwhm
        grid = np.linspace(low, high, 1 + math.ceil(30.0 * (high - low) / fwhm))
    else:
        grid = np.asarray(energies, dtype=np.float64)
        if grid.ndim != 1 or grid.size == 0 or not (np.diff(grid) > 0).all() or not grid[0] > 0:
            raise ValueError("energies must be a (P,) grid in eV, positive and ascending")

    spectrum = Spectrum(grid, np.zeros_like(grid), centres, strengths, float(fwhm), shape, names)
    return replace(spectrum, absorption=spectrum.at(grid))


def uncertainty_band(
    excitation_energies: ArrayLike,
    oscillator_strengths: ArrayLike,
    uncertainties: ArrayLike,
    curve: Spectrum,
) -> tuple[Array, Array] | None:
    """Return the band (P,) around ``curve``, lower and upper edge, from uncertain energies.

    Every energy is drawn from a normal distribution around the predicted one, independently of the
    others, and the edges are the 16 % and 84 % quantiles of the curves (a fixed seed gives the same
    band each time). Strengths are not varied. None if an uncertainty is unknown (nan).
    """
    centres = np.asarray(excitation_energies, dtype=np.float64)
    strengths = np.asarray(oscillator_strengths, dtype=np.float64)
    widths = np.asarray(uncertainties, dtype=np.float64)
    if not np.isfinite(widths).all() or widths.size == 0:
        return None
    line = _gaussian if curve.shape == "gaussian" else _lorentzian
    # Latin hypercube: every state takes all quantiles once, so that few draws give smooth edges.
    # Imported here because it takes half a second, and most spectra do not need it.
    from scipy.stats.qmc import LatinHypercube

    sample = ndtri(LatinHypercube(len(centres), rng=0).random(DRAWS))
    draws = sample * widths + centres
    curves = np.zeros((DRAWS, len(curve.energies)))
    for centre, strength in zip(draws.T, strengths, strict=True):
        if strength > 0.0:
            curves += strength * line(curve.energies - centre[:, None], curve.fwhm)
    low, high = np.quantile(curves / (STRENGTH_PER_AREA * WAVENUMBERS), BAND, axis=0)
    return low, high


@dataclass(frozen=True, eq=False, repr=False)
class AveragedSpectrum(Spectrum):
    """The mean spectrum of many geometries of one molecule.

    ``stick_energies`` and ``stick_strengths`` cover all geometries; each strength is divided by
    the number of geometries.
    """

    standard_error: Array = field(kw_only=True)  # (P,) of the mean, L mol⁻¹ cm⁻¹; nan for 1 frame
    n_frames: int = field(kw_only=True)  # number of geometries

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curve as ``Spectrum.to_csv`` does, with its standard error in a last column."""
        columns = {
            "absorption_L_mol-1_cm-1": self.absorption,
            "standard_error_L_mol-1_cm-1": self.standard_error,
        }
        write_curve(path, self.energies, columns)

    def plot(
        self,
        ax: Axes | None = None,
        sticks: bool = False,
        axis: Unit | None = None,
        limits: tuple[float, float] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw the mean curve with a band of two standard errors on either side.

        There are thousands of ``sticks``, so they are not drawn by default. Otherwise it works as
        ``Spectrum.plot``.

        Parameters
        ----------
        ax, sticks, axis, limits, style
            Those of ``Spectrum.plot``.
        """
        axes = super().plot(ax, sticks, axis, limits, **style)
        colour = axes.get_lines()[-1].get_color()
        low = np.clip(self.absorption - 2.0 * self.standard_error, 0.0, None) / 1e3
        high = (self.absorption + 2.0 * self.standard_error) / 1e3
        if np.isfinite(high).all():
            fill(axes, self.energies, low, high, color=colour, alpha=0.3)
        return axes


def average(
    transitions: Sequence[tuple[ArrayLike, ArrayLike]],
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    energies: ArrayLike | None = None,
) -> AveragedSpectrum:
    """Return the mean spectrum of a trajectory: the nuclear-ensemble or thermal spectrum.

        ε(E) = 1/F Σ_f ε_f(E)

    The standard error comes from the means of blocks of consecutive frames, about √F blocks of √F
    frames. So it also holds for correlated frames, if the correlation is lost within a block.
    With fewer than nine frames, each is its own block. The line width only represents broadening
    that the frames do not contain, and may be smaller than for one geometry.

    Parameters
    ----------
    transitions
        Energies (S,) in eV and oscillator strengths (S,) of each frame, in time order.
    fwhm, shape
        Width (eV) and shape of a line.
    energies
        Grid of the curve, eV; if None, it covers all lines.

    Returns
    -------
    The mean curve with its standard error.

    Raises
    ------
    ValueError
        As in ``broaden``, and if there is no frame.
    """
    if not transitions:
        raise ValueError("there is no frame to average over: expected at least one")
    if energies is None:
        joined = np.concatenate([np.asarray(e, dtype=np.float64) for e, _ in transitions])
        energies = broaden(joined, np.zeros_like(joined), fwhm, shape).energies
    frames = [broaden(e, f, fwhm, shape, energies) for e, f in transitions]
    curves = np.array([frame.absorption for frame in frames])
    n_frames = len(frames)
    n_blocks = n_frames if n_frames < 9 else math.isqrt(n_frames)
    blocks = np.array([block.mean(0) for block in np.array_split(curves, n_blocks)])
    error = np.full(curves.shape[1], np.nan)
    if n_blocks > 1:
        error = blocks.std(0, ddof=1) / math.sqrt(n_blocks)
    return AveragedSpectrum(
        energies=frames[0].energies,
        absorption=curves.mean(0),
        stick_energies=np.concatenate([frame.stick_energies for frame in frames]),
        stick_strengths=np.concatenate([frame.stick_strengths for frame in frames]) / n_frames,
        fwhm=float(fwhm),
        shape=shape,
        standard_error=error,
        n_frames=n_frames,
    )


def _gaussian(offset: Array, fwhm: float) -> Array:
    sigma = fwhm / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    profile: Array = np.exp(-0.5 * (offset / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))
    return profile


def _lorentzian(offset: Array, fwhm: float) -> Array:
    half = 0.5 * fwhm
    profile: Array = half / math.pi / (offset**2 + half**2)
    return profile
