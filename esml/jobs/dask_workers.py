"""Run jobs on a Dask cluster, even if workers die (as in ``esml.jobs.workers``)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from dask.distributed import Client
    from dask.distributed import Future as Task

LOCAL = "local"
"""Address of a temporary cluster of processes on this machine, for one run."""

LOCAL_SETTINGS = {
    # Fewer than Dask's three: after two deaths a job is a suspect.
    "distributed.scheduler.allowed-failures": 1,
    # Without Dask's own MALLOC_TRIM_THRESHOLD_, which makes every large array be mapped anew: page
    # faults took a quarter of the time.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
Settings = TypeVar("Settings")


class ClusterError(ValueError):
    """Raised for a cluster that cannot be reached or used; the message is one sentence."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a cluster.

    Parameters
    ----------
    answer
        Seconds for a scheduler to answer.
    news
        Seconds without a result after which workers are counted.
    """

    answer: float = 30.0
    news: float = 60.0


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True)
class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    address
        Address of the scheduler, or ``"local"`` for processes on this machine, for one run only.
    workers
        Number of processes of a local cluster; one per core if None.
    ahead
        Batches in flight beyond two per thread; they make an adaptive cluster grow.
    one_thread
        Refuse workers with several threads.
    code
        What the workers must be able to import, for messages.
    patience
        How long to wait.
    """

    address: str = LOCAL
    workers: int | None = None
    ahead: int = 0
    one_thread: bool = False
    code: str = "esml"
    patience: Patience = DEFAULT_PATIENCE

    def run(
        self,
        compute: Callable[[Sequence[Job], Settings], list[Outcome]],
        batches: Iterable[Sequence[Job]],
        settings: Settings,
        died: Callable[[Job], Outcome],
        *,
        ordered: bool = False,
        prepare: Callable[[Client], None] | None = None,
    ) -> Generator[tuple[Sequence[Job], list[Outcome]], None, None]:
        """Yield each batch of jobs with its outcomes.

        Memory is bounded, however many batches there are: at most two per thread, plus ``ahead``,
        are read and not yet returned.

        Parameters
        ----------
        compute
            Returns the outcomes of a batch, one per job; it must catch its own errors.
        batches, settings
            Its arguments.
        died
            Makes the outcome of a job that kills its worker (``workers.DIED`` is the reason).
        ordered
            Return batches in order; else as soon as they are done.
        prepare
            Function that is called first, with the client.

        Raises
        ------
        ClusterError
            If Dask is missing, no scheduler answers, the cluster is lost, or its workers cannot
            run ``compute``.
        """
        with self._client() as (client, revive):
            run = _Run(self, client, revive, compute, settings, died)
            if prepare is not None:
                with self.asking():
                    prepare(client)
            done = run.in_order(batches) if ordered else run.as_they_come(batches)
            for each in done:
                yield each.batch, each.outcomes

    @contextmanager
    def _client(self) -> Iterator[tuple[Client, Callable[[], None] | None]]:
        """A client, and a function that restarts workers if none is left; None if not our task."""
        try:
            import dask
            from dask.distributed import Client, LocalCluster, comm
        except ImportError as error:
            raise ClusterError(
                f"Dask is not installed ({error}): expected dask[distributed]; pip install "
                '"esml[cluster]"'
            ) from error
        with ExitStack() as stack:
            cluster: Any = self.address
            revive: Callable[[], None] | None = None
            if self.address == LOCAL:
                stack.enter_context(dask.config.set(LOCAL_SETTINGS))
                local: Any = LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                )
                cluster = stack.enter_context(local)
                size = len(local.worker_spec)

                def revive_all() -> None:
                    local.scale(0)
                    local.scale(size)

                revive = revive_all
            try:
                if self.address != LOCAL:  # with a malformed address the client hangs at the end
                    comm.get_address_host_port(self.address)
                client = stack.enter_context(
                    Client(cluster, timeout=self.patience.answer, set_as_default=False)
                )
            except (OSError, ValueError) as error:
                raise ClusterError(
                    f"no Dask scheduler answers at {self.address!r} ({error}): expected an address "
                    f"such as 'tcp://host:8786', or '{LOCAL}'; start one or fix the address"
                ) from error
            yield client, revive

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Report errors of a cluster in one sentence, as a ``ClusterError``."""
        from dask.distributed import KilledWorker

        try:
            yield
        except (ClusterError, KilledWorker):
            raise
        except Exception as error:
            raise ClusterError(
                f"the cluster could not do the work ({type(error).__name__}: {error}): expected a "
                f"running scheduler and workers that can import the same {self.code}; fix it and "
                "run again, what was computed is kept"
            ) from error


def _task(
    compute: Callable[[Sequence[Job], Settings], list[Outcome]],
    batch: Sequence[Job],
    settings: Settings,
    one_thread: bool,
) -> list[Outcome]:  # runs on a worker
    from dask.distributed import get_worker

    worker: Any = get_worker()
    if one_thread and worker.state.nthreads != 1:
        raise ClusterError(
            f"the worker {worker.address} has {worker.state.nthreads} threads: expected one, for "
            "calculations are not safe in threads; start more workers with `--nthreads 1` each"
        )
    return compute(batch, settings)


@dataclass(frozen=True)
class _Done(Generic[Job, Outcome]):
    """A finished batch, its index, and the outcomes of its jobs."""

    place: int
    batch: Sequence[Job]
    outcomes: list[Outcome]


@dataclass
class _Run(Generic[Job, Settings, Outcome]):
    """One run on a cluster."""

    cluster: Cluster
    client: Client
    revive: Callable[[], None] | None
    compute: Callable[[Sequence[Job], Settings], list[Outcome]]
    settings: Settings
    died: Callable[[Job], Outcome]
    early: int = 0
    """Number of finished batches that wait for their turn."""

    def in_order(self, batches: Iterable[Sequence[Job]]) -> Iterator[_Done[Job, Outcome]]:
        """Yield finished batches in order."""
        waiting: dict[int, _Done[Job, Outcome]] = {}
        turn = 0
        for done in self.as_they_come(batches):
            waiting[done.place] = done
            while turn in waiting:
                ready = waiting.pop(turn)
                turn += 1
                self.early = len(waiting)
                yield ready
            self.early = len(waiting)

    def as_they_come(self, batches: Iterable[Sequence[Job]]) -> Iterator[_Done[Job, Outcome]]:
        """Yield batches as soon as they are finished."""
        stream = enumerate(batches)
        pending: dict[Task[list[Outcome]], tuple[int, Sequence[Job]]] = {}
        suspects: deque[tuple[int, Sequence[Job]]] = deque()
        while True:
            for numbered in () if suspects else islice(stream, self._room(len(pending))):
                pending[self._submit(numbered[1])] = numbered
            if pending:
                task, outcomes = self._next(list(pending))
                place, batch = pending.pop(task)
                if outcomes is None:
                    suspects.append((place, batch))
                else:
                    yield _Done(place, batch, outcomes)
            elif suspects:
                place, batch = suspects.popleft()
                yield _Done(place, batch, [self._alone(job) for job in batch])
            else:
                return

    def _room(self, in_flight: int) -> int:
        """Number of batches that may be read now; the number of workers may change."""
        with self.cluster.asking():
            threads: int = sum(self.client.nthreads().values())
        return max(0, 2 * max(1, threads) + self.cluster.ahead - in_flight - self.early)

    def _submit(self, batch: Sequence[Job]) -> Task[list[Outcome]]:
        with self.cluster.asking():
            task: Task[list[Outcome]] = self.client.submit(
                _task, self.compute, batch, self.settings, self.cluster.one_thread, pure=False
            )
        return task

    def _alone(self, job: Job) -> Outcome:
        _, outcomes = self._next([self._submit([job])])
        return self.died(job) if outcomes is None else outcomes[0]

    def _next(
        self, tasks: list[Task[list[Outcome]]]
    ) -> tuple[Task[list[Outcome]], list[Outcome] | None]:
        """The next finished task and its outcomes; None instead if it killed workers."""
        from dask.distributed import KilledWorker
        from dask.distributed import wait as wait_for

        patience = self.cluster.patience.news
        while True:
            with self.cluster.asking():
                try:
                    with self.client.as_current():  # not one of the caller's clients
                        done = wait_for(tasks, patience, "FIRST_COMPLETED").done
                except TimeoutError:
                    done = set()
                for task in done:
                    try:
                        return task, task.result(timeout=patience)
                    except KilledWorker:
                        return task, None
                    except TimeoutError:  # its worker died before it returned the result
                        continue
                if not self.client.nthreads():
                    log.warning("no worker is left; %d batches wait for one", len(tasks))
                    if self.revive is not None:
                        self.revive()
