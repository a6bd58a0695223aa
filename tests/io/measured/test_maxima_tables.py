"""Units and kinds of columns in lists of measured maxima."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from esml.io.formats.smiles_lists import read_rows
from esml.io.measured import read_maxima
from esml.io.provenance import InputError


def table(folder: Path, heading: str, *cells: str, between: str = ",") -> Path:
    path = folder / "a.csv"
    lines = [between.join(("smiles", heading)), *(between.join(("CC", each)) for each in cells)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("heading", "cell", "wavelength"),
    [
        ("lambda_max", "253", 253.0),
        ("lambda_max (nm)", "253", 253.0),
        ("abs max (eV)", "4.9", 253.029),
        ("absorption_max_eV", "4.9", 253.029),
        ("lambda_max (cm-1)", "39525", 253.004),
        ("λmax / 10³ cm⁻¹", "39.525", 253.004),
        ("lambda_max (µm)", "0.253", 253.0),
        ("λmax (Å)", "2530", 253.0),
        ("abs max (kJ/mol)", "472.78", 253.03),
        ("λem max (nm),λabs max (nm)", "500,253", 253.0),
        ("lambda_em (nm),lambda_abs (nm)", "500,253", 253.0),
        ("log eps at abs max,abs max (nm)", "2.3,253", 253.0),
        ("max absorbance,lambda_max (nm)", "0.8,253", 253.0),
        ("lambda_max of whom,lambda_max (nm)", "me,253", 253.0),
    ],
)
def test_the_heading_says_unit_and_kind(
    tmp_path: Path, heading: str, cell: str, wavelength: float
) -> None:
    (found,) = read_maxima(table(tmp_path, heading, cell))
    assert found.wavelength == pytest.approx(wavelength, abs=0.01)


@pytest.mark.parametrize(
    "heading", ["PL max (nm)", "lambda_em (nm)", "λ_em", "fluorescence max (nm)", "max absorbance"]
)
def test_other_quantities_are_refused_by_name(tmp_path: Path, heading: str) -> None:
    with pytest.raises(InputError, match="is of another quantity") as refused:
        read_maxima(table(tmp_path, heading, "500"))
    assert f"'{heading}'" in str(refused.value)


@pytest.mark.parametrize(
    ("heading", "cell", "words"),
    [
        ("lambda_max (nm)", "4.9", "maxima such as 4.9 nm, read in nm: expected 100 to 3000 nm"),
        ("lambda_max", "39000", "3.9e.04 nm"),
        ("abs max (eV)", "253", "such as 4.9.* nm, read in eV"),
    ],
)
def test_maxima_of_another_unit_are_refused(
    tmp_path: Path, heading: str, cell: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_maxima(table(tmp_path, heading, "", cell))


def test_single_cells_that_are_no_maximum_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, "lambda_max (nm)", "253 sh", "25.3", "253", "310")
    assert [math.isnan(each.wavelength) for each in read_maxima(path)] == [True, True, False, False]


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "lambda_max (nm)", "210,5", "n.d.", "-1", between=";")
    first, second, third = read_maxima(path)
    assert first.wavelength == 210.5
    assert math.isnan(second.wavelength)
    assert math.isnan(third.wavelength)
    (quoted,) = read_maxima(table(tmp_path, "lambda_max (nm)", '"210,5"'))
    assert quoted.wavelength == 210.5


def test_both_readers_see_the_same_rows_and_solvents(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = ["name,smiles,Solvent name,λmax", '"a\nb",C=CC=O,water,210', "c,CC,hexane,220"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    maxima, rows = read_maxima(path), read_rows(path)
    assert [each.wavelength for each in maxima] == [210.0, 220.0]
    assert [each.solvent for each in maxima] == [row.solvent for row in rows] == ["water", "hexane"]
