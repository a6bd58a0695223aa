"""Herzberg–Teller intensity: sums over states of matrices, sum rule, limits, what is arbitrary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from scipy.integrate import trapezoid
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from esml.analysis.emission_spectrum import emission_spectrum
from esml.analysis.herzberg_teller import DipoleExpansion
from esml.analysis.normal_modes import NormalModes
from esml.analysis.vibronic import VibronicBand, vibronic_spectrum
from esml.typing import Array
from esml.units import HARTREE

GRID = np.linspace(1.0, 7.0, 3001)
FWHM = 0.03
VERTICAL = 4.0
LEVELS = 40
"""Of each oscillator in the matrices; the tests need some fifteen."""

QUANTA = np.array([0.15, 0.09])
SHIFTS = np.array([1.2, -0.8])
DIPOLE = np.array([0.3, -0.2, 0.5])
SLOPES = np.array([[0.25, 0.1, -0.3], [-0.2, 0.4, 0.15]])


def band(
    n: int = 2, emission: bool = False, dipole: Array = DIPOLE, slopes: Array = SLOPES
) -> VibronicBand:
    """A band with the first ``n`` of two modes."""
    modes = NormalModes(QUANTA[:n], np.zeros((n, 1, 3)))
    expansion = DipoleExpansion(dipole, slopes[:n], SHIFTS[:n], np.ones(n), 0.1)
    strength = 2 / 3 * VERTICAL / HARTREE * float(dipole @ dipole)
    factors = 0.5 * SHIFTS[:n] ** 2
    return VibronicBand(VERTICAL, strength, factors, modes, "S1", emission, expansion)


def constant(found: VibronicBand) -> VibronicBand:
    """The band in Condon's approximation."""
    return replace(found, expansion=None)


def lines(n: int, temperature: float, emission: bool) -> tuple[Array, Array]:
    """Energies and ⟨|μ|²⟩ of all lines, weighted by Boltzmann's factors, by sums over states.

    Oscillators of one well are a basis; q and p are its ladder matrices, and those of the other
    well are moved by exp(iΔp), the lower or the upper one as light is absorbed or emitted.
    """
    ladder = np.diag(np.sqrt(np.arange(1, LEVELS)), 1)
    q, p = (ladder + ladder.T) / np.sqrt(2), (ladder - ladder.T) / (1j * np.sqrt(2))
    # H has its minimum at −Δ of the absorbing well; the emitted photon leaves a slope −g behind.
    way = -1.0 if emission else 1.0
    energies, weights = np.zeros((1, 1)), np.ones(1)
    unit = np.ones((1, 1))
    dipoles = DIPOLE[:, None, None] * unit
    overlap = unit
    for k in range(n):
        moved = expm(1j * way * SHIFTS[k] * p).real
        dipoles = np.array(
            [np.kron(part, moved) + m * np.kron(overlap, q @ moved) for part, m in zip(
                dipoles, SLOPES[k], strict=True)]
        )  # fmt: skip
        overlap = np.kron(overlap, moved)
        quanta = QUANTA[k] * np.arange(LEVELS)
        factors = np.exp(-quanta / max(units.kB * temperature, 1e-9))
        weights = np.kron(weights, factors / factors.sum())
        change = quanta[None, :] - quanta[:, None]
        energies = (energies[:, None, :, None] + change[None, :, None, :]).reshape(
            len(overlap), len(overlap)
        )
    zero_zero = VERTICAL - way * float(0.5 * SHIFTS[:n] ** 2 @ QUANTA[:n])
    strengths = (weights[None, :, None] * dipoles**2).sum(0)
    return zero_zero + way * energies, strengths


def broadened(places: Array, strengths: Array) -> Array:
    sigma = FWHM / np.sqrt(8 * np.log(2))
    kept = strengths > 1e-9
    shape = np.exp(-0.5 * ((GRID - places[kept][:, None]) / sigma) ** 2)
    curve: Array = strengths[kept] @ shape / (sigma * np.sqrt(2 * np.pi))
    return curve


@pytest.mark.parametrize("emission", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 600.0])
@pytest.mark.parametrize("n", [1, 2])
def test_it_is_the_sum_over_states(n: int, temperature: float, emission: bool) -> None:
    found = band(n, emission)
    profile = found.profile(GRID, FWHM, temperature)
    profile *= found.thermal_strength(temperature) / (2 / 3 * VERTICAL / HARTREE)
    expected = broadened(*lines(n, temperature, emission))
    np.testing.assert_allclose(profile, expected, atol=2e-5 * expected.max())
    # It is not Condon's curve.
    without = constant(found).profile(GRID, FWHM, temperature)
    assert np.abs(profile / trapezoid(profile, GRID) - without).max() > 0.1 * without.max()


@pytest.mark.parametrize("emission", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 600.0])
def test_its_correlation_is_that_of_the_states(temperature: float, emission: bool) -> None:
    """Σ w |⟨i|μ|f⟩|² exp(−i |E − E₀₀| t), to rounding, at any time."""
    found = band(emission=emission)
    assert found.expansion is not None
    places, strengths = lines(2, temperature, emission)
    times = np.array([0.0, 3.0, 17.0, 60.0])
    offsets = (places - found.zero_zero) * (-1.0 if emission else 1.0)
    expected = [(strengths * np.exp(-1j * offsets * t)).sum() for t in times]
    phases = np.exp(-1j * np.outer(times, QUANTA))
    n = 1 / np.expm1(QUANTA / max(units.kB * temperature, 1e-3))
    condon = np.exp((phases - 1) @ (found.huang_rhys * (n + 1)))
    condon *= np.exp((phases.conj() - 1) @ (found.huang_rhys * n))
    correlation = found.expansion.correlation(phases, n, emission)
    np.testing.assert_allclose(condon * correlation, expected, atol=1e-11)


@pytest.mark.parametrize("temperature", [0.0, 300.0, 900.0])
def test_sum_rules(temperature: float) -> None:
    """The area is ⟨|μ|²⟩; the mean energy that of μ(q)²(E_v + Σ ħω Δ q) and half a commutator.

    ∫ E W dE = ⟨μ [H μ − μ H₀]⟩ = E_v ⟨|μ|²⟩ + Σ ħω_k (½|m_k|² + 2 Δ_k μ₀·m_k ⟨q_k²⟩)
    """
    found = band()
    profile = found.profile(GRID, FWHM, temperature)
    assert trapezoid(profile, GRID) == pytest.approx(1.0, abs=1e-8)
    kt = max(units.kB * temperature, 1e-9)
    squares = 0.5 / np.tanh(QUANTA / (2 * kt))  # ⟨q²⟩
    area = DIPOLE @ DIPOLE + (squares * (SLOPES**2).sum(1)).sum()
    assert found.thermal_strength(temperature) == pytest.approx(2 / 3 * VERTICAL / HARTREE * area)
    first = (QUANTA * (0.5 * (SLOPES**2).sum(1) + 2 * SHIFTS * (SLOPES @ DIPOLE) * squares)).sum()
    mean = trapezoid(profile * GRID, GRID)
    assert mean == pytest.approx(VERTICAL + first / area, abs=1e-7)


@pytest.mark.parametrize("emission", [False, True])
def test_without_slopes_it_is_condon(emission: bool) -> None:
    flat = band(emission=emission, slopes=np.zeros((2, 3)))
    for temperature in (0.0, 300.0):
        profile = flat.profile(GRID, FWHM, temperature)
        expected = constant(flat).profile(GRID, FWHM, temperature)
        np.testing.assert_allclose(profile, expected, atol=1e-12 * expected.max())
        assert flat.thermal_strength(temperature) == flat.strength
    assert not flat.promoting_modes()
    # A dark band keeps a shape.
    dark = band(dipole=np.zeros(3), slopes=np.zeros((2, 3)))
    assert np.isfinite(dark.profile(GRID, FWHM, 0.0)).all()


def test_axes_and_sign_of_the_state_are_arbitrary() -> None:
    found = band()
    profile = found.profile(GRID, FWHM, 300.0)
    assert found.expansion is not None
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    for matrix in (turn, -np.eye(3)):
        turned = band(dipole=DIPOLE @ matrix.T, slopes=SLOPES @ matrix.T)
        np.testing.assert_allclose(turned.profile(GRID, FWHM, 300.0), profile, atol=1e-10)
    # A mode may point either way, too: Δ and m change sign together, and not one of them alone.
    for shifts, slopes, equal in ((-SHIFTS, -SLOPES, True), (SHIFTS, -SLOPES, False)):
        other = replace(found.expansion, shifts=shifts, slopes=slopes)
        curve = replace(found, expansion=other).profile(GRID, FWHM, 300.0)
        assert np.allclose(curve, profile, atol=1e-10) == equal


def test_a_forbidden_band_begins_at_a_false_origin() -> None:
    """Without μ₀ and Δ: a line at E₀₀ + ħω, and with occupation n one at E₀₀ − ħω, n + 1 to n."""
    modes = NormalModes(np.array([0.1]), np.zeros((1, 1, 3)))
    slopes = np.array([[0.2, 0.0, 0.0]])
    expansion = DipoleExpansion(np.zeros(3), slopes, np.zeros(1), np.ones(1), 0.1)
    lent = VibronicBand(VERTICAL, 0.0, np.zeros(1), modes, "S1", False, expansion)
    temperature = 0.1 / (units.kB * np.log(3.0))  # n = 1/2
    low, gap, high = lent.profile([VERTICAL - 0.1, VERTICAL, VERTICAL + 0.1], FWHM, temperature)
    assert high == pytest.approx(3.0 * low, rel=1e-4)
    assert gap < 1e-6 * high
    # ⅔ E ⟨q²⟩ |m|² with ⟨q²⟩ = 1.
    expected = 2 / 3 * VERTICAL / HARTREE * 0.04
    assert lent.thermal_strength(temperature) == pytest.approx(expected)
    ((place, strength),) = lent.promoting_modes(3, temperature)
    assert place == pytest.approx(806.55, abs=0.01)
    assert strength == pytest.approx(expected)
    curve = vibronic_spectrum([lent], FWHM, temperature, GRID)
    area = 4.319e-9 * 8065.544 * trapezoid(curve.absorption / GRID, GRID)
    assert area * VERTICAL == pytest.approx(expected, rel=1e-4)
    assert curve.stick_strengths[0] == pytest.approx(expected)
    assert curve.line_height * expected == pytest.approx(curve.absorption.max())
    emitted = emission_spectrum(replace(lent, emission=True), FWHM, 0.0)
    assert emitted.energies[emitted.intensity.argmax()] == pytest.approx(VERTICAL - 0.1, abs=2e-3)


def test_how_much_states_mix() -> None:
    """Two states of gap ΔE that a mode couples by λq mix as λ²⟨q²⟩/ΔE² to first order."""
    gap, coupling, step = 1.0, 0.2, 0.1
    _, vectors = np.linalg.eigh([[0.0, coupling * step], [coupling * step, gap]])
    expansion = DipoleExpansion(
        np.zeros(3), np.zeros((1, 3)), np.zeros(1), np.abs(vectors[:1, 0]), step
    )
    assert expansion.mixing[0] == pytest.approx(coupling**2 * 0.5 / gap**2, rel=2e-3)
