"""Sets of crystals: sampled, generated, kept through interruptions, checked for faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from crystal_cases import QUICK, aluminium, record
from typer.testing import CliRunner

from esml.io.records import CrystalRecord, DatasetError, Record, read, read_shard, write_shard
from esml.physics.crystals import Bands, atom_of_orbital, k_mesh, orbitals_of
from reference import generate as module
from reference.__main__ import app
from reference.crystals import record as crystal_record
from reference.crystals.alloys import (
    ELEMENTS,
    HELD_OUT_PAIR,
    HELD_OUT_SETS,
    TEST_EVERY,
    alloy,
    sample,
    sample_quinaries,
    sample_vacancies,
    split_of,
)
from reference.crystals.cell import CrystalLevel, k_divisions
from reference.crystals.record import content_key
from reference.crystals.validate import check_record, validate
from reference.generate import generate

CONSTANTS = (4.0, 4.05, 4.1)


def test_a_record_is_sound() -> None:
    assert check_record(record()) == []


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [record(), record(4.0)])
    back, _ = read_shard(tmp_path / "a.h5", CrystalRecord)
    for spec in fields(CrystalRecord):
        stored, made = getattr(back, spec.name), getattr(record(), spec.name)
        if spec.metadata["kind"] == "text":
            assert stored == made
        else:
            step = spec.metadata["step"] or 1e-5
            np.testing.assert_allclose(stored, made, atol=step, rtol=1e-6, err_msg=spec.name)
    assert check_record(back) == []


def test_crystals_are_not_taken_for_molecules(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [record()])
    with pytest.raises(DatasetError, match="expected the attribute format='esml-dataset'"):
        read_shard(tmp_path / "a.h5", Record)


def test_bands_do_not_depend_on_how_the_crystal_lies() -> None:
    """A turned and shifted crystal has another grid, and the same bands to what that leaves."""
    level = CrystalLevel(cutoff=30.0)
    turned = aluminium()
    turned.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    turned.translate((0.3, -0.8, 1.1))
    one, other = (module.compute(atoms, level) for atoms in (aluminium(), turned))
    assert isinstance(one, CrystalRecord)
    assert isinstance(other, CrystalRecord)
    assert one.key != other.key
    np.testing.assert_allclose(other.energies[:, :3], one.energies[:, :3], atol=2e-3)
    np.testing.assert_allclose(other.populations, one.populations, atol=1e-3)


def test_the_key_knows_the_mesh_and_the_cell() -> None:
    changed = [aluminium(), aluminium(4.06), aluminium(divisions=(2, 2, 1))]
    keys = {content_key(atoms, QUICK) for atoms in changed}
    keys.add(content_key(changed[0], replace(QUICK, cutoff=16.0)))
    assert len(keys) == 4


def _shifted(name: str, amount: float) -> Callable[[CrystalRecord], CrystalRecord]:
    return lambda good: replace(good, **{name: getattr(good, name) + amount})


def _other_block(good: CrystalRecord) -> CrystalRecord:
    blocks = good.blocks.copy()
    blocks[-1, 0, 0] += 0.05
    return replace(good, blocks=blocks)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_shifted("positions", 0.1), "a content key that is not that of its structure"),
        (_shifted("energies", 0.01), "bands off those of the large basis"),
        (_other_block, "bands off those of the large basis"),
        (_shifted("populations", 0.01), "populations off those of its bands"),
        (_shifted("n_electrons", 1), "not the 3 electrons of its atoms"),
        (lambda r: replace(r, energies=r.energies * np.nan), "a value that is not finite"),
        (lambda r: replace(r, populations=r.populations[:, :2]), "populations has shape"),
        (lambda r: replace(r, numbers=np.array([92])), "an element outside"),
        (lambda r: replace(r, level="{}x"), "a level of theory that is not one for crystals"),
        (lambda r: replace(r, k_points=r.k_points[::-1].copy()), "k points that are not those"),
    ],
)
def test_faults_are_found(spoil: Callable[[CrystalRecord], CrystalRecord], message: str) -> None:
    assert any(message in fault for fault in check_record(spoil(record())))


def test_leaks_and_doubles_are_found(tmp_path: Path) -> None:
    """A held-out set of elements in the training split, and one record twice."""
    quick = record()
    write_shard(tmp_path / "a.h5", [replace(quick, split="train")] * 2)
    report = validate([tmp_path])
    assert report.n_records == 2
    assert [e.split(": ")[1] for e in report.errors] == ["stored twice"]
    leaked = replace(quick, numbers=np.array([24, 27, 28]), split="train")
    write_shard(tmp_path / "a.h5", [leaked])
    assert any("though Co Cr Ni is for tests" in e for e in validate([tmp_path]).errors)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = [aluminium(constant) for constant in CONSTANTS]
    monkeypatch.setattr(crystal_record, "make_record", lambda atoms, level: record_of(atoms))

    def run(structures: Sequence[Atoms]) -> Any:
        return generate(structures, tmp_path, QUICK, workers=0, progress=False, parts_per_shard=2)

    assert run(crystals[:1]).computed == 1
    done = run(crystals)
    assert (done.computed, done.present) == (2, 1)
    found = read(tmp_path, unique=False, kind=CrystalRecord)
    assert sorted(r.key for r in found) == sorted(content_key(c, QUICK) for c in crystals)


def record_of(atoms: Atoms) -> CrystalRecord:
    return record(float(atoms.cell.lengths()[0] * 2**0.5))


def test_a_failure_is_noted_and_told(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "w.xyz", Atoms("W", cell=np.eye(3) * 3.0, pbc=True), format="extxyz")
    arguments = ["crystals", "generate", str(tmp_path / "w.xyz"), "-o", str(tmp_path / "set")]
    arguments += ["--workers", "0"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "W is not supported in crystals" in (tmp_path / "set/failures.jsonl").read_text()


def test_commands_on_a_set(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [record(), record(4.0)])
    said = CliRunner().invoke(app, ["crystals", "validate", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert "2 records: 0 errors" in said.output
    said = CliRunner().invoke(app, ["crystals", "info", str(tmp_path)])
    assert "crystals    2" in said.output
    write_shard(tmp_path / "a.h5", [_other_block(record())])
    assert CliRunner().invoke(app, ["crystals", "validate", str(tmp_path)]).exit_code == 1


def test_d_centres_are_those_of_the_stored_hamiltonian() -> None:
    """Of a made-up metal: levels of copper's shells and no hopping have their centres there."""
    levels = np.array([1.0] + [3.0] * 3 + [-2.0] * 5)
    made_up = replace(
        record(),
        numbers=np.array([29]),
        images=np.zeros((1, 3), dtype=int),
        blocks=np.diag(levels)[None],
    )
    bands = Bands.of(made_up.hamiltonian, k_mesh((2, 2, 2)), 11.0, 0.05)
    (centre,) = bands.band_centres(orbitals_of([29], "d"), cut=10.0) + bands.fermi
    assert float(centre) == pytest.approx(-2.0)
    assert len(atom_of_orbital([29])) == 9


def test_a_sample_begins_every_longer_one_and_keeps_tests_apart() -> None:
    long, short = sample(60), sample(20)
    for one, other in zip(short, long, strict=False):
        assert np.array_equal(one.positions, other.positions)
        assert one.get_chemical_symbols() == other.get_chemical_symbols()
    for number, atoms in enumerate(long):
        elements = set(atoms.get_chemical_symbols())
        special = elements in HELD_OUT_SETS or elements >= HELD_OUT_PAIR
        assert special == (atoms.info["split"] == "test")
        assert len(atoms) <= 4
        assert min(k_divisions(atoms)) >= 3
        if number >= len(ELEMENTS):
            assert special == (number % TEST_EVERY == TEST_EVERY - 1)
    assert {atoms.get_chemical_symbols()[0] for atoms in long[:6]} == set(ELEMENTS)
    assert set(Counter(atoms.info["lattice"] for atoms in long)) == {"fcc", "bcc"}


def test_quinaries_are_for_tests() -> None:
    whole, lacking = sample_quinaries(4), sample_vacancies(4)
    for atoms, less in zip(whole, lacking, strict=True):
        assert (len(atoms), len(set(atoms.symbols))) == (8, 5)
        assert {atoms.info["split"], less.info["split"]} == {"test"}
        np.testing.assert_array_equal(less.positions, atoms.positions[:-1])
        assert less.info["family"] == "vacancy"


@pytest.mark.parametrize(
    ("lattice", "within", "neighbours"), [("fcc", 1.2 * 2.489, 12), ("bcc", 1.38 * 2.420, 14)]
)
@pytest.mark.parametrize("n_atoms", [1, 2, 3, 4, 8])
def test_cells_are_of_their_lattice(
    lattice: str, within: float, neighbours: int, n_atoms: int
) -> None:
    """Every atom has its 12, or 8 and 6, neighbours, and volumes stay in their bounds."""
    for seed in range(4):
        atoms = alloy(["Ni"] * n_atoms, lattice, False, np.random.default_rng(seed))
        assert atoms.cell.volume > 0
        assert atoms.cell.volume / n_atoms == pytest.approx(3.52**3 / 4, rel=0.031)
        images = atoms.repeat((7, 7, 7))
        middle = len(images) // 2
        distances = np.delete(images.get_distances(middle, range(len(images))), middle)
        assert (distances < within).sum() == neighbours


def test_the_split_of_a_set_of_elements() -> None:
    assert split_of(["Cr", "Co", "Ni", "Ni"], 0.5) == ("test", "set of elements")
    assert split_of(["Mn", "Cu"], 0.5) == ("test", "pair of elements")
    assert split_of(["Fe", "Ni"], 0.01)[0] == "validation"
    assert split_of(["Fe", "Ni"], 0.5)[0] == "train"
