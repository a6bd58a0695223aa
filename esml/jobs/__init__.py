"""Long runs: distributed over processes or computers, saved as they go, with a progress line.

workers       jobs on other processes of this machine, even if workers die
dask_workers  jobs on the workers of a Dask cluster
journal       what a run has done so far, so that a killed run can continue
progress      progress, speed and time left
"""

from esml.jobs.dask_workers import DEFAULT_PATIENCE, LOCAL, Cluster, ClusterError, Patience
from esml.jobs.journal import Journal, JournalError, append_line, decode, encode
from esml.jobs.progress import progress_bar, tracked
from esml.jobs.workers import (
    DIED,
    ONE_THREAD,
    WorkerError,
    follow_parent,
    on_processes,
    one_thread_each,
)

__all__ = [
    "DEFAULT_PATIENCE",
    "DIED",
    "LOCAL",
    "ONE_THREAD",
    "Cluster",
    "ClusterError",
    "Journal",
    "JournalError",
    "Patience",
    "WorkerError",
    "append_line",
    "decode",
    "encode",
    "follow_parent",
    "on_processes",
    "one_thread_each",
    "progress_bar",
    "tracked",
]
