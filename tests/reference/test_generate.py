"""Making a reference set: whatever interrupts it, every record is there once in the end.

Over 400 lines: the ways to interrupt the same short run, one by one.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.spawn
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from reference_cases import QUICK, assert_same, structure, water
from surrogate_cases import read_all
from typer.testing import CliRunner

from esml.io.files import sole_writer
from esml.io.records import DamagedError, DatasetError, Record, read, read_shard, write_shard
from esml.jobs import WorkerError
from reference import generate as module
from reference.__main__ import app
from reference.generate import (
    Summary,
    generate,
    join_parts,
    read_failures,
    stored_keys,
)
from reference.record import content_key, make_record
from reference.scf import Level

ROOT = Path(__file__).parents[2]
LEVEL = replace(QUICK, basis="sto-3g")
WATERS = [water(1.0 + 0.01 * i) for i in range(7)]


def run(structures: Sequence[Atoms], output: Path, workers: int = 0, **options: Any) -> Summary:
    """In this process, unless ``workers`` are asked for."""
    return generate(structures, output, LEVEL, workers, progress=False, **options)


def keys_of(structures: Sequence[Atoms], level: Level = LEVEL) -> list[str]:
    return sorted(content_key(atoms, level) for atoms in structures)


def stored_once(output: Path) -> list[str]:
    """Keys of all records stored, duplicates and all."""
    return sorted(record.key for record in read(output, unique=False))


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [make_record(atoms, LEVEL) for atoms in WATERS]


def lay_out(output: Path, records: Sequence[Record]) -> list[Path]:
    """``records`` as parts of an unfinished run."""
    (output / "parts").mkdir(parents=True)
    paths = [output / "parts" / f"{record.key}.h5" for record in records]
    for path, record in zip(paths, records, strict=True):
        write_shard(path, [record])
    return paths


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


# --- resuming -------------------------------------------------------------------------------------


def test_a_second_run_computes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(WATERS[:2], tmp_path) == Summary(computed=2, present=0, failed=0)
    # The same structure twice is one.
    assert run([*WATERS[:3], WATERS[2]], tmp_path) == Summary(computed=1, present=2, failed=0)
    monkeypatch.setattr(module, "make_record", None)
    assert run(WATERS[:3], tmp_path) == Summary(computed=0, present=3, failed=0)
    assert stored_once(tmp_path) == keys_of(WATERS[:3])


def test_what_is_stored_is_what_was_computed(tmp_path: Path, records: list[Record]) -> None:
    run(WATERS[:2], tmp_path)
    by_key = {record.key: record for record in read(tmp_path)}
    for record in records[:2]:
        assert_same(by_key[record.key], record)


def test_another_level_is_another_record(tmp_path: Path) -> None:
    run(WATERS[:1], tmp_path)
    other = replace(LEVEL, n_singlets=4)
    assert generate(WATERS[:1], tmp_path, other, workers=0, progress=False).computed == 1
    assert len(stored_once(tmp_path)) == 2


def test_parts_are_joined_as_they_gather(tmp_path: Path) -> None:
    run(WATERS, tmp_path, parts_per_shard=3)
    shards = sorted(path.name for path in tmp_path.glob("*.h5"))
    assert shards == ["shard-000.h5", "shard-001.h5"]
    assert [len(read_shard(tmp_path / name)) for name in shards] == [3, 3]
    assert len(list((tmp_path / "parts").glob("*.h5"))) == 1
    assert stored_once(tmp_path) == keys_of(WATERS)
    assert run(WATERS, tmp_path).present == 7


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            continue
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process ids from /proc")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """kill -9 amid a run of two workers, twice; the rerun ends with what an unbroken run gives."""
    source, output = tmp_path / "waters.xyz", tmp_path / "set"
    ase.io.write(source, [water(1.0 + 0.005 * i) for i in range(14)])
    level = replace(QUICK, n_singlets=5, n_triplets=5)
    command = [sys.executable, "-m", "reference", "generate", str(source), "-o", str(output)]
    command += ["--functional", "hf", "--basis", "6-31g", "--n-singlets", "5", "--n-triplets", "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    parts = output / "parts"
    survivors: set[str] = set()
    for _ in range(2):
        before = len(survivors)
        with subprocess.Popen(
            [*command, "--workers", "2"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as parent:
            try:

                def moved(n: int = before, parent: subprocess.Popen[bytes] = parent) -> bool:
                    return len(list(parts.glob("*.h5"))) > n or parent.poll() is not None

                assert wait_for(moved, 120)
                workers = children_of(parent.pid)
            finally:
                parent.kill()
        assert parent.returncode == -signal.SIGKILL
        assert len(workers) >= 2

        def ended(w: Sequence[int] = tuple(workers)) -> bool:
            return not any(map(is_alive, w))

        assert wait_for(ended, 20), "workers outlive it"
        survivors = {path.stem for path in parts.glob("*.h5")}
        assert len(survivors) > before, "nothing is lost again"
    images = read_all(source)
    assert 0 < len(survivors) < len(images)
    assert survivors <= set(keys_of(images, level))
    times = {key: (parts / f"{key}.h5").stat().st_mtime_ns for key in survivors}

    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n = len(images) - len(survivors)
    assert f"{n} computed, {len(survivors)} present before, 0 failed" in done.stdout
    assert all((parts / f"{k}.h5").stat().st_mtime_ns == t for k, t in times.items())
    assert stored_once(output) == keys_of(images, level)
    by_key = {record.key: record for record in read(output)}
    for atoms in images[::3]:  # some of each run
        assert_same(by_key[content_key(atoms, level)], make_record(atoms, level))


# --- the pool -------------------------------------------------------------------------------------


def test_workers_that_cannot_start_blame_no_structure(tmp_path: Path) -> None:
    """Their interpreter ends at once."""
    resource_tracker.ensure_running()  # by the real one
    real = multiprocessing.spawn.get_executable()
    multiprocessing.set_executable("/bin/false")
    try:
        with pytest.raises(WorkerError, match="worker processes die while they start"):
            run(WATERS[:2], tmp_path, workers=2)
    finally:
        multiprocessing.set_executable(real)
    assert read_failures(tmp_path) == {}


# --- failures -------------------------------------------------------------------------------------


def test_failures_are_kept_and_not_tried_again_unless_asked(tmp_path: Path) -> None:
    radical = structure("OH")
    germane = structure("SiH4")
    germane.symbols[0] = "Ge"
    germane.info["name"] = "GeH4"
    structures = [WATERS[0], radical, germane]
    assert run(structures, tmp_path) == Summary(computed=1, present=0, failed=2)
    failures = read_failures(tmp_path)
    assert failures[content_key(radical, LEVEL)].startswith("9 electrons make no closed shell")
    assert failures[content_key(germane, LEVEL)].startswith("Ge is not supported")
    entries = [json.loads(s) for s in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [entry["name"] for entry in entries] == ["OH", "GeH4"]

    again = run(structures, tmp_path)
    assert again == Summary(computed=0, present=1, failed=0, failed_before=2)
    assert run(structures, tmp_path, retry_failures=True).failed == 2


def test_a_wrong_basis_fails_every_structure_with_the_reason(tmp_path: Path) -> None:
    level = replace(LEVEL, basis="def3-svp")
    assert generate(WATERS[:2], tmp_path, level, workers=0, progress=False).failed == 2
    reasons = set(read_failures(tmp_path).values())
    assert reasons == {
        "basis 'def3-svp' is not known to PySCF for H: expected a name such as 'def2-svp' or "
        "'sto-3g'; fix the level's basis"
    }


def test_an_scf_that_does_not_converge_is_a_failure(tmp_path: Path) -> None:
    """No change of the energy is below nought, so both solvers are used up."""
    level = replace(LEVEL, energy_tolerance=-1.0)
    assert generate(WATERS[:1], tmp_path, level, workers=0, progress=False).failed == 1
    (reason,) = read_failures(tmp_path).values()
    assert "SCF did not converge" in reason
    assert run(WATERS[:1], tmp_path).computed == 1


def test_an_impossible_structure_is_a_failure(tmp_path: Path) -> None:
    lost, crushed = water(), water(0.2)
    lost.positions[1] = np.nan
    assert run([lost, crushed, WATERS[0]], tmp_path) == Summary(computed=1, present=0, failed=2)
    for reason in read_failures(tmp_path).values():
        assert reason.startswith("two atoms coincide or a position is not finite")


def test_unforeseen_errors_are_failures_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(atoms: Atoms, level: Level) -> Record:
        raise ZeroDivisionError("by nought")

    with monkeypatch.context() as patch:
        patch.setattr(module, "make_record", broken)
        assert run(WATERS[:1], tmp_path).failed == 1
    assert set(read_failures(tmp_path).values()) == {"ZeroDivisionError: by nought"}
    assert run(WATERS[:1], tmp_path).computed == 0
    # What works after all is stored and is no failure any more.
    assert run(WATERS[:1], tmp_path, retry_failures=True).computed == 1
    assert run(WATERS[:1], tmp_path) == Summary(computed=0, present=1, failed=0)


def test_a_torn_line_of_failures_is_overlooked(tmp_path: Path) -> None:
    (tmp_path / "failures.jsonl").write_text('{"key": "k", "reason": "r", "name": "n"}\n{"key": "')
    assert read_failures(tmp_path) == {"k": "r"}
    module._note_failure(tmp_path, "l", "m", "s")
    module._note_failure(tmp_path, "m", "n", "t")
    assert read_failures(tmp_path) == {"k": "r", "l": "s", "m": "t"}
    assert read_failures(tmp_path / "nowhere") == {}


def test_a_damaged_line_of_failures_is_overlooked(tmp_path: Path) -> None:
    """Whichever byte changes: a structure is tried again rather than a changed key trusted."""
    module._note_failure(tmp_path, "key", "name", "reason")
    path = tmp_path / "failures.jsonl"
    line = path.read_bytes()
    assert read_failures(tmp_path) == {"key": "reason"}
    for place in range(len(line)):
        path.write_bytes(line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :])
        assert read_failures(tmp_path) == {}, path.read_bytes()


# --- one writer, and places that cannot be written ------------------------------------------------


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "set"
    with (
        module._sole_writer(output),
        pytest.raises(DatasetError, match="set' is being written by another process"),
    ):
        run(WATERS[:1], output)
    assert run(WATERS[:1], output).computed == 1


def test_an_output_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "set"):
        with pytest.raises(DatasetError, match=rf"{output} cannot be written"):
            run(WATERS[:1], output)


def test_a_full_disk_ends_the_run_and_keeps_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    written: list[Path] = []

    def fill(source: Path, target: Path) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(target)
        real(source, target)

    monkeypatch.setattr("esml.io.files.os.replace", fill)
    with pytest.raises(DatasetError, match="No space left on device"):
        run(WATERS[:4], tmp_path)
    monkeypatch.setattr("esml.io.files.os.replace", real)
    assert stored_once(tmp_path) == keys_of(WATERS[:2])
    assert not list(tmp_path.rglob("*.tmp"))
    assert run(WATERS[:4], tmp_path) == Summary(computed=2, present=2, failed=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB, a few records."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system may not be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_really_full_disk_keeps_what_there_is(small_disk: Path, tmp_path: Path) -> None:
    output = small_disk / "set"
    with pytest.raises(DatasetError, match=r"could not be written .*No space left"):
        run(WATERS, output)
    stored = stored_once(output)
    assert 0 < len(stored) < len(WATERS)
    assert set(stored) < set(keys_of(WATERS))
    assert not list(output.rglob("*.tmp"))
    # Still full: the second run says the same. With room elsewhere it goes on.
    with pytest.raises(DatasetError, match="No space left"):
        run(WATERS, output)
    roomy = tmp_path / "roomy"
    shutil.copytree(output, roomy)
    n = len(WATERS)
    assert run(WATERS, roomy) == Summary(n - len(stored), present=len(stored), failed=0)


def test_failures_on_a_full_disk_end_the_run(small_disk: Path) -> None:
    output = small_disk / "set"
    run(WATERS[:1], output)
    with contextlib.suppress(OSError), open(small_disk / "ballast", "wb") as ballast:
        while True:
            ballast.write(b"x" * 512)
            ballast.flush()
    with pytest.raises(DatasetError, match=r"failures\.jsonl could not be written"):
        run([structure("OH")], output)
    assert stored_once(output) == keys_of(WATERS[:1])


def test_halves_left_by_a_killed_writer_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    halves = [tmp_path / ".shard-000.h5.123.tmp", tmp_path / "parts" / ".key.h5.123.tmp"]
    for half in halves:
        half.write_bytes(b"\x89HDF")
    run(WATERS[:1], tmp_path)
    assert not any(half.exists() for half in halves)


# --- joining --------------------------------------------------------------------------------------


def test_joining_keeps_every_record_once(tmp_path: Path, records: list[Record]) -> None:
    lay_out(tmp_path, records[:3])
    join_parts(tmp_path, at_least=4)
    assert not list(tmp_path.glob("shard-*"))
    for _ in range(2):  # idempotent
        join_parts(tmp_path)
        assert [path.name for path in tmp_path.glob("shard-*")] == ["shard-000.h5"]
        assert not list((tmp_path / "parts").iterdir())
        assert stored_once(tmp_path) == sorted(record.key for record in records[:3])
    for joined in read(tmp_path):
        assert_same(joined, next(r for r in records if r.key == joined.key))


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_kill_between_renaming_and_removing_costs_nothing(
    tmp_path: Path, records: list[Record], removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, records[:3])
    unlink, count = Path.unlink, [0]

    def killed(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".h5":
            if count[0] == removed:
                raise KeyboardInterrupt
            count[0] += 1
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        join_parts(tmp_path)
    monkeypatch.setattr(Path, "unlink", unlink)
    keys = sorted(record.key for record in records[:3])
    # Readers see every record once even now, and so does a resumed run.
    assert sorted(record.key for record in read(tmp_path)) == keys
    assert stored_keys(tmp_path) == set(keys)
    # More parts come before the next joining.
    write_shard(tmp_path / "parts" / f"{records[3].key}.h5", [records[3]])
    join_parts(tmp_path)
    assert stored_once(tmp_path) == sorted([*keys, records[3].key])
    assert not list((tmp_path / "parts").iterdir())


def test_a_kill_before_renaming_leaves_the_parts(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = lay_out(tmp_path, records[:2])

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("esml.io.files.os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            join_parts(tmp_path)
    assert all(part.exists() for part in parts)
    assert not list(tmp_path.glob("shard-*"))
    join_parts(tmp_path)
    assert len(stored_once(tmp_path)) == 2


def test_shards_are_numbered_beyond_a_thousand(tmp_path: Path, records: list[Record]) -> None:
    write_shard(tmp_path / "shard-999.h5", records[:1])
    lay_out(tmp_path, records[1:2])
    join_parts(tmp_path)
    write_shard(tmp_path / "parts" / f"{records[2].key}.h5", records[2:3])
    join_parts(tmp_path)
    names = sorted(path.name for path in tmp_path.glob("shard-*"))
    assert names == ["shard-1000.h5", "shard-1001.h5", "shard-999.h5"]
    assert len(stored_once(tmp_path)) == 3


# --- damaged files --------------------------------------------------------------------------------


def test_a_damaged_part_is_computed_again(
    tmp_path: Path,
    records: list[Record],
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = lay_out(tmp_path, records[:3])
    truncate(parts[1])
    parts[2].write_bytes(b"")
    with pytest.raises(DamagedError, match=parts[1].name):
        read_shard(parts[1])
    assert run(WATERS[:3], tmp_path) == Summary(computed=2, present=1, failed=0)
    assert parts[1].name in caplog.text
    assert stored_once(tmp_path) == keys_of(WATERS[:3])


def test_joining_stops_at_a_damaged_part_and_removes_nothing(
    tmp_path: Path, records: list[Record]
) -> None:
    parts = lay_out(tmp_path, records[:3])
    truncate(parts[1])
    with pytest.raises(DamagedError, match=parts[1].name):
        join_parts(tmp_path)
    assert all(part.exists() for part in parts)
    assert not list(tmp_path.glob("shard-*"))


def test_a_damaged_shard_ends_the_run_with_its_name(tmp_path: Path, records: list[Record]) -> None:
    shard = tmp_path / "shard-000.h5"
    write_shard(shard, records[:3])
    truncate(shard)
    write_shard(tmp_path / "shard-001.h5", records[3:5])
    with pytest.raises(DamagedError, match=str(shard)):
        run(WATERS[:5], tmp_path)
    assert shard.exists()
    # The others stay readable, and without the broken one the run makes up for it.
    assert len(read(tmp_path / "shard-001.h5")) == 2
    shard.unlink()
    assert run(WATERS[:5], tmp_path) == Summary(computed=3, present=2, failed=0)
    assert stored_once(tmp_path) == keys_of(WATERS[:5])


def test_a_part_that_is_something_else_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    foreign = tmp_path / "parts" / "notes.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = [1.0]
    with pytest.raises(DatasetError, match=r"notes\.h5 is not an esml dataset"):
        run(WATERS[:1], tmp_path)
    assert foreign.exists()


# --- command line ---------------------------------------------------------------------------------


def test_command_line(tmp_path: Path) -> None:
    source, output = tmp_path / "in.xyz", tmp_path / "set"
    ase.io.write(source, [WATERS[0], structure("OH")])
    arguments = ["generate", str(source), "-o", str(output), "--functional", "hf"]
    arguments += ["--basis", "sto-3g", "--virtual-cutoff", "inf", "--workers", "0"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 1
    assert "1 computed, 0 present before, 1 failed" in first.output
    assert f"see {output / 'failures.jsonl'}" in first.output
    (record,) = read(output)
    assert json.loads(record.level)["virtual_cutoff"] is None
    assert json.loads(record.level)["functional"] == "hf"

    second = CliRunner().invoke(app, arguments)
    assert second.exit_code == 0
    assert "0 computed, 1 present before, 0 failed; 1 failed earlier" in second.output
    assert CliRunner().invoke(app, [*arguments, "--retry"]).exit_code == 1

    half = tmp_path / "half.xyz"
    half.write_text(source.read_text()[:-40])
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    for unreadable in (tmp_path / "no.xyz", half, picture):
        nothing = CliRunner().invoke(
            app, ["generate", str(source), str(unreadable), "-o", str(output)]
        )
        assert nothing.exit_code == 2
        assert f"error: {unreadable} could not be read as structures" in nothing.output
    with sole_writer(output / ".lock", output):
        refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert refused.output.count("error: ") == 1
