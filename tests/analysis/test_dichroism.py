"""Spectra of circular dichroism: areas, signs, pictures, and the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from scipy.integrate import trapezoid
from typer.testing import CliRunner

import esml
from esml.analysis.dichroism import (
    ROTATORY_PER_AREA,
    STATEMENT,
    broaden_dichroism,
    mean_dichroism,
)
from esml.commands.app import app
from esml.io.structures import ReadingOptions, conformers
from esml.units import HC


def test_the_area_is_the_rotatory_strength() -> None:
    grid = np.linspace(0.01, 10.0, 10_000)
    curve = broaden_dichroism([4.0, 5.0], [-30.0, 10.0], 0.2, energies=grid)
    area = trapezoid(curve.dichroism / grid, grid)
    assert area * ROTATORY_PER_AREA == pytest.approx(-20.0, rel=1e-6)
    assert curve.dichroism[np.abs(grid - 4.0).argmin()] < 0 < curve.dichroism.max()
    assert list(curve.stick_strengths) == [-30.0, 10.0]


def test_the_constant_follows_from_that_of_absorption() -> None:
    """The dipole strength D = 9.184e-39 ∫ ε/ν̃ dν̃ cgs, and R = 9.184e-39 ∫ Δε/4ν̃ dν̃."""
    assert pytest.approx(91.84 / 4, rel=1e-3) == ROTATORY_PER_AREA


def test_states_without_energy_are_left_out_and_unknown_strengths_refused() -> None:
    curve = broaden_dichroism([4.0, np.nan], [5.0, np.nan])
    assert len(curve.stick_energies) == 1
    with pytest.raises(ValueError, match="rotatory strengths are unknown"):
        broaden_dichroism([4.0, 5.0], [1.0, np.nan])


def test_mirror_images_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    atoms = molecule("CH3CHO")
    atoms.rattle(0.1, seed=2)
    mirrored = atoms.copy()
    mirrored.positions *= [1.0, 1.0, -1.0]
    model = esml.load_model()
    one, other = (model.predict(each, n_states=4).dichroism(0.4) for each in (atoms, mirrored))
    np.testing.assert_allclose(one.dichroism, -other.dichroism, atol=1e-3)
    axes = one.plot(axis="nm", limits=(120.0, 400.0))
    assert axes.get_xlim() == (120.0, 400.0)
    low, high = axes.get_ylim()
    assert low == -high
    assert high >= np.abs(one.dichroism).max()
    other.plot(axes, sticks=False)
    assert len(axes.get_lines()) == 3  # zero and two curves
    one.to_csv(tmp_path / "a.csv")
    table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["dichroism_L_mol1_cm1"], one.dichroism, rtol=1e-8)


def test_the_mean_of_conformers_is_the_weighted_sum_of_their_curves() -> None:
    geometries = [([4.0, 5.0], [-30.0, 10.0]), ([4.2, 5.1], [20.0, 5.0])]
    grid = np.linspace(3.0, 6.0, 101)
    mean = mean_dichroism(geometries, [0.7, 0.3], 0.2, "lorentzian", grid)
    one, other = (broaden_dichroism(*each, 0.2, "lorentzian", grid) for each in geometries)
    expected = 0.7 * one.dichroism + 0.3 * other.dichroism
    np.testing.assert_allclose(mean.dichroism, expected, atol=1e-12)


def test_the_mean_spectrum_of_the_command_is_that_of_the_conformers(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    smiles, table, picture = "C[C@H](O)C=O", tmp_path / "a.csv", tmp_path / "a.png"
    command = ["spectrum", smiles, "--geometry", "mmff", "--n-states", "2", "--cd"]
    files = ["--csv", str(table), "--plot", str(picture)]
    done = CliRunner().invoke(app, [*command, "--conformers", "2", *files])
    assert done.exit_code == 0, done.output
    assert STATEMENT in done.stdout
    found = np.genfromtxt(table, delimiter=",", names=True)
    both = conformers(smiles, 2, ReadingOptions(geometry="mmff"))
    assert len(both) == 2
    expected = np.zeros(len(found))
    for structure, weight in both:
        states = esml.load_model().predict(structure.atoms, n_states=2).singlets
        curve = broaden_dichroism(
            states.energies, states.rotatory_strengths, energies=found["energy_eV"]
        )
        expected += weight * curve.dichroism
    most = np.abs(expected).max()
    np.testing.assert_allclose(found["dichroism_L_mol1_cm1"], expected, atol=1e-5 * most)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_frames_that_are_mirror_images_have_no_mean(tmp_path: Path) -> None:
    atoms = molecule("CH3CHO")
    atoms.rattle(0.1, seed=2)
    mirrored = atoms.copy()
    mirrored.positions *= [1.0, 1.0, -1.0]
    largest = []
    for name, frames in (("one", [atoms, atoms]), ("both", [atoms, mirrored])):
        write(tmp_path / f"{name}.xyz", frames)
        command = ["spectrum", str(tmp_path / f"{name}.xyz"), "--n-states", "3", "--cd"]
        table = tmp_path / f"{name}.csv"
        done = CliRunner().invoke(app, [*command, "--average", "--csv", str(table)])
        assert done.exit_code == 0, done.output
        found = np.genfromtxt(table, delimiter=",", names=True)
        largest.append(np.abs(found["dichroism_L_mol1_cm1"]).max())
    curve = esml.load_model().predict(atoms, n_states=3).dichroism()
    assert largest[0] == pytest.approx(np.abs(curve.dichroism).max(), rel=1e-4)
    assert largest[1] < 1e-4 * largest[0]


def test_the_largest_band_is_one_that_can_be_measured() -> None:
    curve = broaden_dichroism([4.0, 8.0], [-10.0, 100.0], 0.2)
    place, height = curve.largest
    # Δε = E R g, whose maximum is slightly above the line's.
    assert place == pytest.approx(HC / 4.0, abs=0.6)
    assert height == pytest.approx(curve.dichroism.min(), rel=1e-6)
    assert np.isnan(broaden_dichroism([8.0], [100.0], 0.2).largest).all()


def test_how_often_signs_are_right_is_what_the_table_of_the_documentation_says() -> None:
    """Bands with a label of 2 or more in size that are like that of the model."""
    page = (Path(__file__).parents[2] / "docs" / "light.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| S\d \|" + 6 * r" *([-+.\d]+) \|", page, re.M)
    table = np.array(rows, dtype=float)
    (_, _, own, label, _, likeness) = table.T
    counted = (np.abs(label) >= 2.0) & (likeness >= 0.7)
    right = counted & (np.sign(own) == np.sign(label))
    assert f"of {counted.sum()} bands" in STATEMENT
    assert f" {right.sum()} have the label's sign" in STATEMENT


def test_signs_of_either_mirror_image_are_warned_of(tmp_path: Path) -> None:
    """Where the SMILES or the drawing does not choose, and where it matters."""
    pytest.importorskip("rdkit")
    from rdkit import Chem
    from rdkit.Chem.rdDepictor import Compute2DCoords

    drawing = Chem.MolFromSmiles("CC(O)C=O")
    Compute2DCoords(drawing)
    Chem.MolToMolFile(drawing, str(tmp_path / "a.mol"))
    for given, warned in (
        ("CC(O)C=O", True),
        (str(tmp_path / "a.mol"), True),
        ("c1ccccc1-c1ccccc1", True),  # twisted
        ("C[C@H](O)C=O", False),
        ("C=O", False),
    ):
        command = ["spectrum", given, "--geometry", "mmff", "--n-states", "2"]
        done = CliRunner().invoke(app, [*command, "--cd"])
        assert done.exit_code == 0, done.output
        assert ("which of two mirror images is meant" in done.stderr) == warned, given
        assert "mirror images" not in CliRunner().invoke(app, command).stderr


def test_the_command(tmp_path: Path) -> None:
    atoms = molecule("CH3CHO")
    atoms.rattle(0.1, seed=2)
    write(tmp_path / "a.xyz", atoms)
    command = ["spectrum", str(tmp_path / "a.xyz"), "--n-states", "3", "--cd"]
    files = ["--csv", str(tmp_path / "a.csv"), "--json", str(tmp_path / "a.json")]
    done = CliRunner().invoke(app, [*command, *files])
    assert done.exit_code == 0, done.output
    assert "cgs" in done.output
    assert STATEMENT in done.output
    assert "dichroism" in (tmp_path / "a.csv").read_text().splitlines()[0]
    stored = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert stored["schema_version"] == 7
    strengths = stored["prediction"]["singlets"]["rotatory_strengths"]
    found = stored["circular_dichroism"]
    assert found["rotatory_strengths"] == strengths
    assert found["states"] == ["S1", "S2", "S3"]
    curve = broaden_dichroism(
        stored["prediction"]["singlets"]["energies"], strengths, energies=found["energies_eV"]
    )
    most = np.abs(curve.dichroism).max()
    np.testing.assert_allclose(found["dichroism_L_mol-1_cm-1"], curve.dichroism, atol=1e-6 * most)
    refused = CliRunner().invoke(app, [*command, "--vibronic"])
    assert refused.exit_code == 2
    assert "--vibronic is about absorption" in refused.output
    plain = CliRunner().invoke(app, command[:-1])
    assert "cgs" not in plain.output
