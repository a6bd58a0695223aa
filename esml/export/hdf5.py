"""Predictions of many molecules in one HDF5 file, written as they come.

Molecules differ in size, so every quantity is stored flat, one molecule after the other, with the
offsets of each molecule beside it: the atoms of molecule i are
``numbers[offsets/atoms[i] : offsets/atoms[i + 1]]``.

=============================== =========== =================== ========
dataset                         shape       meaning             unit
=============================== =========== =================== ========
counts                          (2,)        molecules, failures
offsets/atoms, …/orbitals,      (M + 1,)    see above
…/singlets, …/triplets
names/text, sources/text        (bytes,)    UTF-8, with its own
                                            ``offsets``
index                           (M,)        place in its source
numbers                         (atoms,)    atomic numbers
positions                       (atoms, 3)                      Å
charges                         (atoms,)    atomic charges      e
n_occupied                      (M,)        occupied orbitals
orbital_energies                (orbitals,) ascending           eV
dipole                          (M, 3)                          debye
singlets/energies               (singlets,) ascending           eV
singlets/uncertainties          (singlets,) nan: unknown        eV
singlets/oscillator_strengths   (singlets,)
singlets/transition_dipoles     (singlets,                      e·bohr
                                3)
triplets/energies               (triplets,) ascending           eV
triplets/uncertainties          (triplets,) nan: unknown        eV
in_domain                       (M,)        1 if the molecule is
                                            like those trained on
warnings/text                   (bytes,)    like names; a line for
                                            each warning
failures/names, …/sources,      (bytes,)    molecules without a
…/reasons                                   prediction, and why
failures/index                  (F,)        place in its source
=============================== =========== =================== ========

The root attributes are ``format`` ("esml-predictions"), ``schema_version`` and those the writer was
given; version 1 had neither ``in_domain`` nor ``warnings``. A file grows under the name
``PATH.part`` and is renamed when it is complete; the ``.part`` file of a killed run is readable up
to its last flush.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import h5py
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.export.writer import ExportError, Prediction, TripletStates, part_path
from esml.io.records import Budget, bounded, check_heaps

FORMAT = "esml-predictions"
SCHEMA_VERSION = 2

Array = NDArray[Any]


@dataclass(frozen=True)
class _Column:
    """One dataset: which axis its rows run along, and the shape, type and unit of a row."""

    path: str
    axis: str  # a key of offsets, or "molecules" for one row a molecule
    tail: tuple[int, ...]
    dtype: type[np.generic]
    unit: str = ""


AXES = ("atoms", "orbitals", "singlets", "triplets")

_COLUMNS = (
    _Column("index", "molecules", (), np.int64),
    _Column("numbers", "atoms", (), np.int64),
    _Column("positions", "atoms", (3,), np.float64, "Å"),
    _Column("charges", "atoms", (), np.float64, "e"),
    _Column("n_occupied", "molecules", (), np.int64),
    _Column("orbital_energies", "orbitals", (), np.float64, "eV"),
    _Column("dipole", "molecules", (3,), np.float64, "debye"),
    _Column("singlets/energies", "singlets", (), np.float64, "eV"),
    _Column("singlets/uncertainties", "singlets", (), np.float64, "eV"),
    _Column("singlets/oscillator_strengths", "singlets", (), np.float64),
    _Column("singlets/transition_dipoles", "singlets", (3,), np.float64, "e·bohr"),
    _Column("triplets/energies", "triplets", (), np.float64, "eV"),
    _Column("triplets/uncertainties", "triplets", (), np.float64, "eV"),
    _Column("in_domain", "molecules", (), np.int8),
)
_FAILURE_COLUMNS = (_Column("failures/index", "failures", (), np.int64),)
_TEXTS = ("names", "sources", "warnings")
_SINCE_2 = ("in_domain", "warnings")
_FAILURE_TEXTS = ("failures/names", "failures/sources", "failures/reasons")


ROOM = 2**22
"""Bytes that must be free beside what is written: HDF5 crashes the process where a disk is full, or
a file as large as it may be."""

FLUSH_SECONDS = 5.0
"""Longest time rows are held back."""


class ResultWriter:
    """Streams predictions to ``path``; a context manager.

        with ResultWriter("out.h5", model="esml-1") as writer:
            for structure, result in …:
                writer.add(result, structure.atoms, name=structure.name, source=structure.source)

    Memory does not grow with the number of molecules: rows are held back for ``flush_seconds`` at
    most, then written. The file is in single-writer-multiple-reader mode while it grows, so that a
    kill at any moment leaves a readable ``.part`` file and another process may read along. It is
    renamed to ``path`` when the block ends without an exception. Keyword ``attributes`` become
    attributes of the file. Raises ``ExportError`` when the file cannot be created.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        **attributes: str | int | float,
    ) -> None:
        self.path = Path(path)
        self.n_results = 0
        self.n_failures = 0
        self._flush_seconds = flush_seconds
        self._last_flush = time.monotonic()
        self._pending: dict[str, list[Array]] = {}
        self._ends: dict[str, int] = {}
        self._check_room(0)
        try:
            # SWMR needs the formats of HDF5 1.10.
            self._file = h5py.File(part_path(self.path), "w", libver="v110")
        except OSError as error:
            raise ExportError(
                f"cannot write '{part_path(self.path)}': {error}; expected a directory that exists "
                "and may be written to, and no other run writing there"
            ) from error
        self._file.attrs.update({"format": FORMAT, "schema_version": SCHEMA_VERSION, **attributes})
        for column in _COLUMNS + _FAILURE_COLUMNS:
            self._create(column.path, column.dtype, column.tail, column.unit)
        for axis in AXES:
            self._create_offsets(f"offsets/{axis}")
        for text in _TEXTS + _FAILURE_TEXTS:
            self._create(f"{text}/text", np.uint8)
            self._create_offsets(f"{text}/offsets")
        self._file.create_dataset("counts", data=np.zeros(2, dtype=np.int64))
        self._file.swmr_mode = True

    def _create(
        self, path: str, dtype: type[np.generic], tail: tuple[int, ...] = (), unit: str = ""
    ) -> None:
        dataset = self._file.create_dataset(
            path, shape=(0, *tail), maxshape=(None, *tail), dtype=dtype, chunks=(4096, *tail)
        )
        if unit:
            dataset.attrs["unit"] = unit

    def _create_offsets(self, path: str) -> None:
        self._create(path, np.int64)
        self._ends[path] = 0
        self._pending[path] = [np.zeros(1, dtype=np.int64)]

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        finally:
            self._file.close()
        if kind is None:
            os.replace(part_path(self.path), self.path)

    def add(
        self, result: Prediction, atoms: Atoms, *, name: str, source: str = "", index: int = 0
    ) -> None:
        """Append the prediction ``result`` for ``atoms``, structure ``index`` of ``source``.

        Raises ``ExportError``, leaving the file as it was, where an array has not the shape the
        schema asks for.
        """
        states: dict[str, TripletStates] = {
            "singlets": result.singlets,
            "triplets": result.triplets,
        }
        values: dict[str, Array] = {
            "index": np.array([index]),
            "numbers": atoms.numbers,
            "positions": atoms.positions,
            "charges": np.asarray(result.charges),
            "n_occupied": np.array([int(result.n_occupied)]),
            "orbital_energies": np.asarray(result.orbital_energies),
            "dipole": np.asarray(result.dipole)[None],
            "in_domain": np.array([bool(result.in_domain)]),
            "singlets/oscillator_strengths": np.asarray(result.singlets.oscillator_strengths),
            "singlets/transition_dipoles": np.asarray(result.singlets.transition_dipoles),
        }
        for kind, those in states.items():
            values[f"{kind}/energies"] = np.asarray(those.energies)
            values[f"{kind}/uncertainties"] = np.asarray(those.uncertainties)
        lengths = {
            "molecules": 1,
            "atoms": len(atoms),
            "orbitals": len(values["orbital_energies"]),
            "singlets": len(values["singlets/energies"]),
            "triplets": len(values["triplets/energies"]),
        }
        for column in _COLUMNS:
            expected = (lengths[column.axis], *column.tail)
            if values[column.path].shape != expected:
                raise ExportError(
                    f"{column.path} of '{name}' has shape {values[column.path].shape}: "
                    f"expected {expected}"
                )
        for column in _COLUMNS:
            self._append(column.path, values[column.path].astype(column.dtype))
        for axis in AXES:
            self._advance(f"offsets/{axis}", lengths[axis])
        self._append_text("names", name)
        self._append_text("sources", source)
        self._append_text("warnings", "\n".join(result.warnings))
        self.n_results += 1
        self._flush_when_due()

    def add_failure(self, name: str, reason: str, *, source: str = "", index: int = 0) -> None:
        """Record that there is no prediction for ``name``, structure ``index`` of ``source``."""
        self._append("failures/index", np.array([index], dtype=np.int64))
        for text, value in zip(_FAILURE_TEXTS, (name, source, reason), strict=True):
            self._append_text(text, value)
        self.n_failures += 1
        self._flush_when_due()

    def _append(self, path: str, rows: Array) -> None:
        self._pending.setdefault(path, []).append(rows)

    def _advance(self, path: str, length: int) -> None:
        self._ends[path] += length
        self._append(path, np.array([self._ends[path]], dtype=np.int64))

    def _append_text(self, path: str, value: str) -> None:
        encoded = np.frombuffer(value.encode("utf-8", "replace"), dtype=np.uint8)
        self._append(f"{path}/text", encoded)
        self._advance(f"{path}/offsets", len(encoded))

    def _check_room(self, n_bytes: int) -> None:
        """Refuse, while the file is sound, to write what the disk may not hold."""
        if not hasattr(os, "statvfs"):  # Windows
            return
        import resource

        part = part_path(self.path)
        try:
            disk = os.statvfs(part.parent)
        except OSError:
            return  # creating the file will say why
        free, mend = disk.f_bavail * disk.f_frsize, "free space"
        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY:
            size = part.stat().st_size if n_bytes and part.exists() else 0
            if most - size < free:
                free, mend = most - size, "raise the limit on the size of files (ulimit -f)"
        if free < n_bytes + ROOM:
            raise ExportError(
                f"cannot write '{part}': {max(free, 0)} bytes are free where at least "
                f"{n_bytes + ROOM} are expected; {mend} or choose another output"
            )

    def _flush_when_due(self) -> None:
        if time.monotonic() - self._last_flush >= self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is held back; a kill from here on loses none of it.

        Raises ``ExportError`` where the disk has no room, before anything is written.
        """
        # Chunks are written whole, so twice the rows may be needed.
        held = sum(piece.nbytes for pieces in self._pending.values() for piece in pieces)
        self._check_room(2 * held)
        for path, pieces in self._pending.items():
            if pieces:
                rows = np.concatenate(pieces)
                dataset = self._file[path]
                start = len(dataset)
                dataset.resize(start + len(rows), axis=0)
                dataset[start:] = rows
                pieces.clear()
        self._file.flush()
        # A reader trusts the counts alone, so they change after all rows are on disk.
        self._file["counts"][:] = (self.n_results, self.n_failures)
        self._file.flush()
        self._last_flush = time.monotonic()


@dataclass(frozen=True)
class StoredStates:
    """Excited states of one molecule; triplets have no strengths and no transition dipoles."""

    energies: Array  # (S,) eV
    uncertainties: Array  # (S,) eV, nan where unknown
    oscillator_strengths: Array | None = None  # (S,)
    transition_dipoles: Array | None = None  # (S, 3) e·bohr


@dataclass(frozen=True)
class StoredResult:
    """The prediction for one molecule, as read from a file."""

    name: str
    source: str
    index: int
    numbers: Array  # (N,)
    positions: Array  # (N, 3) Å
    charges: Array  # (N,) e
    n_occupied: int
    orbital_energies: Array  # (n,) eV
    dipole: Array  # (3,) debye
    singlets: StoredStates
    triplets: StoredStates
    in_domain: bool = True  # also where a file of version 1 does not tell
    warnings: tuple[str, ...] = ()

    @property
    def atoms(self) -> Atoms:
        """The geometry."""
        return Atoms(self.numbers, self.positions)


@dataclass(frozen=True)
class StoredFailure:
    """A molecule without a prediction."""

    name: str
    source: str
    index: int
    reason: str


class StoredResults(Sequence[StoredResult]):
    """All predictions of a file, in the order they were written, with its failures."""

    def __init__(
        self,
        columns: Mapping[str, Array],
        texts: Mapping[str, list[str]],
        attributes: Mapping[str, Any],
    ) -> None:
        self._columns = columns
        self._texts = texts
        self.attributes = dict(attributes)
        self.failures = [
            StoredFailure(name, source, int(index), reason)
            for name, source, reason, index in zip(
                *(texts[path] for path in _FAILURE_TEXTS), columns["failures/index"], strict=True
            )
        ]

    def __len__(self) -> int:
        return len(self._columns["index"])

    @overload
    def __getitem__(self, i: int) -> StoredResult: ...
    @overload
    def __getitem__(self, i: slice) -> list[StoredResult]: ...
    def __getitem__(self, i: int | slice) -> StoredResult | list[StoredResult]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"result {i} of {len(self)}")
        i %= len(self)
        row: dict[str, Array] = {}
        for column in _COLUMNS:
            values = self._columns[column.path]
            if column.axis == "molecules":
                row[column.path] = values[i]
            else:
                start, end = self._columns[f"offsets/{column.axis}"][i : i + 2]
                row[column.path] = values[start:end]
        return StoredResult(
            name=self._texts["names"][i],
            source=self._texts["sources"][i],
            index=int(row["index"]),
            numbers=row["numbers"],
            positions=row["positions"],
            charges=row["charges"],
            n_occupied=int(row["n_occupied"]),
            orbital_energies=row["orbital_energies"],
            dipole=row["dipole"],
            singlets=StoredStates(
                row["singlets/energies"],
                row["singlets/uncertainties"],
                row["singlets/oscillator_strengths"],
                row["singlets/transition_dipoles"],
            ),
            triplets=StoredStates(row["triplets/energies"], row["triplets/uncertainties"]),
            in_domain=bool(row["in_domain"]),
            warnings=tuple(self._texts["warnings"][i].splitlines()),
        )

    def __iter__(self) -> Iterator[StoredResult]:
        return (self[i] for i in range(len(self)))


def read_results(path: str | Path) -> StoredResults:
    """The predictions in ``path``, complete or the ``.part`` file of a run that was killed.

    Raises ``ExportError`` for a file that is missing, damaged, no predictions file, or of a newer
    schema.
    """
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"no file '{path}': expected predictions made by esml predict")
    # Only what may still grow is read again and again until it makes sense.
    growing = path.name.endswith(".part")
    try:
        if not growing:
            check_heaps(path)
        with h5py.File(path, "r", swmr=growing) as file:
            return _read(file, path)
    except ExportError:
        raise
    # HDF5 raises whatever it meets in a damaged file.
    except Exception as error:
        raise ExportError(
            f"cannot read '{path}' as predictions of esml ({' '.join(str(error).split())[:200]}): "
            "expected a whole file; make it anew with esml predict"
        ) from error


def _read(file: h5py.File, path: Path) -> StoredResults:
    if file.attrs.get("format") != FORMAT:
        raise ExportError(
            f"'{path}' holds no predictions of esml: expected format '{FORMAT}'; choose another"
        )
    version = int(file.attrs["schema_version"])
    if version > SCHEMA_VERSION:
        raise ExportError(
            f"'{path}' has schema version {version}: expected at most {SCHEMA_VERSION}; "
            "update esml to read it"
        )
    budget = Budget(path)

    def rows(name: str, n: int) -> Array:
        """The first ``n`` rows, which must be there."""
        found = bounded(file, name, budget)
        if not 0 <= n <= len(found):
            raise ValueError(f"{name} has {len(found)} rows where there should be {n}")
        values: Array = found[:n]
        return values

    def ends(name: str, n: int) -> Array:
        """Where the parts of ``n`` molecules end, from 0."""
        values = rows(name, n + 1) if n else np.zeros(1, dtype=np.int64)
        if values[0] != 0 or (np.diff(values) < 0).any():
            raise ValueError(f"{name} does not ascend from 0")
        return values

    def texts(name: str, n: int) -> list[str]:
        offsets = ends(f"{name}/offsets", n)
        text = rows(f"{name}/text", int(offsets[-1])).tobytes()
        return [text[a:b].decode() for a, b in pairwise(offsets)]

    n_results, n_failures = (int(n) for n in rows("counts", 2))
    # Rows beyond the counts belong to a flush that was cut short.
    columns = {f"offsets/{axis}": ends(f"offsets/{axis}", n_results) for axis in AXES}
    lengths = {axis: int(columns[f"offsets/{axis}"][-1]) for axis in AXES}
    lengths |= {"molecules": n_results, "failures": n_failures}
    for column in _COLUMNS + _FAILURE_COLUMNS:
        if version < 2 and column.path in _SINCE_2:
            columns[column.path] = np.ones(n_results, dtype=column.dtype)
            continue
        values = rows(column.path, lengths[column.axis])
        if values.shape[1:] != column.tail or values.dtype.kind not in "iufb":
            raise ValueError(f"{column.path} has shape {values.shape} and type {values.dtype}")
        columns[column.path] = values
    found = {
        text: [""] * n_results if version < 2 and text in _SINCE_2 else texts(text, n_results)
        for text in _TEXTS
    }
    found |= {text: texts(text, n_failures) for text in _FAILURE_TEXTS}
    return StoredResults(columns, found, file.attrs)
