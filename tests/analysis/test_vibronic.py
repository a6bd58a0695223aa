"""Vibronic bands: one displaced oscillator exactly, moments, temperature, and normal modes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from scipy.integrate import trapezoid

from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.analysis.vibronic import VibronicBand, vibronic_spectrum

OMEGA, S = 0.17, 1.3
GRID = np.linspace(1.0, 7.0, 6001)


def modes_of(*energies: float) -> NormalModes:
    return NormalModes(np.array(energies), np.zeros((len(energies), 1, 3)))


def one_mode(huang_rhys: float = S, emission: bool = False) -> VibronicBand:
    vertical = 4.0 - 2 * emission * huang_rhys * OMEGA
    return VibronicBand(vertical, 0.5, np.array([huang_rhys]), modes_of(OMEGA), "S1", emission)


@pytest.mark.parametrize("emission", [False, True])
def test_one_mode_is_a_poisson_progression(emission: bool) -> None:
    """At 0 K line n has the weight e^(−S) Sⁿ/n! and lies at E₀₀ ± nħω."""
    band, fwhm = one_mode(emission=emission), 0.02
    assert band.zero_zero == pytest.approx(4.0 - S * OMEGA)
    profile = band.profile(GRID, fwhm, 0.0)
    sigma = fwhm / math.sqrt(8 * math.log(2))
    expected = sum(
        math.exp(-S) * S**n / math.factorial(n)
        * np.exp(-0.5 * ((GRID - band.zero_zero - (-1) ** emission * n * OMEGA) / sigma) ** 2)
        / (sigma * math.sqrt(2 * math.pi))
        for n in range(25)
    )  # fmt: skip
    np.testing.assert_allclose(profile, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("temperature", [0.0, 300.0, 900.0])
def test_area_mean_and_width(temperature: float) -> None:
    """Area 1, mean E_vertical, variance σ² + Σ S (ħω)² coth(ħω/2kT), at any temperature."""
    quanta, factors = np.array([0.03, 0.1, 0.2]), np.array([0.5, 0.4, 0.8])
    band = VibronicBand(4.0, 0.5, factors, modes_of(*quanta))
    profile = band.profile(GRID, 0.06, temperature)
    area, mean = trapezoid(profile, GRID), trapezoid(profile * GRID, GRID)
    variance = trapezoid(profile * (GRID - 4.0) ** 2, GRID)
    coth = 1 / np.tanh(quanta / (2 * units.kB * temperature)) if temperature else 1.0
    expected = (0.06**2) / (8 * math.log(2)) + (factors * quanta**2 * coth).sum()
    assert area == pytest.approx(1.0, abs=1e-8)
    assert mean == pytest.approx(4.0, abs=1e-7)
    assert variance == pytest.approx(expected, rel=1e-6)


def test_a_spectrum_keeps_the_strength() -> None:
    spectrum = vibronic_spectrum([one_mode(), one_mode(0.0)], 0.1, energies=GRID)
    strength = 4.319e-9 * 8065.544 * trapezoid(spectrum.absorption * 4.0 / GRID, GRID)
    assert strength == pytest.approx(1.0, rel=1e-4)
    alone = vibronic_spectrum([one_mode()], 0.05)
    assert alone.absorption_max is not None
    # n = 1 is the highest, though 0-0 is a maximum too.
    assert abs(alone.absorption_max.energy - 4.0 + (S - 1) * OMEGA) < 0.02
    assert alone.bands[0].energy == pytest.approx(4.0 - S * OMEGA, abs=0.02)
    assert alone.line_height * 0.5 == pytest.approx(alone.absorption.max())
    # A stronger band above is another one.
    other = VibronicBand(6.0, 1.5, np.array([0.0]), modes_of(OMEGA), "S2")
    both = vibronic_spectrum([one_mode(), other], 0.05)
    assert both.absorption_max_nm == pytest.approx(alone.absorption_max_nm, abs=0.01)
    dark = vibronic_spectrum([replace(one_mode(), strength=0.0)], 0.05)
    assert dark.absorption_max is None
    assert math.isnan(dark.absorption_max_nm)
    with pytest.raises(ValueError, match="no band"):
        vibronic_spectrum([])
    with pytest.raises(ValueError, match="temperature is -1"):
        one_mode().profile(GRID, 0.1, -1.0)


class Spring(Calculator):
    """Two atoms on a spring of k = 30 eV/Å², at rest at 1 Å."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, *arguments: object, **named: object) -> None:
        super().calculate(*arguments, **named)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        along = self.atoms.positions[1] - self.atoms.positions[0]
        length = np.linalg.norm(along)
        pull = 30.0 * (length - 1.0) * along / length
        self.results = {"energy": 15.0 * (length - 1.0) ** 2, "forces": np.array([pull, -pull])}


def test_modes_and_huang_rhys_factor_of_a_spring() -> None:
    """ħω = ħ√(k/μ), and a force F along the bond gives λ = F²/2k."""
    atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1.0]])
    spring = Spring()  # type: ignore[no-untyped-call]
    modes = normal_modes(atoms, spring)
    mass = np.prod(atoms.get_masses()) / atoms.get_masses().sum()
    hbar = units._hbar * units.J * units.s
    assert len(modes.energies) == 1
    assert modes.soft == 0
    assert modes.at_minimum
    assert modes.describe() == "1 of Spring"
    stretched = Atoms("CO", [[0, 0, 0], [0, 0, 1.01]])
    assert normal_modes(stretched, spring).force == pytest.approx(0.3, rel=1e-6)
    assert modes.energies[0] == pytest.approx(hbar * math.sqrt(30.0 / mass), rel=1e-4)
    force = 2.0
    gradient = np.array([[0, 0, force], [0, 0, -force]])
    band = VibronicBand.of(5.0, 0.1, gradient, modes)
    assert band.reorganization == pytest.approx(force**2 / (2 * 30.0), rel=1e-3)
    # Forces that accelerate the whole molecule excite nothing.
    whole = atoms.get_masses()[:, None] * np.ones(3)
    pushed = VibronicBand.of(5.0, 0.1, whole, modes)
    assert pushed.huang_rhys[0] < 1e-10
