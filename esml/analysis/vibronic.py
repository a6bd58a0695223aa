"""Vibronic bands: the shape of an absorption or emission band from one gradient.

In the vertical-gradient model an excited state has the normal modes of the ground state, displaced
according to the forces at the ground-state minimum. With ħω_k the quantum of a mode and g_k the
derivative of the excitation energy along its dimensionless coordinate,

    S_k = ½ (g_k/ħω_k)²           Huang–Rhys factors
    λ = Σ_k S_k ħω_k              reorganization energy
    E₀₀ = E_vertical − λ          the 0-0 transition: zero-point energies are the same

and for emission, from the minimum of the excited state, E₀₀ = E_vertical + λ. As both states have
the same modes, the emission is known without that minimum: it is the mirror image of the absorption
about E₀₀, in a solvent with the reorganization energy λ_s about E₀₀ − λ_s
(``VibronicBand.mirrored``).

The band at temperature T, with thermal occupations n_k and a Gaussian of standard deviation σ, is
exact for displaced oscillators:

    L(E) = 1/π Re ∫₀^∞ dt exp[i(E − E₀₀)t − σ²t²/2 + Σ_k S_k φ_k(t)] ,
    φ_k = (n_k + 1)(e^(−iω_k t) − 1) + n_k (e^(iω_k t) − 1) ;

the emission is its mirror image about E₀₀. If the mean of the excitation energy over zero-point and
thermal motion is known (``esml.predict.vibrational_averages``), it takes the place of E_vertical in
E₀₀, and so in the mean of the band. Here the transition dipole is that of the minimum
(Condon). If it changes along the modes, the integrand gets a factor:
:mod:`esml.analysis.herzberg_teller`.

References: F. Santoro and D. Jacquemin, WIREs Comput. Mol. Sci. 6, 460 (2016), for the model;
R. Kubo and Y. Toyozawa, Prog. Theor. Phys. 13, 160 (1955), for the integral.

Shape letters: V modes, N atoms, P points of a curve. Energies in eV, lengths in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from esml.analysis.absorption import Band, strongest
from esml.analysis.herzberg_teller import DipoleExpansion
from esml.analysis.normal_modes import NormalModes
from esml.analysis.spectrum import STRENGTH_PER_AREA, WAVENUMBERS, Spectrum, check_width
from esml.typing import Array
from esml.units import HARTREE

TEMPERATURE = 298.15
"""K."""

WIDTH = 0.1
"""eV; usual full width at half maximum of a vibronic line of a molecule in solution."""


@dataclass(frozen=True)
class VibronicBand:
    """One electronic transition with its vibrational structure."""

    vertical: float  # eV, at the minimum of the initial state
    strength: float  # oscillator strength there
    huang_rhys: Array  # (V,) S
    modes: NormalModes  # the V vibrations of the initial state
    label: str = ""  # name of the state, such as S1
    emission: bool = False  # whether light is emitted, not absorbed
    expansion: DipoleExpansion | None = None  # of the transition dipole; None: it is constant
    warnings: tuple[str, ...] = ()  # doubts about the dipole along the modes
    averaging: float = 0.0  # mean over zero-point and thermal motion less ``vertical``, eV
    solvent_reorganization: float = 0.0  # λ_s of the solvent around the excited state, eV

    @classmethod
    def of(
        cls,
        vertical: float,
        strength: float,
        gradient: Array,
        modes: NormalModes,
        label: str = "",
        emission: bool = False,
        expansion: DipoleExpansion | None = None,
        warnings: tuple[str, ...] = (),
    ) -> VibronicBand:
        """Make the band of a state with ``gradient`` ∂ω/∂R (N, 3), eV/Å, at that minimum.

        Parameters
        ----------
        vertical
            Vertical excitation energy, eV, at the minimum that ``modes`` belong to.
        strength
            Oscillator strength there.
        gradient
            (N, 3) ∂ω/∂R, eV/Å, there.
        modes
            Normal modes of the ground state.
        label
            Name of the state, as S1.
        emission
            Whether light is emitted, not absorbed.
        expansion
            Transition dipole linear in the modes; constant if None.
        warnings
            Sentences that the band carries along.
        """
        factors = 0.5 * np.square(modes.shifts(gradient))
        return cls(vertical, strength, factors, modes, label, emission, expansion, warnings)

    @property
    def reorganization(self) -> float:
        """Reorganization energy λ, eV."""
        return float(self.huang_rhys @ self.modes.energies)

    @property
    def zero_zero(self) -> float:
        """Energy of the 0-0 transition E₀₀, eV."""
        reorganization = self.reorganization if self.emission else -self.reorganization
        return self.vertical + self.averaging + reorganization

    def mirrored(self) -> VibronicBand:
        """Return the emission of this state as the mirror image of its absorption.

        From the excited minimum of the same oscillators, with the solvent relaxed around the state,

            E_vertical = E₀₀ − λ − 2 λ_s ,   λ_s = ``solvent_reorganization`` .

        The transition dipole is that of the ground-state minimum. Raises ValueError for a band of
        emission.
        """
        if self.emission:
            raise ValueError(
                "the band is one of emission: expected one of absorption; take its own curve"
            )
        vertical = self.zero_zero - self.reorganization - 2.0 * self.solvent_reorganization
        return replace(
            self, vertical=vertical, emission=True, expansion=None, averaging=0.0, warnings=()
        )

    def deviation(self, temperature: float = TEMPERATURE, fwhm: float = WIDTH) -> float:
        """Return √(Σ S (ħω)² (2n + 1) + σ²), eV, of the band at ``temperature`` and ``fwhm``."""
        quanta = np.square(self.modes.energies) * (2.0 * self.modes.occupations(temperature) + 1.0)
        return float(np.sqrt(self.huang_rhys @ quanta + fwhm**2 / (8.0 * np.log(2.0))))

    def main_modes(self, n: int = 3) -> list[tuple[float, float]]:
        """Return up to ``n`` modes with the largest share in λ, as wavenumber (cm⁻¹) and S."""
        order = np.argsort(-self.huang_rhys * self.modes.energies, kind="stable")[:n]
        return [
            (float(self.modes.energies[k] * WAVENUMBERS), float(self.huang_rhys[k])) for k in order
        ]

    def thermal_strength(self, temperature: float = TEMPERATURE) -> float:
        """Return ⅔ E_vertical ⟨|μ|²⟩ (a.u.): ``strength`` plus what vibrations lend to it."""
        return self.strength + float(self.borrowed(temperature).sum())

    def borrowed(self, temperature: float = TEMPERATURE) -> Array:
        """Return the oscillator strength (V,) that each mode lends, ⅔ E_vertical (n + ½) |m|².

        It is zero without ``expansion``.
        """
        if self.expansion is None:
            return np.zeros_like(self.modes.energies)
        squares = self.expansion.borrowed(self.modes.occupations(temperature))
        return 2.0 / 3.0 * self.vertical / HARTREE * squares

    def promoting_modes(
        self, n: int = 3, temperature: float = TEMPERATURE
    ) -> list[tuple[float, float]]:
        """Return up to ``n`` modes that lend most, as wavenumber (cm⁻¹) and strength.

        Parameters
        ----------
        n
            Largest number of modes.
        temperature
            K.
        """
        lent = self.borrowed(temperature)
        order = [k for k in np.argsort(-lent, kind="stable")[:n] if lent[k] > 0]
        return [(float(self.modes.energies[k] * WAVENUMBERS), float(lent[k])) for k in order]

    def profile(
        self, energies: ArrayLike, fwhm: float = WIDTH, temperature: float = TEMPERATURE
    ) -> Array:
        """Return the band L(E) (P,) at ``energies`` (P,) in eV: 1/eV, area 1.

        Parameters
        ----------
        energies
            (P,) eV.
        fwhm
            Width of each line, eV.
        temperature
            K.
        """
        from scipy.interpolate import CubicSpline

        check_width(fwhm)
        check_temperature(temperature)
        offset = np.asarray(energies, dtype=np.float64) - self.zero_zero
        if self.emission:
            offset = -offset
        sigma = fwhm / np.sqrt(8.0 * np.log(2.0))
        # Time steps short enough for all requested energies and the whole band, until the Gaussian
        # has decayed; the transform has points σ/20 apart, close enough for a spline.
        reach = np.abs(offset).max(initial=0.0) + 40.0 * sigma + 20.0 * self._width(temperature)
        step = np.pi / reach
        count = int(2 ** np.ceil(np.log2(max(7.0 / sigma, 40.0 * np.pi / sigma) / step)))
        times = step * np.arange(1 + int(7.0 / (sigma * step)))
        phases = np.exp(-1j * np.outer(times, self.modes.energies))
        occupied = self.modes.occupations(temperature)
        spread = (phases - 1.0) @ (self.huang_rhys * (occupied + 1.0))
        spread = spread + (phases.conj() - 1.0) @ (self.huang_rhys * occupied)
        response = np.exp(spread - 0.5 * np.square(sigma * times))
        if self.expansion is not None and (area := self.expansion.mean_square(occupied)) > 0:
            response *= self.expansion.correlation(phases, occupied, self.emission) / area
        response[0] *= 0.5  # trapezoidal rule; the last point is negligible
        lines = np.fft.fftshift(np.fft.ifft(response, count).real) * count * step / np.pi
        grid = 2.0 * np.pi * np.fft.fftshift(np.fft.fftfreq(count, step))
        profile: Array = CubicSpline(grid, lines)(offset)
        return profile

    def _width(self, temperature: float) -> float:
        """Standard deviation of the vibrational structure plus its longest quantum, eV."""
        quanta = self.modes.energies
        spread = self.huang_rhys * quanta**2
        variance = float((spread * (2.0 * self.modes.occupations(temperature) + 1.0)).sum())
        return float(np.sqrt(variance)) + float(quanta.max(initial=0.0))


def check_temperature(temperature: float, name: str = "temperature") -> None:
    """Raise ValueError for a negative temperature."""
    if not 0.0 <= temperature < np.inf:
        raise ValueError(f"{name} is {temperature:g} K: expected 0 or more; give another")


@dataclass(frozen=True, eq=False, repr=False)
class VibronicSpectrum(Spectrum):
    """The absorption spectrum of several vibronic bands.

    ``fwhm`` is the width of a vibronic line. Sticks are the electronic transitions at their
    vertical energies, with strengths that include vibrational borrowing.
    """

    transitions: tuple[VibronicBand, ...] = field(kw_only=True)  # the bands it is the sum of
    temperature: float = field(kw_only=True)  # K

    def at(self, energies: ArrayLike) -> Array:
        """Return the molar absorption coefficient at any ``energies`` (P,) in eV."""
        curve: Array = self._parts(np.asarray(energies, dtype=np.float64)).sum(0)
        return curve

    @property
    def line_height(self) -> float:
        """Height of a band of oscillator strength 1 with the vibrations of the strongest one."""
        strengths = [band.thermal_strength(self.temperature) for band in self.transitions]
        tallest = int(np.argmax(strengths))
        if strengths[tallest] <= 0:
            return super().line_height
        alone = replace(self, transitions=self.transitions[tallest : tallest + 1])
        return float(alone.at(self.energies).max()) / strengths[tallest]

    @property
    def absorption_max(self) -> Band | None:
        """The highest maximum of the electronic band that contains the lowest maximum."""
        found = self.bands
        if not found:
            return None
        owners = self._parts(np.array([each.energy for each in found])).argmax(0)
        return strongest([each for each, k in zip(found, owners, strict=True) if k == owners[0]])

    def _parts(self, grid: Array) -> Array:
        """(S, P) absorption of each transition, L mol⁻¹ cm⁻¹."""
        parts = np.zeros((len(self.transitions), len(grid)))
        for part, band in zip(parts, self.transitions, strict=True):
            strength = band.thermal_strength(self.temperature)
            if strength > 0:
                part[:] = band.profile(grid, self.fwhm, self.temperature)
                part *= strength * grid / band.vertical
        return parts / (STRENGTH_PER_AREA * WAVENUMBERS)


def vibronic_spectrum(
    bands: Sequence[VibronicBand],
    fwhm: float = WIDTH,
    temperature: float = TEMPERATURE,
    energies: ArrayLike | None = None,
) -> VibronicSpectrum:
    """Return ε(E) = Σ_n f_n (E/E_n) L_n(E) / (4.319·10⁻⁹ · 8065.54 cm⁻¹ per eV).

    f_n is ``VibronicBand.thermal_strength``.

    Parameters
    ----------
    bands
        Bands of the states, at least one.
    fwhm
        Full width at half maximum of the Gaussian on each vibronic line, eV.
    temperature
        Temperature, K.
    energies
        Grid, eV; from below the lowest 0-0 transition to above the highest band if left out.

    Returns
    -------
    A ``Spectrum`` with the bands, colour and plot of the vibronic curve.

    Raises
    ------
    ValueError
        If there is no band, or a width or temperature is not possible.
    """
    if not bands:
        raise ValueError("there is no band to draw a spectrum of: expected at least one state")
    check_width(fwhm)
    check_temperature(temperature)
    if energies is None:
        low = min(band.zero_zero for band in bands) - 0.5 - 3.0 * fwhm
        high = max(b.vertical + 5.0 * b.deviation(temperature, fwhm) for b in bands) + 0.5
        energies = np.linspace(max(0.05, low), high, 1 + int(np.ceil((high - low) / (fwhm / 10))))
    grid = np.asarray(energies, dtype=np.float64)
    empty = VibronicSpectrum(
        energies=grid,
        absorption=np.zeros_like(grid),
        stick_energies=np.array([band.vertical for band in bands]),
        stick_strengths=np.array([band.thermal_strength(temperature) for band in bands]),
        fwhm=float(fwhm),
        shape="gaussian",
        stick_labels=tuple(band.label for band in bands),
        transitions=tuple(bands),
        temperature=float(temperature),
    )
    return replace(empty, absorption=empty.at(grid))
