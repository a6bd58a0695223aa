"""Absorption bands of a spectrum: where its maxima are, and which of them is called λmax.

Spectrometers measure down to about 180 nm, where air begins to absorb. States above that energy are
predicted too and are often the strongest of all, but they are rarely measured. So only bands at
``SHORTEST`` or longer wavelengths count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from esml.typing import Array
from esml.units import HC

SHORTEST = 180.0
"""nm; shortest wavelength of a band."""

SHARE = 0.01
"""Height of the lowest band that counts, relative to the highest: the band at λmax of a dye may be
much weaker than its ultraviolet bands, as in fluorenones."""

FAINTEST = 10.0
"""L mol⁻¹ cm⁻¹; lower maxima are not bands (those of nπ* states reach some tens and more)."""


@dataclass(frozen=True)
class Band:
    """A maximum of a spectrum."""

    energy: float
    """eV"""
    height: float
    """Height of the curve at the maximum: ε in L mol⁻¹ cm⁻¹ for predicted spectra."""

    @property
    def wavelength(self) -> float:
        """nm"""
        return HC / self.energy


def bands(
    energies: Array,
    absorption: Array,
    shortest: float = SHORTEST,
    share: float = SHARE,
    faintest: float = FAINTEST,
) -> tuple[Band, ...]:
    """Find the maxima of a smooth curve at ``shortest`` or longer wavelengths, by energy.

    A maximum over wavelengths is also one over energies: ε is not a density per interval of either
    axis, so there is no factor dE/dλ.

    Parameters
    ----------
    energies, absorption
        (P,) eV, ascending, and the curve, without noise. For measured curves see
        ``esml.analysis.likeness``.
    shortest
        nm.
    share, faintest
        Maxima lower than ``share`` times the highest, or than ``faintest``, are left out.

    Returns
    -------
    The bands, ascending in energy; none where the curve only rises towards the end of the window.
    A parabola through three points of the grid gives the position and height of each.
    """
    rises = np.diff(absorption)
    tops = 1 + np.flatnonzero((rises[:-1] > 0) & (rises[1:] <= 0))
    found = [_vertex(energies[k - 1 : k + 2], absorption[k - 1 : k + 2]) for k in tops]
    found = [band for band in found if band.wavelength >= shortest]
    lowest = max(faintest, share * max((band.height for band in found), default=0.0))
    return tuple(band for band in found if band.height >= lowest)


def strongest(found: Sequence[Band]) -> Band | None:
    """Return the highest band, or None if there is none."""
    return max(found, key=lambda band: band.height, default=None)


def _vertex(x: Array, y: Array) -> Band:
    """Vertex of the parabola through three points around a maximum."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curvature = (right - left) / (x[2] - x[0])
    slope = left + curvature * (x[1] - x[0])  # at x[1]
    step = -slope / (2.0 * curvature)
    return Band(float(x[1] + step), float(y[1] + 0.5 * slope * step))
