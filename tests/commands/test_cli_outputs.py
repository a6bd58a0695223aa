"""What the commands write beside their tables: reports, orbitals, averages, formats, parity."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from surrogate_cases import read_all
from test_cli import AZOBENZENE, EXAMPLES, refusal, run

from esml.io.records import read, write_shard
from esml.io.structures import read_structures

NITROANILINE = str(EXAMPLES / "p-nitroaniline.xyz")


def shaken(path: Path, frames: int = 10) -> Path:
    """A trajectory of formaldehyde."""
    rng = np.random.default_rng(2)
    images = []
    for _ in range(frames):
        atoms = molecule("H2CO")
        atoms.positions += rng.normal(scale=0.03, size=(4, 3))
        images.append(atoms)
    ase.io.write(path, images)
    return path


def test_the_table_says_what_the_states_are() -> None:
    result = run("spectrum", NITROANILINE, "--n-states", "4")  # nπ* states of nitro lie below
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.replace("│", " ").split())
    assert "ππ*, charge transfer" in text
    assert "nitro" in text
    assert "nπ*" in run("spectrum", AZOBENZENE, "--n-states", "1").stdout


def test_too_few_states_are_no_lack_of_bands() -> None:
    """The band of p-nitroaniline is that of its second state or a later one."""
    told = run("spectrum", NITROANILINE, "--n-states", "1").stdout
    assert "absorption maximum: none among the states asked for (down to" in told
    assert "ask for more with --n-states" in told


def test_report_orbitals_and_cubes_are_written(tmp_path: Path) -> None:
    page, molden, cubes = tmp_path / "a.html", tmp_path / "a.molden", tmp_path / "cubes"
    options = ["--report", page, "--molden", molden, "--cubes", cubes]
    result = run("spectrum", NITROANILINE, "--n-states", "1", *options)
    assert result.exit_code == 0, result.output
    assert "charge transfer" in page.read_text(encoding="utf-8") or "CT:" in page.read_text()
    assert "[Molden Format]" in molden.read_text()
    assert {path.name for path in cubes.iterdir()} == {
        "homo.cube",
        "lumo.cube",
        "S1-hole.cube",
        "S1-electron.cube",
    }


def test_a_measured_spectrum_beside(tmp_path: Path) -> None:
    """A curve of our own, half an electronvolt lower, as a measurement."""
    curve, measured, numbers = (tmp_path / name for name in ("a.csv", "m.csv", "a.json"))
    assert run("spectrum", AZOBENZENE, "--csv", curve).exit_code == 0
    table = np.genfromtxt(curve, delimiter=",", skip_header=1)
    rows = [f"{1239.842 / (e - 0.3):.4f},{a / 3e4:.6f}" for e, _, a in table if 2.5 < e < 5.5]
    measured.write_text("nm,absorbance\n" + "\n".join(rows), encoding="utf-8")
    picture = tmp_path / "a.png"
    options = ["--experiment", measured, "--json", numbers, "--plot", picture, "--axis", "nm"]
    result = run("spectrum", AZOBENZENE, *options)
    assert result.exit_code == 0, result.output
    assert "light in nm (its heading is 'nm'); absorbance" in result.stdout
    assert "shifted by -0.30 eV" in result.stdout
    assert picture.stat().st_size > 5000
    stored = json.loads(numbers.read_text(encoding="utf-8"))
    assert stored["measured"]["shift_eV"] == pytest.approx(-0.3, abs=0.006)
    assert stored["measured"]["shifted_similarity"] > 0.99
    assert f"absorption maximum: {stored['absorption_max_nm']:.0f} nm" in result.stdout
    assert stored["colour"]["hex"] in result.stdout
    peaks = [peak["energy_eV"] + 0.3 for peak in stored["measured"]["peaks"]]
    assert stored["bands"][0]["energy_eV"] == pytest.approx(peaks[0], abs=0.01)
    mean = run("spectrum", shaken(tmp_path / "md.xyz"), "--average", "--experiment", measured)
    assert "similarity:" in mean.stdout


def test_report_of_a_smiles(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    page = tmp_path / "a.html"
    assert run("spectrum", "C=O", "--n-states", "1", "--report", page).exit_code == 0
    assert "<h1>C=O</h1>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--report", "a.txt"], ".html"),
        (["--molden", "no/where/a.molden"], "no directory"),
        (["--average", "--index", "1"], "--index"),
        (["--average", "--report", "a.html"], "--report"),
    ],
)
def test_outputs_that_cannot_be_are_refused(options: list[str], words: str) -> None:
    assert words in refusal(run("spectrum", AZOBENZENE, *options))


def test_cubes_need_a_folder() -> None:
    assert "is a file" in refusal(run("spectrum", AZOBENZENE, "--cubes", AZOBENZENE))


def test_average_of_a_trajectory(tmp_path: Path) -> None:
    path = shaken(tmp_path / "md.xyz")
    picture, curve = tmp_path / "mean.png", tmp_path / "mean.csv"
    result = run(
        "spectrum", path, "--average", "--n-states", "3", "--plot", picture, "--csv", curve
    )
    assert result.exit_code == 0, result.output
    assert "CH2O, mean of 10 structures" in result.stdout
    assert "±" in result.stdout
    assert picture.stat().st_size > 5000
    table = np.genfromtxt(curve, delimiter=",", names=True)
    assert (table["standard_error_L_mol1_cm1"] >= 0).all()
    assert table["absorption_L_mol1_cm1"].max() > 0


def test_average_wants_one_molecule_and_leaves_out_what_fails(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.xyz"
    ase.io.write(mixed, [molecule("H2CO"), molecule("C2H4")])
    assert "different molecules" in refusal(run("spectrum", mixed, "--average"))
    broken = tmp_path / "broken.xyz"
    frames = read_all(shaken(tmp_path / "md.xyz", 3))
    frames[1].positions[1] = frames[1].positions[0]
    ase.io.write(broken, frames)
    result = run("spectrum", broken, "--average", "--n-states", "2")
    assert result.exit_code == 1
    assert "mean of 2 structures" in result.stdout
    assert "1 structures left out" in result.stderr
    assert "no file" in refusal(run("spectrum", tmp_path / "missing.xyz", "--average"))


@pytest.mark.parametrize("name", ["out.csv", "out.json", "out.jsonl", "out.xyz"])
def test_predict_writes_the_format_its_output_asks_for(tmp_path: Path, name: str) -> None:
    path = shaken(tmp_path / "md.xyz", 3)
    output = tmp_path / name
    result = run("predict", path, "-o", output, "--n-states", "2")
    assert result.exit_code == 0, result.output
    if name.endswith("xyz"):
        assert len(list(read_structures(output))) == 3
    elif name == "out.json":
        assert len(json.loads(output.read_text())["results"]) == 3
    else:
        assert len(output.read_text().splitlines()) == 3 + name.endswith("csv")


def test_predict_refuses_unknown_formats_before_the_work(tmp_path: Path) -> None:
    path = shaken(tmp_path / "md.xyz", 1)
    assert "known format" in refusal(run("predict", path, "-o", tmp_path / "out.doc"))
    output = tmp_path / "out"
    assert "no format 'doc'" in refusal(run("predict", path, "-o", output, "--format", "doc"))
    assert run("predict", path, "-o", output, "--format", "csv").exit_code == 0
    assert output.read_text().startswith("name,")


def test_predict_takes_a_list_of_smiles_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    path = tmp_path / "list.smi"
    path.write_text("C=O formaldehyde\nnonsense\nC=C ethylene\n", encoding="utf-8")
    output = tmp_path / "out.csv"
    result = run("predict", path, "-o", output, "--n-states", "1")
    assert result.exit_code == 1
    with output.open(newline="", encoding="utf-8") as file:
        first, bad, last = csv.DictReader(file)
    assert (first["name"], first["smiles"]) == ("formaldehyde", "C=O")
    assert "nonsense" in bad["error"]
    assert (last["name"], last["smiles"]) == ("ethylene", "C=C")
    for row in (first, last):
        assert float(row["S1_nm"]) * float(row["S1_eV"]) == pytest.approx(1239.842, rel=1e-4)


def test_lines_that_fail_keep_their_names(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    path = tmp_path / "list.csv"
    path.write_text("smiles,name\nC1CC,open ring\n,nothing\n[GeH4],germane\n", encoding="utf-8")
    output = tmp_path / "out.csv"
    assert run("predict", path, "-o", output, "--n-states", "1").exit_code == 1
    with output.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["index"]) for row in rows] == [
        ("open ring", "0"),
        ("nothing", "1"),
        ("germane", "2"),
    ]
    assert all(row["error"] for row in rows)


def test_evaluate_draws_parity(tmp_path: Path) -> None:
    picture = tmp_path / "parity.png"
    data = tmp_path / "few.h5"
    write_shard(data, read(EXAMPLES.parent / "data" / "small", split="validation")[:4])
    result = run("evaluate", "default", data, "--split", "validation", "--plot", picture)
    assert result.exit_code == 0, result.output
    assert picture.stat().st_size > 10_000
