"""Tables of measured spectra as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from esml.analysis.spectrum import broaden
from esml.io.measured import MeasuredSpectrum, read_measured
from esml.io.provenance import InputError
from esml.units import HC

LIGHT = np.array([300.0, 350.0, 400.0, 450.0, 500.0, 550.0])
VALUES = np.array([0.1, 0.4, 0.9, 0.5, 0.2, 0.05])


def written(
    path: Path, light: np.ndarray, values: np.ndarray, heading: str = "", between: str = ","
) -> Path:
    rows = [f"{a:g}{between}{b:g}" for a, b in zip(light, values, strict=True)]
    path.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    return path


def check(found: MeasuredSpectrum, values: np.ndarray = VALUES) -> None:
    np.testing.assert_allclose(found.wavelengths[::-1], LIGHT, rtol=1e-4)
    np.testing.assert_allclose(found.values[::-1], values, rtol=1e-4)


@pytest.mark.parametrize(
    ("heading", "light", "values", "quantity"),
    [
        ("Wavelength (nm),Abs", LIGHT, VALUES, "absorbance"),
        ("nm,A", LIGHT, VALUES, "absorbance"),
        ("", LIGHT, VALUES, "absorbance"),
        ("energy (eV),absorbance", HC / LIGHT, VALUES, "absorbance"),
        ("", HC / LIGHT, VALUES, "absorbance"),
        ("wavenumber (cm-1),OD", 1e7 / LIGHT, VALUES, "absorbance"),
        ("", 1e7 / LIGHT, VALUES, "absorbance"),
        ("lambda,epsilon (M-1 cm-1)", LIGHT, VALUES, "molar absorption coefficient"),
        ("nm,ε / L mol⁻¹ cm⁻¹", LIGHT, VALUES, "molar absorption coefficient"),
        ("", LIGHT, 1e4 * VALUES, "molar absorption coefficient"),
    ],
)
def test_units_are_recognized_and_told(
    tmp_path: Path, heading: str, light: np.ndarray, values: np.ndarray, quantity: str
) -> None:
    found = read_measured(written(tmp_path / "a.csv", light, values, heading))
    check(found, values)
    assert found.quantity == quantity
    notes = "; ".join(found.notes)
    assert "light in" in notes
    assert quantity in notes
    assert ("no heading says so" in notes) == (not heading)


def test_a_logarithm_is_undone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", LIGHT, np.log10(1e4 * VALUES), "nm,log epsilon")
    check(read_measured(path), 1e4 * VALUES)


def test_spectrometers_write_what_they_like(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for between in ("\t", ";", " ", ", "):
        check(read_measured(written(path, LIGHT, VALUES, "", between)))
    german = written(path, LIGHT, VALUES, "Wellenlänge nm;Abs", ";").read_text().replace(".", ",")
    path.write_text("\ufeffSample 1\nBaseline;\n" + german + "\nLog\nEnd of scan;none\n")
    found = read_measured(path)
    check(found)
    assert any("2 lines that are not numeric" in note for note in found.notes)
    rows = "\n".join(f"{k},{a:g},{b:g}" for k, (a, b) in enumerate(zip(LIGHT, VALUES, strict=True)))
    path.write_text("point,wavelength_nm,absorbance\n" + rows)
    found = read_measured(path)
    check(found)
    assert "columns 2 and 3 of 3" in found.notes
    # Up and down again: the same light twice.
    path.write_text("\n".join(f"{a:g} {b:g}" for a, b in [*zip(LIGHT, VALUES, strict=True)] * 2))
    check(read_measured(path))


def test_our_own_curves_read_back(tmp_path: Path) -> None:
    spectrum = broaden([3.0, 4.0], [0.4, 0.8])
    spectrum.to_csv(tmp_path / "a.csv")
    found = read_measured(tmp_path / "a.csv")
    assert found.quantity == "molar absorption coefficient"
    np.testing.assert_allclose(found.energies, spectrum.energies, rtol=1e-8)
    np.testing.assert_allclose(found.values, spectrum.absorption, rtol=1e-8, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no measured spectrum"),
        ("nothing here\n", "holds no measured spectrum"),
        ("300,0.1\n400,0.2\n", "at least 5 lines"),
        ("\n".join(f"{-k},1" for k in range(300, 306)), "light around -30"),
        ("nm,abs\n" + "\n".join(f"{-k},1" for k in range(300, 306)), "positive numbers"),
        ("\n".join(f"{k},0" for k in range(300, 306)), "no value above zero"),
        ("\n".join(f"{k},1" for k in range(60, 66)), "name the unit"),
    ],
)
def test_what_is_no_spectrum_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_measured(path)
    with pytest.raises(InputError, match=r"no-such\.csv"):
        read_measured(tmp_path / "no-such.csv")
