"""Prediction of a stream of structures on a Dask cluster, in order and with bounded memory.

The scheduler gives the work of a dead worker to another one. Work it has given up, because several
workers died over it, is done again structure by structure with nothing beside it; only a structure
whose worker dies then, too, is a ``Failure``.

The model travels to every worker once, also to those that join later, so workers need esml but no
access to this machine's files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from ase import Atoms

from esml.predict.batching import Wanted
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Outcome

if TYPE_CHECKING:
    from dask.distributed import Client, Future

LOCAL = "local"
"""In place of an address: a cluster of one process for each core of this machine."""

ANSWER_WITHIN = 30.0  # s; time for a scheduler to answer

MODEL = "esml-model"
"""Name under which workers hold the model."""

Outcomes = list[Outcome]


class ClusterError(ValueError):
    """A cluster that cannot be reached or used, said in one sentence."""


def _predict(structures: Sequence[Atoms], n_states: int) -> Outcomes:  # runs on a worker
    from dask.distributed import get_worker

    holder: Any = get_worker().plugins[MODEL]
    model: Surrogate = holder.model
    return list(model.predict_many(structures, n_states, errors="return"))


@contextmanager
def _client(address: str, workers: int | None) -> Iterator[Client]:
    try:
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError(
            f"Dask is not installed ({error}): expected dask[distributed]; pip install "
            '"esml[cluster]"'
        ) from error
    with ExitStack() as stack:
        cluster: LocalCluster | str = address
        if address == LOCAL:
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
                )
            )
        try:
            client = stack.enter_context(
                Client(cluster, timeout=ANSWER_WITHIN, set_as_default=False)
            )
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({error}): expected an address such as "
                f"'tcp://host:8786', or '{LOCAL}'; start one or mend the address"
            ) from error
        yield client


def _send(model: Surrogate, client: Client) -> None:
    """Give every worker, now and later, the model."""
    from dask.distributed import Worker, WorkerPlugin

    class Holder(WorkerPlugin):
        name = MODEL

        def __init__(self, model: Surrogate) -> None:
            self.model = model

        def setup(self, worker: Worker) -> None:
            # A worker's own threads already fill the machine.
            torch.set_num_threads(1)

    client.register_plugin(Holder(model))


def predict_on_cluster(
    model: Surrogate,
    structures: Iterable[Atoms],
    n_states: int = 10,
    address: str = LOCAL,
    workers: int | None = None,
) -> Iterator[Outcome]:
    """What ``model.predict_many(structures, n_states, errors="return")`` yields, in order.

    ``address`` is that of a Dask scheduler, or ``"local"`` for ``workers`` processes on this
    machine (one a core, if None). At most two windows of structures for each thread of the cluster
    are in flight, whatever the length of the stream.

    Raises ClusterError where Dask is missing, no scheduler answers, the cluster is lost, or its
    workers cannot run esml.
    """
    stream = iter(structures)
    windows = iter(lambda: model.batching.read_ahead(stream), [])
    return _flat(predict_windows(model, windows, n_states, address, workers))


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
) -> Generator[Outcomes, None, None]:
    """Outcomes of one window of structures after the other; else as ``predict_on_cluster``."""
    Wanted(n_states)  # refused here, not on a worker
    return _stream(model, windows, n_states, address, workers)


@contextmanager
def _asking() -> Iterator[None]:
    """Say in one sentence what a cluster answers that cannot predict."""
    from dask.distributed import KilledWorker

    try:
        yield
    except (ClusterError, KilledWorker):
        raise
    except Exception as error:
        raise ClusterError(
            f"the cluster could not predict ({type(error).__name__}: {error}): expected a living "
            "scheduler and workers with the same esml installed; mend it and run again"
        ) from error


def _stream(
    model: Surrogate,
    windows: Iterator[list[Atoms]],
    n_states: int,
    address: str,
    workers: int | None,
) -> Generator[Outcomes, None, None]:
    with _client(address, workers) as client:
        from dask.distributed import KilledWorker

        with _asking():
            _send(model, client)
        waiting: deque[tuple[list[Atoms], Future[Outcomes]]] = deque()
        while True:
            with _asking():
                # Asked anew each time: workers come and go.
                most = 2 * max(1, sum(client.nthreads().values()))
            for window in islice(windows, max(0, most - len(waiting))):
                with _asking():
                    waiting.append((window, client.submit(_predict, window, n_states, pure=False)))
            if not waiting:
                return
            window, future = waiting.popleft()
            try:
                with _asking():
                    outcomes = future.result()
            except KilledWorker:
                with _asking():
                    # What else is in flight must not come under suspicion, nor bring any.
                    for _, other in waiting:
                        other.exception()  # waits
                    outcomes = _one_by_one(client, window, n_states)
            yield outcomes


def _one_by_one(client: Client, window: Sequence[Atoms], n_states: int) -> Outcomes:
    """Outcomes of a window that killed its workers, a structure that does it again a failure."""
    from dask.distributed import KilledWorker

    outcomes: Outcomes = []
    for atoms in window:
        try:
            alone = client.submit(_predict, [atoms], n_states, pure=False)
            outcomes += alone.result()
        except KilledWorker:
            outcomes.append(Failure.of(atoms, "its worker process died (out of memory?)"))
    return outcomes
