"""Two-photon absorption: strengths and cross-sections from the moments S of the states.

Averaged over all orientations (P. R. Monson and W. M. McClain, J. Chem. Phys. 53, 29 (1970)), with
δ_F = Σ S_aa S_bb / 30 and δ_G = δ_H = Σ S_ab S_ab / 30,

    δ = 2 δ_F + 2 δ_G + 2 δ_H  (linear) ,   δ = −2 δ_F + 3 δ_G + 3 δ_H  (circular) .

For one beam, the cross-section at the maximum of a Lorentzian of half width at half maximum Γ is

    σ = 4 π² α a₀⁵ ω² δ / (c Γ) ,   ω = ω_f/2

(M. T. P. Beerepoot, D. H. Friese, N. H. List, J. Kongsted and K. Ruud, Phys. Chem. Chem. Phys. 17,
19306 (2015)), in 1 GM = 10⁻⁵⁰ cm⁴ s: from a beam of F photons per area and time each molecule
absorbs σ F² photons per time. Programs that assume two beams print twice that.
S is not damped: it diverges where ω approaches the energy of a state allowed by one photon.

:mod:`esml.physics.two_photon` computes S.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esml.analysis.emission import ATOMIC_TIME, FINE_STRUCTURE
from esml.typing import Array
from esml.units import BOHR, HARTREE, HC

GOEPPERT_MAYER = (BOHR * 1e-8) ** 4 * ATOMIC_TIME * 1e50
"""One atomic unit of a two-photon cross-section, a₀⁴ħ/E_h, in GM."""

WIDTH = 0.1
"""Γ, eV; the value behind most tables of computed cross-sections."""

RESONANT = 0.2
"""eV; do not read the strength if half the energy is this close to a one-photon state."""

REACHED = 1e-6
"""Least oscillator strength of a one-photon state, above the numerical noise of forbidden ones. S
diverges even near faint states."""

STATEMENT = (
    f"δ and σ are for linearly polarized light, σ at the maximum of a Lorentzian of half width "
    f"{WIDTH:g} eV; only their order of magnitude counts"
)
"""Note on the numbers, shown wherever they are."""


def resonant(energies: Array, oscillator_strengths: Array) -> NDArray[np.bool_]:
    """Return (S,) whether half the energy of a state is within ``RESONANT`` of a one-photon state.

    Parameters
    ----------
    energies
        (S,) excitation energies of the lowest singlets, eV.
    oscillator_strengths
        (S,) their oscillator strengths.
    """
    reached = energies[oscillator_strengths > REACHED]
    distances = np.abs(0.5 * energies[:, None] - reached)
    near: NDArray[np.bool_] = np.any(distances < RESONANT, axis=1)
    return near


@dataclass(frozen=True)
class TwoPhotonAbsorption:
    """Two-photon absorption of the lowest singlets of one molecule.

    Degenerate states are arbitrary up to rotation among each other; only sums over a set are not.
    """

    energies: Array  # (S,) eV, total of two photons
    moments: Array  # (S, 3, 3) S, atomic units, symmetric, sign arbitrary
    warnings: tuple[str, ...] = ()  # if the closed shell may not be a minimum, within the error

    @property
    def wavelengths(self) -> Array:
        """(S,) wavelength of each of two equal photons, nm."""
        wavelengths: Array = 2.0 * HC / self.energies
        return wavelengths

    @property
    def strengths(self) -> Array:
        """(S,) δ for linearly polarized light, atomic units."""
        same, crossed = self._averages()
        strengths: Array = 2.0 * same + 4.0 * crossed
        return strengths

    @property
    def circular_strengths(self) -> Array:
        """(S,) δ for circularly polarized light, atomic units."""
        same, crossed = self._averages()
        strengths: Array = 6.0 * crossed - 2.0 * same
        return strengths

    def cross_sections(self, width: float = WIDTH) -> Array:
        """Return (S,) σ at the maximum for linearly polarized light, GM.

        Parameters
        ----------
        width
            Γ, half width at half maximum of a Lorentzian, eV.

        Raises
        ------
        ValueError
            If the width is not positive.
        """
        if not width > 0.0:
            raise ValueError(
                f"width is {width}: expected the half width of a line, eV, such as 0.1"
            )
        photon = 0.5 * self.energies / HARTREE
        scale = 4.0 * math.pi**2 * FINE_STRUCTURE**2 * GOEPPERT_MAYER / (width / HARTREE)
        sections: Array = scale * photon**2 * self.strengths
        return sections

    def _averages(self) -> tuple[Array, Array]:
        """δ_F and δ_G = δ_H (S,)."""
        trace = np.trace(self.moments, axis1=1, axis2=2)
        return trace**2 / 30.0, np.square(self.moments).sum((1, 2)) / 30.0
