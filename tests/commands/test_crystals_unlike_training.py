"""A crystal unlike the training crystals is told on screen, in the result and in its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from typer.testing import CliRunner, Result

import esml
from esml.commands.app import app
from reference.crystals.electrolytes import li3ps4


def cobalt() -> Atoms:
    return bulk("Co", "hcp", a=2.507, c=4.069)


def stretched_nickel() -> Atoms:
    return bulk("Ni", "fcc", a=1.1 * 3.52)


def stretched_electrolyte() -> Atoms:
    """Li3PS4, 8 % longer along each vector."""
    atoms = li3ps4(np.random.default_rng(0))
    atoms.set_cell(1.08 * atoms.cell, scale_atoms=True)
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


CASES = [
    pytest.param(cobalt, "solids", "hcp and other stackings were not trained on", id="hcp"),
    pytest.param(stretched_nickel, "solids", "the volume is 14.5 Å³ per atom", id="Ni"),
    pytest.param(stretched_electrolyte, "electrolytes", "the volume is 24.3 Å³", id="Li3PS4"),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize(("make", "model", "said"), CASES)
def test_it_is_told_everywhere(
    make: Callable[[], Atoms], model: Literal["solids", "electrolytes"], said: str, tmp_path: Path
) -> None:
    """Result, ``esml dos``, ``esml bands``, HDF5 of both, and the map."""
    atoms = make()
    atoms.set_initial_magnetic_moments(None)
    crystal = esml.load_model(model).predict(atoms, (2, 2, 2))
    assert not crystal.in_domain
    assert said in crystal.warnings[0]
    ase.io.write(tmp_path / "c.xyz", atoms, format="extxyz")
    mesh = ("--k-points", "2,2,2")
    for command, more in (("dos", ()), ("bands", ("--n-points", 2))):
        path = tmp_path / f"{command}.h5"
        result = run(command, tmp_path / "c.xyz", *mesh, *more, "--hdf5", path)
        assert result.exit_code == 0, result.output
        assert f"warning: {crystal.warnings[0]}" in " ".join(result.stderr.split())
        with h5py.File(path) as file:
            assert file.attrs["warnings"] == "; ".join(crystal.warnings)


def test_a_map_says_why_a_crystal_is_out_of_domain(tmp_path: Path) -> None:
    pytest.importorskip("chemiscope")
    atoms = [cobalt(), bulk("Co", "fcc", a=3.5)]
    for each in atoms:
        each.set_initial_magnetic_moments(None)
    ase.io.write(tmp_path / "set.xyz", atoms, format="extxyz")
    mesh = ("--k-points", "6,6,6")
    result = run("dos", tmp_path / "set.xyz", *mesh, "--map", tmp_path / "map.json")
    assert result.exit_code == 0, result.output
    properties = json.loads((tmp_path / "map.json").read_text())["properties"]
    assert properties["in domain"]["values"] == [0, 1]
    first, second = properties["warnings"]["values"]
    assert "hcp and other stackings" in first
    assert second == ""
