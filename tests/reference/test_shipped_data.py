"""The committed reference set: sound, split by molecule, and free of the benchmark's molecules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import pytest
from shipped_training import SETS

import esml
from esml.io.records import Record, read, shard_paths
from reference.crystals.validate import validate as validate_crystals
from reference.molecules import assign_split, benchmark_connectivities, molecule_from_smiles
from reference.validate import validate
from scripts.data.validate_reference_set import CRYSTALS

ALL = Path(__file__).parents[2] / "data"
EVERY = sorted({shard.parent for shard in ALL.glob("*/*.h5")})
DIRECTORIES = [path for path in EVERY if path.name not in CRYSTALS]
NAMES = ("key", "inchikey", "smiles", "split")
SAMPLE = 150
"""Records of each directory that are checked here; ``scripts.data.validate_reference_set``
checks all."""


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(SETS)


@pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.name)
def test_records_hold_what_they_must(directory: Path) -> None:
    report = validate([directory], limit=SAMPLE)
    assert report.n_records > 0
    assert report.errors == []


@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals_hold_what_they_must(name: str) -> None:
    report = validate_crystals([ALL / name])
    assert report.n_records > 0
    assert report.errors == []


@pytest.fixture(scope="module")
def names() -> list[dict[str, str]]:
    """The text that identifies each record of every directory, duplicates and all."""
    found = []
    for path in (shard for directory in DIRECTORIES for shard in shard_paths(directory)):
        with h5py.File(path) as file:
            columns = [file[name].asstr()[:] for name in NAMES]
        found += [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
    return found


def test_no_record_is_there_twice(names: list[dict[str, str]]) -> None:
    counts = Counter(n["key"] for n in names)
    assert [key for key, count in counts.items() if count > 1] == []


def test_splits_are_those_the_hash_gives(names: list[dict[str, str]]) -> None:
    """Fixed for good: by connectivity alone, the same in every directory."""
    split_of = {(n["smiles"], n["inchikey"]): n["split"] for n in names}
    for (smiles, inchikey), split in split_of.items():
        molecule = molecule_from_smiles(smiles)
        assert molecule.connectivity == inchikey[:14]
        # Those for extrapolation have a name of their own for their share of the test split.
        assert assign_split(molecule) == ("test" if split == "extrapolation" else split), smiles


def test_nothing_of_the_benchmark_is_learned_from(names: list[dict[str, str]]) -> None:
    learned = {n["inchikey"][:14] for n in names if n["split"] in ("train", "validation")}
    judged = {n["inchikey"][:14] for n in names} - learned
    assert len(learned) > 400
    assert learned.isdisjoint(benchmark_connectivities())
    assert judged


def test_the_shipped_model_was_trained_on_this_set(records: list[Record]) -> None:
    """And the model card, which names its size, says so."""
    metadata = esml.load_model().metadata
    training = [r for r in records if r.split == "train"]
    n, m = len(training), len({r.inchikey for r in training})
    assert metadata["n_structures"] == n
    assert metadata["n_molecules"] == m
    card = " ".join((ALL.parent / "docs" / "model.md").read_text(encoding="utf-8").split())
    assert f"{n:,} structures of {m:,} small molecules" in card
