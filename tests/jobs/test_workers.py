"""Jobs on processes of this machine: what happens to all when one of them dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import worker_functions

from esml.jobs import on_processes, one_thread_each

pool: Callable[..., Iterator[tuple[str, Any]]] = partial(
    on_processes, died=worker_functions.died, start=worker_functions.start
)
"""Real processes with nothing to load."""


def calls(directory: Path, name: str) -> int:
    return len((directory / name).read_text())


def test_the_death_of_a_worker_costs_only_the_job_that_caused_it(tmp_path: Path) -> None:
    names = ["a", "b", "die", "c", "d", "e"]
    results = list(pool(worker_functions.compute, names, str(tmp_path), 2))
    assert sorted(name for name, _ in results) == sorted(names), "each exactly once"
    reasons = dict(results)
    assert reasons.pop("die") == "its worker process died (out of memory?)"
    assert reasons == {name: f"done {name}" for name in names if name != "die"}
    assert calls(tmp_path, "die") == 2, "once in company, once alone"


def test_a_job_that_dies_in_company_only_is_done(tmp_path: Path) -> None:
    names = ["a", "die-once", "b"]
    results = dict(pool(worker_functions.compute, names, str(tmp_path), 2))
    assert results == {name: f"done {name}" for name in names}


def test_workers_have_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with one_thread_each():
        ((_, result),) = pool(worker_functions.settings, ["a"], "", 1)
    assert set(result[0].values()) == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
