"""``--point-charges``: told, stored, and refused where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from test_cli import refusal, run

from esml import PointCharges
from esml.export import read_results
from esml.io.provenance import ReadingOptions


@pytest.fixture
def formaldehyde(tmp_path: Path) -> Path:
    path = tmp_path / "formaldehyde.xyz"
    write(path, molecule("H2CO"))
    return path


@pytest.fixture
def water(tmp_path: Path) -> Path:
    """A water whose hydrogen points to the oxygen, which is at z = 0.68 Å."""
    path = tmp_path / "water.pc"
    path.write_text("3\n-0.834 0 0 3.54\n0.417 0 0 2.58\n0.417 0.93 0 3.78\n")
    return path


def test_spectrum_tells_the_charges(formaldehyde: Path, water: Path) -> None:
    done = run("spectrum", formaldehyde, "--n-states", "1", "--point-charges", water)
    told = " ".join(done.stdout.split())
    assert "surroundings: 3 point charges, 0.00 e in total, the nearest 1.9" in told
    assert "not polarized by the molecule" in told


def test_predictions_are_among_the_charges_and_say_so(
    formaldehyde: Path, water: Path, tmp_path: Path
) -> None:
    energies = {}
    for name, options in (("among.h5", ["--point-charges", water]), ("vacuum.h5", [])):
        done = run("predict", formaldehyde, "-o", tmp_path / name, "--n-states", "1", *options)
        assert done.exit_code == 0
        result = read_results(tmp_path / name)[0]
        assert (len(result.point_charges) if result.point_charges else 0) == 3 * len(options) // 2
        energies[name] = result.singlets.energies[0]
    # A hydrogen bond holds the lone pair.
    assert energies["among.h5"] > energies["vacuum.h5"] + 0.05


def test_other_charges_are_another_run() -> None:
    one, other = (PointCharges([q], np.ones((1, 3))) for q in (0.1, 0.2))
    assert (
        ReadingOptions(point_charges=one).fingerprint()
        != ReadingOptions(point_charges=other).fingerprint()
    )


def test_charges_around_a_smiles_are_refused(water: Path) -> None:
    pytest.importorskip("rdkit")
    told = refusal(run("spectrum", "C=O", "--geometry", "mmff", "--point-charges", water))
    assert "give a geometry file" in told


def test_a_file_that_holds_none_is_refused(formaldehyde: Path) -> None:
    told = refusal(run("spectrum", formaldehyde, "--point-charges", formaldehyde))
    assert "carry no charges" in told
    assert "atoms.set_initial_charges" not in told
    told = refusal(run("spectrum", formaldehyde, "--point-charges", "none.pc"))
    assert "check the name" in told


def test_relaxation_would_leave_them_out_of_the_ground_state(
    formaldehyde: Path, water: Path, tmp_path: Path
) -> None:
    """It is refused: GFN2-xTB of tblite knows no point charges."""
    pytest.importorskip("tblite")
    told = refusal(run("relax", formaldehyde, "--point-charges", water))
    assert "CH2O is among point charges, which GFN2-xTB of tblite cannot include" in told
    assert "give it as ground= of esml.dynamics in Python, or leave the charges out" in told
    told = refusal(run("relax", formaldehyde, "--point-charges", water, "-o", water))
    assert "is also the file of --point-charges, which is read" in told
    told = refusal(run("relax", formaldehyde, "--point-charges", "none.pc"))
    assert "check the name" in told
