"""Measured absorption maxima beside predicted ones."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_cli import refusal, run

import esml
from esml.io.measured import read_maxima
from esml.io.provenance import InputError
from esml.predict.vibronic import vibrational_shift
from esml.training.measured_maxima import Compared, scores
from esml.units import HC


def row(measured: float, predicted: float) -> Compared:
    """A compound with a measured and a predicted energy in eV."""
    return Compared("a", "C", "", "vacuum", HC / measured, HC / predicted)


def test_scores_of_known_cases() -> None:
    found = scores([row(2.0, 2.4), row(3.0, 3.5), row(4.0, 4.6)], n_unmeasured=2)
    assert (found.n, found.n_failed, found.n_unmeasured) == (3, 0, 2)
    assert found.mae == pytest.approx(0.5)
    assert found.mean == pytest.approx(0.5)
    assert found.spearman == pytest.approx(1.0)
    assert found.after_line == pytest.approx(0.0, abs=1e-9)
    mixed = scores([row(2.0, 1.5), row(3.0, 3.5), row(4.0, math.nan)])
    assert (mixed.n, mixed.n_failed) == (2, 1)
    assert mixed.mae == pytest.approx(0.5)
    assert mixed.mean == pytest.approx(0.0)
    assert math.isnan(mixed.spearman)


def test_columns_are_found_by_their_headings(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    head = "Chromophore,Solvent,Emission max (nm),Absorption max (nm)"
    path.write_text(f"{head}\nCC,O,400,300\n\nCCC,,1,NaN\n", encoding="utf-8")
    first, second = read_maxima(path)
    assert (first.wavelength, first.solvent) == (300.0, "O")
    assert first.energy == pytest.approx(HC / 300.0)
    assert math.isnan(second.wavelength)
    path.write_text("smiles,solvent\nCC,O\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column of absorption maxima"):
        read_maxima(path)


def test_a_table_is_compared_row_by_row(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    table, numbers = tmp_path / "a.csv", tmp_path / "a.json"
    lines = ["smiles,lambda_max (nm),name", "C=CC=O,207,acrolein", "CCO,,ethanol", "C=C(,210,bad"]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = run("evaluate", "default", "--experiment", table, "--json", numbers)
    assert found.exit_code == 0, found.output
    assert "1 were predicted in vacuum: the table names no solvent" in found.stdout
    assert "failed: bad: " in found.stderr
    assert "nan" not in found.stdout  # one compound has no rank and no straight line
    kept = json.loads(numbers.read_text(encoding="utf-8"))
    assert [each["name"] for each in kept["compounds"]] == ["acrolein", "bad"]
    first = kept["compounds"][0]
    assert first["predicted_nm"] == pytest.approx(esml.predict("C=CC=O").absorption_max_nm, abs=0.1)
    assert first["error_eV"] == pytest.approx(HC / first["predicted_nm"] - HC / 207.0)
    assert kept["scores"]["mae"] == pytest.approx(abs(first["error_eV"]))
    assert kept["scores"]["n_unmeasured"] == 1


def test_rows_keep_their_maxima_and_solvents(tmp_path: Path) -> None:
    """A cell with a line break, a longer heading of solvents and a row without one."""
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    table, numbers = tmp_path / "a.csv", tmp_path / "a.json"
    lines = ["name,smiles,Solvent name,λmax", '"a\nb",C=CC=O,water,210', "c,c1ccncc1,,257"]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = run("evaluate", "default", "--experiment", table, "--json", numbers)
    assert found.exit_code == 0, found.output
    assert "1 were predicted in vacuum: their rows name no solvent" in found.stdout
    kept = json.loads(numbers.read_text(encoding="utf-8"))["compounds"]
    shown = [(each["name"], each["medium"], each["measured_nm"]) for each in kept]
    assert shown == [("a b", "water", 210.0), ("c", "vacuum", 257.0)]


def test_rows_that_fail_are_in_no_medium(tmp_path: Path) -> None:
    """Neither in vacuum nor in a class of solvents; what is predicted in vacuum is counted."""
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    table, numbers = tmp_path / "a.csv", tmp_path / "a.json"
    lines = ["C=CC=O,ethanl,210", "C=CC=O,80/20 water,210", "C=CC=O,,207", "C=CC=O,water,210"]
    table.write_text("\n".join(["smiles,solvent,λmax", *lines]) + "\n", encoding="utf-8")
    found = run("evaluate", "--experiment", table, "--json", numbers)
    assert found.exit_code == 0, found.output
    kept = json.loads(numbers.read_text(encoding="utf-8"))
    media = [each["medium"] for each in kept["compounds"]]
    assert media == ["", "", "vacuum", "water"]
    assert "2 compounds, 2 without a prediction" in found.stdout
    assert len(re.findall(r"C=CC=O *│ – ", found.stdout)) == 2
    classes = {
        name: (of["n"], of["n_failed"]) for name, of in kept["groups"]["solvent_class"].items()
    }
    assert classes == {"hydrogen bonding": (1, 0), "vacuum": (1, 0)}
    (family,) = kept["groups"]["family"].values()  # that of the molecule, which was read
    assert (family["n"], family["n_failed"]) == (2, 2)


def test_a_table_without_headings_of_molecules_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "a.smi"
    table.write_text("structure,λmax\nC=CC=O,210\n", encoding="utf-8")
    told = refusal(run("evaluate", "default", "--experiment", table))
    assert "2 molecules and 1 rows of maxima" in told


def test_one_of_two_is_expected(tmp_path: Path) -> None:
    assert "DATA or --experiment" in refusal(run("evaluate"))
    assert "DATA or --experiment" in refusal(run("evaluate", "default"))
    both = run("evaluate", "default", tmp_path, "--experiment", tmp_path / "a.csv")
    assert "DATA or --experiment" in refusal(both)


def test_vibrations_take_the_place_of_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands move to the red by what the mean and the shape of the band say; doubts are told."""
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    table, numbers = tmp_path / "a.csv", tmp_path / "a.json"
    table.write_text("smiles,solvent,lambda_max (nm)\nC=CC=O,water,210\n", encoding="utf-8")
    asked = ("evaluate", "--experiment", table, "--vibrations", "--json", numbers)

    def doubtful(*given: Any) -> Any:
        found = vibrational_shift(*given)
        assert found is not None
        return replace(found, doubts=("S2 mixes",))

    monkeypatch.setattr("esml.training.measured_maxima.vibrational_shift", doubtful)
    found = run(*asked)
    assert found.exit_code == 0, found.output
    told = " ".join(found.stdout.split())
    assert "GFN2-xTB's vibrations" in told
    assert "last step;" not in told
    (first,) = json.loads(numbers.read_text(encoding="utf-8"))["compounds"]
    assert first["medium"] == "water"
    moved = HC / first["predicted_nm"] - HC / first["raw_nm"]
    assert -0.6 < moved < -0.05
    assert first["doubts"] == ["S2 mixes"]
    assert "warning: C=CC=O: S2 mixes" in found.stderr
    refused = run("evaluate", "default", tmp_path, "--vibrations")
    assert "--vibrations is about measured λmax" in refusal(refused)
