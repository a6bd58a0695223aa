"""Headings and commas of measured spectra: units, factors and quantities that must not be mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from esml.io.measured import MeasuredSpectrum, read_measured
from esml.io.provenance import InputError
from esml.units import HC

LIGHT = np.array([300.5, 350.25, 400.75, 450.5, 500.25, 550.5])
VALUES = np.array([0.1, 0.4, 0.9, 0.5, 0.2, 0.05])


def table(folder: Path, heading: str, *columns: np.ndarray | list[str], between: str = ",") -> Path:
    cells = [[f"{each:.7g}" if isinstance(each, float) else each for each in k] for k in columns]
    lines = [heading, *(between.join(row) for row in zip(*cells, strict=True))]
    path = folder / "a.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check(found: MeasuredSpectrum, values: np.ndarray = VALUES) -> None:
    np.testing.assert_allclose(found.wavelengths[::-1], LIGHT, rtol=1e-5)
    np.testing.assert_allclose(found.values[::-1], values, rtol=1e-5)


@pytest.mark.parametrize(
    ("heading", "light"),
    [
        ("Energy (cm-1)", 1e7 / LIGHT),
        ("Energy (kJ/mol)", 96.4853321 * HC / LIGHT),
        ("Energy (kcal mol-1)", 23.0605478 * HC / LIGHT),
        ("energy_eV", HC / LIGHT),
        ("Wavelength (µm)", 1e-3 * LIGHT),
        ("Wavelength (Å)", 10.0 * LIGHT),
        ("wavenumber (1000 cm-1)", 1e4 / LIGHT),
        ("ν / 10³ cm⁻¹", 1e4 / LIGHT),
        ("Frequency (THz)", 299792.458 / LIGHT),
        ("Våglängd (nm)", LIGHT),
        ("Absorption wavelength (nm)", LIGHT),
    ],
)
def test_the_unit_of_the_heading_counts(tmp_path: Path, heading: str, light: np.ndarray) -> None:
    check(read_measured(table(tmp_path, f"{heading},absorbance", light, VALUES)))


def test_columns_are_found_beside_units_per_centimetre(tmp_path: Path) -> None:
    wavenumbers, points = 1e7 / LIGHT, np.arange(1.0, 7.0)
    head = "point,wavenumber (cm-1),absorbance"
    found = read_measured(table(tmp_path, head, points, wavenumbers, VALUES))
    check(found)
    assert found.quantity == "absorbance"
    check(read_measured(table(tmp_path, "absorbance,wavenumber (cm-1)", VALUES, wavenumbers)))


@pytest.mark.parametrize(
    ("heading", "light"),
    [
        ("wavelength (nm)", HC / LIGHT),
        ("energy (eV)", LIGHT),
        ("wavenumber (cm-1)", 1e4 / LIGHT),
        ("wavelength (nm)", 1e7 / LIGHT),
    ],
)
def test_a_unit_that_does_not_fit_the_numbers_is_refused(
    tmp_path: Path, heading: str, light: np.ndarray
) -> None:
    with pytest.raises(InputError, match="correct the unit in the heading"):
        read_measured(table(tmp_path, f"{heading},absorbance", light, VALUES))


@pytest.mark.parametrize(
    ("heading", "scale"),
    [("%T", 100.0), ("T (%)", 100.0), ("Transmittance", 1.0), ("transmission", 100.0)],
)
def test_transmittance_becomes_absorbance(tmp_path: Path, heading: str, scale: float) -> None:
    found = read_measured(table(tmp_path, f"nm,{heading}", LIGHT, scale * 10.0**-VALUES))
    check(found)
    assert found.quantity == "absorbance"
    assert "transmittance in" in found.notes[-1]
    with pytest.raises(InputError, match="a transmittance of 0: expected positive"):
        read_measured(table(tmp_path, f"nm,{heading}", LIGHT, VALUES - VALUES.min()))


def test_transmittance_between_spaces(tmp_path: Path) -> None:
    head = "Wavelength (nm) Transmittance (%)"
    path = table(tmp_path, head, LIGHT, 100.0 * 10.0**-VALUES, between=" ")
    check(read_measured(path))
    path = table(tmp_path, "Light of all colours Transmittance", LIGHT, VALUES, between=" ")
    with pytest.raises(InputError, match="which do not fit its columns"):
        read_measured(path)


@pytest.mark.parametrize(
    ("heading", "factor"),
    [
        ("ε (10^4 L mol-1 cm-1)", 1e4),
        ("ε / 10³ M⁻¹ cm⁻¹", 1e3),
        ("10^-4 ε (M-1 cm-1)", 1e4),
        ("epsilon (1000 M-1 cm-1)", 1e3),
        ("epsilon (10,000 M-1 cm-1)", 1e4),
        ("epsilon (mM-1 cm-1)", 1e3),
        ("ε (m² mol⁻¹)", 10.0),
        ("ε (L/(mol cm))", 1.0),
    ],
)
def test_factors_of_coefficients_are_undone(tmp_path: Path, heading: str, factor: float) -> None:
    found = read_measured(table(tmp_path, f'nm;"{heading}"', LIGHT, VALUES, between=";"))
    check(found, factor * VALUES)
    assert found.quantity == "molar absorption coefficient"
    assert (f"multiplied by {factor:g}" in found.notes[-1]) == (factor != 1.0)


@pytest.mark.parametrize(
    "heading",
    [
        "wavelength (nm),fluorescence intensity",
        "wavelength (nm),Emission (a.u.)",
        "wavelength (nm),PL",
        "Emission wavelength (nm),intensity",
        "wavelength (nm),reflectance",
    ],
)
def test_other_quantities_are_refused(tmp_path: Path, heading: str) -> None:
    with pytest.raises(InputError, match="which is no absorption"):
        read_measured(table(tmp_path, heading, LIGHT, VALUES))


def test_the_sample_comes_before_baseline_and_emission(tmp_path: Path) -> None:
    for other in ("Baseline Abs", "Emission (a.u.)", "%T", "Abs error"):
        head = f"Wavelength (nm),{other},Sample Abs"
        check(read_measured(table(tmp_path, head, LIGHT, 0.01 + VALUES, VALUES)))


def test_decimal_commas_between_commas(tmp_path: Path) -> None:
    light, values = ([f"{each:.4f}".replace(".", ",") for each in k] for k in (LIGHT, VALUES))
    quoted = [[f'"{each}"' for each in column] for column in (light, values)]
    check(read_measured(table(tmp_path, '"wavelength (nm)","absorbance"', *quoted)))
    found = read_measured(table(tmp_path, "wavelength (nm),absorbance", light, values))
    check(found)
    assert "commas are decimal" in found.notes[0]
    with pytest.raises(InputError, match="4 columns below 3 headings"):
        read_measured(table(tmp_path, "wavelength (nm),absorbance,remark", light, values))


def test_commas_of_thousands_are_told_apart(tmp_path: Path) -> None:
    grouped = ["300", "1,979", "27,300", "5,960", "652", "300"]
    found = read_measured(table(tmp_path, "nm;ε", LIGHT, grouped, between=";"))
    check(found, np.array([300.0, 1979.0, 27300.0, 5960.0, 652.0, 300.0]))
    assert "commas separate thousands: '27,300' is 27300" in found.notes
    whole = [f"{each:.0f}" for each in LIGHT]
    found = read_measured(table(tmp_path, "nm;ε", whole, grouped, between=";"))
    assert "commas are decimal: '27,300' is 27.3" in found.notes
    mixed = ["300", "1,979.5", "0,3", "5,960", "652", "300"]
    with pytest.raises(InputError, match="expected one meaning"):
        read_measured(table(tmp_path, "nm;ε", LIGHT, mixed, between=";"))
