"""Annotations of a spectrum: a measured curve, λmax, the colour, and the last state."""

from __future__ import annotations

import math
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from esml.analysis.likeness import likeness
from esml.analysis.spectrum_axes import on_axis, show_up_to, unit_of
from esml.results.band_maximum import BandMaximum, expected_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from esml.analysis.spectrum import Spectrum
    from esml.io.measured import MeasuredSpectrum

MEASURED_COLOUR = "#3d3d3d"

ROOM = 1.18
"""Factor by which the axes are extended to write λmax above the curves."""


LONGEST_LINE = 24
"""Number of letters in a line of a legend."""

NARROW = 0.05
"""Hatched regions narrower than this share of the axis get no label."""


def draw_measured(axes: Axes, curve: Spectrum, measured: MeasuredSpectrum) -> None:
    """Draw a measured spectrum over the predicted ``curve``.

    Molar absorption coefficients are drawn as they are; an absorbance is scaled to the height of
    the curve in the measured range.
    """
    absolute = measured.quantity == "molar absorption coefficient"
    scale = likeness(curve.at, measured.energies, measured.values).scale
    height = (1.0 if absolute else scale) * measured.values / 1e3
    low, high = sorted(axes.get_xlim())
    places = on_axis(axes, measured.energies)
    shown = (places >= low) & (places <= high)
    label = "measured" if absolute else "measured, scaled"
    axes.plot(places[shown], height[shown], "--", color=MEASURED_COLOUR, linewidth=1.3, label=label)
    if shown.any():
        show_up_to(axes, 1.05 * float(height[shown].max()))
    axes.get_lines()[0].set_label("predicted")


def name_curves(axes: Axes) -> None:
    """Add a legend where there is room; long names are wrapped."""
    for line in axes.get_lines():
        line.set_label(fill(str(line.get_label()), LONGEST_LINE))
    axes.legend(loc="best", fontsize="small", framealpha=0.85, edgecolor="none")


def state_maximum(axes: Axes, curve: Spectrum, expected: BandMaximum | None = None) -> None:
    """Write λmax and show the colour above the curves, on the long-wavelength side.

    The colour is that with the lowest maximum at the ``expected`` one, if there is one.
    """
    from matplotlib.patches import Rectangle

    found = curve.absorption_max_nm
    if math.isnan(found):
        return
    if axes.get_autoscaley_on():  # not where a user has set the limits
        axes.set_ylim(0.0, ROOM * axes.get_ylim()[1], auto=True)
    right = unit_of(axes) == "nm"
    colour = expected_colour(curve, expected)
    more = "" if expected is None else f", {expected.wavelength:.0f} nm to expect"
    swatch = Rectangle(
        (0.925 if right else 0.025, 0.9),
        0.05,
        0.07,
        transform=axes.transAxes,
        facecolor=colour.hex,
        edgecolor="#777777",
        linewidth=0.6,
        zorder=5,
    )
    axes.add_patch(swatch)
    axes.text(
        0.91 if right else 0.09,
        0.935,
        rf"$\lambda_\mathrm{{max}}$ {found:.0f} nm{more}, {colour.name}",
        transform=axes.transAxes,
        ha="right" if right else "left",
        va="center",
        fontsize=8.5,
    )


def mark_end(axes: Axes, highest: float, label: str) -> None:
    """Hatch the region above ``highest`` (eV), the energy of the last state, ``label``.

    It does nothing if the axes do not show that region.
    """
    low, high = sorted(axes.get_xlim())
    end = float(on_axis(axes, np.array([highest]))[0])
    if not low < end < high:
        return
    span = (low, end) if unit_of(axes) == "nm" else (end, high)
    axes.axvspan(*span, facecolor="none", edgecolor="#dddddd", hatch="////", linewidth=0, zorder=0)
    if span[1] - span[0] > NARROW * (high - low):
        axes.text(
            0.5 * (span[0] + span[1]),
            0.5,
            f"beyond {label}",
            transform=axes.get_xaxis_transform(),
            rotation=90,
            ha="center",
            va="center",
            fontsize=8,
            color="#888888",
        )
