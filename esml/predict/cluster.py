"""Predict a stream of structures on a Dask cluster, in order and with bounded memory.

``esml.jobs.dask_workers`` repeats the jobs of dead workers; a structure whose worker dies twice is
a ``Failure``. The model is sent to every worker once, also to those that join later, so workers
need esml but no access to this machine's files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import torch
from ase import Atoms

from esml.jobs import DEFAULT_PATIENCE, DIED, LOCAL, Cluster, ClusterError, Patience
from esml.predict.batching import Wanted
from esml.predict.surrogate import Surrogate
from esml.predict.windows import predict_window
from esml.results import Failure, Outcome

if TYPE_CHECKING:
    from dask.distributed import Client

__all__ = ["LOCAL", "ClusterError", "Patience", "predict_on_cluster", "predict_windows"]

MODEL = "esml-model"
"""Name under which workers hold the model."""

Outcomes = list[Outcome]


def _predict(structures: Sequence[Atoms], n_states: int) -> Outcomes:  # runs on a worker
    from dask.distributed import get_worker

    holder: Any = get_worker().plugins[MODEL]
    model: Surrogate = holder.model
    return predict_window(model, structures, n_states)


def _send(model: Surrogate, client: Client) -> None:
    """Send the model to every worker, present and future."""
    from dask.distributed import Worker, WorkerPlugin

    class Holder(WorkerPlugin):
        name = MODEL

        def __init__(self, model: Surrogate) -> None:
            self.model = model

        def setup(self, worker: Worker) -> None:
            # The worker threads already fill the machine.
            torch.set_num_threads(1)

    client.register_plugin(Holder(model))


def predict_on_cluster(
    model: Surrogate,
    structures: Iterable[Atoms],
    n_states: int = 10,
    address: str = LOCAL,
    workers: int | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Iterator[Outcome]:
    """Yield the outcomes of ``predict_window``, in order.

    At most two windows of structures per thread of the cluster are in flight, however long the
    stream is.

    Parameters
    ----------
    model, structures, n_states
        As in ``Surrogate.predict_many``.
    address
        Address of a Dask scheduler, or ``"local"`` for processes on this machine.
    workers
        Number of processes of a local cluster; one per core if None.
    patience
        How long to wait for the cluster.

    Raises
    ------
    ClusterError
        If Dask is missing, no scheduler answers, the cluster is lost, or its workers cannot run
        esml.
    """
    stream = iter(structures)
    windows = iter(lambda: model.batching.read_ahead(stream), [])
    return _flat(predict_windows(model, windows, n_states, address, workers, patience))


def _flat(windows: Generator[Outcomes, None, None]) -> Iterator[Outcome]:
    with closing(windows):
        for outcomes in windows:
            yield from outcomes


def predict_windows(
    model: Surrogate,
    windows: Iterator[list[Atoms]],
    n_states: int = 10,
    address: str = LOCAL,
    workers: int | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Generator[Outcomes, None, None]:
    """Yield the outcomes of each window; otherwise as ``predict_on_cluster``."""
    Wanted(n_states)  # fail here, not on a worker
    return _stream(model, windows, n_states, Cluster(address, workers, patience=patience))


def _stream(
    model: Surrogate, windows: Iterator[list[Atoms]], n_states: int, cluster: Cluster
) -> Generator[Outcomes, None, None]:
    found = cluster.run(
        _predict,
        windows,
        n_states,
        died=lambda atoms: Failure.of(atoms, DIED),
        ordered=True,
        prepare=lambda client: _send(model, client),
    )
    with closing(found):
        for _, outcomes in found:
            yield outcomes
