"""Herzberg–Teller intensity: the transition dipole to first order in the normal modes.

    μ(q) = μ₀ + Σ_k m_k q_k

with dimensionless coordinates q_k (Herzberg and Teller). Absorption starts from oscillators of
quanta ω_k (ħ = 1) in thermal equilibrium, with occupations n_k. The excited state has the same
oscillators, displaced by a slope g_k along each, with Δ_k = g_k/ω_k and S_k = ½ Δ_k²:

    C(t) = ⟨e^{iH₀t} μ(q) e^{−iHt} μ(q)⟩
         = ⟨μ(q(t)) T exp[−i∫₀ᵗ (E_v + Σ_k g_k q_k(s)) ds] μ(q(0))⟩ .

The exponent is linear in q(s), a Gaussian variable of covariance

    G_k(t) = ⟨q_k(t) q_k(0)⟩ = ½ [(n_k + 1) e^{−iω_k t} + n_k e^{iω_k t}] ,

so that the coordinate in each of the two dipoles has the mean A_k = −i g_k ∫₀ᵗ G_k(s) ds, and their
covariance is G_k(t). With C₀, the correlation without dipoles (``esml.analysis.vibronic``),

    C(t) = C₀(t) D(t) ,   D = M·M + Σ_k |m_k|² G_k ,   M = μ₀ + Σ_k m_k A_k ,
    A_k = ½ Δ_k [(n_k + 1)(e^{−iω_k t} − 1) − n_k (e^{iω_k t} − 1)] .

|μ₀|² is the Franck–Condon term, the terms linear in m_k interfere with it, and the rest is the
Herzberg–Teller term. The area of the band is D(0) = ⟨|μ|²⟩ = |μ₀|² + Σ_k (n_k + ½) |m_k|². In
emission the lower state has the slope, −g_k: Δ_k changes its sign.

References: G. Herzberg and E. Teller, Z. Phys. Chem. B 21, 410 (1933). For modes that change and
rotate, which are not included here: T. Petrenko and F. Neese, J. Chem. Phys. 127, 164319 (2007);
A. Baiardi, J. Bloino and V. Barone, J. Chem. Theory Comput. 9, 4097 (2013).

Shape letters: V modes, T times. Energies in eV, times in 1/eV, dipoles in e·bohr.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from esml.typing import Array

MIXED = 0.1
"""Largest share of other states that the zero-point motion of a mode may mix into a state; beyond
it, first order does not hold."""


@dataclass(frozen=True)
class DipoleExpansion:
    """A transition dipole to first order in the modes; its overall sign is arbitrary."""

    dipole: Array  # (3,) μ₀, e·bohr
    slopes: Array  # (V, 3) m, e·bohr per unit of the dimensionless coordinate
    shifts: Array  # (V,) Δ, slope of the excitation energy along it over ħω; S = ½ Δ²
    overlaps: Array  # (V,) of the state with itself one step away, the smaller of two; 1: unmixed
    step: float  # in the dimensionless coordinate

    @property
    def mixing(self) -> Array:
        """(V,) share of other states that zero-point motion mixes in, (1 − overlap²) ⟨q²⟩/step².

        The dipole is linear only where this is small: above 0.1 (``MIXED``) states cross or mix.
        """
        mixing: Array = np.clip(1.0 - np.square(self.overlaps), 0.0, None) * 0.5 / self.step**2
        return mixing

    def borrowed(self, occupations: Array) -> Array:
        """Return (V,) what each mode adds to ⟨|μ|²⟩, (n + ½) |m|², in (e·bohr)²."""
        borrowed: Array = (occupations + 0.5) * np.square(self.slopes).sum(1)
        return borrowed

    def mean_square(self, occupations: Array) -> float:
        """Return ⟨|μ|²⟩ for thermal ``occupations`` (V,), (e·bohr)²."""
        return float(self.dipole @ self.dipole + self.borrowed(occupations).sum())

    def correlation(self, phases: Array, occupations: Array, emission: bool = False) -> Array:
        """Return D(t), defined at the top of this module.

        Parameters
        ----------
        phases
            (T, V) exp(−iω_k t).
        occupations
            (V,) n.
        emission
            True if the state with the slope is the lower one, in which the transition ends.

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
