"""Kills and full disks: nothing computed is lost, and nothing half written passes for whole.

`scripts.robustness.kill_runs` does the same many times over; `test_generate` kills a generation
twice.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from test_cli import refusal, run

from esml.export import open_writer, part_path, read_results
from esml.io.files import BusyError, sole_writer
from scripts.robustness import full_disks, kill_runs


def test_a_killed_training_ends_as_one_left_in_peace(tmp_path: Path) -> None:
    assert kill_runs.kill_training(tmp_path, 1, np.random.default_rng(0)) == []


def test_a_killed_prediction_is_gone_on_with(tmp_path: Path) -> None:
    assert kill_runs.kill_prediction(tmp_path, 1, np.random.default_rng(0)) == []


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    assert full_disks.full(tmp_path, tmp_path / "small", 100, most_bytes=24_576) == []


def test_a_limit_on_the_size_of_files_costs_nothing(tmp_path: Path) -> None:
    assert full_disks.limited(tmp_path) == []


@pytest.mark.parametrize("scarce", ["disk", "limit"])
def test_hdf5_is_not_let_run_out_of_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scarce: str
) -> None:
    """It would end the process by a signal. What was written before stays readable."""
    write(tmp_path / "a.xyz", [molecule("H2CO")] * 3)
    out = tmp_path / "out.h5"
    true = os.statvfs
    left = [10**9, 10**9, 10**5]

    def room() -> int:
        return left.pop(0) if left else 10**5

    def disk(path: Any) -> Any:
        found = true(path)
        free = min(found.f_bavail, room() // found.f_frsize)
        return SimpleNamespace(f_bavail=free, f_frsize=found.f_frsize)

    at_once = partial(open_writer, flush_seconds=0.0)
    monkeypatch.setattr("esml.predict.run.open_writer", at_once)
    if scarce == "disk":
        monkeypatch.setattr("esml.export.hdf5_writer.os.statvfs", disk)
    else:
        monkeypatch.setattr("resource.getrlimit", lambda kind: (room(), -1))
    result = run("predict", tmp_path / "a.xyz", "-o", out, "--n-states", "1")
    assert result.exit_code == 2
    sentence = result.stderr.splitlines()[-1]
    assert "bytes are free where at least" in sentence
    assert ("ulimit -f" in sentence) == (scarce == "limit")
    assert not out.exists()
    assert [r.index for r in read_results(part_path(out))] == [0]
    monkeypatch.undo()
    # All three were computed in one window, and kept.
    result = run("predict", tmp_path / "a.xyz", "-o", out, "--n-states", "1")
    assert "3 of them are from an earlier run" in result.stderr
    assert [r.index for r in read_results(out)] == [0, 1, 2]


def test_two_predictions_do_not_share_an_output(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", molecule("H2CO"))
    out = tmp_path / "out.csv"
    part_path(out).write_text("of another process\n")
    with sole_writer(tmp_path / ".out.csv.lock", out):
        sentence = refusal(run("predict", tmp_path / "a.xyz", "-o", out, "--n-states", "1"))
    assert "is being written by another process: expected one writer; wait" in sentence
    assert part_path(out).read_text() == "of another process\n"
    assert run("predict", tmp_path / "a.xyz", "-o", out, "--n-states", "1").exit_code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.xyz", "out.csv"]


def test_a_lock_is_given_back_and_its_leftover_is_none(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.touch()  # as a killed process leaves it
    for _ in range(2):
        with (
            sole_writer(lock, tmp_path),
            pytest.raises(BusyError),
            sole_writer(lock, tmp_path),
        ):
            pass
        assert not lock.exists()
