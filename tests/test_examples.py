"""Every script of ``examples/`` runs, on an input small enough for continuous integration."""

from __future__ import annotations

import csv
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from surrogate_cases import read_all

import esml

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

NEEDS = {
    "embedding_loop": [],
    "conical_intersection": ["rdkit", "tblite"],
    "excited_state_surface": ["tblite"],
    "read_a_state": ["matplotlib", "skimage"],
    "scf_guess": ["pyscf"],
    "screening": ["rdkit"],
    "solvated_spectrum": ["matplotlib"],
    "spectrum_of_a_dye": ["matplotlib"],
    "surface_hopping_pyrazine": ["rdkit", "tblite"],
    "thermal_spectrum": ["matplotlib", "tblite"],
    "train_your_own": ["pyscf", "rdkit", "tblite"],
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    for package in NEEDS[name]:
        pytest.importorskip(package)
    path = EXAMPLES / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found is not None, text
    return [float(group) for group in found.groups()]


def test_none_is_forgotten() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(NEEDS)
    shown = "".join(page.read_text() for page in (ROOT / "docs" / "tutorials").glob("*.md"))
    for name in NEEDS:
        assert f'"examples/{name}.py"' in shown, f"no tutorial shows {name}"


def test_spectrum_of_a_dye(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("spectrum_of_a_dye", monkeypatch)
    (peak, wavelength) = numbers(r"band at ([\d.]+) eV \((\d+) nm\)", capsys.readouterr().out)
    assert peak * wavelength == pytest.approx(1239.84, rel=0.01)
    with open("p-nitroaniline.csv", newline="") as file:
        rows = [(float(row[0]), float(row[2])) for row in list(csv.reader(file))[1:]]
    near = [row for row in rows if row[0] < 1239.84 / 200.0]  # a stronger band is at 171 nm
    assert max(near, key=lambda row: row[1])[0] == pytest.approx(peak, abs=0.01)
    assert Path("p-nitroaniline.png").stat().st_size > 5000


def test_read_a_state(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("read_a_state", monkeypatch)
    shown = capsys.readouterr().out
    assert "ππ*, charge transfer" in shown
    gains = {atom: float(gain) for atom, gain in re.findall(r"  (\w+): ([+-][\d.]+)", shown)}
    assert gains["N0"] < 0 < gains["N7"]  # from the amine to the nitro group
    (molden,) = Path().glob("*.molden")
    assert "[MO]" in molden.read_text()
    assert list(Path().glob("*.png"))


def test_screening(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("screening", monkeypatch, "-n", "6", "--shortest", "150", "--longest", "900")
    (predicted, failed) = numbers(
        r"(\d+) predicted, (\d+) without a prediction", capsys.readouterr().out
    )
    assert predicted + failed == 6
    with open("screening.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == predicted
    strengths = [float(row["strength"]) for row in rows]
    assert strengths == sorted(strengths, reverse=True)


def test_thermal_spectrum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("thermal_spectrum", monkeypatch, "--steps", "40", "--every", "4")
    assert "10 of 10 frames" in capsys.readouterr().out
    frames = read_all("pyridine.extxyz")
    assert np.std([frame.get_distance(0, 1) for frame in frames]) > 0.003  # they move
    assert Path("pyridine.png").exists()


def test_a_molecule_in_water(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("embedding_loop", monkeypatch, "--steps", "6", "--every", "3", "--waters", "6")
    assert "2 frames of acetone and 6 waters" in capsys.readouterr().out
    first, last = read_all("acetone.extxyz")
    assert np.abs(first.positions[:10] - last.positions[:10]).max() == 0.0
    assert np.abs(first.positions[10:] - last.positions[10:]).max() > 1e-3
    assert last.get_distance(10, 11) == pytest.approx(0.9572, abs=1e-4)  # waters are rigid

    run("solvated_spectrum", monkeypatch, "acetone.extxyz", "--atoms", "10")
    shown = capsys.readouterr().out
    among, alone = (
        numbers(rf"S1 {where}: ([\d.]+)", shown)[0]
        for where in ("in solution", "without the surroundings")
    )
    assert among != alone
    assert Path("solvated.png").exists()
    with open("solvated.csv", newline="") as file:
        assert len(list(csv.reader(file))) > 100


@pytest.mark.parametrize(
    ("charges", "options", "said"),
    [
        ([0.4, 0.1, -0.75, -0.75], [], "-1, the sum of the charges of its atoms"),
        ([0.0] * 4, ["--charge", "-1"], "-1, as given"),
    ],
)
def test_an_ion_in_water_keeps_its_charge(
    charges: list[float],
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    formate = Atoms("CHO2", [(0, 0, 0), (0, 1.13, 0), (1.12, -0.54, 0), (-1.12, -0.54, 0)])
    frame = formate + Atoms("OH2", [(0, -3.2, 0), (0.76, -2.6, 0), (-0.76, -2.6, 0)])
    frame.set_initial_charges([*charges, -0.834, 0.417, 0.417])
    write("formate.extxyz", [frame, frame])
    run("solvated_spectrum", monkeypatch, "formate.extxyz", "--atoms", "4", *options)
    shown = capsys.readouterr().out
    assert f"charge of the molecule: {said}" in shown
    formate.info["charge"] = int(said.split(",")[0])
    expected = esml.load_model().predict(formate, n_states=6).singlets.energies[0]
    (found,) = numbers(r"S1 without the surroundings: (-?[\d.]+)", shown)
    assert found == pytest.approx(expected, abs=0.006)


def test_a_broken_charge_in_water_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Atoms("HFNa", [(0, 0, 0), (0, 0, 0.92), (0, 0, 5)], charges=[0.4, -0.1, 1.0])
    write("broken.extxyz", frame)
    with pytest.raises(SystemExit, match=r"sum to 0\.30 e: expected .* give --charge"):
        run("solvated_spectrum", monkeypatch, "broken.extxyz", "--atoms", "2")


def test_excited_state_surface(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("excited_state_surface", monkeypatch)
    shown = capsys.readouterr().out
    (absorption,) = numbers(r"absorption ([\d.]+) eV", shown)
    (emission,) = numbers(r"emission ([\d.]+) eV", shown)
    below, above = (numbers(rf"{state}: C=O ([\d.]+) Å", shown)[0] for state in ("S0", "S1"))
    assert emission < absorption
    assert above > below  # an electron has gone into π*


def test_scf_guess(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("scf_guess", monkeypatch, "--basis", "6-31g")
    shown = capsys.readouterr().out
    ours, minao = (
        numbers(rf"{name} .* ([+-][\d.]+) hartree .* in (\d+) .* to ([-\d.]+)", shown)
        for name in ("esml", "minao")
    )
    assert abs(ours[0]) < abs(minao[0])  # starts nearer
    assert ours[2] == pytest.approx(minao[2], abs=1e-6)


def test_train_your_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train_your_own", monkeypatch, "--smoke")
    shown = capsys.readouterr().out
    assert "records: 6 computed, 0 there, 0 failed" in shown
    assert "ethylene, singlets:" in shown
    # A second run finds the records and goes on from the last checkpoint.
    run("train_your_own", monkeypatch, "--smoke")
    assert "records: 0 computed, 6 there, 0 failed" in capsys.readouterr().out


def test_conical_intersection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search closes the gap, and it opens again in the branching plane alone."""
    run("conical_intersection", monkeypatch, "--steps", "12")
    text = capsys.readouterr().out
    (before,) = numbers(r"gap at the beginning ([\d.]+) eV", text)
    (after,) = numbers(r"\ngap ([\d.]+) eV", text)
    (g,) = numbers(r"along g: gap ([\d.]+) eV", text)
    (neither,) = numbers(r"along neither: gap ([\d.]+) eV", text)
    assert after < 0.2 * before
    assert abs(neither - after) < 0.3 * abs(g - after)


def test_surface_hopping(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("surface_hopping_pyrazine", monkeypatch, "--steps", "8")
    text = capsys.readouterr().out
    rows = re.findall(r"^ +\d+  S\d +([\d.]+)  ([\d.]+)  ([\d.]+)$", text, re.MULTILINE)
    populations = np.array(rows, dtype=float)
    np.testing.assert_allclose(populations[0], [0.0, 0.0, 1.0])  # starts on S3
    np.testing.assert_allclose(populations.sum(1), 1.0, atol=0.015)  # as rounded
    (change,) = numbers(r"total energy within ([\d.]+) meV per atom", text)
    assert 0.0 < change < 1.0
    assert Path("trajectory.json").exists()
