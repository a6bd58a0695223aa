"""``--solvent`` and solvents in tables: told, stored, and refused by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import write
from surrogate_cases import read_one
from test_cli import refusal, run

import esml
from esml.export import read_results
from esml.export.plain import from_plain, to_plain
from esml.io.provenance import ReadingOptions
from esml.results import Result
from esml.units import HC

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def aldehyde(tmp_path: Path) -> Path:
    path = tmp_path / "aldehyde.xyz"
    write(path, molecule("CH3CHO"))
    return path


def test_spectrum_tells_the_solvent(aldehyde: Path) -> None:
    told = run("spectrum", aldehyde, "--n-states", "1", "--solvent", "EtOH").stdout
    assert "solvent: ethanol (ε 24.852, n 1.3611, acidity 0.37)" in " ".join(told.split())
    assert "± does not include the error of the solvent model" in " ".join(told.split())
    assert "solvent:" not in run("spectrum", aldehyde, "--n-states", "1").stdout


def test_predictions_are_in_the_solvent_and_say_so(aldehyde: Path, tmp_path: Path) -> None:
    for name, options in (("water.h5", ["--solvent", "water"]), ("vacuum.h5", [])):
        done = run("predict", aldehyde, "-o", tmp_path / name, "--n-states", "1", *options)
        assert done.exit_code == 0
    water, vacuum = (read_results(tmp_path / name)[0] for name in ("water.h5", "vacuum.h5"))
    assert water.solvent is not None
    assert water.solvent.name == "water"
    assert vacuum.solvent is None
    assert water.singlets.energies[0] > vacuum.singlets.energies[0] + 0.05


def test_another_solvent_is_another_run() -> None:
    assert ReadingOptions(solvent="water").fingerprint() == {"solvent": "water"}


def test_a_table_may_have_a_column_of_solvents(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    table, out = tmp_path / "a.csv", tmp_path / "out.csv"
    table.write_text("smiles,solvent_smiles\nCC=O,O\nCC=O,\nCC=O,ethanl\n")
    done = run("predict", table, "-o", out, "--n-states", "1", "--geometry", "mmff")
    assert done.exit_code == 1
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [row["solvent"] for row in rows] == ["water", "", ""]
    assert "such as ethanol" in rows[2]["error"]
    assert float(rows[0]["S1_eV"]) > float(rows[1]["S1_eV"]) + 0.05


def test_the_column_of_solvents_may_have_any_name(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    table, out = tmp_path / "a.csv", tmp_path / "out.csv"
    table.write_text("smiles,medium\nC=O,toluene\n")
    options = ["--n-states", "1", "--geometry", "mmff"]
    run("predict", table, "-o", out, *options, "--solvent-column", "medium")
    row = next(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert row["solvent"] == "toluene"
    wrong = run("predict", table, "-o", out, *options, "--solvent-column", "x", "--restart")
    assert "choose one with --solvent-column" in " ".join(
        (wrong.stdout + wrong.stderr + out.read_text(encoding="utf-8")).split()
    )


def test_an_unknown_solvent_is_refused_with_the_nearest(aldehyde: Path) -> None:
    assert "ethanol" in refusal(run("spectrum", aldehyde, "--solvent", "ethanl"))


def test_the_structure_of_an_excited_state_says_its_solvent(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    start, out = tmp_path / "a.xyz", tmp_path / "b.xyz"
    write(start, molecule("H2CO"))
    done = run("relax", start, "--state", "T1", "--solvent", "EtOH", "-o", out)
    assert done.exit_code == 0, done.output
    assert read_one(out).info["solvent"] == "ethanol"
    assert run("relax", start, "--state", "T1", "-o", out).exit_code == 0
    assert "solvent" not in read_one(out).info


def test_the_maximum_to_expect_is_in_the_numbers(tmp_path: Path) -> None:
    """In a solvent and not with --raw; the colour is that of the curve moved to it."""
    dye, numbers, page = EXAMPLES / "azobenzene.xyz", tmp_path / "a.json", tmp_path / "a.html"
    asked = ["spectrum", dye, "--json", numbers]
    done = run(*asked, "--solvent", "ethanol", "--report", page)
    assert done.exit_code == 0, done.output
    kept = json.loads(numbers.read_text(encoding="utf-8"))
    expected = kept["band_maximum"]
    assert expected["wavelength_nm"] * expected["energy_eV"] == pytest.approx(HC)
    assert expected["doubt"] == ""
    moved = expected["energy_eV"] - kept["bands"][0]["energy_eV"]
    assert kept["colour"]["shift_eV"] == pytest.approx(moved, abs=1e-6)
    told = f"{expected['wavelength_nm']:.0f} ± {expected['uncertainty_nm']:.0f} nm"
    assert f"band maximum to expect: {told}" in done.stdout
    assert f"<dt>band maximum to expect</dt> <dd>{told}" in page.read_text(encoding="utf-8")
    assert "colour (at the band maximum to expect): " in done.stdout
    for options in (["--solvent", "ethanol", "--raw"], []):
        assert "to expect" not in run(*asked, *options).stdout
        kept = json.loads(numbers.read_text(encoding="utf-8"))
        assert (kept["band_maximum"], kept["colour"]["shift_eV"]) == (None, 0.0)


def test_the_maximum_to_expect_is_in_files_of_predictions(tmp_path: Path) -> None:
    """In tables and HDF5, in a solvent; and in what the journal of a run keeps, JSON."""
    model = esml.load_model()
    dye = read_one(EXAMPLES / "azobenzene.xyz")
    assert model.last_step is not None
    expected = model.last_step(model.predict(dye, 4, solvent="ethanol"))
    assert expected is not None
    write(tmp_path / "dye.xyz", dye)
    for name, options in (("in", ["--solvent", "ethanol"]), ("out", [])):
        for ending in ("csv", "h5"):
            asked = ["predict", tmp_path / "dye.xyz", "-o", tmp_path / f"{name}.{ending}"]
            assert run(*asked, "--n-states", "4", *options).exit_code == 0
    rows = [
        next(csv.DictReader((tmp_path / name).read_text(encoding="utf-8").splitlines()))
        for name in ("in.csv", "out.csv")
    ]
    assert float(rows[0]["expected_max_nm"]) == pytest.approx(expected.wavelength, abs=0.01)
    assert float(rows[0]["expected_max_eV"]) == pytest.approx(expected.energy, abs=1e-4)
    assert float(rows[0]["expected_max_uncertainty_eV"]) == pytest.approx(expected.uncertainty)
    assert rows[1]["expected_max_nm"] == rows[1]["expected_max_doubt"] == ""
    there, alone = (read_results(tmp_path / name)[0] for name in ("in.h5", "out.h5"))
    assert alone.band_maximum is None
    assert there.band_maximum is not None
    assert there.band_maximum.energy == pytest.approx(expected.energy, abs=1e-4)
    assert str(there.colour) == f"{rows[0]['colour']} ({rows[0]['colour_hex']})"
    again = from_plain(json.loads(json.dumps(to_plain(there))))
    assert isinstance(again, Result)
    assert again.band_maximum == there.band_maximum
