"""``esml spectrum --vibronic``: what is told, stored and drawn, and what is refused."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from scipy.integrate import trapezoid
from test_cli import refusal, run


@pytest.fixture
def aldehyde(tmp_path: Path) -> Path:
    """Formaldehyde, with a C=O bond too long by a tenth of an Å."""
    atoms = molecule("H2CO")
    atoms.set_distance(0, 1, atoms.get_distance(0, 1) + 0.1, fix=1)
    path = tmp_path / "aldehyde.xyz"
    write(path, atoms)
    return path


def test_bands_are_told_and_stored(aldehyde: Path, tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    numbers, curve, picture = (tmp_path / f"a.{end}" for end in ("json", "csv", "png"))
    files = ("--json", numbers, "--csv", curve, "--plot", picture)
    asked = ("--n-states", "2", "--vibronic", "--temperature", "100", "--fwhm", "0.05")
    found = run("spectrum", aldehyde, *asked, *files)
    assert found.exit_code == 0, found.output
    told = " ".join(found.stdout.split())
    assert "relaxed with GFN2-xTB from the coordinates of the file" in told
    assert "modes: 6 of GFN2-xTB" in told
    assert "at 100 K, lines 0.05 eV wide" in told
    assert "warning: forces" not in found.stderr
    stored = json.loads(numbers.read_text(encoding="utf-8"))
    vibronic = stored["vibronic"]
    assert vibronic["temperature_K"] == 100
    places = np.array(vibronic["modes"]["wavenumbers_cm-1"])
    assert len(places) == 6
    assert vibronic["modes"]["largest_force_eV_A"] < 0.1
    first = vibronic["transitions"][0]
    energies = stored["prediction"]["singlets"]["energies"]
    assert first["vertical_eV"] == pytest.approx(energies[0], abs=1e-4)
    factors = np.array(first["huang_rhys"])
    assert first["zero_zero_eV"] == pytest.approx(
        first["vertical_eV"] - factors @ places / 8065.544, abs=1e-3
    )
    # nπ* of a carbonyl group lengthens C=O, whose mode lies between 1600 and 1900 cm⁻¹.
    assert 1600 < places[(factors * places).argmax()] < 1900
    # The area of the curve over its energy is the strength of all transitions.
    with curve.open(newline="") as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    strengths = np.array([each["oscillator_strength"] for each in vibronic["transitions"]])
    verticals = np.array([each["vertical_eV"] for each in vibronic["transitions"]])
    mean = (strengths / verticals).sum()
    assert 4.319e-9 * 8065.544 * trapezoid(rows[:, 2] / rows[:, 0], rows[:, 0]) == pytest.approx(
        mean, rel=1e-3
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_means_over_vibrations_move_bands(aldehyde: Path, tmp_path: Path) -> None:
    """C=O is weaker in nπ*, so the mean over vibrations is lower than the vertical energy."""
    pytest.importorskip("tblite")
    numbers = tmp_path / "a.json"
    found = run("spectrum", aldehyde, "--n-states", "1", "--averaged", "--json", numbers)
    assert found.exit_code == 0, found.output
    told = " ".join(found.stdout.split())
    assert "mean (eV)" in told
    assert "about means over zero-point and thermal motion at 298.15 K" in told
    (first,) = json.loads(numbers.read_text(encoding="utf-8"))["vibronic"]["transitions"]
    assert -0.25 < first["averaging_eV"] < -0.05
    at_rest = first["vertical_eV"] - first["reorganization_eV"]
    assert first["zero_zero_eV"] == pytest.approx(at_rest + first["averaging_eV"], abs=1e-3)


def test_intensity_that_vibrations_lend_is_told_and_stored(
    aldehyde: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tblite")
    # The screen's mirror image is that of the file, which does not work it out again.
    monkeypatch.delattr("esml.export.spectra.mirror_image")
    numbers, curve = tmp_path / "a.json", tmp_path / "a.csv"
    asked = ("--n-states", "1", "--herzberg-teller", "--temperature", "0")
    found = run("spectrum", aldehyde, *asked, "--json", numbers, "--csv", curve)
    assert found.exit_code == 0, found.output
    told = " ".join(found.stdout.split())
    assert "lent by modes" in told
    assert "vertical-gradient model with Herzberg–Teller term at 0 K" in told
    stored = json.loads(numbers.read_text(encoding="utf-8"))
    assert stored["schema_version"] == 7
    (first,) = stored["vibronic"]["transitions"]
    lent = first["herzberg_teller"]
    assert first["oscillator_strength"] < 1e-6
    assert lent["oscillator_strength"] == pytest.approx(sum(lent["lent"]), abs=1e-6)
    slopes, shifts = np.array(lent["dipole_slopes_e_bohr"]), np.array(lent["shifts"])
    expected = first["vertical_eV"] / 27.2114 / 3 * (slopes**2).sum()
    assert lent["oscillator_strength"] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(0.5 * shifts**2, first["huang_rhys"], atol=1e-6)
    assert min(lent["overlaps"]) > 0.99
    assert first["warnings"] == []
    assert first["solvent_reorganization_eV"] == 0.0
    image = stored["vibronic"]["mirror_image"]
    assert image["state"] == "S1"
    assert f"mirror image of S1: maximum at {image['emission_max_nm']:.0f} nm" in told
    emitted, absorbed = 1239.842 / image["emission_max_nm"], 1239.842 / stored["absorption_max_nm"]
    assert image["stokes_shift_eV"] == pytest.approx(absorbed - emitted, abs=1e-4)
    assert emitted < absorbed
    with curve.open(newline="") as file:
        rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
    area = 4.319e-9 * 8065.544 * trapezoid(rows[:, 2] / rows[:, 0], rows[:, 0])
    assert area * first["vertical_eV"] == pytest.approx(expected, rel=2e-3)


def test_a_geometry_that_is_no_minimum_is_warned_of(aldehyde: Path) -> None:
    pytest.importorskip("tblite")
    found = run("spectrum", aldehyde, "--n-states", "1", "--vibronic", "--geometry", "as-is")
    assert found.exit_code == 0, found.output
    assert "are expected of a minimum" in found.stderr


def test_what_is_refused(aldehyde: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(run("spectrum", aldehyde, "--vibronic", "--cd"))
    assert "--vibronic is about absorption and --cd about circular dichroism" in said
    assert "--average is about" in refusal(run("spectrum", aldehyde, "--vibronic", "--average"))
    cold = run("spectrum", aldehyde, "--vibronic", "--temperature", "-1")
    assert "--temperature is -1 K: expected 0 or more" in refusal(cold)
    write(aldehyde, molecule("H2CO"))
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    assert "needs tblite" in refusal(
        run("spectrum", aldehyde, "--vibronic", "--geometry", "as-is", "--n-states", "1")
    )
