"""Fragments of molecules have the names that chemists give them, and these are shown to people."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import molecule
from surrogate_cases import read_one

import esml
from esml.analysis.group_names import KINDS, group_names, table
from esml.results import Result

EXAMPLES = Path(__file__).parents[2] / "examples"


def names(result: Result) -> list[str]:
    return group_names(result.bonding.fragments, result.graph)


def predicted(name: str) -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / f"{name}.xyz"), n_states=2)


def test_groups_and_rings_have_names() -> None:
    pytest.importorskip("rdkit")
    assert set(names(predicted("p-nitroaniline"))) == {"amino", "1,4-phenylene", "nitro"}
    assert sorted(names(predicted("azobenzene"))) == ["azo", "phenyl (C1)", "phenyl (C9)"]
    thiophene = esml.load_model().predict(molecule("C4H4S"), n_states=1)
    assert names(thiophene) == ["thiophene"]


def test_the_table_names_every_group_once() -> None:
    """A SMILES that RDKit reads, as no other line has it: with open ends if and only if a group."""
    chem = pytest.importorskip("rdkit.Chem")
    seen = set()
    for row in table():
        assert list(row) == ["kind", "name", "smiles"], row
        assert all(row.values()), row
        assert row["kind"] in KINDS, row
        assert ("*" in row["smiles"]) == (row["kind"] == "group"), row
        mol = chem.MolFromSmiles(row["smiles"])
        assert mol is not None, row
        written = chem.MolToSmiles(mol)
        assert written not in seen, row
        seen.add(written)
    assert len(seen) > 100


def test_what_has_no_name_keeps_its_formula() -> None:
    fragments = predicted("p-nitroaniline").bonding.fragments
    assert group_names(fragments, None) == [part.name for part in fragments]
    pytest.importorskip("rdkit")
    water = esml.load_model().predict(molecule("H2O"), n_states=1)
    assert names(water) == [water.bonding.fragments[0].name]


def test_people_see_the_names_and_data_the_formulas() -> None:
    pytest.importorskip("rdkit")
    result = predicted("azobenzene")
    (singlets, _) = (result.descriptions()[each] for each in ("singlet", "triplet"))
    assert "azo" in singlets[0]
    assert "azo" in result._repr_html_()
    assert "N2" in result.characters()[0].description


def test_groups_of_one_name_stand_together_and_a_row_fits_80_columns() -> None:
    pytest.importorskip("rdkit")
    first = predicted("azobenzene").descriptions()["singlet"][0]
    assert first == "nπ*, over azo and phenyl (C1, C9), Bg"
