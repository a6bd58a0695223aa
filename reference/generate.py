"""Many structures → shards: parallel, resumable, one writer.

Workers compute, the parent alone writes. Every finished record is at once a shard of its own under
``parts/`` (written whole, then renamed), and parts are joined into ``shard-NNN.h5`` when enough have
gathered, so a kill at any moment loses at most the molecules in flight and a restart goes on where
it stopped. A structure that fails is written to ``failures.jsonl`` with its reason and is not tried
again unless asked.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from tqdm import tqdm

from esml.dataset import DatasetError, Record, read_shard, write_shard

from .record import content_key, make_record
from .scf import Level, ReferenceError

PARTS_PER_SHARD = 500


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    computed: int
    present: int
    failed: int


@contextmanager
def _sole_writer(directory: Path) -> Iterator[None]:
    """Hold the output directory's lock. Raises DatasetError when another process holds it."""
    (directory / "parts").mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(
                f"{directory} is being written by another process: expected one writer; wait for "
                "it to end or choose another output"
            ) from error
        yield


def stored_keys(directory: Path) -> set[str]:
    """Content keys of all records under ``directory``; unreadable parts are removed."""
    keys: set[str] = set()
    for shard in sorted(directory.glob("shard-*.h5")):
        keys.update(record.key for record in read_shard(shard))
    keys.update(part.stem for part in (directory / "parts").glob("*.h5"))
    return keys


def read_failures(directory: Path) -> dict[str, str]:
    """Reason by content key of the structures that failed."""
    path = directory / "failures.jsonl"
    if not path.exists():
        return {}
    failures: dict[str, str] = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of a killed run
        failures[entry["key"]] = entry["reason"]
    return failures


def join_parts(directory: Path, at_least: int = 1) -> None:
    """Join the parts into the next shard, if there are ``at_least`` so many."""
    parts = sorted((directory / "parts").glob("*.h5"))
    if len(parts) < at_least:
        return
    records: list[Record] = []
    for part in parts:
        records.extend(read_shard(part))
    existing = sorted(directory.glob("shard-*.h5"))
    # A kill between the rename and the removals leaves parts that a shard already holds.
    held = set().union(*({r.key for r in read_shard(s)} for s in existing[-1:]), set())
    fresh = [record for record in records if record.key not in held]
    if fresh:
        number = int(existing[-1].stem.split("-")[1]) + 1 if existing else 0
        write_shard(directory / f"shard-{number:03d}.h5", fresh)
    for part in parts:
        part.unlink()


def _start_worker() -> None:
    """One thread, and no life after the parent's: a killed run must not leave workers behind."""
    import torch
    from pyscf import lib

    lib.num_threads(1)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _compute(atoms: Atoms, level: Level) -> Record | str:
    """The record, or the reason there is none."""
    try:
        return make_record(atoms, level)
    except ReferenceError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _results(
    structures: Sequence[Atoms], level: Level, workers: int
) -> Iterator[tuple[Atoms, Record | str]]:
    """Results as they come, from a pool that survives the death of a worker.

    A structure whose worker dies twice is given up with that reason.
    """
    context = multiprocessing.get_context("spawn")
    todo = list(enumerate(structures))[::-1]
    deaths: dict[int, int] = {}
    while todo:
        pending: dict[Future[Record | str], tuple[int, Atoms]] = {}
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        try:
            while todo or pending:
                while todo and len(pending) < 2 * workers:
                    index, atoms = todo.pop()
                    pending[pool.submit(_compute, atoms, level)] = (index, atoms)
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield pending.pop(future)[1], result
        except BrokenProcessPool:
            for index, atoms in pending.values():
                deaths[index] = deaths.get(index, 0) + 1
                if deaths[index] < 3:
                    todo.append((index, atoms))
                else:
                    yield atoms, "its worker process died three times (out of memory?)"
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def generate(
    structures: Sequence[Atoms],
    directory: str | Path,
    level: Level | None = None,
    workers: int = 1,
    retry_failures: bool = False,
    progress: bool = True,
) -> Summary:
    """Compute the records of ``structures`` that ``directory`` lacks.

    Raises DatasetError when another process writes there or the disk refuses; what was computed
    before stays readable.
    """
    level = level or Level()
    directory = Path(directory)
    with _sole_writer(directory):
        join_parts(directory, PARTS_PER_SHARD)
        known = stored_keys(directory)
        failures = {} if retry_failures else read_failures(directory)
        todo: dict[str, Atoms] = {}
        for atoms in structures:
            key = content_key(atoms, level)
            if key not in known and key not in failures:
                todo.setdefault(key, atoms)
        computed = failed = 0
        bar = tqdm(total=len(todo), disable=not progress, unit="structure", smoothing=0.05)
        for atoms, result in _results(list(todo.values()), level, workers):
            if isinstance(result, Record):
                write_shard(directory / "parts" / f"{result.key}.h5", [result])
                computed += 1
                if computed % PARTS_PER_SHARD == 0:
                    join_parts(directory, PARTS_PER_SHARD)
            else:
                failed += 1
                with open(directory / "failures.jsonl", "a") as file:
                    entry = {
                        "key": content_key(atoms, level),
                        "name": atoms.info.get("name", str(atoms.symbols)),
                        "reason": result,
                    }
                    file.write(json.dumps(entry) + "\n")
            bar.set_postfix(failed=failed)
            bar.update()
        bar.close()
        return Summary(computed, len(structures) - len(todo), failed)
