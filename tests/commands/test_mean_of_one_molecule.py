"""Mean spectra: of one molecule alone, with the assumptions and warnings of a single structure."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from test_cli import refusal, run

TWO = ("--average", "--n-states", "1")


def aldehydes() -> tuple[Atoms, Atoms]:
    """Acetaldehyde and oxirane, with their elements in one order."""
    found = [molecule(name) for name in ("CH3CHO", "CH2OCH2")]
    return found[0][np.argsort(found[0].numbers)], found[1][np.argsort(found[1].numbers)]


def test_isomers_are_told_apart_by_their_bonds(tmp_path: Path) -> None:
    first, second = aldehydes()
    ase.io.write(tmp_path / "a.xyz", [first, first, second])
    result = run("spectrum", tmp_path / "a.xyz", *TWO)
    assert result.exit_code == 0, result.output
    assert "warning: structure 2 of" in result.stderr
    assert "has other bonds than structure 0" in result.stderr


def test_a_vibration_changes_no_bond(tmp_path: Path) -> None:
    stretched = aldehydes()[0]
    stretched.positions *= 1.08
    ase.io.write(tmp_path / "a.xyz", [aldehydes()[0], stretched])
    assert "other bonds" not in run("spectrum", tmp_path / "a.xyz", *TWO).stderr


def test_another_order_or_charge_is_refused(tmp_path: Path) -> None:
    first = aldehydes()[0]
    ase.io.write(tmp_path / "order.xyz", [first, first[::-1]])
    assert "order" in refusal(run("spectrum", tmp_path / "order.xyz", *TWO))
    ion = first.copy()
    ion.info["charge"] = 2
    ase.io.write(tmp_path / "charge.xyz", [first, ion], format="extxyz")
    sentence = refusal(run("spectrum", tmp_path / "charge.xyz", *TWO))
    assert "have the charges 0 and 2" in sentence


def test_the_assumptions_are_told(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.xyz", [molecule("H2CO")] * 2)
    told = run("spectrum", tmp_path / "a.xyz", *TWO, "--solvent", "water").stdout
    assert "charge: 0 (not stated: 0 assumed)" in told
    assert "geometry: as in the input" in told
    assert "solvent: water" in told


def test_conformers_have_their_warnings() -> None:
    pytest.importorskip("tblite")
    result = run("spectrum", "CCO", "--conformers", "2", "--n-states", "2")
    assert result.exit_code == 0, result.output
    assert "the molecule has no valence state" in result.stderr
