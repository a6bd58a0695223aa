"""The colour of a solution: the white light it transmits, as a person sees it.

    T(λ) = 10^(−ε(λ) c d)                                    Lambert and Beer
    X, Y, Z = k ∫ T(λ) (x̄, ȳ, z̄)(λ) dλ ,   k such that Y = 1 for T = 1

x̄, ȳ and z̄ are the colour-matching functions of the CIE 1931 standard observer, as sums of
Gaussians that Wyman, Sloan and Shirley fitted to them (J. Comput. Graph. Tech. 2 (2), 1 (2013),
their eq. 4; errors of at most two per cent of the maximum). The light has the same power at every
wavelength (illuminant E), and X, Y, Z are scaled so that a clear solution is the white of a screen
(D65). IEC 61966-2-1 converts them to sRGB; values that a screen cannot show are clipped.

A colour is named by its hue angle in CIELAB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from esml.typing import Array

CONCENTRATION = 5e-5
"""mol/L; with ``PATH`` a band of ε = 20,000 L mol⁻¹ cm⁻¹ has absorbance 1."""

PATH = 1.0
"""cm; the usual cuvette."""

VISIBLE = (380.0, 780.0)
"""nm"""

_LOBES = {  # height, centre, width towards shorter and towards longer wavelengths, nm
    "x": ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    "y": ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    "z": ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
}

WHITE = np.array([0.95047, 1.0, 1.08883])
"""X, Y, Z of D65, the white of sRGB."""

_TO_LINEAR_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""From X, Y, Z to the primaries of sRGB (IEC 61966-2-1)."""

_HUES = (
    (15.0, "pink"),
    (48.0, "red"),
    (80.0, "orange"),
    (112.0, "yellow"),
    (135.0, "yellow-green"),
    (175.0, "green"),
    (225.0, "blue-green"),
    (292.0, "blue"),
    (325.0, "violet"),
    (345.0, "purple"),
    (360.0, "pink"),
)
"""Largest hue angle in CIELAB, degrees, of each name."""

COLOURLESS = 4.0
"""Chroma in CIELAB below which nobody sees a colour; about twice a just noticeable difference."""

PALE = 25.0
"""Chroma below which a colour is pale."""


@dataclass(frozen=True)
class Colour:
    """A colour as a screen shows it."""

    red: float  # 0 to 1, sRGB
    green: float  # 0 to 1
    blue: float  # 0 to 1
    name: str  # such as yellow

    @property
    def hex(self) -> str:
        """The colour as in HTML: ``#rrggbb``."""
        parts = (self.red, self.green, self.blue)
        return "#" + "".join(f"{round(255 * part):02x}" for part in parts)

    def __str__(self) -> str:
        return f"{self.name} ({self.hex})"


def matching_functions(wavelengths: Array) -> Array:
    """Return x̄, ȳ and z̄ (3, P) of the CIE 1931 standard observer at ``wavelengths`` (P,), nm."""
    rows = []
    for lobes in _LOBES.values():
        row = np.zeros_like(wavelengths)
        for height, centre, below, above in lobes:
            offset = wavelengths - centre
            row += height * np.exp(-0.5 * (offset / np.where(offset < 0, below, above)) ** 2)
        rows.append(row)
    return np.array(rows)


def transmitted(wavelengths: Array, transmittance: Array) -> Colour:
    """Return the colour of white light behind a filter.

    Parameters
    ----------
    wavelengths
        (P,) nm, ascending, over the visible range, about 1 nm apart.
    transmittance
        (P,) 0 to 1.
    """
    weights = matching_functions(wavelengths)
    white = np.trapezoid(weights, wavelengths)
    tristimulus = np.trapezoid(weights * transmittance, wavelengths) / white * WHITE
    red, green, blue = _srgb(tristimulus).tolist()
    return Colour(red, green, blue, _name(tristimulus))


def _srgb(tristimulus: Array) -> Array:
    linear = np.clip(_TO_LINEAR_RGB @ tristimulus, 0.0, 1.0)
    curved = 1.055 * linear ** (1.0 / 2.4) - 0.055
    encoded: Array = np.clip(np.where(linear <= 0.0031308, 12.92 * linear, curved), 0.0, 1.0)
    return encoded


def _name(tristimulus: Array) -> str:
    ratio = tristimulus / WHITE
    # CIE 15: the cube root, and the straight line that replaces it near black.
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    chroma = float(np.hypot(a, b))
    if chroma < COLOURLESS:
        return "colourless" if lightness > 85 else "grey" if lightness > 15 else "black"
    angle = float(np.degrees(np.arctan2(b, a))) % 360.0
    hue = next(name for largest, name in _HUES if angle <= largest)
    return f"pale {hue}" if chroma < PALE else hue
