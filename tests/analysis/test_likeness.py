from __future__ import annotations

import math

import numpy as np
import pytest

from esml.analysis.likeness import likeness, peaks
from esml.analysis.spectrum import broaden
from esml.units import HC

PREDICTED = broaden([3.0, 4.4], [0.5, 0.8], fwhm=0.4)
ENERGIES = np.linspace(2.0, 5.5, 300)


def test_a_spectrum_is_like_itself_whatever_its_scale() -> None:
    found = likeness(PREDICTED.at, ENERGIES, 3e-5 * PREDICTED.at(ENERGIES))
    assert found.similarity == pytest.approx(1.0, abs=1e-3)
    assert found.shift == pytest.approx(0.0, abs=1e-9)
    assert found.scale == pytest.approx(1.0 / 3e-5, rel=1e-3)
    assert [peak.energy for peak in found.peaks] == pytest.approx([3.0, 4.4], abs=0.01)


def test_a_shift_is_found_with_its_sign() -> None:
    measured = PREDICTED.at(ENERGIES + 0.35)  # at lower energies than predicted
    found = likeness(PREDICTED.at, ENERGIES, measured)
    assert found.shift == pytest.approx(-0.35, abs=0.0051)
    assert found.shifted_similarity > 0.99 > found.similarity


def test_the_similarity_of_two_gaussians() -> None:
    """∫ g(E) g(E − Δ) dE ∝ exp(−Δ²/4σ²) for equal widths."""
    sigma = 0.4 / math.sqrt(8.0 * math.log(2.0))
    one, grid = broaden([3.5], [1.0], fwhm=0.4), np.linspace(1.0, 6.0, 2001)
    for gap in (0.1, 0.3):
        found = likeness(one.at, grid, broaden([3.5 + gap], [1.0], fwhm=0.4).at(grid))
        assert found.similarity == pytest.approx(math.exp(-((gap / sigma) ** 2) / 4), rel=2e-3)
        assert found.shift == pytest.approx(gap, abs=0.0051)


def test_spectra_apart_are_not_alike() -> None:
    found = likeness(broaden([6.0], [1.0], fwhm=0.1).at, ENERGIES, PREDICTED.at(ENERGIES))
    assert found.similarity < 1e-6
    dark = broaden([3.0], [0.0])
    assert likeness(dark.at, ENERGIES, PREDICTED.at(ENERGIES)).similarity == 0.0


def test_noise_is_no_peak() -> None:
    rng = np.random.default_rng(3)
    wavelengths = np.arange(200.0, 700.0, 1.0)
    curve = PREDICTED.at(HC / wavelengths)[::-1]
    noisy = curve + 0.004 * curve.max() * rng.normal(size=len(curve))
    found = peaks(HC / wavelengths[::-1], noisy)
    assert [peak.energy for peak in found] == pytest.approx([3.0, 4.4], abs=0.06)
