"""Reading structures: files, their counts and order, and SMILES."""

from __future__ import annotations

from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from esml.io.paths import count_structures, looks_like_file
from esml.io.structures import (
    InputError,
    Structure,
    from_smiles,
    read_entries,
    read_structure,
    read_structures,
)

IMAGES = [molecule(name) for name in ("H2O", "CH4", "C6H6")]


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz", ".traj", ".json"])
def test_all_structures_come_in_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"many@2{suffix}"  # ASE alone would read an index from this name
    write(tmp_path / f"many{suffix}", IMAGES)
    (tmp_path / f"many{suffix}").rename(path)
    found = list(read_structures(path))
    assert [s.index for s in found] == [0, 1, 2]
    for structure, atoms in zip(found, IMAGES, strict=True):
        assert structure.name == "many@2"
        assert structure.source == str(path)
        np.testing.assert_array_equal(structure.atoms.numbers, atoms.numbers)
        np.testing.assert_allclose(structure.atoms.positions, atoms.positions, atol=1e-6)


def test_a_name_in_the_file_is_kept(tmp_path: Path) -> None:
    water = molecule("H2O")
    water.info["name"] = "water"
    write(tmp_path / "a.xyz", water, format="extxyz")
    assert read_structure(tmp_path / "a.xyz").name == "water"


def test_a_path_may_be_text(tmp_path: Path) -> None:
    write(tmp_path / "many.traj", IMAGES)
    text = str(tmp_path / "many.traj")
    assert read_structure(text, 1).atoms.get_chemical_formula() == "CH4"
    assert len(list(read_structures(text))) == len(list(read_entries(text))) == 3
    assert count_structures(str(tmp_path / "nothing.xyz")) == 0
    with pytest.raises(InputError, match="no file"):
        read_structure("nothing.xyz")


def test_one_structure_by_index(tmp_path: Path) -> None:
    path = tmp_path / "many.traj"
    write(path, IMAGES)
    assert read_structure(path, 1).atoms.get_chemical_formula() == "CH4"
    assert read_structure(path, -3).atoms.get_chemical_formula() == "H2O"
    assert read_structure(path).index == 2
    for index in (3, -4):
        with pytest.raises(InputError, match="it holds 3"):
            read_structure(path, index)


def test_xyz_files_are_counted_ahead(tmp_path: Path) -> None:
    path = tmp_path / "many.xyz"
    write(path, IMAGES)
    assert count_structures(path) == 3
    path.write_text("no count\n")
    assert count_structures(path) == 0
    assert count_structures(tmp_path / "missing.xyz") == 0
    write(tmp_path / "many.traj", IMAGES)
    assert count_structures(tmp_path / "many.traj") == 1


@pytest.mark.parametrize("text", ["missing.xyz", "some/where/a.cif", "b.pdb"])
def test_names_of_files_look_like_files(text: str) -> None:
    assert looks_like_file(text)


@pytest.mark.parametrize(
    "text", ["c1ccccc1", "C[NH3+].[Cl-]", "C.Cl", "F/C=C/F", "C" * 5000, r"c1ccccc1/N=N\c1ccccc1"]
)
def test_smiles_do_not(text: str) -> None:
    assert not looks_like_file(text)


def test_a_smiles_becomes_a_sensible_geometry() -> None:
    pytest.importorskip("rdkit")
    ethene = from_smiles("C=C").atoms
    assert ethene.get_chemical_formula() == "C2H4"
    assert ethene.get_distance(0, 1) == pytest.approx(1.34, abs=0.03)
    # planar
    assert np.linalg.matrix_rank(ethene.positions - ethene.positions.mean(0), tol=0.05) == 2
    np.testing.assert_array_equal(from_smiles("C=C").atoms.positions, ethene.positions)
    assert from_smiles("C[NH3+]").atoms.info["charge"] == 1
    for text in ("no smiles", "C1CC("):
        with pytest.raises(InputError, match="neither an existing file nor a SMILES"):
            from_smiles(text)
    with pytest.raises(InputError, match="no structure is given"):
        from_smiles("")


# Databases and lists of SMILES


def test_a_database_gives_its_rows_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "set.db"
    with ase.db.connect(path) as database:
        database.write(molecule("H2O"), name="water")
        database.write(molecule("CH4"))
    first, second = read_structures(path)
    assert (first.name, second.name) == ("water", "set")
    assert (first.index, second.index) == (0, 1)
    np.testing.assert_allclose(second.atoms.positions, molecule("CH4").positions)
    assert count_structures(path) == 2
    path.write_bytes(b"no database")
    assert count_structures(path) == 0
    with pytest.raises(InputError, match="cannot read"):
        list(read_structures(path))


def test_a_list_of_smiles_goes_on_after_a_bad_line(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    path = tmp_path / "list.smi"
    path.write_text("C=O formal dehyde\n\nnonsense\n[NH4+]\n", encoding="utf-8")
    good, bad, charged = read_entries(path)
    assert isinstance(good, Structure)
    assert (good.name, good.index, good.atoms.get_chemical_formula()) == (
        "formal dehyde",
        0,
        "CH2O",
    )
    assert isinstance(bad, InputError)
    assert "nonsense" in str(bad)
    assert isinstance(charged, Structure)
    assert (charged.name, charged.index, charged.atoms.info["charge"]) == ("[NH4+]", 2, 1)
    assert count_structures(path) == 3
    with pytest.raises(InputError, match="nonsense"):
        list(read_structures(path))
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no structure"):
        list(read_entries(path))
