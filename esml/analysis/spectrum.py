"""Absorption spectra: from excitation energies and oscillator strengths to a curve.

The molar (decadic) absorption coefficient ε of a transition of oscillator strength f obeys

    f = 4.319·10⁻⁹ ∫ ε(ν̃) dν̃ ,   ε in L mol⁻¹ cm⁻¹, ν̃ in cm⁻¹

(R. S. Mulliken, J. Chem. Phys. 7, 14 (1939); the constant is 4 ln(10) ε₀ m_e c² / (N_A e²), for
light in vacuum), and here has a Gaussian or Lorentzian line of given full width at half maximum in
energy.
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
"""eV; widths a line may have: a default grid in thirtieths of them has at most a million points."""

DRAWS = 1000
"""Sets of energies a band of uncertainty is drawn from."""

BAND = (0.16, 0.84)
"""Quantiles between which it lies: one standard deviation of a normal distribution."""


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
        """Molar absorption coefficient at other ``energies`` (P,) eV, from the transitions."""
        grid = np.asarray(energies, dtype=np.float64)
        line = _gaussian if self.shape == "gaussian" else _lorentzian
        absorption = np.zeros_like(grid)
        for centre, strength in zip(self.stick_energies, self.stick_strengths, strict=True):
            if strength > 0.0:
                absorption += strength * line(grid - centre, self.fwhm)
        return absorption / (STRENGTH_PER_AREA * WAVENUMBERS)

    @property
    def line_height(self) -> float:
        """Of a line of oscillator strength 1 alone, L mol⁻¹ cm⁻¹."""
        line = _gaussian if self.shape == "gaussian" else _lorentzian
        return float(line(np.zeros(1), self.fwhm)[0]) / (STRENGTH_PER_AREA * WAVENUMBERS)

    @property
    def bands(self) -> tuple[Band, ...]:
        """Maxima at 180 nm and beyond, ascending in energy (``esml.analysis.absorption``)."""
        return bands(self.energies, self.absorption)

    @property
    def absorption_max(self) -> Band | None:
        """The maximum of the lowest band; None where no band lies at 180 nm or beyond."""
        found = self.bands
        return found[0] if found else None

    @property
    def absorption_max_nm(self) -> float:
        """Wavelength (nm) of ``absorption_max``, which people call λmax; nan without a band."""
        found = self.absorption_max
        return found.wavelength if found else math.nan

    def colour(self, concentration: float = CONCENTRATION, path: float = PATH) -> Colour:
        """The colour of a solution in white light (``esml.analysis.colour``).

        Parameters
        ----------
        concentration
            mol/L.
        path
            Length of the light's path through the solution, cm.

        Returns
        -------
        The colour.
        """
        wavelengths = np.arange(VISIBLE[0], VISIBLE[1] + 1.0)
        transmittance = 10.0 ** (-self.at(HC / wavelengths) * concentration * path)
        return transmitted(wavelengths, transmittance)

    def plot(
        self,
        ax: Axes | None = None,
        sticks: bool = True,
        axis: Unit | None = None,
        limits: tuple[float, float] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw the curve, and the transitions as sticks labelled by their states.

        Parameters
        ----------
        ax
            Axes to draw into; new ones if None. What is drawn over another spectrum takes its axis.
        sticks
            As high as their lines would be alone, with oscillator strengths on the right axis;
            leave them out to lay several spectra over each other.
        axis
            ``"nm"`` or ``"eV"``; the other is on the upper axis. None: 200 to 800 nm where the
            strongest band lies there, else energies. ε has the same value on both: it is no
            density, and no factor dE/dλ comes in.
        limits
            Lower and upper end of ``axis``.
        style
            Of the curve: ``color``, ``label``, …

        Returns
        -------
        The axes of the curve. Raises ImportError without matplotlib, ValueError for an axis or
        limits that cannot be.
        """
        return draw(self, ax, sticks, axis, limits, style)


def check_width(fwhm: float, name: str = "fwhm") -> None:
    """Refuse, with a ValueError, a width outside ``WIDTHS``."""
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
    """Absorption spectrum of transitions at ``excitation_energies`` (S,) eV.

        ε(E) = Σ_n f_n g(E − ω_n) / (4.319·10⁻⁹ · 8065.54 cm⁻¹ per eV) ,   ∫ g dE = 1

    Parameters
    ----------
    excitation_energies, oscillator_strengths:
        (S,); a state whose energy is nan (padding) is left out.
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
    """Lower and upper edge (P,) of what uncertain energies make of ``curve``, on its grid.

    Every energy is drawn from a normal distribution around the predicted one, independently of the
    others, and the edges are the 16 % and 84 % quantiles of the curves (a fixed seed gives the same
    band each time). Strengths are taken as they are. None where an uncertainty is nan, unknown.
    """
    centres = np.asarray(excitation_energies, dtype=np.float64)
    strengths = np.asarray(oscillator_strengths, dtype=np.float64)
    widths = np.asarray(uncertainties, dtype=np.float64)
    if not np.isfinite(widths).all() or widths.size == 0:
        return None
    line = _gaussian if curve.shape == "gaussian" else _lorentzian
    # Latin hypercube: every state takes all quantiles once, which makes smooth edges of few draws.
    # Here, for it is half a second that most who want a spectrum need not wait.
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

    ``stick_energies`` and ``stick_strengths`` are those of all geometries, each strength divided
    by their number.
    """

    standard_error: Array = field(kw_only=True)  # (P,) of the mean, L mol⁻¹ cm⁻¹; nan for 1 frame
    n_frames: int = field(kw_only=True)  # of geometries

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curve as ``Spectrum.to_csv`` does, with its standard error as a last column."""
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

        Of the ``sticks`` there are thousands, so they are left out unless asked for. Else as
        ``Spectrum.plot``.
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
    """The mean spectrum of a trajectory: the nuclear-ensemble or thermal spectrum.

        ε(E) = 1/F Σ_f ε_f(E)

    The standard error is that of the means of blocks of consecutive frames, about √F blocks of √F
    frames, so it holds for frames that resemble their neighbours, as long as they forget them
    within a block. Below nine frames, each is a block of its own. The line width stands for what
    the frames do not show, and may be smaller than for one geometry.

    Parameters
    ----------
    transitions
        Energies (S,) in eV and oscillator strengths (S,) of each frame, in the order of time.
    fwhm, shape
        Width (eV) and shape of a line.
    energies
        Grid of the curve, eV; chosen to hold all lines if None.

    Returns
    -------
    The mean curve with its standard error.

    Raises
    ------
    ValueError
        As ``broaden``, and if there is no frame.
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
