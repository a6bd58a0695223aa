"""Calculations on a Dask cluster: results as they come, whatever happens to its workers.

The scheduler gives the tasks of a dead worker to the others. A task it has given up, because
several workers died over it, is tried once more with no other task beside it, since all that was
queued at a dead worker comes under suspicion; only then is it given up here too.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dask.distributed import Client, Future

LOCAL = "local"
"""In place of an address: a cluster of processes on this machine, for this run only."""

LOCAL_SETTINGS = {
    # Fewer than Dask's three: two deaths put a job under suspicion.
    "distributed.scheduler.allowed-failures": 1,
    # Without Dask's own MALLOC_TRIM_THRESHOLD_, for which every large array is mapped anew: page
    # faults were a quarter of the time.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}

ANSWER_WITHIN = 30.0  # s; time for a scheduler to answer
PATIENCE = 60.0  # s; time without news after which workers are counted

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")
Settings = TypeVar("Settings")


class ClusterError(ValueError):
    """A cluster that cannot be reached or used, said in one sentence."""


def _task(
    compute: Callable[[Job, Settings], Result], job: Job, settings: Settings
) -> Result:  # runs on a worker
    from dask.distributed import get_worker

    worker = get_worker()
    if worker.state.nthreads != 1:
        raise ClusterError(
            f"the worker {worker.address} has {worker.state.nthreads} threads: expected one, since "
            "PySCF is not safe in threads; start more workers with `--nthreads 1` each"
        )
    return compute(job, settings)


@contextmanager
def _client(address: str, workers: int) -> Iterator[tuple[Client, Callable[[], None] | None]]:
    """A client of the scheduler at ``address``, or of a new cluster of ``workers`` processes.

    Beside it what to call when no worker is left; None where somebody else sees to that.
    """
    try:
        import dask
        from dask.distributed import Client, LocalCluster, comm
    except ImportError as error:
        raise ClusterError(
            f"Dask is not installed ({error}): expected dask[distributed]; install "
            "'esml[reference]' or leave out --dask"
        ) from error
    revive: Callable[[], None] | None = None
    with ExitStack() as stack:
        if address == LOCAL:
            stack.enter_context(dask.config.set(LOCAL_SETTINGS))
            cluster: Any = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
            )
            stack.enter_context(cluster)

            def anew() -> None:
                cluster.scale(0)
                cluster.scale(workers)

            revive = anew
        else:
            cluster = address
        try:
            if revive is None:  # a client of a malformed address would hang when it ends
                comm.get_address_host_port(address)
            client = stack.enter_context(Client(cluster, timeout=ANSWER_WITHIN))
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({error}): expected an address such as "
                f"'tcp://host:8786', or '{LOCAL}'; start one or mend the address"
            ) from error
        yield client, revive


def _run(
    client: Client,
    revive: Callable[[], None] | None,
    compute: Callable[[Job, Settings], Result],
    jobs: Sequence[Job],
    settings: Settings,
) -> Iterator[tuple[Job, Result | str]]:
    from dask.distributed import KilledWorker, wait

    todo, suspects = deque(jobs), deque[Job]()
    pending: dict[Future[Any], Job] = {}
    alone = False
    while todo or suspects or pending:
        alone = alone or not (todo or pending)
        source, most = (suspects, 1) if alone else (todo, 2 * len(client.nthreads()) + 8)
        while source and len(pending) < most:
            job = source.popleft()
            pending[client.submit(_task, compute, job, settings, pure=False)] = job
        try:
            done = wait(list(pending), timeout=PATIENCE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            done = set()
        lost = not done
        for future in done:
            try:
                result = future.result(timeout=PATIENCE)
            except TimeoutError:  # its worker died before it had handed the result over
                lost = True
                continue
            except KilledWorker:
                if not alone:
                    suspects.append(pending.pop(future))
                    continue
                result = "its worker process died (out of memory?)"
            yield pending.pop(future), result
        if lost and not client.nthreads():
            log.warning("no worker is left; %d structures wait for one", len(pending))
            if revive is not None:
                revive()


def results(
    compute: Callable[[Job, Settings], Result],
    jobs: Sequence[Job],
    settings: Settings,
    address: str,
    workers: int = 1,
) -> Iterator[tuple[Job, Result | str]]:
    """``compute(job, settings)`` for every job, each job once, in the order they are done.

    A job whose workers die time and again gives a sentence saying so. ``workers`` counts the
    processes of a local cluster. At most eight jobs more are in flight than twice the workers there
    are at the moment: that bounds the memory, and gives an adaptive cluster reason to grow. Raises
    ClusterError when no scheduler answers, the scheduler is lost, or the workers cannot run
    ``compute``, which is expected to catch its own errors.
    """
    if not jobs:
        return
    with _client(address, workers) as (client, revive):
        try:
            yield from _run(client, revive, compute, jobs, settings)
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(
                f"the cluster could not run the calculations ({type(error).__name__}: {error}): "
                "expected a running scheduler and workers that can import the same esml and "
                "reference (put the clone on their PYTHONPATH); mend it and run again, what was "
                "computed is kept"
            ) from error
