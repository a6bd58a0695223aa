"""The committed reference set: sound, split by molecule, and free of the benchmark's molecules."""

from __future__ import annotations

from pathlib import Path

import pytest

import esml
from esml.dataset import Record, read
from reference.molecules import benchmark_connectivities
from reference.validate import validate

DATA = Path(__file__).parent.parent / "data" / "small"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(DATA)


def test_every_record_holds_what_it_must() -> None:
    assert validate([DATA]).errors == []


def test_the_set_is_as_large_as_the_model_card_says(records: list[Record]) -> None:
    molecules = {r.inchikey for r in records}
    tested = {r.inchikey for r in records if r.split == "test"}
    assert len(records) == 624
    assert len(molecules) == 410
    assert len(tested) == 81


def test_no_benchmark_molecule_is_trained_on(records: list[Record]) -> None:
    learned = {r.inchikey[:14] for r in records if r.split in ("train", "validation")}
    assert learned
    assert learned.isdisjoint(benchmark_connectivities())


def test_the_shipped_model_was_trained_on_this_set(records: list[Record]) -> None:
    card = esml.load_model().metadata
    training = [r for r in records if r.split == "train"]
    assert card["n_structures"] == len(training)
    assert card["n_molecules"] == len({r.inchikey for r in training})
