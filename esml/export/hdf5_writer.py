"""Write the HDF5 file of predictions, molecule by molecule (described in ``hdf5_schema``)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from esml.export.hdf5_schema import (
    AXES,
    COLUMNS,
    FAILURE_COLUMNS,
    FAILURE_TEXTS,
    FORMAT,
    SCHEMA_VERSION,
    STATE_COLUMNS,
    TEXTS,
)
from esml.export.plain import plain_maximum, plain_solvent
from esml.export.writer import ExportError, Writer, part_path
from esml.io.provenance import Provenance
from esml.results import Failure, Outcome, Result

Rows = NDArray[Any]

ROOM = 2**22
"""Bytes that must stay free: HDF5 crashes the process if the disk is full or the file reaches its
size limit."""


class ResultWriter(Writer):
    """Streams predictions to ``path``; a context manager.

        with ResultWriter("out.h5", model="esml-1") as writer:
            for outcome in model.predict_many(structures, errors="return"):
                writer.add(outcome)

    Memory does not grow with the number of molecules: rows are kept for at most ``flush_seconds``,
    then written. The file grows in single-writer-multiple-reader mode, so that a kill at any moment
    leaves a readable ``.part`` file and another process may read it meanwhile. It is renamed to
    ``path`` when the block ends without an exception. Keyword ``attributes`` become attributes of
    the file. Raises ``ExportError`` if the file cannot be created.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        flush_seconds: float = 5.0,
        **attributes: str | int | float,
    ) -> None:
        super().__init__(path)
        self._flush_seconds = flush_seconds
        self._last_flush = time.monotonic()
        self._pending: dict[str, list[Rows]] = {}
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
        for column in COLUMNS + FAILURE_COLUMNS:
            self._create(column.path, column.dtype, column.tail, column.unit)
        for axis in AXES:
            self._create_offsets(f"offsets/{axis}")
        for text in (*TEXTS, *FAILURE_TEXTS):
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

    def _close(self, complete: bool) -> None:
        try:
            self.flush()
        finally:
            self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Append a result or a failure.

        Raises ``ExportError`` and leaves the file unchanged if an array does not have the shape in
        the schema.
        """
        if isinstance(outcome, Failure):
            self._add_failure(outcome)
        else:
            self._add_result(outcome)
        self._flush_when_due()

    def _add_result(self, result: Result) -> None:
        states = {"singlet": result.singlets, "triplet": result.triplets}
        charges = result.point_charges
        values: dict[str, Any] = {
            "index": [result.index],
            "numbers": result.numbers,
            "positions": result.positions,
            "charges": result.charges,
            "n_occupied": [result.n_occupied],
            "orbital_energies": result.orbital_energies,
            "dipole": result.dipole[None],
            "in_domain": [result.in_domain],
            "point_charges/charges": charges.charges if charges else np.zeros(0),
            "point_charges/positions": charges.positions if charges else np.zeros((0, 3)),
            "point_charges/width": [charges.width if charges else np.nan],
        }
        for (multiplicity, name), column in STATE_COLUMNS.items():
            values[column.path] = getattr(states[multiplicity], name)
        lengths = {
            "molecules": 1,
            "atoms": len(result.atoms),
            "orbitals": len(result.orbital_energies),
            "singlets": len(result.singlets),
            "triplets": len(result.triplets),
            "point_charges": len(charges) if charges else 0,
        }
        arrays = {column.path: np.asarray(values[column.path]) for column in COLUMNS}
        for column in COLUMNS:
            shape, expected = arrays[column.path].shape, (lengths[column.axis], *column.tail)
            if shape != expected:
                raise ExportError(
                    f"{column.path} of '{result.name}' has shape {shape}: expected {expected}"
                )
        for column in COLUMNS:
            self._append(column.path, arrays[column.path].astype(column.dtype))
        for axis in AXES:
            self._advance(f"offsets/{axis}", lengths[axis])
        maximum = result.band_maximum
        texts = {
            "names": result.name,
            "sources": result.source,
            "warnings": "\n".join(result.warnings),
            "solvents": json.dumps(plain_solvent(result.solvent)) if result.solvent else "",
            "band_maxima": json.dumps(plain_maximum(maximum)) if maximum else "",
            "provenance": json.dumps(Provenance.of(result.atoms).as_dict(), ensure_ascii=False),
        }
        for path in TEXTS:
            self._append_text(path, texts[path])
        self.n_results += 1

    def _add_failure(self, failure: Failure) -> None:
        self._append("failures/index", np.array([failure.index], dtype=np.int64))
        values = (failure.name, failure.source, failure.reason, failure.smiles)
        for path, value in zip(FAILURE_TEXTS, values, strict=True):
            self._append_text(path, value)
        self.n_failures += 1

    def _append(self, path: str, rows: Rows) -> None:
        self._pending.setdefault(path, []).append(rows)

    def _advance(self, path: str, length: int) -> None:
        self._ends[path] += length
        self._append(path, np.array([self._ends[path]], dtype=np.int64))

    def _append_text(self, path: str, value: str) -> None:
        encoded = np.frombuffer(value.encode("utf-8", "replace"), dtype=np.uint8)
        self._append(f"{path}/text", encoded)
        self._advance(f"{path}/offsets", len(encoded))

    def _check_room(self, n_bytes: int) -> None:
        """Raise ``ExportError``, before the file is damaged, if the disk may lack space."""
        if not hasattr(os, "statvfs"):  # Windows
            return
        import resource

        part = part_path(self.path)
        try:
            disk = os.statvfs(part.parent)
        except OSError:
            return  # creating the file will say why
        free, fix = disk.f_bavail * disk.f_frsize, "free space"
        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY:
            size = part.stat().st_size if n_bytes and part.exists() else 0
            if most - size < free:
                free, fix = most - size, "raise the limit on the size of files (ulimit -f)"
        if free < n_bytes + ROOM:
            raise ExportError(
                f"cannot write '{part}': {max(free, 0)} bytes are free where at least "
                f"{n_bytes + ROOM} are expected; {fix} or choose another output"
            )

    def _flush_when_due(self) -> None:
        if time.monotonic() - self._last_flush >= self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Write all pending rows, so that a kill no longer loses them.

        Raises ``ExportError`` before anything is written if the disk lacks space.
        """
        # Chunks are written whole, so twice the space may be needed.
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
        # A reader trusts only the counts, so they change after all rows are on disk.
        self._file["counts"][:] = (self.n_results, self.n_failures)
        self._file.flush()
        self._last_flush = time.monotonic()
