"""Similarity of a predicted and a measured spectrum.

    s(Δ) = ∫ a(E − Δ) b(E) dE / √(∫ a(E − Δ)² dE ∫ b(E)² dE)

over the measured energies, where a is the predicted and b the measured curve, in any units. s is 1
for curves of the same shape and 0 for curves that do not overlap; SpecDis compares
circular-dichroism spectra by the same measure (Bruhn, Schaumlöffel, Hemberger and Bringmann,
Chirality 25, 243 (2013)). s(0) compares the spectra as they are. The largest s(Δ) compares their
shapes, and its Δ is the shift that fits best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from esml.analysis.absorption import Band
from esml.typing import Array

PROMINENCE = 0.03
"""Least prominence of a measured peak, as a share of the range of values."""

NARROWEST = 0.02
"""eV; peaks with a smaller width at half their prominence are noise."""

LARGEST_SHIFT = 1.5
"""eV"""

STEP = 0.005
"""eV; step of the grid on which spectra are compared, and of the shifts."""


@dataclass(frozen=True)
class Likeness:
    """Comparison of a predicted spectrum with a measured one."""

    peaks: tuple[Band, ...]
    """Peaks of the measured spectrum, ascending in energy."""
    similarity: float
    """s(0), 0 to 1."""
    shift: float
    """eV to add to predicted energies for the largest similarity within ±1.5 eV."""
    shifted_similarity: float
    """s(shift)"""
    scale: float
    """Factor that makes the measured curve as high as the predicted one in the measured range."""


def peaks(energies: Array, values: Array) -> tuple[Band, ...]:
    """Return the peaks of a measured spectrum (P,), ascending in energy.

    A peak rises by at least three per cent of the range of values above its surroundings and is
    wider than noise (``scipy.signal.find_peaks``).
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
    # One long curve contains all shifted ones: E − Δ extends beyond both measured ends.
    beyond = STEP * np.arange(1, n_shifts + 1)
    wide = np.concatenate([grid[0] - beyond[::-1], grid, grid[-1] + beyond])
    curve = np.where(wide > 0.0, predicted(np.maximum(wide, STEP)), 0.0)
    windows = np.lib.stride_tricks.sliding_window_view(curve, len(grid))[::-1]
    found = np.array([_overlap(window, measured) for window in windows])
    shifts = STEP * np.arange(-n_shifts, n_shifts + 1)
    # Among equally good shifts, take the smallest.
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
    """Energies from the first measured one to the last in steps of ``STEP``."""
    return np.arange(energies[0], energies[-1] + 0.5 * STEP, STEP)


def _overlap(a: Array, b: Array) -> float:
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0.0 else 0.0
