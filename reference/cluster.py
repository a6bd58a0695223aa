"""Run calculations on a Dask cluster and yield results as they finish, even if workers die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar

from esml.jobs import DEFAULT_PATIENCE, Cluster, ClusterError, Patience

__all__ = ["ClusterError", "Patience", "results"]

AHEAD = 8
"""Number of jobs submitted at a time in addition to two per worker."""

CODE = "esml and reference (put the clone on their PYTHONPATH)"

Job = TypeVar("Job")
Result = TypeVar("Result")
Settings = TypeVar("Settings")


def _each(
    compute: Callable[[Job, Settings], Result], jobs: Sequence[Job], settings: Settings
) -> list[Result]:  # runs on a worker
    return [compute(job, settings) for job in jobs]


def results(
    compute: Callable[[Job, Settings], Result],
    jobs: Sequence[Job],
    settings: Settings,
    address: str,
    died: Callable[[Job], Result],
    workers: int = 1,
    patience: Patience = DEFAULT_PATIENCE,
) -> Iterator[tuple[Job, Result]]:
    """Yield every job with the result of ``compute(job, settings)``, in the order they finish.

    A job whose workers die repeatedly gets the result ``died(job)``. ``workers`` is the number of
    processes of a local cluster. At any moment at most two jobs per worker and eight more are
    submitted: this bounds the memory and still makes an adaptive cluster grow. ``compute`` must
    catch its own errors. Raises ClusterError when no scheduler answers, the scheduler is lost, or
    the workers cannot run ``compute``.
    """
    if not jobs:
        return
    cluster = Cluster(address, workers, ahead=AHEAD, one_thread=True, code=CODE, patience=patience)
    found = cluster.run(partial(_each, compute), ([job] for job in jobs), settings, died)
    with closing(found):
        for (job,), (result,) in found:
            yield job, result
