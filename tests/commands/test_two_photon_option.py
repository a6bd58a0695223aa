"""``esml spectrum --two-photon``: strengths on screen, in files and on a page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read, write
from typer.testing import CliRunner

import esml
from esml.analysis.two_photon import TwoPhotonAbsorption, resonant
from esml.commands.app import app
from esml.export import read_results
from esml.predict.two_photon import two_photon

COMMAND = ["--n-states", "3"]


def in_motion() -> Atoms:
    """Acetaldehyde with a faint S1, at half the energy of S2 and S3."""
    atoms: Atoms = molecule("CH3CHO")
    atoms.rattle(0.03, seed=0)
    atoms.positions = atoms.positions.round(6)  # as in a file
    return atoms


@pytest.fixture(scope="module")
def acetaldehyde(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("molecule") / "a.xyz"
    write(path, in_motion())
    return path


@pytest.fixture(scope="module")
def found() -> TwoPhotonAbsorption:
    return two_photon(esml.load_model(), in_motion(), 3)


def test_the_command(acetaldehyde: Path, found: TwoPhotonAbsorption) -> None:
    command = ["spectrum", str(acetaldehyde), *COMMAND]
    done = CliRunner().invoke(app, [*command, "--two-photon"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("two-photon"))
    rows = [line.replace("│", " ").split() for line in lines[start + 2 : start + 5]]
    assert [row[0] for row in rows] == ["S1", "S2", "S3"]
    numbers = np.array([[float(cell) for cell in row[1:6]] for row in rows])
    np.testing.assert_allclose(numbers[:, 0], found.energies, atol=0.006)
    np.testing.assert_allclose(numbers[:, 2], found.strengths, rtol=0.02)
    np.testing.assert_allclose(numbers[:, 4], found.cross_sections(), rtol=0.02)
    # Half the energies of S2 and S3 are where S1 is.
    one = esml.load_model().predict(in_motion(), 3).singlets
    near = resonant(one.energies, one.oscillator_strengths)
    assert near.any()
    assert not near.all()
    assert [row[6:] == ["resonant"] for row in rows] == near.tolist()
    assert "are resonant: half the energy is within 0.2 eV" in done.stderr
    assert "half width 0.1 eV; only their order of magnitude counts" in done.stdout
    refused = CliRunner().invoke(app, [*command, "--two-photon", "--average"])
    assert refused.exit_code == 2
    assert "--average is about many structures and --two-photon about one" in refused.output
    assert "GM" not in CliRunner().invoke(app, command).output


def test_one_call_writes_every_file(
    acetaldehyde: Path, found: TwoPhotonAbsorption, tmp_path: Path
) -> None:
    report, numbers = tmp_path / "a.html", tmp_path / "a.json"
    command = ["spectrum", str(acetaldehyde), *COMMAND, "--two-photon"]
    for name in ("b.h5", "b.csv", "b.json", "b.xyz"):
        files = ["-o", str(tmp_path / name), "--json", str(numbers), "--report", str(report)]
        done = CliRunner().invoke(app, [*command, *files])
        assert done.exit_code == 0, done.output
        assert f"prediction: {tmp_path / name}" in done.stderr
    (stored,) = read_results(tmp_path / "b.h5")
    np.testing.assert_allclose(stored.singlets.two_photon_strengths, found.strengths, rtol=1e-6)
    assert (stored.name, stored.source) == ("a", str(acetaldehyde))
    assert any("are resonant" in warning for warning in stored.warnings)
    (entry,) = json.loads((tmp_path / "b.json").read_text())["results"]
    spectrum = json.loads(numbers.read_text())["prediction"]
    for singlets in (entry["singlets"], spectrum["singlets"]):
        for name, values in (
            ("two_photon_strengths", found.strengths),
            ("two_photon_circular_strengths", found.circular_strengths),
            ("two_photon_cross_sections", found.cross_sections()),
        ):
            np.testing.assert_allclose(singlets[name], values, rtol=1e-5, atol=1e-8)
    head, line = (tmp_path / "b.csv").read_text().splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=False))
    assert float(cells["S2_two_photon_au"]) == pytest.approx(found.strengths[1], rel=1e-5)
    atoms = read(tmp_path / "b.xyz")
    assert isinstance(atoms, Atoms)
    np.testing.assert_allclose(atoms.info["S_two_photon_GM"], found.cross_sections(), rtol=1e-5)
    page = report.read_text(encoding="utf-8")
    (row,) = re.findall(r'<tr data-row="S1"[^>]*>(.*?)</tr>', page)
    assert f"<td>{found.strengths[0]:.3g}" in row
    assert "only their order of magnitude counts" in page


def test_a_prediction_is_written_without_two_photons(acetaldehyde: Path, tmp_path: Path) -> None:
    """``--output`` is that of ``esml predict``, to the last byte of a table."""
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    for command in (
        ["spectrum", str(acetaldehyde), *COMMAND, "-o", str(one)],
        ["predict", str(acetaldehyde), *COMMAND, "-o", str(many)],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    assert one.read_text() == many.read_text()
    unknown = ["spectrum", str(acetaldehyde), "-o", str(tmp_path / "a.doc")]
    refused = CliRunner().invoke(app, unknown)
    assert refused.exit_code == 2
    assert "ends in no known format" in refused.output
    refused = CliRunner().invoke(app, ["spectrum", str(acetaldehyde), "--average", "-o", str(one)])
    assert refused.exit_code == 2
    assert "--output is about one structure and --average about many" in refused.output
