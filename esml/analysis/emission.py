"""Rates and lifetimes of emission.

Spontaneous emission of a transition of energy ω and oscillator strength f, in atomic units and in
a medium of refractive index n (A. Einstein, Phys. Z. 18, 121 (1917); S. J. Strickler and
R. A. Berg, J. Chem. Phys. 37, 814 (1962)):

    k = 2 n² α³ ω² f = 4/3 n² α³ ω³ |μ|² .

The cube of the emission energy replaces ⟨ν̃⁻³⟩⁻¹ of Strickler and Berg.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from esml.typing import Array
from esml.units import HARTREE

FINE_STRUCTURE = 7.2973525643e-3
"""α, dimensionless (CODATA 2022)."""

ATOMIC_TIME = 2.4188843265864e-17
"""ħ/hartree in s (CODATA 2022)."""


def radiative_rate(
    energies: ArrayLike, oscillator_strengths: ArrayLike, refractive_index: float = 1.0
) -> Array:
    """Return the rates of spontaneous emission, 1/s.

    Parameters
    ----------
    energies
        Emission energies, eV, any shape.
    oscillator_strengths
        Oscillator strengths of transitions between singlets, the same shape.
    refractive_index
        Refractive index of the medium.
    """
    omega = np.asarray(energies, dtype=np.float64) / HARTREE
    strengths = np.asarray(oscillator_strengths, dtype=np.float64)
    rate: Array = 2.0 * refractive_index**2 * FINE_STRUCTURE**3 * omega**2 * strengths
    return rate / ATOMIC_TIME


def radiative_lifetime(
    energies: ArrayLike, oscillator_strengths: ArrayLike, refractive_index: float = 1.0
) -> Array:
    """Return the radiative lifetimes, 1/``radiative_rate``.

    Parameters
    ----------
    energies
        Energies of the emitted light, eV.
    oscillator_strengths
        Oscillator strengths of the transitions to the ground state.
    refractive_index
        Refractive index of the solvent; 1 in vacuum.

    Returns
    -------
    Lifetimes, s; infinite where the strength is zero.
    """
    with np.errstate(divide="ignore"):
        lifetime: Array = 1.0 / radiative_rate(energies, oscillator_strengths, refractive_index)
    return lifetime


def lifetime_text(seconds: float) -> str:
    """Return a lifetime with two significant digits, in s, ms, µs or ns: ``23 ms``."""
    if not math.isfinite(seconds):
        return "infinite (a dark state)"
    rounded = float(f"{seconds:.2g}")
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    unit = next((name for name, size in units.items() if rounded >= size), "ns")
    return f"{rounded / units[unit]:g} {unit}"
