"""Molecules torn by the boundary of a periodic cell, read with ``ignore_cell``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from esml.io.provenance import ReadingOptions
from esml.io.structure_checks import check_structure
from esml.io.structure_checks.cells import join_torn
from esml.io.structures import read_structure

ALONE = ReadingOptions(ignore_cell=True)


def wrapped(atoms: Atoms, cell: object) -> Atoms:
    atoms.set_cell(cell)
    atoms.set_pbc(True)
    atoms.wrap()
    return atoms


@pytest.mark.parametrize("cell", [[12.0, 12.0, 12.0], [[12, 0, 0], [4, 11, 0], [-3, 2, 10]]])
@pytest.mark.parametrize("name", ["C6H6", "C5H5N", "H2CO"])
def test_a_torn_molecule_is_joined(tmp_path: Path, name: str, cell: object) -> None:
    whole = molecule(name)
    expected = whole.get_all_distances()
    torn = wrapped(whole.copy(), cell)
    assert not np.allclose(torn.get_all_distances(), expected)
    write(tmp_path / "a.xyz", torn, format="extxyz")
    found = read_structure(tmp_path / "a.xyz", options=ALONE)
    np.testing.assert_allclose(found.atoms.get_all_distances(), expected, atol=1e-5)
    assert any("moved by the cell" in note for note in found.provenance.notes)
    check_structure(found.atoms)


def test_a_whole_molecule_stays_where_it_is(tmp_path: Path) -> None:
    whole = molecule("C6H6")
    whole.center(vacuum=5.0)
    whole.set_pbc(True)
    write(tmp_path / "a.xyz", whole, format="extxyz")
    found = read_structure(tmp_path / "a.xyz", options=ALONE)
    np.testing.assert_allclose(found.atoms.positions, whole.positions, atol=1e-6)
    assert not any("moved" in note for note in found.provenance.notes)


def test_a_crystal_is_left_alone() -> None:
    diamond = bulk("C", "diamond", a=3.567, cubic=True)
    before = diamond.positions.copy()
    assert join_torn(diamond) == 0
    np.testing.assert_array_equal(diamond.positions, before)
