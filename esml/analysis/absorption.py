"""Absorption bands of a spectrum: where its maxima are, and which of them people mean by λmax.

Spectrometers measure down to about 180 nm, where air begins to absorb. States above that energy are
predicted too, and often the strongest of all, but nobody compares with them: bands are looked for
from ``SHORTEST`` on, towards longer wavelengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from esml.typing import Array
from esml.units import HC

SHORTEST = 180.0
"""nm; end of the window that people look at."""

SHARE = 0.01
"""Height of the lowest band that counts, of that of the highest: λmax of a dye may be faint beside
what follows in the ultraviolet, as that of fluorenones is."""

FAINTEST = 10.0
"""L mol⁻¹ cm⁻¹; what is lower everywhere is no band (nπ* states have some tens and more)."""


@dataclass(frozen=True)
class Band:
    """A maximum of a spectrum."""

    energy: float
    """eV"""
    height: float
    """Of the curve at the maximum: ε in L mol⁻¹ cm⁻¹ for predicted spectra."""

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
    """Maxima of a smooth curve at wavelengths from ``shortest`` on, ascending in energy.

    A maximum of the curve over wavelengths is one over energies: ε belongs to a kind of light, not
    to an interval of either axis, so that no factor dE/dλ comes in.

    Parameters
    ----------
    energies, absorption
        (P,) eV, ascending, and the curve. Without noise; see ``esml.analysis.likeness`` for
        measured ones.
    shortest
        nm.
    share, faintest
        Maxima lower than ``share`` times the highest, or than ``faintest``, are left out.

    Returns
    -------
    The bands; none where the curve only rises towards the end of the window. Places between points
    of the grid are those of parabolas through three of them.
    """
    rises = np.diff(absorption)
    tops = 1 + np.flatnonzero((rises[:-1] > 0) & (rises[1:] <= 0))
    found = [_vertex(energies[k - 1 : k + 2], absorption[k - 1 : k + 2]) for k in tops]
    found = [band for band in found if band.wavelength >= shortest]
    lowest = max(faintest, share * max((band.height for band in found), default=0.0))
    return tuple(band for band in found if band.height >= lowest)


def strongest(found: Sequence[Band]) -> Band | None:
    """The highest of bands; None where there is none."""
    return max(found, key=lambda band: band.height, default=None)


def _vertex(x: Array, y: Array) -> Band:
    """Vertex of the parabola through three points around a maximum."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curvature = (right - left) / (x[2] - x[0])
    slope = left + curvature * (x[1] - x[0])  # at x[1]
    step = -slope / (2.0 * curvature)
    return Band(float(x[1] + step), float(y[1] + 0.5 * slope * step))
