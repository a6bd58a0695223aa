from __future__ import annotations

import math

import numpy as np
import pytest

from esml.analysis.absorption import bands, strongest
from esml.analysis.spectrum import average, broaden
from esml.units import HC


def test_bands_of_lines_far_apart_are_those_lines() -> None:
    found = broaden([2.345, 4.0, 5.678], [0.3, 0.9, 0.6], fwhm=0.25).bands
    assert [band.energy for band in found] == pytest.approx([2.345, 4.0, 5.678], abs=2e-4)
    exact = broaden([2.345], [0.3], fwhm=0.25, energies=[2.345]).absorption[0]
    assert found[0].height == pytest.approx(exact, rel=1e-4)
    assert found[0].wavelength == pytest.approx(HC / 2.345, abs=0.05)
    top = strongest(found)
    assert top is not None
    assert top.energy == pytest.approx(4.0, abs=2e-4)


def test_a_maximum_over_energies_is_one_over_wavelengths() -> None:
    """No factor dE/dλ: what is drawn over nm peaks at the same light."""
    spectrum = broaden([3.0, 3.4], [0.5, 0.4], fwhm=0.5)
    wavelengths = np.linspace(250.0, 600.0, 35001)
    curve = spectrum.at(HC / wavelengths)
    assert spectrum.absorption_max_nm == pytest.approx(wavelengths[curve.argmax()], abs=0.05)


def test_what_lies_beyond_180_nm_is_not_looked_at() -> None:
    far, near = HC / 171.0, HC / 280.0
    spectrum = broaden([near, far], [0.2, 2.0], fwhm=0.3)
    assert [band.wavelength for band in spectrum.bands] == pytest.approx([280.0], abs=0.1)
    assert broaden([far], [2.0], fwhm=0.3).bands == ()
    assert math.isnan(broaden([far], [2.0], fwhm=0.3).absorption_max_nm)
    # And a dark state is no band, though rounding errors have maxima.
    assert broaden([3.0, 4.0], [1e-9, 1e-12]).bands == ()


def test_the_foot_of_a_strong_band_is_none() -> None:
    spectrum = broaden([2.6, 3.8], [0.004, 0.9], fwhm=0.3)
    assert spectrum.absorption_max_nm == pytest.approx(HC / 3.8, abs=0.2)
    assert len(bands(spectrum.energies, spectrum.absorption, share=0.001)) == 2


def test_a_mean_spectrum_has_bands() -> None:
    mean = average([([3.0], [0.4]), ([3.1], [0.4])], fwhm=0.4)
    assert mean.absorption_max_nm == pytest.approx(HC / 3.05, abs=0.2)
    np.testing.assert_allclose(mean.at(mean.energies), mean.absorption, rtol=1e-12)
