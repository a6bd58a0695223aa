"""Shards: what goes in comes out, and nothing half written or foreign passes for one.

Over 400 lines: every way to damage the same shard, and every older schema.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esml.io.records import (
    SCHEMA_VERSION,
    DamagedError,
    DatasetError,
    Record,
    iterate,
    pack,
    read,
    read_shard,
    sealed,
    shard_paths,
    unpack,
    write_shard,
)


def made_up(
    seed: int = 0, n_singlets: int = 4, n_triplets: int = 3, split: str = "train", n_atoms: int = 3
) -> Record:
    """A record of random numbers, of the shapes a real one has."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice([1, 6, 7, 8, 16], n_atoms)
    n = int(np.where(numbers == 1, 1, 4).sum())
    o = n // 2
    v, packed = n - o, n * (n + 1) // 2
    shapes: dict[str, tuple[int, ...]] = {
        "positions": (n_atoms, 3),
        "total_energy": (),
        "energies": (n,),
        "coefficients": (n, n),
        "dipole_operator": (3, packed),
        "scf_energies": (n,),
        "scf_coefficients": (n, n),
        "scf_dipole_operator": (3, packed),
        "reference_energies": (o + 7,),
        "charges": (n_atoms,),
        "dipole": (3,),
        "singlet_energies": (n_singlets,),
        "singlet_strengths": (n_singlets,),
        "singlet_dipoles": (n_singlets, 3),
        "singlet_valence_weights": (n_singlets,),
        "singlet_x": (n_singlets, o, v),
        "singlet_y": (n_singlets, o, v),
        "triplet_energies": (n_triplets,),
        "triplet_valence_weights": (n_triplets,),
        "triplet_x": (n_triplets, o, v),
    }
    dtypes = {s.name: s.metadata["dtype"] for s in fields(Record) if "dtype" in s.metadata}
    return Record(
        **{name: rng.normal(size=shape).astype(dtypes[name]) for name, shape in shapes.items()},
        numbers=numbers.astype("i2"),
        charge=np.asarray(-1, dtype="i2"),
        n_occupied=np.asarray(o, dtype="i4"),
        key=f"key-{seed}",
        name=f"molécule {seed} → π*",
        smiles="C=C",
        inchikey="VGGSQFUCUMXWEO-UHFFFAOYSA-N",
        split=split,
        geometry="thermal",
        level='{"basis": "def2-svp"}',
        provenance="",
    )


def assert_identical(one: Record, other: Record) -> None:
    """``other``, read back, is ``one`` up to half a step where the field has one."""
    for spec in fields(Record):
        a, b = getattr(one, spec.name), getattr(other, spec.name)
        if spec.metadata["kind"] == "text":
            assert isinstance(b, str)
            assert a == b
        else:
            assert b.dtype == np.dtype(spec.metadata["dtype"]), spec.name
            assert b.ndim == spec.metadata["ndim"]
            assert b.shape == np.shape(a), spec.name
            if spec.metadata["step"] is None:
                np.testing.assert_array_equal(a, b, err_msg=spec.name)
            else:
                off = np.abs(np.asarray(a, dtype=float) - b).max(initial=0.0)
                # The last digit of a single-precision number of this size comes on top.
                assert off <= 0.5 * spec.metadata["step"] + 5e-7, spec.name


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """A shard opened for changes, with a checksum of what it becomes."""
    seal = len(sealed(b""))
    path.write_bytes(path.read_bytes()[:-seal])
    with h5py.File(path, "a") as file:
        yield file
    path.write_bytes(sealed(path.read_bytes()))


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "shard.h5"
    write_shard(path, [made_up(seed) for seed in range(3)])
    return path


# --- round trips ----------------------------------------------------------------------------------


def test_every_field_survives(tmp_path: Path) -> None:
    records = [
        made_up(0),
        made_up(1, n_singlets=0, n_triplets=5, n_atoms=1),
        made_up(2, n_singlets=2, n_triplets=0, n_atoms=7),
        replace(made_up(3), smiles="", name="", split=""),
    ]
    write_shard(tmp_path / "a.h5", records)
    found = read_shard(tmp_path / "a.h5")
    assert len(found) == 4
    for one, other in zip(records, found, strict=True):
        assert_identical(one, other)


def test_a_shard_of_no_records_and_records_of_no_states(tmp_path: Path) -> None:
    write_shard(tmp_path / "empty.h5", [])
    assert read_shard(tmp_path / "empty.h5") == []
    record = made_up(0, n_singlets=0, n_triplets=0)
    write_shard(tmp_path / "stateless.h5", [record, record])
    assert_identical(read_shard(tmp_path / "stateless.h5")[1], record)


def test_values_are_stored_in_the_declared_precision(tmp_path: Path) -> None:
    record = made_up(0)
    energies = record.energies.astype("f8") + 1e-12
    wide = replace(record, energies=energies, charge=-1)  # type: ignore[arg-type]
    write_shard(tmp_path / "a.h5", [wide])
    assert_identical(record, read_shard(tmp_path / "a.h5")[0])


def test_what_was_read_is_written_again_unchanged(shard: Path, tmp_path: Path) -> None:
    once = read_shard(shard)
    write_shard(tmp_path / "again.h5", once)
    for one, other in zip(once, read_shard(tmp_path / "again.h5"), strict=True):
        for spec in fields(Record):
            np.testing.assert_array_equal(getattr(one, spec.name), getattr(other, spec.name))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_a_value_no_step_can_hold_is_refused(tmp_path: Path, value: float) -> None:
    record = made_up(0)
    record.singlet_x[0, 0, 0] = value
    with pytest.raises(DatasetError, match=r"singlet_x holds .* expected finite values below"):
        write_shard(tmp_path / "a.h5", [record])
    assert list(tmp_path.iterdir()) == []


def test_the_first_schema_is_still_read() -> None:
    path = Path(__file__).parents[2] / "data" / "tiny.h5"
    with h5py.File(path) as file:
        assert file.attrs["schema_version"] == 1
        stored = file["coefficients/values"][:]
    records = read_shard(path)
    np.testing.assert_array_equal(np.concatenate([r.coefficients.ravel() for r in records]), stored)


def test_the_second_schema_is_still_read() -> None:
    """``schema-2.h5`` is the first record of ``tiny.h5``, written when there were no checksums."""
    folder = Path(__file__).parents[2] / "data"
    with h5py.File(folder / "schema-2.h5") as file:
        assert file.attrs["schema_version"] == 2
    (record,) = read_shard(folder / "schema-2.h5")
    assert_identical(read_shard(folder / "tiny.h5")[0], record)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 7), lead=st.integers(1, 3), seed=st.integers(0, 99))
def test_packing_is_undone_by_unpacking(n: int, lead: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    symmetric = rng.normal(size=(lead, n, n)).astype("f4")
    symmetric = symmetric + symmetric.swapaxes(1, 2)
    packed = pack(symmetric)
    assert packed.shape == (lead, n * (n + 1) // 2)
    np.testing.assert_array_equal(unpack(packed), symmetric)
    np.testing.assert_array_equal(pack(unpack(packed)), packed)
    assert unpack(packed).dtype == symmetric.dtype


def test_packing_takes_the_lower_triangle_row_by_row() -> None:
    np.testing.assert_array_equal(pack(np.arange(9.0).reshape(3, 3)), [0, 3, 4, 6, 7, 8])


def test_hamiltonians_are_those_of_orbitals_and_energies() -> None:
    rng = np.random.default_rng(1)
    c, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    e = np.sort(rng.normal(size=5))
    record = replace(made_up(), coefficients=c, energies=e, scf_coefficients=c, scf_energies=2 * e)
    np.testing.assert_allclose(record.hamiltonian @ c, c * e, atol=1e-12)
    np.testing.assert_allclose(record.scf_hamiltonian, 2 * record.hamiltonian, atol=1e-12)


# --- several shards -------------------------------------------------------------------------------


def test_directories_are_read_whole_each_key_once(tmp_path: Path) -> None:
    write_shard(tmp_path / "b.h5", [made_up(0), made_up(1, split="test")])
    (tmp_path / "parts").mkdir()
    write_shard(tmp_path / "parts" / "c.h5", [made_up(1, split="test"), made_up(2)])
    (tmp_path / ".d.h5.17.tmp").write_bytes(b"half")
    (tmp_path / ".e.h5").write_bytes(b"half")
    assert [path.name for path in shard_paths(tmp_path)] == ["b.h5", "c.h5"]
    assert [record.key for record in read(tmp_path)] == ["key-0", "key-1", "key-2"]
    assert [record.key for record in read([tmp_path / "b.h5", tmp_path])] == [
        "key-0",
        "key-1",
        "key-2",
    ]
    doubled = [record.key for record in read(tmp_path, unique=False)]
    assert doubled == ["key-0", "key-1", "key-1", "key-2"]
    assert [record.key for record in iterate(str(tmp_path), split="test")] == ["key-1"]
    assert [record.key for record in read(tmp_path, "test", unique=False)] == ["key-1", "key-1"]
    assert read(tmp_path, split="validation") == []


def test_the_split_asked_for_is_found_behind_a_duplicate_of_another(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", [made_up(0, split="train")])
    write_shard(tmp_path / "b.h5", [made_up(0, split="test")])
    assert [record.split for record in read(tmp_path)] == ["train"]
    assert [record.split for record in read(tmp_path, split="test")] == ["test"]


def test_a_directory_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{tmp_path} holds no dataset: expected \*\.h5"):
        read(tmp_path)


def test_the_documentation_lists_the_schema() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference-data.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text, flags=re.MULTILINE)
    schema = [(s.name, s.metadata.get("dtype", "text"), s.metadata["doc"]) for s in fields(Record)]
    assert rows == schema
    assert f"The schema, version {SCHEMA_VERSION}\n" in text


# --- files that are none --------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.h5 does not exist or is not a file"):
        read_shard(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_damaged(shard: Path, share: float) -> None:
    os.truncate(shard, int(shard.stat().st_size * share))
    with pytest.raises(DamagedError, match=r"shard\.h5 "):
        read_shard(shard)


def test_bytes_changed_anywhere_are_found_and_the_file_named(shard: Path) -> None:
    whole = shard.read_bytes()
    width = 199
    for start in range(0, len(whole), width):
        flipped = bytes(byte ^ 0xFF for byte in whole[start : start + width])
        shard.write_bytes(whole[:start] + flipped + whole[start + width :])
        with pytest.raises(DamagedError, match=r"shard\.h5 (is damaged|ends without its checksum)"):
            read_shard(shard)
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole), 50), *range(len(whole) - 90, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 1 << rng.integers(8)
        shard.write_bytes(bytes(data))
        with pytest.raises(DamagedError, match=r"shard\.h5"):
            read_shard(shard)
    shard.write_bytes(whole)
    assert len(read_shard(shard)) == 3


def test_harm_the_checksum_was_made_of_gives_records_or_one_error(shard: Path) -> None:
    """Whoever makes a file by hand can make its checksum, too: no other exception comes of it."""
    image = shard.read_bytes()[: -len(sealed(b""))]
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(0, len(image), 60):
        data = bytearray(image)
        data[position : position + 4] = b"\xff\x00\xff\x7f"
        shard.write_bytes(sealed(bytes(data)))
        try:
            read_shard(shard)
        except DatasetError:
            refused += 1
    assert refused > 0


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["energies"] = np.zeros(3)
    with pytest.raises(DatasetError, match=r"foreign\.h5 is not an esml dataset") as caught:
        read_shard(path)
    assert not isinstance(caught.value, DamagedError)
    path.write_text("no HDF5 at all")
    with pytest.raises(DatasetError, match="could not be read as an esml dataset"):
        read_shard(path)


def test_newer_and_impossible_schema_versions_are_refused(shard: Path) -> None:
    with edited(shard) as file:
        assert file.attrs["schema_version"] == SCHEMA_VERSION
        file.attrs["schema_version"] = SCHEMA_VERSION + 1
    with pytest.raises(
        DatasetError, match=rf"has schema version {SCHEMA_VERSION + 1}.*update"
    ) as c:
        read_shard(shard)
    assert not isinstance(c.value, DamagedError), "what a newer esml wrote is not damaged"
    with edited(shard) as file:
        file.attrs["schema_version"] = 0
    with pytest.raises(DatasetError, match="has schema version 0: expected 1"):
        read_shard(shard)
    with edited(shard) as file:
        del file.attrs["schema_version"]
    with pytest.raises(DamagedError, match="schema_version"):
        read_shard(shard)


@pytest.mark.parametrize(
    "harm",
    [
        lambda f: f.__delitem__("energies"),
        lambda f: f["energies"].__delitem__("values"),
        lambda f: (f.__delitem__("energies"), f.__setitem__("energies", np.zeros(3))),
        lambda f: (f.__delitem__("name"), f.create_group("name")),
        lambda f: f["energies/shapes"].__setitem__((0, 0), 1),
        lambda f: f["energies/shapes"].__setitem__((0, 0), -1),
        lambda f: f.attrs.__setitem__("n_records", 2),
        lambda f: f.attrs.__delitem__("n_records"),
        lambda f: f.attrs.__setitem__("n_records", "three"),
    ],
)
def test_a_file_at_odds_with_itself_is_damaged(shard: Path, harm: Any) -> None:
    with edited(shard) as file:
        harm(file)
    with pytest.raises(DamagedError, match=r"shard\.h5"):
        read_shard(shard)


def declares_much(file: h5py.File) -> None:
    """10¹² numbers in no space at all."""
    del file["energies/values"]
    file["energies"].create_dataset("values", shape=(10**12,), dtype="f4", chunks=(1000,))


def declares_large_pieces(file: h5py.File) -> None:
    values = file["energies/values"][:]
    del file["energies/values"]
    large = {"shape": values.shape, "maxshape": (None,), "chunks": (2**29,)}
    file["energies"].create_dataset("values", dtype="f4", compression="gzip", **large)


def lies_elsewhere(file: h5py.File) -> None:
    n = len(file["energies/values"])
    del file["energies/values"]
    file["energies"].create_dataset(
        "values", shape=(n,), dtype="f4", external=[("/dev/zero", 0, 4 * n)]
    )


def links_elsewhere(file: h5py.File) -> None:
    del file["energies"]
    file["energies"] = h5py.ExternalLink("other.h5", "/energies")


def is_pieced_together(file: h5py.File) -> None:
    n = len(file["energies/values"])
    del file["energies/values"]
    layout = h5py.VirtualLayout(shape=(n,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(n,))
    file["energies"].create_virtual_dataset("values", layout)


def wraps_round(file: h5py.File) -> None:
    """Extents whose product is that of the values in whole numbers of 64 bits."""
    del file["singlet_x/shapes"]
    file["singlet_x/shapes"] = np.array([[2**31, 2**31, 4], [0, 0, 0], [0, 0, 0]], dtype="i8")
    del file["singlet_x/values"]
    file["singlet_x/values"] = np.zeros(0, dtype="i2")


def holds_texts(file: h5py.File) -> None:
    del file["energies/values"]
    file["energies"].create_dataset("values", data=["a", "b"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (declares_much, "energies/values declares more than a file of this size can hold"),
        (declares_large_pieces, "energies/values declares more than a file of this size can hold"),
        (lies_elsewhere, "energies/values lies in another file"),
        (is_pieced_together, "energies/values lies in another file"),
        (links_elsewhere, "energies is missing or a link to elsewhere"),
        (wraps_round, "singlet_x holds 0 values where its shapes tell 18446744073709551616"),
        (holds_texts, "energies has values of type object"),
        (lambda f: f.attrs.__setitem__("n_records", 10**12), r"numbers has shapes \(3, 1\)"),
    ],
)
def test_what_a_file_declares_is_checked_before_room_is_made(
    shard: Path, harm: Any, words: str
) -> None:
    with edited(shard) as file:
        harm(file)
    with pytest.raises(DamagedError, match=words) as caught:
        read_shard(shard)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 8, 2**63, 2**64 - 8])
def test_a_heap_in_which_hdf5_would_turn_in_circles_is_refused(shard: Path, size: int) -> None:
    image = bytearray(shard.read_bytes()[: -len(sealed(b""))])
    place = image.index(b"GCOL") + 16
    while index := int.from_bytes(image[place : place + 2], "little"):
        place += 16 + -(-int.from_bytes(image[place + 8 : place + 16], "little") // 8) * 8
    assert index == 0  # free space
    image[place + 8 : place + 16] = size.to_bytes(8, "little")
    shard.write_bytes(sealed(bytes(image)))
    with pytest.raises(DamagedError, match="a heap of texts is at odds with itself"):
        read_shard(shard)


# --- writing --------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DatasetError, match=r"shard\.h5 could not be written .*No space left"):
        write_shard(shard, [made_up(9)])
    assert [record.key for record in read_shard(shard)] == ["key-0", "key-1", "key-2"]
    assert os.listdir(shard.parent) == ["shard.h5"]


@pytest.mark.parametrize(
    ("place", "name"), [(h5py.Group, "create_dataset"), (os, "fsync"), (os, "replace")]
)
def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    """Ctrl-C while the file is made in memory, while it is written, before it is renamed."""

    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.h5", [made_up(0)])
    assert not os.listdir(tmp_path)


def test_a_file_that_outgrows_the_disk_is_given_up(tmp_path: Path) -> None:
    """The operating system itself refuses in the middle of writing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    records = [made_up(seed, n_atoms=12) for seed in range(40)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DatasetError, match=r"a\.h5 could not be written"):
            write_shard(tmp_path / "a.h5", records)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not os.listdir(tmp_path)
    write_shard(tmp_path / "a.h5", records)
    assert (tmp_path / "a.h5").stat().st_size > 100_000


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere/a\.h5 could not be written"):
        write_shard(tmp_path / "nowhere" / "a.h5", [])


def test_a_field_of_a_wrong_shape_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    record = replace(made_up(0), energies=np.zeros((2, 2)))
    with pytest.raises(DatasetError, match=r"field energies has shape \(2, 2\): expected 1 dim"):
        write_shard(tmp_path / "a.h5", [record])
    assert not os.listdir(tmp_path)
