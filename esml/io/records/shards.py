"""Shards, the files of reference records: their HDF5 schema, writer and reader.

A *shard* is an HDF5 file with any number of records of one kind: molecules (``Record``) or crystals
(``esml.io.records.crystals``). Every field of that class is one group ``<field>`` with ``values``
(all records' entries, flattened and joined) and ``shapes`` (n_records, n_dimensions); text fields
are one dataset of UTF-8 strings. Shards are written whole to a temporary name and renamed, so a
reader never sees half of one. To join shards, join their records. Bulky fields are stored as
integer multiples of a stated ``step`` (a group attribute), which compresses to less than half of
float32. After the HDF5 file follows a line, ignored by HDF5 readers, with the SHA-256 of all before
it: a shard with any changed byte is refused. Sizes that a shard declares are checked against the
size of its file before memory is allocated. ``SCHEMA_VERSION`` is stored with the file and checked
on reading; version 1 had no steps, version 2 no checksum, and both are still read.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, overload

import h5py
import numpy as np

from esml.io.files import write_whole
from esml.io.hdf5_guards import Budget, bounded, check_heaps
from esml.io.records.fields import StoredRecord
from esml.io.records.molecules import Record
from esml.typing import Array

_SEAL = re.compile(rb"\nesml-dataset sha256 ([0-9a-f]{64})\n")
_SEAL_LENGTH = 86

Paths = str | Path | Iterable[str | Path]


class DatasetError(ValueError):
    """Raised if a dataset file cannot be read or written; the message is one sentence."""


class DamagedError(DatasetError):
    """Raised for a dataset file that is incomplete or inconsistent."""


R = TypeVar("R", bound=StoredRecord)


def write_shard(path: str | Path, records: Sequence[StoredRecord]) -> None:
    """Write records to one file, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    records
        Records of one kind.

    Raises
    ------
    DatasetError
        If the records cannot be written (a full disk, no permission, a field with a wrong shape);
        no temporary file is left.
    """
    path = Path(path)
    try:
        write_whole(path, sealed(_file_image(records)))
    except OSError as error:
        raise DatasetError(
            f"{path} could not be written ({error}): expected a writable place with room; free "
            "space or choose another output; records already written are untouched"
        ) from error


def sealed(image: bytes) -> bytes:
    """Return the HDF5 file ``image`` followed by its checksum."""
    return image + f"\nesml-dataset sha256 {hashlib.sha256(image).hexdigest()}\n".encode()


def _check_seal(path: Path) -> bool:
    """Whether ``path`` has a checksum; DamagedError if its content does not match.

    It is called before HDF5 opens the file, because the library cannot handle damaged ones.
    """
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        left = path.stat().st_size - _SEAL_LENGTH
        while left > 0 and (piece := file.read(min(left, 2**20))):
            digest.update(piece)
            left -= len(piece)
        found = _SEAL.fullmatch(file.read(_SEAL_LENGTH))
    if found and found[1].decode() != digest.hexdigest():
        raise DamagedError(
            f"{path} is damaged: expected the content its SHA-256 checksum "
            f"{found[1].decode()[:12]}… is of; restore it from a copy or generate it again"
        )
    return found is not None


def _file_image(records: Sequence[StoredRecord]) -> bytes:
    """The bytes of the HDF5 file, made in memory because HDF5 crashes if the disk is full."""
    kind = type(records[0]) if records else Record
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = kind.FORMAT
        file.attrs["schema_version"] = kind.VERSION
        file.attrs["n_records"] = len(records)
        for spec in fields(kind):  # type: ignore[arg-type]
            _write_field(file, spec.name, dict(spec.metadata), records)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def _write_field(
    file: h5py.File, name: str, meta: dict[str, Any], records: Sequence[StoredRecord]
) -> None:
    values = [getattr(record, name) for record in records]
    if meta["kind"] == "text":
        data = file.create_dataset(name, data=values, dtype=h5py.string_dtype())
        data.attrs["doc"] = meta["doc"]
        return
    group = file.create_group(name)
    group.attrs["doc"] = meta["doc"]
    arrays = [np.asarray(value, dtype=meta["dtype"]) for value in values]
    for array in arrays:
        if array.ndim != meta["ndim"]:
            raise DatasetError(
                f"field {name} has shape {array.shape}: expected {meta['ndim']} dimensions, "
                f"{meta['doc']}; fix the record"
            )
    shapes = np.array([a.shape for a in arrays], dtype=np.int32).reshape(len(arrays), meta["ndim"])
    group.create_dataset("shapes", data=shapes)
    flat = np.concatenate([a.ravel() for a in arrays]) if arrays else np.zeros(0, meta["dtype"])
    options = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if len(flat) else {}
    if meta["step"] is not None:
        flat = _multiples(name, flat, meta["step"])
        group.attrs["step"] = meta["step"]
    group.create_dataset("values", data=flat, **options)


def _multiples(name: str, values: Array, step: float) -> Array:
    """``values`` as multiples of ``step``, in the smallest integer type that holds them."""
    multiples = np.rint(values.astype(np.float64) / step)
    largest = float(np.abs(multiples).max(initial=0.0))
    for dtype in ("i2", "i4"):
        if largest <= np.iinfo(dtype).max:
            return multiples.astype(dtype)
    raise DatasetError(
        f"field {name} holds {largest * step:g}: expected finite values below "
        f"{np.iinfo('i4').max * step:g}; fix the record"
    )


def _check_head(path: Path, file: h5py.File, kind: type[Any], has_seal: bool) -> None:
    """Raise DatasetError for a file of another kind, or a version that cannot be read."""
    if file.attrs.get("format") != kind.FORMAT:
        raise DatasetError(
            f"{path} is not an esml dataset: expected the attribute "
            f"format={kind.FORMAT!r}; give a file made by `python -m reference generate`"
        )
    version = int(file.attrs["schema_version"])
    if version > kind.VERSION:
        raise DatasetError(
            f"{path} has schema version {version}: expected at most {kind.VERSION}; "
            "update esml to read it"
        )
    if version < 1:
        raise DamagedError(
            f"{path} has schema version {version}: expected 1 to {kind.VERSION}; restore "
            "it from a copy or generate it again"
        )
    # The first files of molecules had none.
    if (version >= 3 or kind is not Record) and not has_seal:
        raise DamagedError(
            f"{path} ends without its checksum: expected the file as `write_shard` left "
            "it; restore it from a copy or generate it again"
        )


@overload
def read_shard(path: str | Path) -> list[Record]: ...
@overload
def read_shard(path: str | Path, kind: type[R]) -> list[R]: ...
def read_shard(path: str | Path, kind: type[Any] = Record) -> list[Any]:
    """Read all records of one shard.

    Memory is bounded by ``hdf5_guards.MOST_BYTES`` times the size of the file.

    Parameters
    ----------
    path
        The file.
    kind
        Class of its records.

    Returns
    -------
    The records.

    Raises
    ------
    DatasetError
        If the file is missing, not a shard, or of another schema version.
    DamagedError
        If it is cut short, inconsistent, or does not match its checksum.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(
            f"{path} does not exist or is not a file: expected an esml dataset (HDF5); check the "
            "path"
        )
    try:
        has_seal = _check_seal(path)
        check_heaps(path)
        with h5py.File(path, "r") as file:
            _check_head(path, file, kind, has_seal)
            n_records = int(file.attrs["n_records"])
            budget = Budget(path)
            columns = {
                s.name: _read_field(file, s.name, dict(s.metadata), n_records, budget)
                for s in fields(kind)
            }
    except DatasetError:
        raise
    except PermissionError as error:
        raise DatasetError(
            f"{path} may not be read ({error}): expected a readable file; check its permissions"
        ) from error
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{path} could not be read as an esml dataset ({error}): expected a complete HDF5 "
            "file; restore it from a copy or generate it again"
        ) from error
    for name, column in columns.items():
        if len(column) != n_records:
            raise DamagedError(
                f"{path} holds {len(column)} entries of {name}: expected {n_records}; restore it "
                "from a copy or generate it again"
            )
    return [kind(**{n: c[i] for n, c in columns.items()}) for i in range(n_records)]


def _read_field(
    file: h5py.File, name: str, meta: dict[str, Any], n_records: int, budget: Budget
) -> list[Any]:
    if meta["kind"] == "text":
        texts = bounded(file, name, budget)
        if texts.shape != (n_records,) or h5py.check_string_dtype(texts.dtype) is None:
            raise ValueError(f"{name} holds {texts.shape} entries where there are {n_records}")
        entries: list[str] = []
        # Read in pieces: even in a short file, each entry may point to the same long text.
        for start in range(0, n_records, 1000):
            piece = texts.asstr()[start : start + 1000]
            budget.spend(name, sum(map(len, piece)))
            entries.extend(piece)
        return entries
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or a link to elsewhere")
    group = file[name]
    shapes, values = (bounded(group, key, budget) for key in ("shapes", "values"))
    if shapes.shape != (n_records, meta["ndim"]) or shapes.dtype.kind not in "iu":
        raise ValueError(
            f"{name} has shapes {shapes.shape}: expected {(n_records, meta['ndim'])}, whole numbers"
        )
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ValueError(f"{name} has values of type {values.dtype}: expected a row of numbers")
    shapes = shapes[:].tolist()
    # Python integers, so that no product can overflow to a valid value.
    sizes = [math.prod(shape) for shape in shapes]
    if any(extent < 0 for shape in shapes for extent in shape) or sum(sizes) != len(values):
        raise ValueError(f"{name} holds {len(values)} values where its shapes tell {sum(sizes)}")
    values = values[:]
    if "step" in group.attrs:  # since version 2
        budget.spend(name, 8 * len(values))
        values = values * float(group.attrs["step"])
    values = values.astype(meta["dtype"], copy=False)
    ends = np.cumsum(sizes, dtype=np.int64)
    return [
        values[end - size : end].reshape(shape)
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]


def shard_paths(path: str | Path) -> list[Path]:
    """Return the shard ``path`` itself, or all ``*.h5`` under the directory ``path``, sorted.

    Raises DatasetError if there is none.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(p for p in path.rglob("*.h5") if not p.name.startswith("."))
        if not found:
            raise DatasetError(
                f"{path} holds no dataset: expected *.h5 shards; generate some with "
                "`python -m reference generate`"
            )
        return found
    return [path]


@overload
def read(paths: Paths, split: str | None = None, unique: bool = True) -> list[Record]: ...
@overload
def read(
    paths: Paths, split: str | None = None, unique: bool = True, *, kind: type[R]
) -> list[R]: ...
def read(
    paths: Paths, split: str | None = None, unique: bool = True, *, kind: type[Any] = Record
) -> list[Any]:
    """Read the records of several shards.

    Parameters
    ----------
    paths
        Shards and directories of shards.
    split
        Only records of this split; all if None.
    unique
        Whether to return only the first of several records with equal content keys.
    kind
        Class of the records.

    Returns
    -------
    The records, in order.
    """
    return list(iterate(paths, split, unique, kind=kind))


@overload
def iterate(paths: Paths, split: str | None = None, unique: bool = True) -> Iterator[Record]: ...
@overload
def iterate(
    paths: Paths, split: str | None = None, unique: bool = True, *, kind: type[R]
) -> Iterator[R]: ...
def iterate(
    paths: Paths, split: str | None = None, unique: bool = True, *, kind: type[Any] = Record
) -> Iterator[Any]:
    """Yield the records of several shards, one shard at a time.

    Parameters
    ----------
    paths, split, unique, kind
        As in ``read``.

    Yields
    ------
    The records, in order.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    seen: set[str] = set()
    for path in paths:
        for shard in shard_paths(path):
            for record in read_shard(shard, kind):
                if split is not None and record.split != split:
                    continue
                if unique and record.key in seen:
                    continue
                seen.add(record.key)
                yield record
