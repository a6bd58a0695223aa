"""Prediction on a Dask cluster: what one process gives, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.export import StoredResults, read_results
from esml.predict.batching import Batching
from esml.predict.cluster import ClusterError, Patience, predict_on_cluster, predict_windows
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Result

pytest.importorskip("distributed")

import dask
from distributed import Client, LocalCluster, Worker, WorkerPlugin


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def structures(n: int) -> list[Atoms]:
    found = []
    for i in range(n):
        atoms = molecule(("H2CO", "H2O", "C2H4", "CH3SH")[i % 4])
        atoms.rattle(0.02, seed=i)
        atoms.info["name"] = f"structure {i}"
        found.append(atoms)
    return found


def same(a: Result | Failure, b: Result | Failure) -> None:
    assert isinstance(a, Result)
    assert isinstance(b, Result)
    assert (a.atoms.positions == b.atoms.positions).all()
    assert a.orbital_energies == pytest.approx(b.orbital_energies, abs=1e-4)
    assert a.singlets.energies == pytest.approx(b.singlets.energies, abs=1e-4)
    assert a.charges == pytest.approx(b.charges, abs=1e-5)


def test_the_command_writes_what_one_process_writes(cluster: LocalCluster, tmp_path: Path) -> None:
    good = structures(70)
    good[3] = Atoms("Xe", info={"name": "xenon"})
    files = [tmp_path / name for name in ("a.xyz", "damaged.xyz", "b.xyz", "missing.xyz")]
    ase.io.write(files[0], good[:66], format="extxyz")
    files[1].write_text("2\nno atoms here\n")
    ase.io.write(files[2], good[66:], format="extxyz")
    found: list[StoredResults] = []
    for options in ([], ["--dask", cluster.scheduler_address]):
        output = tmp_path / f"out{len(found)}.h5"
        command = ["predict", *map(str, files), "-o", str(output), "--n-states", "3", *options]
        run = CliRunner().invoke(app, command)
        assert run.exit_code == 1, run.output
        assert "69 predicted, 3 failed" in run.output
        found.append(read_results(output))
    one, many = found
    assert one.attributes == many.attributes
    assert one.failures == many.failures
    assert [f.name for f in one.failures] == ["xenon", "damaged", "missing"]
    for a, b in zip(one, many, strict=True):
        assert (a.name, a.source, a.index) == (b.name, b.source, b.index)
        assert (a.positions == b.positions).all()
        assert a.singlets.energies == pytest.approx(b.singlets.energies, abs=1e-4)
        assert a.triplets.energies == pytest.approx(b.triplets.energies, abs=1e-4)
        assert a.singlets.oscillator_strengths is not None
        assert b.singlets.oscillator_strengths == pytest.approx(
            a.singlets.oscillator_strengths, abs=1e-4
        )
        assert a.dipole == pytest.approx(b.dipole, abs=1e-4)


def test_a_lost_worker_costs_no_result(cluster: LocalCluster, model: Surrogate) -> None:
    model = model.with_batching(Batching(window=4))
    todo = structures(60)
    stream = predict_on_cluster(model, todo, 2, cluster.scheduler_address)
    found = [next(stream)]
    with Client(cluster, set_as_default=False) as client:
        os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)
    found.extend(stream)
    for a, b in zip(found, model.predict_many(todo, 2), strict=True):
        same(a, b)


@pytest.mark.slow
def test_a_structure_that_kills_its_worker_is_a_failure_and_no_other_is(
    cluster: LocalCluster, model: Surrogate
) -> None:
    class Bomb(WorkerPlugin):
        """Makes a worker die of the structure named bomb, as one does that runs out of memory."""

        name = "bomb"

        def setup(self, worker: Worker) -> None:
            self.before = whole = Surrogate.predict_many

            def predict_many(self: Surrogate, todo: list[Atoms], *rest: Any, **more: Any) -> Any:
                if any(atoms.info["name"] == "bomb" for atoms in todo):
                    os._exit(1)
                return whole(self, todo, *rest, **more)

            Surrogate.predict_many = predict_many  # type: ignore[method-assign, assignment]

        def teardown(self, worker: Worker) -> None:
            Surrogate.predict_many = self.before  # type: ignore[method-assign]

    model = model.with_batching(Batching(window=4))
    todo = structures(14)
    todo[6].info["name"] = "bomb"
    with Client(cluster, set_as_default=False) as client:
        client.register_plugin(Bomb())
        found = list(predict_on_cluster(model, todo, 2, cluster.scheduler_address))
        client.unregister_worker_plugin("bomb")
    assert isinstance(found[6], Failure)
    assert found[6].name == "bomb"
    assert "died" in found[6].reason
    truth = list(model.predict_many(todo, 2))
    for i in set(range(14)) - {6}:
        same(found[i], truth[i])


def test_reading_ahead_is_bounded(cluster: LocalCluster, model: Surrogate) -> None:
    model = model.with_batching(Batching(window=2))
    read = 0

    def endless() -> Iterator[Atoms]:
        nonlocal read
        water = molecule("H2O")
        while True:
            read += 1
            yield water

    stream = predict_on_cluster(model, endless(), 1, cluster.scheduler_address)
    for consumed in range(1, 9):
        next(stream)
        assert read <= consumed + 2 * 2 * 2 + 2  # two windows of two for two threads
    stream.close()  # type: ignore[attr-defined]


def test_no_scheduler_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    soon = partial(predict_windows, patience=Patience(answer=1.0))
    monkeypatch.setattr("esml.predict.run.predict_windows", soon)
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    command = ["predict", str(tmp_path / "water.xyz"), "-o", str(tmp_path / "out.h5")]
    run = CliRunner().invoke(app, [*command, "--dask", "tcp://127.0.0.1:9"])
    assert run.exit_code == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:9'" in run.output
    with pytest.raises(ValueError, match="n_states is 0"):
        predict_on_cluster(esml.load_model(), [], 0)
    with pytest.raises(ClusterError, match="no Dask scheduler"):
        list(predict_on_cluster(esml.load_model(), [molecule("H2O")], 1, "nonsense://x"))


@pytest.mark.slow
def test_a_local_cluster_needs_no_address(model: Surrogate) -> None:
    water = molecule("H2O")
    (found,) = predict_on_cluster(model, [water], 2, workers=1)
    assert isinstance(found, Result)
    assert np.isfinite(found.singlets.energies).all()
