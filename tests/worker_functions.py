"""What the processes of a pool run in tests: light to import, since each of them does."""

from __future__ import annotations

import os
import signal
import threading
import time


def start() -> None:
    """In place of the initializer of real workers, which loads the quantum chemistry."""


def compute(name: str, directory: str) -> str:
    """Note the call; die if the name says so, always or (``once``) the first time."""
    if name.startswith("die"):
        if "once" in name and os.path.exists(os.path.join(directory, name)):
            return f"done {name}"
        with open(os.path.join(directory, name), "a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    with open(os.path.join(directory, name), "a") as file:
        file.write("x")
    time.sleep(0.05)
    return f"done {name}"


def died(name: str) -> str:
    """The outcome of a job that takes its worker along; asked for in the parent only."""
    from esml.jobs import DIED

    return DIED


def settings(name: str, level: object) -> tuple[dict[str, str | None], int]:
    """Thread settings this process was started with, and how many threads follow its parent."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {n: os.environ.get(n) for n in names}, threading.active_count()
