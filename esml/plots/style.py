"""Colours shared by all plots and pages."""

from __future__ import annotations

import numpy as np
from ase.data.colors import jmol_colors
from numpy.typing import NDArray

Array = NDArray[np.float64]

POSITIVE, NEGATIVE = "#2f6db5", "#e08a2c"
"""The two signs of an orbital: blue and orange, which colour-blind people can distinguish."""

ATTACHMENT, DETACHMENT = "#1b8a6b", "#9a3d8f"
"""Colours of the attachment and detachment densities."""

ENCLOSED = 0.7
"""Share of an orbital's density inside its surface."""

SERIES = ("#1f4e79", "#b3402a", "#3b7d3a", "#7a4fa3", "#a97a12", "#28808c")
"""Colours of several molecules in one plot."""

GREYS = {1: 0.88, 6: 0.38}
"""Grey of H and C: Jmol's white hydrogen would vanish on a white page, and its carbon is too light
to show shading."""


def atom_colour(number: int) -> Array:
    """Colour of an element: Jmol's, except for H and C.

    Parameters
    ----------
    number : int
        Atomic number.

    Returns
    -------
    (3,) array
        Red, green and blue, 0 to 1.
    """
    colour: Array = np.full(3, GREYS[number]) if number in GREYS else jmol_colors[number]
    return colour
