"""How the committed sets are made and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

pytest.importorskip("matplotlib")
pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from reference_cases import QUICK, converged, structure

from esml.io.records import read, write_shard
from esml.units import HARTREE
from scripts.data import (
    distorted_set,
    entries,
    example_reference,
    reference_set,
    validate_reference_set,
)

DATA = Path(__file__).parents[2] / "data"
TINY = Path(__file__).parents[1] / "data" / "tiny.h5"


def test_parts_of_the_reference_set_do_not_overlap() -> None:
    samples = reference_set.SAMPLES
    assert samples["more"].skip == samples["first"].n_molecules
    assert samples["small-ones"].skip == samples["equilibria"].skip


def test_what_a_set_holds_is_not_computed_again() -> None:
    records = read(TINY)
    images = [
        Atoms(r.numbers, r.positions, info={"inchikey": r.inchikey, "geometry": r.geometry})
        for r in records
    ]
    assert reference_set.fresh(images, TINY) == []
    images[0].info["geometry"] = "twisted"
    assert reference_set.fresh(images, TINY) == images[:1]


def test_a_molecule_in_another_split_is_found(tmp_path: Path) -> None:
    record = next(r for r in read(DATA / "small", split="train"))
    write_shard(tmp_path / "right.h5", [record])
    assert validate_reference_set.misplaced([tmp_path]) == []
    write_shard(tmp_path / "right.h5", [replace(record, split="validation")])
    (found,) = validate_reference_set.misplaced([tmp_path])
    assert found == f"{record.smiles} is in the split 'validation': expected 'train'"


def test_distorted_structures_follow_from_the_seed() -> None:
    records = read(DATA / "small", split="test")
    one, other = (list(distorted_set.distort(given)) for given in (records, records[::-1]))
    assert len(one) > 20
    for atoms, twin in zip(one, other, strict=True):
        assert atoms.info == twin.info
        np.testing.assert_array_equal(atoms.positions, twin.positions)
    assert {atoms.info["geometry"] for atoms in one} == {"stretched", "twisted"}


def test_an_entry_knows_what_its_record_lacks() -> None:
    record = read(TINY)[0]
    entry = entries.Entry.of("tiny", record)
    last = float(record.singlet_energies[-1])
    assert entry.reaches(last)
    full = replace(entry, level=f'{{"n_singlets": {len(record.singlet_energies)}}}')
    assert full.reaches(last)
    assert not full.reaches(last + 0.1)
    assert entry.is_larger == (entry.n_heavy > entries.LARGEST_SAMPLED)
    twice = entries.collect([TINY, TINY])
    assert len(twice) == len({r.key for r in read(TINY)})


def test_an_example_reference_holds_the_calculation() -> None:
    level = replace(QUICK, n_singlets=3, n_triplets=3)
    found = example_reference.calculated(structure("H2CO"), level)
    ground = converged("H2CO", QUICK)
    occupied = int((ground.mo_occ > 0).sum())
    homo, lumo = ground.mo_energy[occupied - 1 : occupied + 1] * HARTREE
    assert found["orbitals"]["homo"] == pytest.approx(homo, abs=1e-3)
    assert found["orbitals"]["lumo_large_basis"] == pytest.approx(lumo, abs=1e-3)
    assert len(found["singlets"]["energies"]) == 3
    assert found["triplets"]["energies"][0] < found["singlets"]["energies"][0]
    assert all(0 <= w <= 1 for w in found["singlets"]["valence_weights"])
