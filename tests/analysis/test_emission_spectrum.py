"""Emission spectra: the integral of Strickler and Berg, and photons by wavelength."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid

from esml.analysis.emission_spectrum import emission_spectrum, mirror_image
from esml.analysis.normal_modes import NormalModes
from esml.analysis.vibronic import VibronicBand, vibronic_spectrum
from esml.units import HC

QUANTA, FACTORS = np.array([0.05, 0.18]), np.array([0.4, 0.9])


def modes_of(*quanta: float) -> NormalModes:
    return NormalModes(np.array(quanta), np.zeros((len(quanta), 1, 3)))


MODES = modes_of(*QUANTA)


def band(emission: bool = True) -> VibronicBand:
    return VibronicBand(3.0, 0.5, FACTORS, MODES, "S1", emission)


def test_the_rate_is_the_mean_of_the_cube() -> None:
    """∫ (E/E_v)³ L dE from the first three moments of displaced oscillators in their lowest level.

    Emission from level 0: cumulants E_v, σ² + Σ S(ħω)², −Σ S(ħω)³.
    """
    found = emission_spectrum(band(), 0.1, temperature=0.0)
    second = 0.1**2 / (8 * np.log(2)) + (FACTORS * QUANTA**2).sum()
    third = -(FACTORS * QUANTA**3).sum()
    assert found.cubed == pytest.approx((27.0 + 9.0 * second + third) / 27.0, rel=1e-5)


def test_photons_are_counted_by_energy_and_by_wavelength() -> None:
    found = emission_spectrum(band(), 0.1)
    assert trapezoid(found.intensity, found.energies) == pytest.approx(1.0)
    by_wavelength = found.intensity_per_wavelength[::-1]
    assert trapezoid(by_wavelength, found.wavelengths[::-1]) == pytest.approx(1.0, rel=1e-4)


def test_without_modes_it_is_one_line() -> None:
    """E³ times a Gaussian by energy, E⁵ by wavelength: E(E − E_v) = 5σ² at the maximum."""
    none = NormalModes(np.zeros(0), np.zeros((0, 1, 3)))
    line = VibronicBand(2.5, 0.1, np.zeros(0), none, "S1", emission=True)
    found = emission_spectrum(line, 0.3)
    variance = 0.3**2 / (8 * np.log(2))
    highest = 0.5 * (2.5 + np.sqrt(2.5**2 + 20 * variance))
    assert found.emission_max_nm == pytest.approx(HC / highest, abs=0.01)
    assert found.cubed == pytest.approx(1 + 3 * variance / 2.5**2, rel=1e-4)


def test_curve_picture_and_refusal(tmp_path: Path) -> None:
    found = emission_spectrum(band(), 0.1)
    found.to_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        heading, first, *_ = csv.reader(file)
    assert heading == ["energy_eV", "wavelength_nm", "photons_per_eV", "photons_per_nm"]
    assert float(first[1]) == pytest.approx(HC / float(first[0]))
    pytest.importorskip("matplotlib")
    axes = found.plot()
    (line,) = axes.get_lines()
    x, y = line.get_data()
    assert np.asarray(x)[np.argmax(y)] == pytest.approx(found.emission_max_nm, abs=1.0)
    assert np.max(y) == pytest.approx(1.0)
    found.plot(axes, label="again")
    assert axes.get_xlabel() == "Wavelength (nm)"
    assert found.plot(axis="eV").get_xlabel() == "Energy (eV)"
    with pytest.raises(ValueError, match="one of absorption"):
        emission_spectrum(band(emission=False))


def test_the_mirror_image_is_the_emission_of_displaced_oscillators() -> None:
    """Absorption at E₀₀ + x has the height of emission at E₀₀ − 2λ_s − x, at any temperature."""
    absorption = replace(band(emission=False), averaging=-0.07, solvent_reorganization=0.11)
    emission = absorption.mirrored()
    assert emission.zero_zero == pytest.approx(absorption.zero_zero - 2 * 0.11)
    displaced = (FACTORS * QUANTA).sum()
    assert emission.vertical == pytest.approx(3.0 - 0.07 - 2 * displaced - 2 * 0.11)
    offsets = np.linspace(-0.5, 1.5, 401)
    for temperature in (0.0, 400.0):
        np.testing.assert_allclose(
            emission.profile(emission.zero_zero - offsets, 0.05, temperature),
            absorption.profile(absorption.zero_zero + offsets, 0.05, temperature),
            atol=1e-8,
        )
    with pytest.raises(ValueError, match="expected one of absorption"):
        emission.mirrored()


def test_stokes_shift_between_maxima() -> None:
    """For one weak mode both maxima are at the 0-0 line; the solvent moves them apart by 2λ_s."""
    weak = VibronicBand(3.0, 0.5, np.array([0.1]), modes_of(0.18), "S1", solvent_reorganization=0.2)
    curve = vibronic_spectrum([weak, replace(weak, vertical=4.5, label="S2")], 0.02)
    emission = mirror_image(curve)
    assert emission is not None
    assert emission.band.label == "S1"
    assert emission.stokes_shift(curve) == pytest.approx(0.4, abs=0.005)
    dark = vibronic_spectrum([replace(weak, strength=0.0)], 0.02)
    found = mirror_image(dark)
    assert found is not None
    assert found.emission_max_nm == pytest.approx(emission.emission_max_nm)
    assert found.stokes_shift(dark) is None


def test_no_mirror_image_below_zero() -> None:
    deep = replace(band(emission=False), vertical=0.7, solvent_reorganization=0.2)
    assert mirror_image(vibronic_spectrum([deep], 0.1)) is None
