"""Point charges from files and objects, and the messages for what cannot be read as such."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from esml import PointCharges
from esml.io import as_point_charges
from esml.io.surroundings import PointChargesError, surroundings_of, within

TWO = PointCharges([-0.834, 0.417], [[3.0, 0.0, 0.5], [3.0, 0.0, -0.4572]])


@pytest.mark.parametrize("name", ["waters.pc", "q.dat", "charges", "charges.txt"])
def test_a_file_of_orca(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("2\n -0.834  3.0 0.0  0.5000\n  0.417  3.0 0.0 -0.4572\n\n")
    assert as_point_charges(path) == TWO
    assert as_point_charges(str(path)) == TWO


def test_atoms_with_charges_and_a_file_of_them(tmp_path: Path) -> None:
    atoms = molecule("OH")
    atoms.positions = TWO.positions
    atoms.set_initial_charges(TWO.charges)
    assert as_point_charges(atoms) == TWO
    for name in ("waters.extxyz", "waters.traj"):
        write(tmp_path / name, atoms)
        assert as_point_charges(tmp_path / name) == TWO


def test_a_group_of_atoms_of_another_program() -> None:
    group = SimpleNamespace(charges=TWO.charges, positions=TWO.positions.astype(np.float32))
    found = as_point_charges(group)
    assert found is not None
    np.testing.assert_allclose(found.positions, TWO.positions, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.pc", "3\n1.0 0 0 0\n", "number in the first line"),
        ("a.pc", "", "number in the first line"),
        ("a.pc", "1\n1.0 0 0 x\n", "number in the first line"),
        ("a.xyz", "1\n\nO 0 0 0\n", "carry no charges"),
        ("a.xyz", "x", "not a geometry that ASE reads"),
        ("a.xyz", "2\n\n8 0 0 0\n1 0 0 1\n", "not a geometry that ASE reads"),
        ("q.dat", "2\n1.0 0 0 0\n", "nor an ORCA file .*: expected .*their number in the"),
        ("q.dat", "\0", "q.dat"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PointChargesError, match=said) as told:
        as_point_charges(tmp_path / name)
    assert "NoneType" not in str(told.value)


def test_what_are_no_point_charges_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PointChargesError, match="check the name"):
        as_point_charges(tmp_path / "none.pc")
    with pytest.raises(PointChargesError, match="object of type int"):
        as_point_charges(3)


def test_atoms_carry_their_charges_but_name_no_files() -> None:
    water = molecule("H2O")
    placed = within(water, None, TWO)
    assert surroundings_of(placed).point_charges == TWO
    assert surroundings_of(placed).nearest == pytest.approx(
        np.linalg.norm(TWO.positions[:, None] - water.positions, axis=2).min()
    )
    assert "point_charges" not in water.info
    water.info["point_charges"] = "/etc/passwd"
    with pytest.raises(PointChargesError, match="read the file with"):
        surroundings_of(water)
