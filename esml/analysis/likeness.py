"""How alike a predicted and a measured spectrum are.

    s(Δ) = ∫ a(E − Δ) b(E) dE / √(∫ a(E − Δ)² dE ∫ b(E)² dE)

over the energies that were measured, a the predicted curve and b the measured one, neither of which
need be scaled. s is 1 for curves of one shape and 0 for curves that do not overlap; it is the
measure with which SpecDis compares circular-dichroism spectra (Bruhn, Schaumlöffel, Hemberger and
Bringmann, Chirality 25, 243 (2013)). s(0) says how alike the spectra are as they stand, the largest
s(Δ) how alike their shapes are and Δ by how much the prediction would have to be shifted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from esml.analysis.absorption import Band
from esml.typing import Array

PROMINENCE = 0.03
"""Of the range of values: how far a measured peak rises above its surroundings."""

NARROWEST = 0.02
"""eV; half widths of peaks below it are noise."""

LARGEST_SHIFT = 1.5
"""eV"""

STEP = 0.005
"""eV of the grid on which spectra are compared, and of shifts."""


@dataclass(frozen=True)
class Likeness:
    """A predicted spectrum beside a measured one."""

    peaks: tuple[Band, ...]
    """Of the measured spectrum, ascending in energy."""
    similarity: float
    """s(0), 0 to 1."""
    shift: float
    """eV to add to predicted energies for the largest similarity within ±1.5 eV."""
    shifted_similarity: float
    """s(shift)"""
    scale: float
    """What the measured values are multiplied by to be as high as the predicted curve, where both
    are known."""


def peaks(energies: Array, values: Array) -> tuple[Band, ...]:
    """Peaks of a measured spectrum (P,), ascending in energy.

    Those that rise by three per cent of the range above their surroundings and are not narrower
    than noise (``scipy.signal.find_peaks``).
    """
    from scipy.signal import find_peaks

    grid = _grid(energies)
    curve = np.interp(grid, energies, values)
    rise = PROMINENCE * float(np.ptp(curve))
    found, _ = find_peaks(curve, prominence=rise, width=NARROWEST / STEP)
    return tuple(Band(float(grid[k]), float(curve[k])) for k in found)


def likeness(predicted: Callable[[Array], Array], energies: Array, values: Array) -> Likeness:
    """Compare a predicted curve with a measured one.

    Parameters
    ----------
    predicted
        The predicted curve, as a function of energies in eV.
    energies, values
        (P,) eV and the measured curve there, in any unit.

    Returns
    -------
    Similarities, and the shift that fits best. Similarities are 0 if the predicted curve is zero
    wherever the spectrum was measured.
    """
    grid = _grid(energies)
    measured = np.clip(np.interp(grid, energies, values), 0.0, None)
    n_shifts = round(LARGEST_SHIFT / STEP)
    # One long curve holds all shifted ones: E − Δ runs beyond the measured range on either side.
    beyond = STEP * np.arange(1, n_shifts + 1)
    wide = np.concatenate([grid[0] - beyond[::-1], grid, grid[-1] + beyond])
    curve = np.where(wide > 0.0, predicted(np.maximum(wide, STEP)), 0.0)
    windows = np.lib.stride_tricks.sliding_window_view(curve, len(grid))[::-1]
    found = np.array([_overlap(window, measured) for window in windows])
    shifts = STEP * np.arange(-n_shifts, n_shifts + 1)
    # Of equally good shifts the smallest.
    best = int(np.lexsort((np.abs(shifts), -found))[0])
    here = curve[n_shifts : n_shifts + len(grid)]
    top = float(here.max()) or float(curve.max())
    return Likeness(
        peaks=peaks(energies, values),
        similarity=float(found[n_shifts]),
        shift=float(shifts[best]),
        shifted_similarity=float(found[best]),
        scale=top / float(measured.max()),
    )


def _grid(energies: Array) -> Array:
    """From the first measured energy in steps of ``STEP`` to the last."""
    return np.arange(energies[0], energies[-1] + 0.5 * STEP, STEP)


def _overlap(a: Array, b: Array) -> float:
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0.0 else 0.0
