"""Vibronic bands: the shape of an absorption or emission band from one gradient.

In the vertical-gradient model an excited state has the normal modes of the ground state, moved by
the forces at the ground-state minimum. With ħω_k the quantum of a mode and g_k the derivative of
the excitation energy along its dimensionless coordinate,

    S_k = ½ (g_k/ħω_k)²           Huang–Rhys factors
    λ = Σ_k S_k ħω_k              reorganization energy
    E₀₀ = E_vertical − λ          the 0-0 transition: zero-point energies are the same

The band at temperature T, with thermal occupations n_k and a Gaussian of standard deviation σ, is
exact for displaced oscillators:

    L(E) = 1/π Re ∫₀^∞ dt exp[i(E − E₀₀)t − σ²t²/2 + Σ_k S_k φ_k(t)] ,
    φ_k = (n_k + 1)(e^(−iω_k t) − 1) + n_k (e^(iω_k t) − 1) .

References: F. Santoro and D. Jacquemin, WIREs Comput. Mol. Sci. 6, 460 (2016), for the model;
R. Kubo and Y. Toyozawa, Prog. Theor. Phys. 13, 160 (1955), for the integral.

Shape letters: V modes, N atoms, P points of a curve. Energies in eV, lengths in Å.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.vibrations import Vibrations
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from esml.analysis.curve_files import write_curve
from esml.analysis.spectrum import STRENGTH_PER_AREA, WAVENUMBERS, check_width
from esml.typing import Array

SOFT = 50.0
"""cm⁻¹; modes below, imaginary ones among them, are no oscillators and left out."""

TEMPERATURE = 298.15
"""K."""


@dataclass(frozen=True)
class NormalModes:
    """The normal modes of a ground state."""

    energies: Array  # (V,) ħω, eV
    displacements: Array  # (V, N, 3) Å per unit of the dimensionless coordinate
    soft: int  # modes left out beside translations and rotations


def normal_modes(atoms: Atoms, ground: Any) -> NormalModes:
    """The normal modes of ``atoms``, a minimum of ``ground``.

    Parameters
    ----------
    atoms
        At a minimum.
    ground
        Any ASE calculator with forces; 6N + 1 of them are computed.
    """
    moved = atoms.copy()
    moved.calc = ground
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(moved, name=os.path.join(folder, "modes"), delta=0.01)
        vibrations.run()
        data = vibrations.get_vibrations()
    energies, vectors = data.get_energies_and_modes(all_atoms=True)
    kept = (energies.imag == 0) & (energies.real * WAVENUMBERS > SOFT)
    quanta = energies.real[kept]
    # Mass-weighted coordinates (Å·√u) per dimensionless one: ħ/√(ħω).
    length = units._hbar * units.J * units.s / np.sqrt(quanta)
    linear = np.linalg.matrix_rank(atoms.positions - atoms.positions.mean(0), tol=1e-3) < 2
    rigid = 5 if linear else 6
    return NormalModes(
        energies=quanta,
        displacements=vectors[kept] * length[:, None, None],
        soft=max(0, len(energies) - rigid - int(kept.sum())),
    )


@dataclass(frozen=True)
class VibronicBand:
    """One electronic transition with its vibrational structure."""

    vertical: float  # eV, at the minimum of the ground state
    strength: float  # oscillator strength
    mode_energies: Array  # (V,) eV
    huang_rhys: Array  # (V,) S

    @classmethod
    def of(
        cls, vertical: float, strength: float, gradient: Array, modes: NormalModes
    ) -> VibronicBand:
        """The band of a state with ``gradient`` ∂ω/∂R (N, 3) eV/Å at the minimum."""
        along = np.einsum("vax,ax->v", modes.displacements, gradient)
        return cls(vertical, strength, modes.energies, 0.5 * np.square(along / modes.energies))

    @property
    def reorganization(self) -> float:
        """λ, eV."""
        return float(self.huang_rhys @ self.mode_energies)

    @property
    def zero_zero(self) -> float:
        """E₀₀, eV."""
        return self.vertical - self.reorganization

    def profile(
        self,
        energies: ArrayLike,
        fwhm: float = 0.05,
        temperature: float = TEMPERATURE,
        emission: bool = False,
    ) -> Array:
        """L(E) (P,) in 1/eV, of area 1; of emission its mirror image about E₀₀."""
        check_width(fwhm)
        if temperature < 0:
            raise ValueError(f"temperature is {temperature} K: expected 0 or more; give another")
        offset = np.asarray(energies, dtype=np.float64) - self.zero_zero
        if emission:
            offset = -offset
        sigma = fwhm / np.sqrt(8.0 * np.log(2.0))
        # Steps that hold all energies asked for and the whole band, until the Gaussian dies out;
        # points of the transform lie σ/20 apart, so that a spline between them is exact enough.
        reach = np.abs(offset).max(initial=0.0) + 40.0 * sigma + 20.0 * self._width(temperature)
        step = np.pi / reach
        count = int(2 ** np.ceil(np.log2(max(7.0 / sigma, 40.0 * np.pi / sigma) / step)))
        times = step * np.arange(1 + int(7.0 / (sigma * step)))
        phases = np.exp(-1j * np.outer(times, self.mode_energies))
        occupied = self._occupations(temperature)
        spread = (phases - 1.0) @ (self.huang_rhys * (occupied + 1.0))
        spread = spread + (phases.conj() - 1.0) @ (self.huang_rhys * occupied)
        response = np.exp(spread - 0.5 * np.square(sigma * times))
        response[0] *= 0.5  # the ends of the trapezoidal rule; the last is nothing
        lines = np.fft.fftshift(np.fft.ifft(response, count).real) * count * step / np.pi
        grid = 2.0 * np.pi * np.fft.fftshift(np.fft.fftfreq(count, step))
        profile: Array = CubicSpline(grid, lines)(offset)
        return profile

    def _occupations(self, temperature: float) -> Array:
        """(V,) thermal occupations n."""
        thermal = max(units.kB * temperature, 1e-6)
        occupations: Array = 1.0 / np.expm1(np.minimum(self.mode_energies / thermal, 700.0))
        return occupations

    def _width(self, temperature: float) -> float:
        """Standard deviation of the vibrational structure plus its longest quantum, eV."""
        spread = self.huang_rhys * self.mode_energies**2
        variance = float((spread * (2.0 * self._occupations(temperature) + 1.0)).sum())
        return float(np.sqrt(variance)) + float(self.mode_energies.max(initial=0.0))


@dataclass(frozen=True)
class VibronicSpectrum:
    """The absorption spectrum of several vibronic bands."""

    energies: Array  # (P,) eV
    absorption: Array  # (P,) L mol⁻¹ cm⁻¹
    bands: tuple[VibronicBand, ...]
    fwhm: float  # eV
    temperature: float  # K

    @property
    def absorption_max(self) -> float:
        """Energy of the highest point, eV."""
        return float(self.energies[self.absorption.argmax()])

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the curve as columns ``energy_eV,wavelength_nm,absorption_L_mol-1_cm-1``."""
        write_curve(path, self.energies, {"absorption_L_mol-1_cm-1": self.absorption})


def vibronic_spectrum(
    bands: list[VibronicBand],
    fwhm: float = 0.05,
    temperature: float = TEMPERATURE,
    energies: ArrayLike | None = None,
) -> VibronicSpectrum:
    """Absorption ε(E) = Σ_n f_n (E/E_n) L_n(E) / (4.319·10⁻⁹ · 8065.54 cm⁻¹ per eV).

    Parameters
    ----------
    bands
        Of the states, at least one.
    fwhm
        Full width at half maximum of the Gaussian on each vibronic line, eV.
    temperature
        K.
    energies
        Grid, eV; from below the lowest 0-0 transition to above the highest band if left out.
    """
    if not bands:
        raise ValueError("there is no band to draw a spectrum of: expected at least one state")
    if energies is None:
        low = min(band.zero_zero for band in bands) - 0.5 - 3.0 * fwhm
        high = max(band.vertical + 2.0 * band.reorganization for band in bands) + 0.5 + 3.0 * fwhm
        energies = np.linspace(max(0.05, low), high, 1 + int(np.ceil((high - low) / (fwhm / 10))))
    grid = np.asarray(energies, dtype=np.float64)
    curve = np.zeros_like(grid)
    for band in bands:
        if band.strength > 0:
            profile = band.profile(grid, fwhm, temperature)
            curve += band.strength * grid / band.vertical * profile
    curve /= STRENGTH_PER_AREA * WAVENUMBERS
    return VibronicSpectrum(grid, curve, tuple(bands), fwhm, temperature)
