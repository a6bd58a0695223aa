"""``esml spectrum --two-photon``: a table of strengths and cross-sections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.predict.two_photon import two_photon


def test_the_command(tmp_path: Path) -> None:
    atoms = molecule("CH3CHO")
    write(tmp_path / "a.xyz", atoms)
    command = ["spectrum", str(tmp_path / "a.xyz"), "--n-states", "3"]
    done = CliRunner().invoke(app, [*command, "--two-photon"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("two-photon"))
    rows = [line.replace("│", " ").split() for line in lines[start + 2 : start + 5]]
    assert [row[0] for row in rows] == ["S1", "S2", "S3"]
    found = two_photon(esml.load_model(), atoms, 3)
    numbers = np.array([[float(cell) for cell in row[1:]] for row in rows])
    np.testing.assert_allclose(numbers[:, 0], found.energies, atol=0.006)
    np.testing.assert_allclose(numbers[:, 2], found.strengths, rtol=0.02)
    np.testing.assert_allclose(numbers[:, 4], found.cross_sections(), rtol=0.02)
    assert "half width 0.1 eV" in done.output
    refused = CliRunner().invoke(app, [*command, "--two-photon", "--average"])
    assert refused.exit_code == 2
    assert "--average is about many structures and --two-photon about one" in refused.output
    assert "GM" not in CliRunner().invoke(app, command).output
