"""What the commands ask of readers of structures, and what they tell and store of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from program_outputs import ANALYSED, PYSCF, SCF, TDDFT, TRIPLETS
from test_cli import refusal, run

from esml.export import read_results

CASES = Path(__file__).parents[1] / "data" / "field_cases"


def test_charge_and_geometry_are_told() -> None:
    told = run("spectrum", CASES / "04_total_charge.xyz", "--n-states", "1").stdout
    assert "charge: +2 (total_charge= of the file)" in told
    assert "geometry: as in the input" in told
    told = run("spectrum", CASES / "16_atomic_numbers.xyz", "--n-states", "1").stdout
    assert "charge: 0 (not stated: 0 assumed)" in told


def test_what_a_reader_left_out_is_told() -> None:
    told = run("spectrum", CASES / "21_dummy_CRYST1.pdb", "--n-states", "1").stdout
    assert "note: the cell of the file (CRYST1) is left out" in told


def test_charge_is_an_option_of_every_command(tmp_path: Path) -> None:
    path, out = CASES / "04_total_charge.xyz", tmp_path / "out.csv"
    assert run("predict", path, "-o", out, "--n-states", "1", "--charge", "0").exit_code == 0
    row = next(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert (row["charge"], row["charge_source"], row["geometry"]) == (
        "0",
        "as given",
        "as in the input",
    )
    assert "charge: 0 (as given)" in run("spectrum", path, "--charge", "0").stdout


def test_another_charge_is_another_run(tmp_path: Path) -> None:
    from esml.io.provenance import ReadingOptions

    assert ReadingOptions().fingerprint() == {}
    assert ReadingOptions(charge=0).fingerprint() == {"charge": 0}
    assert ReadingOptions(processes=3, elements=(1,)).fingerprint() == {"elements": [1]}


def test_a_cell_can_be_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    lattice = 'Lattice="20 0 0 0 20 0 0 0 20" Properties=species:S:1:pos:R:3'
    path.write_text(f"2\n{lattice}\nH 0 0 0\nH 0 0 0.74\n")
    sentence = refusal(run("spectrum", path, "--n-states", "1"))
    assert "add --ignore-cell" in sentence
    told = run("spectrum", path, "--n-states", "1", "--ignore-cell")
    assert "the cell is left out, as asked" in told.stdout


def test_all_records_of_a_file_are_predicted(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    out = tmp_path / "out.json"
    result = run("predict", CASES / "01_three_records.sdf", "-o", out, "--n-states", "1")
    assert "3 predicted, 0 failed" in result.stdout
    kept = json.loads(out.read_text())["results"]
    assert [entry["name"] for entry in kept] == ["benzene", "pyridine", "formaldehyde"]
    assert kept[0]["provenance"]["charge_source"] == "formal charges of the record"


def test_the_geometry_of_a_smiles_is_chosen_and_told() -> None:
    pytest.importorskip("tblite")
    told = run("spectrum", "C=O", "--n-states", "1").stdout
    assert "geometry: lowest conformer found, relaxed with GFN2-xTB" in told
    told = run("spectrum", "C=O", "--n-states", "1", "--geometry", "mmff").stdout
    assert "geometry: conformer of ETKDG, relaxed with MMFF94" in told
    assert "no geometry to be taken" in refusal(run("spectrum", "C=O", "--geometry", "as-is"))
    assert "expected one of xtb" in refusal(run("spectrum", "C=O", "--geometry", "dft"))


def test_the_largest_fragment_is_kept_on_request() -> None:
    pytest.importorskip("rdkit")
    options = ("--n-states", "1", "--geometry", "mmff", "--largest-fragment")
    told = " ".join(run("spectrum", "C=[NH2+].[Cl-]", *options).stdout.split())
    assert "the largest of 2 molecules is kept, without Cl-" in told
    assert "charge: +1" in told


def test_a_column_of_smiles_is_chosen(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    path, out = tmp_path / "a.csv", tmp_path / "out.csv"
    path.write_text("dye_smiles,solvent_smiles\nC=O,O\n,O\n")
    options = ("-o", out, "--n-states", "1", "--geometry", "mmff", "--smiles-column", "dye_smiles")
    result = run("predict", path, *options)
    assert result.exit_code == 1
    assert "1 predicted, 1 failed" in result.stdout
    assert "line 3" in result.stderr


def test_conformers_are_averaged(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    curve = tmp_path / "a.csv"
    result = run("spectrum", "C=CC=O", "--conformers", "2", "--n-states", "2", "--csv", curve)
    assert result.exit_code == 0, result.output
    assert "conformers at 298 K" in result.stdout
    assert len(curve.read_text().splitlines()) > 10
    assert "not a SMILES; leave it out" in refusal(
        run("spectrum", "C=O", "--conformers", "2", "--index", "1")
    )
    assert "is a file" in refusal(run("spectrum", CASES / "18_bom.xyz", "--conformers", "2"))


def test_an_output_of_a_program_is_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "calc.out"
    path.write_text(PYSCF + SCF + TDDFT + ANALYSED + TRIPLETS)
    told = run("spectrum", path, "--n-states", "2", "--compare", path).stdout
    assert "reference: camb3lyp/sto-3g, TDDFT singlets, TDA triplets (PySCF)" in told
    assert "charge: 0 (output of PySCF)" in told
    assert "4.03" in told
    assert "9.51" in told
    assert "-6.22" in told
    path.write_text(PYSCF + SCF)
    assert "no excited singlets" in refusal(run("spectrum", path, "--compare", path))


def test_bad_structures_from_files_end_in_one_sentence() -> None:
    for name, words in (
        ("06_benzene_without_hydrogens.xyz", "hydrogens are missing"),
        ("26_bohr.xyz", "these distances are not Å"),
        ("05_benzene_radical_cation_1_2.gjf", "open shells"),
        ("13_halide.xyz", "no virtual orbital"),
    ):
        assert words in refusal(run("spectrum", CASES / name, "--n-states", "1"))


@pytest.mark.parametrize("form", ["csv", "jsonl", "h5"])
def test_a_line_that_fails_keeps_its_smiles_and_is_told_by_its_name(
    tmp_path: Path, form: str
) -> None:
    """One that is no SMILES, and one that the model refuses."""
    pytest.importorskip("rdkit")
    path, out = tmp_path / "a.smi", tmp_path / f"out.{form}"
    path.write_text("C=O good\nc1cccc1 violet\n[CH3] amber\n")
    result = run("predict", path, "-o", out, "--n-states", "1", "--geometry", "mmff")
    assert "1 predicted, 2 failed" in result.stdout
    told = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(told) == 2
    assert "violet" in told[0]
    assert "amber" in told[1]
    if form == "csv":
        rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
        found = {row["name"]: row["smiles"] for row in rows}
    elif form == "jsonl":
        entries = [json.loads(line) for line in out.read_text().splitlines()]
        found = {e["name"]: e.get("smiles") or e["provenance"]["smiles"] for e in entries}
    else:
        stored = read_results(out)
        found = {failure.name: failure.smiles for failure in stored.failures} | {"good": "C=O"}
    assert found == {"good": "C=O", "violet": "c1cccc1", "amber": "[CH3]"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("C=O", "--index", "7"), "--index chooses a structure of a file"),
        (("C=O", "--smiles-column", "foo"), "--smiles-column is about tables"),
        ((CASES / "16_atomic_numbers.xyz", "--smiles-column", "foo"), "--smiles-column is about"),
        (("C=O", "--temperature", "500"), "expected --vibronic beside it"),
        (("CCO", "--conformers", "2", "--temperature", "10"), "conformers are weighted at 298 K"),
    ],
)
def test_options_without_effect_are_refused(arguments: tuple[object, ...], said: str) -> None:
    assert said in refusal(run("spectrum", *arguments))
