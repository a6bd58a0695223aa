"""data/distorted: what its structures are, measured against the relaxed ones they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from rdkit import Chem

from esml.io.records import Record, read
from reference.geometries import bonds_of
from reference.molecules import held_out_core, molecule_from_smiles, parse

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Record, Record]]:
    """Every distorted record and the relaxed one of its molecule."""
    relaxed = {
        r.inchikey: r
        for r in read([DATA / "small", DATA / "pool"], split="test")
        if r.geometry == "relaxed"
    }
    return [(r, relaxed[r.inchikey]) for r in read(DATA / "distorted")]


def lengths(record: Record, bonds: list[tuple[int, int]]) -> np.ndarray:
    ends = record.positions[np.array(bonds)]
    values: np.ndarray = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    return values


def test_nothing_of_it_is_learned_from(pairs: list[tuple[Record, Record]]) -> None:
    for record, _ in pairs:
        assert record.split == "extrapolation"
        assert held_out_core(molecule_from_smiles(record.smiles)) is None


def test_stretched_is_eight_to_fifteen_percent(pairs: list[tuple[Record, Record]]) -> None:
    found = {"one bond": 0, "whole": 0}
    for record, before in pairs:
        if record.geometry != "stretched":
            continue
        bonds = bonds_of(Chem.AddHs(parse(record.smiles)))
        ratio = lengths(record, bonds) / lengths(before, bonds)
        longer = ratio > 1.001
        assert ratio[longer].min() > 1.079
        assert ratio[longer].max() < 1.151
        if longer.all():
            assert np.ptp(ratio) < 1e-4
        else:
            assert int(longer.sum()) == 1
            assert ratio[~longer] == pytest.approx(1.0, abs=1e-4)
            assert (record.numbers[list(bonds[int(longer.argmax())])] > 1).all()
        found["whole" if longer.all() else "one bond"] += 1
    assert min(found.values()) >= 10


def test_twisted_keeps_bonds_and_moves_atoms(pairs: list[tuple[Record, Record]]) -> None:
    twisted = [(r, before) for r, before in pairs if r.geometry == "twisted"]
    assert len(twisted) >= 15
    for record, before in twisted:
        bonds = bonds_of(Chem.AddHs(parse(record.smiles)))
        assert lengths(record, bonds) == pytest.approx(lengths(before, bonds), abs=1e-4)
        every = [(i, j) for i in range(len(record.numbers)) for j in range(i)]
        assert np.abs(lengths(record, every) - lengths(before, every)).max() > 0.2
