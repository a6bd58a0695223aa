"""Calculations on a Dask cluster: results as they come, even if workers die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar

from esml.jobs import DEFAULT_PATIENCE, Cluster, ClusterError, Patience

__all__ = ["ClusterError", "Patience", "results"]

AHEAD = 8
"""Jobs in flight beyond two for each worker."""

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
    """``compute(job, settings)`` for every job, each job once, in the order they are done.

    A job whose workers die time and again has the result ``died(job)``. ``workers`` counts the
    processes of a local cluster. At most eight jobs more are in flight than twice the workers there
    are at the moment: that bounds the memory, and gives an adaptive cluster reason to grow. Raises
    ClusterError when no scheduler answers, the scheduler is lost, or the workers cannot run
    ``compute``, which is expected to catch its own errors.
    """
    if not jobs:
        return
    cluster = Cluster(address, workers, ahead=AHEAD, one_thread=True, code=CODE, patience=patience)
    found = cluster.run(partial(_each, compute), ([job] for job in jobs), settings, died)
    with closing(found):
        for (job,), (result,) in found:
            yield job, result
