"""Compute records of many structures and write them to shards, in parallel and resumably.

Workers compute, here or on a Dask cluster; only the parent process writes. Every finished record
is written at once to a file of its own under ``parts/`` (written whole, then renamed); when there
are enough parts, they are joined into ``shard-NNN.h5``. A kill at any moment therefore loses at
most the molecules being computed, and a restart continues from there. An unreadable part is removed
and computed again; an unreadable shard stops the run with an error that names it. A structure that
fails is noted in ``failures.jsonl`` with the reason and is not tried again unless asked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from esml.io.files import BusyError, sole_writer
from esml.io.provenance import Failure
from esml.io.records import (
    CrystalRecord,
    DamagedError,
    DatasetError,
    Record,
    StoredRecord,
    read_shard,
    write_shard,
)
from esml.jobs import (
    DEFAULT_PATIENCE,
    DIED,
    Patience,
    append_line,
    decode,
    follow_parent,
    on_processes,
    one_thread_each,
    progress_bar,
)

from . import cluster
from .crystals import record as crystal
from .crystals.cell import CrystalLevel
from .record import content_key, make_record
from .scf import CalculationError, Level

PARTS_PER_SHARD = 500

log = logging.getLogger(__name__)


AnyLevel = Level | CrystalLevel
"""Level of a calculation on molecules or on crystals."""


@dataclass(frozen=True)
class Subject:
    """What belongs to a kind of level: its record class, content key and calculation."""

    record: type[StoredRecord]
    key: Callable[[Atoms, Any], str]
    make: Callable[[Atoms, Any], StoredRecord]


def _subject(level: AnyLevel) -> Subject:
    if isinstance(level, CrystalLevel):
        return Subject(CrystalRecord, crystal.content_key, crystal.make_record)
    return Subject(Record, content_key, make_record)


@dataclass(frozen=True)
class Summary:
    """Numbers of distinct structures that a run computed, skipped or failed on."""

    computed: int
    present: int  # stored before
    failed: int
    failed_before: int = 0  # not tried again


@contextmanager
def _sole_writer(directory: Path) -> Iterator[None]:
    """Lock the output directory and remove the partial files of a killed writer.

    Raises DatasetError when another process holds the lock or the directory cannot be made.
    """
    with ExitStack() as held:
        try:
            (directory / "parts").mkdir(parents=True, exist_ok=True)
            held.enter_context(sole_writer(directory / ".lock", directory))
        except BusyError as error:
            raise DatasetError(str(error)) from error
        except OSError as error:
            raise DatasetError(
                f"{directory} cannot be written ({error}): expected a directory or a place for "
                "one; choose another output"
            ) from error
        for folder in (directory, directory / "parts"):
            for leftover in folder.glob(".*.h5.*.tmp"):
                leftover.unlink()
        yield


def _shards(directory: Path) -> list[Path]:
    """Return the shards in ascending order of their numbers."""
    return sorted(directory.glob("shard-*.h5"), key=lambda path: int(path.stem.split("-")[1]))


def stored_keys(directory: Path, kind: type[StoredRecord] = Record) -> set[str]:
    """Return the content keys of all records under ``directory``; damaged parts are removed.

    Raises DatasetError for an unreadable shard and for a part that does not belong to the run.
    """
    keys: set[str] = set()
    for shard in _shards(directory):
        keys.update(record.key for record in read_shard(shard, kind))
    for part in sorted((directory / "parts").glob("*.h5")):
        try:
            keys.update(record.key for record in read_shard(part, kind))
        except DamagedError as error:
            log.warning("%s; it is removed and computed again", error)
            part.unlink()
    return keys


def read_failures(directory: Path) -> dict[str, str]:
    """Return the reasons of failed structures by content key; damaged lines are skipped."""
    path = directory / "failures.jsonl"
    if not path.exists():
        return {}
    lines = path.read_bytes().splitlines(keepends=True)
    found = (decode(line) or _before_checksums(line) for line in lines)
    return {entry["key"]: entry["reason"] for entry in found if entry}


def _before_checksums(line: bytes) -> dict[str, Any] | None:
    """Parse a line of the older format without a checksum; None for any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    old = isinstance(entry, dict) and set(entry) == {"key", "name", "reason"}
    return entry if old else None


def _note_failure(directory: Path, key: str, name: str, reason: str) -> None:
    path = directory / "failures.jsonl"
    try:
        append_line(path, {"key": key, "name": name, "reason": reason})
    except OSError as error:
        raise DatasetError(
            f"{path} could not be written ({error}): expected a writable place with room; free "
            "space or choose another output; records already written are untouched"
        ) from error


def join_parts(directory: Path, at_least: int = 1, kind: type[StoredRecord] = Record) -> None:
    """Join the parts into the next shard if there are ``at_least`` that many.

    Raises DatasetError for an unreadable part or shard; every part then stays in place.
    """
    parts = sorted((directory / "parts").glob("*.h5"))
    if len(parts) < at_least:
        return
    records: list[StoredRecord] = []
    for part in parts:
        records.extend(read_shard(part, kind))
    existing = _shards(directory)
    # A kill between renaming the shard and removing its parts leaves parts already joined.
    held = {record.key for shard in existing[-1:] for record in read_shard(shard, kind)}
    fresh = [record for record in records if record.key not in held]
    if fresh:
        number = int(existing[-1].stem.split("-")[1]) + 1 if existing else 0
        write_shard(directory / f"shard-{number:03d}.h5", fresh)
    for part in parts:
        part.unlink()


def _use_one_thread() -> None:
    """Limit this process's numerical libraries to one thread: the matrices are small."""
    import torch
    from pyscf import lib

    lib.num_threads(1)
    torch.set_num_threads(1)


def _start_worker() -> None:
    _use_one_thread()
    follow_parent()


def _failure(atoms: Atoms, reason: str) -> Failure:
    return Failure(str(atoms.info.get("name", atoms.symbols)), reason)


def _died(atoms: Atoms) -> Failure:
    return _failure(atoms, DIED)


def compute(atoms: Atoms, level: AnyLevel) -> StoredRecord | Failure:
    """Return the record of ``atoms`` at ``level``, or the reason why it failed."""
    try:
        record = _subject(level).make(atoms, level)
    except CalculationError as error:
        return _failure(atoms, str(error))
    except Exception as error:
        return _failure(atoms, f"{type(error).__name__}: {error}")
    for name, value in vars(record).items():
        if isinstance(value, np.ndarray) and not np.isfinite(value).all():
            return _failure(
                atoms,
                f"{name} came out not finite: expected finite numbers from a converged "
                "calculation; check the structure",
            )
    return record


def _compute_on_cluster(atoms: Atoms, level: AnyLevel) -> StoredRecord | Failure:
    _use_one_thread()
    return compute(atoms, level)


def generate(
    structures: Sequence[Atoms],
    directory: str | Path,
    level: AnyLevel | None = None,
    workers: int = 1,
    retry_failures: bool = False,
    progress: bool = True,
    dask: str | None = None,
    parts_per_shard: int = PARTS_PER_SHARD,
    patience: Patience = DEFAULT_PATIENCE,
) -> Summary:
    """Compute the records of ``structures`` that are missing from ``directory``.

    The structures are molecules, or crystals if ``level`` is a ``CrystalLevel``. ``workers``
    processes compute; 0 computes in the current process with all its threads. ``dask`` is the
    address of a scheduler whose workers compute instead, or ``"local"`` for a cluster of
    ``workers`` processes (at least one) on this machine; ``patience`` sets how long to wait for the
    cluster. Records are joined into shards of ``parts_per_shard``. Raises DatasetError when another
    process writes to ``directory``, a shard there is damaged or a file cannot be written,
    ClusterError when the cluster fails, WorkerError when worker processes do not start. Records
    computed before an error stay readable.
    """
    level = level or Level()
    directory = Path(directory)
    with _sole_writer(directory), one_thread_each():
        subject = _subject(level)
        known = stored_keys(directory, subject.record)
        join_parts(directory, parts_per_shard, subject.record)
        failures = {} if retry_failures else read_failures(directory)
        distinct = {subject.key(atoms, level): atoms for atoms in structures}
        todo = [a for key, a in distinct.items() if key not in known and key not in failures]
        present = sum(key in known for key in distinct)
        computed = failed = 0
        results = (
            on_processes(compute, todo, level, workers, _died, _start_worker)
            if dask is None
            else cluster.results(
                _compute_on_cluster, todo, level, dask, _died, max(workers, 1), patience
            )
        )
        with progress_bar(enabled=progress, period=600.0) as display:
            task = display.add_task("reference calculations", total=len(todo), remark="")
            for atoms, result in results:
                if isinstance(result, StoredRecord):
                    write_shard(directory / "parts" / f"{result.key}.h5", [result])
                    computed += 1
                    if computed % parts_per_shard == 0:
                        join_parts(directory, parts_per_shard, subject.record)
                else:
                    failed += 1
                    _note_failure(directory, subject.key(atoms, level), result.name, result.reason)
                display.update(task, advance=1, remark=f"{failed} failed" if failed else "")
        return Summary(computed, present, failed, len(distinct) - present - len(todo))
