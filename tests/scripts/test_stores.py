"""Files that keep results between runs, and the geometries of dyes in the repository."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.data import covalent_radii

pytest.importorskip("rdkit")

from scripts.accuracy import dye_coverage
from scripts.stores import add_line, lines_of, rows_of


def test_entries_are_added_and_read(tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    assert list(lines_of(store)) == []
    for entry in ({"dye": "Å"}, {"dye": 2}):
        add_line(store, entry)
    assert [each["dye"] for each in lines_of(store)] == ["Å", 2]
    store.write_text(store.read_text(encoding="utf-8")[:-5], encoding="utf-8")
    assert [each["dye"] for each in lines_of(store)] == ["Å"]
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"dye": 1}\n{"dye": 2}\n'))
    assert [each["dye"] for each in lines_of(packed)] == [1, 2]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_rows_of_plain_and_gzipped_tables(tmp_path: Path, name: str) -> None:
    text = b'smiles,nm\n"C,C",300\n'
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    assert list(rows_of(path)) == [{"smiles": "C,C", "nm": "300"}]


def test_the_store_comes_before_the_repository(tmp_path: Path) -> None:
    store = tmp_path / "a.jsonl"
    packed = dye_coverage.kept(None, dye_coverage.SETTINGS)
    smiles = next(iter(packed))
    add_line(store, {"smiles": smiles, "error": "other"})
    found = dye_coverage.kept(store, dye_coverage.SETTINGS)
    assert found[smiles]["error"] == "other"
    assert len(found) == len(packed)
    # Geometries made in another way are others.
    assert list(dye_coverage.kept(store, replace(dye_coverage.SETTINGS, tried=1))) == [smiles]


def test_geometries_in_the_repository_are_of_their_smiles() -> None:
    from rdkit import Chem

    packed = dye_coverage.kept(None, dye_coverage.SETTINGS)
    made = [entry for entry in packed.values() if "error" not in entry]
    assert len(made) > 0.98 * len(packed)
    for entry in made[::20]:
        fragments = Chem.GetMolFrags(Chem.MolFromSmiles(entry["smiles"]), asMols=True)
        molecule = Chem.AddHs(max(fragments, key=lambda m: m.GetNumHeavyAtoms()))
        assert sorted(entry["numbers"]) == sorted(a.GetAtomicNum() for a in molecule.GetAtoms())
        assert entry["charge"] == Chem.GetFormalCharge(molecule)
        positions, radii = np.array(entry["positions"]), covalent_radii[entry["numbers"]]
        distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
        reduced = distances / (radii[:, None] + radii) + 9 * np.eye(len(radii))
        assert reduced.min(axis=1).min() > 0.6
        assert reduced.min(axis=1).max() < 1.3
