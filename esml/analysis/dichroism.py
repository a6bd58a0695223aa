"""Circular dichroism: from rotatory strengths to a curve.

The rotatory strength R of a transition is the area under its band of Δε = ε_left − ε_right,

    R = 22.97·10⁻⁴⁰ cgs · ∫ Δε(E)/E dE ,   Δε in L mol⁻¹ cm⁻¹,

so that Δε(E) = E Σ_n R_n g(E − ω_n) / 22.97 with lines g of area 1 and R in 10⁻⁴⁰ cgs.

Reference: N. Berova, K. Nakanishi and R. W. Woody (eds.), Circular Dichroism, 2nd ed. (2000).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from esml.analysis.absorption import SHORTEST
from esml.analysis.curve_files import write_curve
from esml.analysis.spectrum import STRENGTH_PER_AREA, WAVENUMBERS, Shape, broaden
from esml.analysis.spectrum_axes import DYES, STICK_COLOUR, Unit, begin, on_axis, usual_ends
from esml.typing import Array
from esml.units import HC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROTATORY_PER_AREA = 22.97
"""R / ∫ Δε/E dE in 10⁻⁴⁰ cgs per L mol⁻¹ cm⁻¹."""

STATEMENT = (
    "R has no ±: of 37 bands that are of at least 2·10⁻⁴⁰ cgs at the level of the labels, "
    "CAM-B3LYP/def2-SVP, 31 have the label's sign; read a sign as probable, not as an assignment "
    "of the absolute configuration"
)
"""How often signs are right, shown wherever they are; counted in the documentation."""


@dataclass(frozen=True)
class Dichroism:
    """A spectrum of circular dichroism: the broadened curve and the transitions behind it."""

    energies: Array  # (P,) eV, ascending
    dichroism: Array  # (P,) Δε, L mol⁻¹ cm⁻¹
    stick_energies: Array  # (S,) eV
    stick_strengths: Array  # (S,) rotatory strengths, 10⁻⁴⁰ cgs
    fwhm: float  # eV
    shape: Shape  # of a line: gaussian or lorentzian

    @property
    def wavelengths(self) -> Array:
        """(P,) wavelengths in nm, descending."""
        wavelengths: Array = HC / self.energies
        return wavelengths

    @property
    def largest(self) -> tuple[float, float]:
        """Wavelength (nm) and Δε (L mol⁻¹ cm⁻¹) where it is largest in size, 180 nm or beyond.

        nan where the curve does not reach so far.
        """
        seen = self.wavelengths >= SHORTEST
        if not seen.any():
            return np.nan, np.nan
        place = np.where(seen, np.abs(self.dichroism), 0.0).argmax()
        return float(self.wavelengths[place]), float(self.dichroism[place])

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curve as columns ``energy_eV,wavelength_nm,dichroism_L_mol-1_cm-1``."""
        write_curve(path, self.energies, {"dichroism_L_mol-1_cm-1": self.dichroism})

    def plot(
        self,
        ax: Axes | None = None,
        sticks: bool = True,
        axis: Unit | None = None,
        limits: tuple[float, float] | None = None,
        **style: Any,
    ) -> Axes:
        """Draw Δε, with rotatory strengths as sticks on the right axis; needs matplotlib.

        Parameters
        ----------
        ax
            Axes to draw into; new ones if left out. A second curve uses the axis of the first.
        sticks
            Draw rotatory strengths.
        axis
            ``"nm"`` or ``"eV"``; the other is on the upper axis. None: nm if the largest Δε lies
            between 200 and 800 nm, else eV.
        limits
            Lower and upper end of ``axis``.
        style
            Style of the curve (``color``, ``label``, …).

        Returns
        -------
        The axes of the curve.
        """
        label = r"$\Delta\varepsilon$ (L mol$^{-1}$ cm$^{-1}$)"
        ends = usual_ends(self.energies)
        ax, line = begin(ax, label, self._usual_unit(), ends, axis, limits)
        ax.plot(on_axis(ax, self.energies), self.dichroism, **line | style)
        if len(ax.get_lines()) == 1:
            ax.axhline(0.0, color="#888888", linewidth=0.6)
        # Curve and sticks share one zero line.
        height = 1.1 * max(np.abs(line.get_ydata()).max() for line in ax.get_lines())
        ax.set_ylim(-height, height)
        if sticks and len(self.stick_energies):
            self._draw_sticks(ax)
        return ax

    def _usual_unit(self) -> Unit:
        top = self.wavelengths[np.abs(self.dichroism).argmax()]
        return "nm" if DYES[0] <= top <= DYES[1] else "eV"

    def _draw_sticks(self, ax: Axes) -> None:
        right = ax.twinx()
        places = on_axis(ax, self.stick_energies)
        right.vlines(places, 0.0, self.stick_strengths, color=STICK_COLOUR, linewidth=1.4)
        tallest = max(1.1 * float(np.abs(self.stick_strengths).max()), 1.0)
        right.set_ylim(-tallest, tallest)
        right.set_ylabel("Rotatory strength (10⁻⁴⁰ cgs)", color=STICK_COLOUR)
        right.tick_params(axis="y", colors=STICK_COLOUR, direction="in")
        ax.set_zorder(right.get_zorder() + 1)  # the curve over the sticks
        ax.patch.set_visible(False)


def broaden_dichroism(
    excitation_energies: ArrayLike,
    rotatory_strengths: ArrayLike,
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    energies: ArrayLike | None = None,
) -> Dichroism:
    """Return the circular dichroism of transitions at ``excitation_energies`` (S,) eV.

    Parameters
    ----------
    excitation_energies, rotatory_strengths
        (S,) eV and 10⁻⁴⁰ cgs; states whose energy is nan are left out.
    fwhm, shape, energies
        As for ``esml.analysis.broaden``.

    Returns
    -------
    The curve and its sticks.

    Raises
    ------
    ValueError
        As in ``esml.analysis.broaden``, and if rotatory strengths are not finite.
    """
    strengths = np.asarray(rotatory_strengths, dtype=np.float64)
    there = ~np.isnan(np.asarray(excitation_energies, dtype=np.float64))
    if there.shape == strengths.shape and not np.isfinite(strengths[there]).all():
        raise ValueError(
            "rotatory strengths are unknown: expected those of a prediction with positions; "
            "predict again"
        )
    # Broaden positive and negative strengths separately, like two absorption spectra.
    up, down = (
        broaden(excitation_energies, part.clip(min=0.0), fwhm, shape, energies)
        for part in (strengths, -strengths)
    )
    lines = (up.absorption - down.absorption) * STRENGTH_PER_AREA * WAVENUMBERS
    return Dichroism(
        energies=up.energies,
        dichroism=up.energies * lines / ROTATORY_PER_AREA,
        stick_energies=up.stick_energies,
        stick_strengths=up.stick_strengths - down.stick_strengths,
        fwhm=up.fwhm,
        shape=shape,
    )


def mean_dichroism(
    transitions: Sequence[tuple[ArrayLike, ArrayLike]],
    weights: ArrayLike,
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    energies: ArrayLike | None = None,
) -> Dichroism:
    """Return Σ_k w_k Δε_k(E) of several geometries of one molecule, as conformers.

    Parameters
    ----------
    transitions
        Energies (S,) in eV and rotatory strengths (S,) in 10⁻⁴⁰ cgs of each of K geometries.
    weights
        (K,) weights w, which add up to 1.
    fwhm, shape, energies
        As for ``esml.analysis.broaden``.

    Returns
    -------
    The mean curve, without sticks.

    Raises
    ------
    ValueError
        As in ``broaden_dichroism``, and if there is no geometry.
    """
    if not transitions:
        raise ValueError("there is no geometry to average over: expected at least one")
    places = np.concatenate([np.asarray(e, dtype=np.float64) for e, _ in transitions])
    pairs = zip(np.asarray(weights, dtype=np.float64), transitions, strict=True)
    # Δε is linear in the strengths: the mean curve has weighted strengths.
    strengths = np.concatenate([w * np.asarray(r, dtype=np.float64) for w, (_, r) in pairs])
    curve = broaden_dichroism(places, strengths, fwhm, shape, energies)
    return replace(curve, stick_energies=np.zeros(0), stick_strengths=np.zeros(0))
