"""Run jobs on other processes of this machine, even if workers die.

The rule is the same here and on a Dask cluster (``esml.jobs.dask_workers``). It is unknown which of
the jobs in flight killed a worker, so each of them is repeated alone. If a job kills its worker
again, the caller's ``died`` makes its outcome. Every job has exactly one outcome.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

DIED = "its worker process died (out of memory?)"
"""Reason for a job without a result, if it ran alone when its worker died."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment that limits linear algebra to one thread.

The libraries read it when they are loaded, before any code of the process runs."""

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
Settings = TypeVar("Settings")


class WorkerError(RuntimeError):
    """Raised if worker processes cannot be started."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Give processes started inside the block the environment ``ONE_THREAD``."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def follow_parent() -> None:
    """End this process when its parent ends: a killed run must not leave workers behind."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _ready() -> None:
    """First job of a worker, which shows that it has started."""


def on_processes(
    compute: Callable[[Job, Settings], Outcome],
    jobs: Sequence[Job],
    settings: Settings,
    workers: int,
    died: Callable[[Job], Outcome],
    start: Callable[[], None] = follow_parent,
) -> Iterator[tuple[Job, Outcome]]:
    """Yield every job with ``compute(job, settings)``, in the order they finish.

    Parameters
    ----------
    compute
        A module-level function, because the processes import it.
    jobs, settings
        Its arguments.
    workers
        Number of processes; with 0 this process computes one job after the other.
    died
        Makes the outcome of a job that kills its worker (``DIED`` is the reason).
    start
        Function that each process calls first.

    Raises
    ------
    WorkerError
        If workers die before they have done anything, which no job can have caused.
    """
    if workers == 0:
        yield from ((job, compute(job, settings)) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    todo, suspects = deque(jobs), deque[Job]()
    while todo or suspects:
        alone = bool(suspects)
        source = suspects if alone else todo
        most = 1 if alone else 2 * workers
        pending: dict[Future[Outcome], Job] = {}
        size = 1 if alone else workers
        pool = ProcessPoolExecutor(size, context, start)
        starts: list[Future[None]] = []
        try:
            starts += (pool.submit(_ready) for _ in range(size))
            wait(starts, return_when=FIRST_COMPLETED)
            while source or pending:
                while source and len(pending) < most:
                    job = source.popleft()
                    try:
                        pending[pool.submit(compute, job, settings)] = job
                    except BrokenProcessPool:
                        source.appendleft(job)
                        raise
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield pending.pop(future), result
        except BrokenProcessPool as error:
            if all(not begun.done() or begun.exception() for begun in starts):
                raise WorkerError(
                    "worker processes die while they start: expected a working installation and "
                    "memory for each; see what they printed, and call from a file, under "
                    "`if __name__ == '__main__':`"
                ) from error
            for future, job in pending.items():
                if future.done() and future.exception() is None:
                    yield job, future.result()
                elif alone:
                    yield job, died(job)
                else:
                    suspects.append(job)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
