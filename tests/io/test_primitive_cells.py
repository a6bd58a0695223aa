"""Whether the cell of a crystal is primitive."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from esml.io.structure_checks.crystals import is_primitive

CASES: dict[str, tuple[Atoms, bool]] = {
    "an atom": (bulk("Cu", "fcc", a=3.63), True),
    "a cube of fcc": (bulk("Cu", "fcc", a=3.63, cubic=True), False),
    "a cube of bcc": (bulk("Fe", "bcc", a=2.83, cubic=True), False),
    "hcp": (bulk("Co", "hcp", a=2.5, c=4.07), True),
    "a supercell of a salt": (bulk("LiCl", "rocksalt", a=5.13).repeat((3, 1, 2)), False),
    "an ordered alloy": (Atoms("FeCo", [[0, 0, 0], [1.42] * 3], cell=[2.84] * 3, pbc=True), True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_cell_that_repeats_itself_is_not_primitive(case: str) -> None:
    """Wherever the origin is; an atom moved by 0.05 Å makes any cell primitive."""
    atoms, primitive = CASES[case]
    moved = atoms.copy()
    moved.translate([0.3, 1.7, -2.9])
    assert is_primitive(atoms) == is_primitive(moved) == primitive
    moved.positions[0] += np.array([0.05, 0.0, 0.0])
    assert is_primitive(moved)
