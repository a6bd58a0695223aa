"""Making a reference set on a Dask cluster: workers may die, records may not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.io
import pytest

pytest.importorskip("dask.distributed")

import dask
import worker_functions
from dask.distributed import Client, KilledWorker, LocalCluster
from reference_cases import QUICK, assert_same, structure, water
from typer.testing import CliRunner

from esml.io.records import Record, read, write_shard
from reference import cluster as clusters
from reference import generate as generation
from reference.__main__ import app
from reference.cluster import ClusterError, Patience
from reference.generate import Summary, generate, read_failures
from reference.record import content_key, make_record

results = partial(clusters.results, died=worker_functions.died)
WATERS = [water(1.0 + 0.01 * i) for i in range(9)]


@pytest.fixture(scope="module")
def processes() -> Iterator[LocalCluster]:
    """Two processes of one thread each, as a batch system would start them."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster


def inside(threads: int = 1) -> LocalCluster:
    """One worker inside this process: quick to start."""
    return LocalCluster(
        n_workers=1,
        threads_per_worker=threads,
        processes=False,
        protocol="tcp",
        dashboard_address=":0",
    )


def test_a_killed_worker_costs_no_record(
    tmp_path: Path, processes: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of a worker amid the run: the set is that of a serial run all the same."""
    radical = structure("OH")
    victims: list[int] = []

    def write_then_kill(path: Path, records: list[Record]) -> None:
        write_shard(path, records)
        if not victims:
            with Client(processes, set_as_default=False) as client:
                victims.extend(client.run(os.getpid).values())
            os.kill(victims[0], signal.SIGKILL)

    monkeypatch.setattr(generation, "write_shard", write_then_kill)
    address = processes.scheduler_address
    done = generate([*WATERS, radical], tmp_path, QUICK, progress=False, dask=address)
    assert len(victims) == 2
    assert done == Summary(computed=len(WATERS), present=0, failed=1)
    stored = {record.key: record for record in read(tmp_path, unique=False)}
    keys = [content_key(atoms, QUICK) for atoms in WATERS]
    assert sorted(r.key for r in read(tmp_path, unique=False)) == sorted(keys)
    for atoms, key in zip(WATERS, keys, strict=True):
        assert_same(stored[key], make_record(atoms, QUICK))
    (reason,) = read_failures(tmp_path).values()
    assert reason.startswith("9 electrons make no closed shell")
    # A second run has nothing to ask of any cluster.
    again = generate(WATERS, tmp_path, QUICK, progress=False, dask="tcp://127.0.0.1:1")
    assert again == Summary(computed=0, present=len(WATERS), failed=0)


def test_command_line(tmp_path: Path, processes: LocalCluster) -> None:
    source, output = tmp_path / "in.xyz", tmp_path / "set"
    ase.io.write(source, WATERS[:1])
    arguments = ["generate", str(source), "-o", str(output), "--functional", "hf"]
    arguments += ["--basis", "sto-3g", "--dask", processes.scheduler_address]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "1 computed, 0 present before, 0 failed" in done.output
    assert len(read(output)) == 1


def test_what_kills_its_workers_is_given_up_and_the_rest_is_done(tmp_path: Path) -> None:
    """On a local cluster of this run's own: two deaths in company at most, and two alone."""
    names = ["a", "b", "die", "c", "die-once", "d", "e"]
    found = list(results(worker_functions.compute, names, str(tmp_path), "local", workers=2))
    assert sorted(name for name, _ in found) == sorted(names), "each exactly once"
    reasons = dict(found)
    assert reasons.pop("die") == "its worker process died (out of memory?)"
    assert reasons == {name: f"done {name}" for name in names if name != "die"}
    assert 2 <= len((tmp_path / "die").read_text()) <= 4


def test_a_local_cluster_without_workers_gets_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask does not restart a worker that dies while its nanny still waits for it to come up."""
    started: list[LocalCluster] = []

    class Seen(LocalCluster):
        def __init__(self, **options: Any) -> None:
            started.append(self)
            super().__init__(**options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr("dask.distributed.LocalCluster", Seen)
    names = [f"job {i}" for i in range(30)]
    soon = Patience(news=10.0)
    found = results(
        worker_functions.compute, names, str(tmp_path), "local", workers=1, patience=soon
    )
    done = [next(found)[0]]
    started[0].scale(0)
    done += [name for name, _ in found]
    assert sorted(done) == sorted(names)


def killing(job: str, settings: str) -> str:
    time.sleep(0.5)
    worker: Any = SimpleNamespace(address="nowhere")
    raise KilledWorker(job, worker, 0)


def test_what_dies_late_is_given_up_all_the_same() -> None:
    """A calculation that outlasts the patience several times before it takes its worker along."""
    with inside() as cluster:
        address = cluster.scheduler_address
        found = list(results(killing, ["a", "b"], "", address, patience=Patience(news=0.1)))
    assert dict(found) == dict.fromkeys("ab", "its worker process died (out of memory?)")


def test_few_are_in_flight_and_all_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[Any] = []
    submit = Client.submit

    def counted(self: Client, *arguments: Any, **options: Any) -> Any:
        submitted.append(arguments)
        return submit(self, *arguments, **options)

    monkeypatch.setattr(Client, "submit", counted)
    names = [f"job {i}" for i in range(40)]
    done: list[str] = []
    most = 0
    with inside() as cluster:
        address = cluster.scheduler_address
        for name, _ in results(worker_functions.compute, names, str(tmp_path), address):
            most = max(most, len(submitted) - len(done))
            done.append(name)
    assert sorted(done) == sorted(names)
    assert 1 < most <= 2 * 1 + 8


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_no_scheduler_is_said_so(tmp_path: Path, address: str) -> None:
    soon = Patience(answer=0.5)
    with pytest.raises(ClusterError, match=f"no Dask scheduler answers at '{address}'"):
        generate(WATERS[:1], tmp_path, QUICK, progress=False, dask=address, patience=soon)


def test_workers_of_many_threads_are_refused(tmp_path: Path) -> None:
    with inside(threads=2) as cluster, pytest.raises(ClusterError, match="has 2 threads"):
        list(results(worker_functions.compute, ["a"], str(tmp_path), cluster.scheduler_address))


def broken(job: str, settings: str) -> str:
    raise ModuleNotFoundError("No module named 'pyscf'")


def test_workers_that_cannot_calculate_end_the_run() -> None:
    """No structure is to blame, so none is noted as failed."""
    with inside() as cluster, pytest.raises(ClusterError, match=r"ModuleNotFoundError.*'pyscf'"):
        list(results(broken, ["a"], "", cluster.scheduler_address))


def test_a_lost_scheduler_ends_the_run(tmp_path: Path) -> None:
    soon = Patience(answer=1.0)
    names = [f"job {i}" for i in range(40)]
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), inside() as cluster:
        address = cluster.scheduler_address
        found = results(worker_functions.compute, names, str(tmp_path), address, patience=soon)
        next(found)
        cluster.close()
        with pytest.raises(ClusterError, match="expected a running scheduler"):
            list(found)
