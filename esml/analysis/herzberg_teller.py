"""Intensity that vibrations lend: the transition dipole to first order in the normal modes.

    μ(q) = μ₀ + Σ_k m_k q_k

with dimensionless coordinates q_k (Herzberg and Teller). Absorption from displaced oscillators of
quanta ω_k (ħ = 1) starts in thermal equilibrium, with occupations n_k. The excited state has the
same oscillators and a slope g_k along each, Δ_k = g_k/ω_k, S_k = ½ Δ_k²:

    C(t) = ⟨e^{iH₀t} μ(q) e^{−iHt} μ(q)⟩
         = ⟨μ(q(t)) T exp[−i∫₀ᵗ (E_v + Σ_k g_k q_k(s)) ds] μ(q(0))⟩ .

The exponent is linear in q(s), a Gaussian variable of covariance

    G_k(t) = ⟨q_k(t) q_k(0)⟩ = ½ [(n_k + 1) e^{−iω_k t} + n_k e^{iω_k t}] ,

so that the coordinate of either dipole has the mean A_k = −i g_k ∫₀ᵗ G_k(s) ds, and the two of them
the covariance G_k(t). With C₀, the correlation without dipoles (``esml.analysis.vibronic``),

    C(t) = C₀(t) D(t) ,   D = M·M + Σ_k |m_k|² G_k ,   M = μ₀ + Σ_k m_k A_k ,
    A_k = ½ Δ_k [(n_k + 1)(e^{−iω_k t} − 1) − n_k (e^{iω_k t} − 1)] .

|μ₀|² is Franck–Condon's term, what is linear in m_k interferes with it, and the rest is Herzberg
and Teller's. The area of the band is D(0) = ⟨|μ|²⟩ = |μ₀|² + Σ_k (n_k + ½) |m_k|². In emission the
lower state is the one with the slope, −g_k: Δ_k changes its sign.

References: G. Herzberg and E. Teller, Z. Phys. Chem. B 21, 410 (1933). With modes that change and
rotate, which are not in here: T. Petrenko and F. Neese, J. Chem. Phys. 127, 164319 (2007);
A. Baiardi, J. Bloino and V. Barone, J. Chem. Theory Comput. 9, 4097 (2013).

Shape letters: V modes, T times. Energies in eV, times in 1/eV, dipoles in e·bohr.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from esml.typing import Array

MIXED = 0.1
"""Share of other states in a state that a mode moves by its zero-point motion: more is no first
order."""


@dataclass(frozen=True)
class DipoleExpansion:
    """A transition dipole to first order in the modes; only the sign of the whole is arbitrary."""

    dipole: Array  # (3,) μ₀, e·bohr
    slopes: Array  # (V, 3) m, e·bohr per unit of the dimensionless coordinate
    shifts: Array  # (V,) Δ, slope of the excitation energy along it over ħω; S = ½ Δ²
    overlaps: Array  # (V,) of the state with itself a step to either side, the smaller; 1: unmixed
    step: float  # of the dimensionless coordinate

    @property
    def mixing(self) -> Array:
        """(V,) share of other states that zero-point motion mixes in, (1 − overlap²) ⟨q²⟩/step².

        A linear dipole needs it to be small: above 0.1 (``MIXED``) states meet along that mode.
        """
        mixing: Array = np.clip(1.0 - np.square(self.overlaps), 0.0, None) * 0.5 / self.step**2
        return mixing

    def borrowed(self, occupations: Array) -> Array:
        """What each mode adds to ⟨|μ|²⟩ (V,), (n + ½) |m|², in (e·bohr)²."""
        borrowed: Array = (occupations + 0.5) * np.square(self.slopes).sum(1)
        return borrowed

    def mean_square(self, occupations: Array) -> float:
        """⟨|μ|²⟩ with thermal ``occupations`` (V,), (e·bohr)²."""
        return float(self.dipole @ self.dipole + self.borrowed(occupations).sum())

    def correlation(self, phases: Array, occupations: Array, emission: bool = False) -> Array:
        """D(t) of the module's text.

        Parameters
        ----------
        phases
            (T, V) exp(−iω_k t).
        occupations
            (V,) n.
        emission
            Whether the state with the slope is the lower one, at the end of the transition.

        Returns
        -------
        (T,) complex, (e·bohr)².
        """
        shifts = -self.shifts if emission else self.shifts
        mean = 0.5 * (phases - 1.0) * (shifts * (occupations + 1.0))
        mean = mean - 0.5 * (phases.conj() - 1.0) * (shifts * occupations)
        dipoles = self.dipole + mean @ self.slopes
        squares = np.square(self.slopes).sum(1)
        covariance = 0.5 * (phases @ (squares * (occupations + 1.0)))
        covariance = covariance + 0.5 * (phases.conj() @ (squares * occupations))
        correlation: Array = np.square(dipoles).sum(1) + covariance
        return correlation
