"""Make geometries in separate processes, one per core, in the order of the requests.

GFN2-xTB must run on one thread, which must be set before its library is loaded, and a molecule that
hangs or crashes a library must not end the whole run. So processes, ``python -m esml.io.geometry``,
do the work: each reads a request (one line of JSON) and answers with a line. They end when their
standard input ends, that is, with the process that started them.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import Lock, Timer
from typing import Any, TypeVar

from esml.io.geometry.building import Built
from esml.io.geometry.embedding import Settings
from esml.io.provenance import InputError

SECONDS = 900.0
"""Default of the longest time for one molecule, s."""

AHEAD = 16
"""Number of requests per process that are read ahead."""

Request = dict[str, Any]
"""``smiles``, ``mol`` (a MOL block), or ``numbers``, ``positions`` and ``charge``; and, for
conformers of ``smiles``, their number ``n``."""


T = TypeVar("T")
"""Type of items that are passed through."""


class Worker:
    """One process that makes geometries, started at the first request.

    Parameters
    ----------
    seconds
        Longest time for one molecule; then the process is ended.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        from esml.jobs import ONE_THREAD

        root = str(Path(__file__).parents[3])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-m", "esml.io.geometry"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
        )

    def __call__(self, request: Request, settings: Settings) -> list[Built]:
        """Return the answer to ``request``. Raises InputError, also if the process dies."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(self.seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(json.dumps({**request, "settings": asdict(settings)}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, OSError):
            line = ""
        finally:
            timer.cancel()
        if not line:
            self.close()
            raise InputError(
                f"no geometry was found within {self.seconds:.0f} s, or the process that looked "
                "for it died: expected a molecule of some hundred atoms at most; give a "
                "geometry file"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise InputError(answer["error"])
        return [Built.of_plain(plain) for plain in answer["built"]]

    def kill(self) -> None:
        """End the process; a thread that waits for its answer gets an error."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()


class _Idle:
    """Idle processes, kept for the next molecule."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._lock = Lock()
        atexit.register(self.close)

    def take(self, seconds: float = SECONDS) -> Worker:
        """Return an idle process or a new one, to work for at most ``seconds``."""
        with self._lock:
            worker = self._workers.pop() if self._workers else Worker()
        worker.seconds = seconds
        return worker

    def give(self, worker: Worker) -> None:
        """Keep ``worker`` for the next molecule."""
        with self._lock:
            self._workers.append(worker)

    def close(self) -> None:
        """End all idle processes."""
        with self._lock:
            for worker in self._workers:
                worker.close()
            self._workers.clear()


@cache
def _idle() -> _Idle:
    return _Idle()


def build(request: Request, settings: Settings) -> list[Built]:
    """Build one molecule in a process that is reused for the next. Raises InputError."""
    worker = _idle().take()
    try:
        return worker(request, settings)
    finally:
        _idle().give(worker)


def cores() -> int:
    """Return the number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS, Windows


def build_many(
    requests: Iterable[Request | T],
    settings: Settings,
    processes: int | None = None,
    seconds: float = SECONDS,
) -> Generator[list[Built] | InputError | T, None, None]:
    """Yield geometries in the order of ``requests``; an InputError replaces one that fails.

    ``processes`` work at once (one per core if ``None``), a few requests ahead of the results
    taken, so that memory is bounded and the cores stay busy while results are used. Each molecule
    may take ``seconds``. Requests that are not dictionaries are passed through in order.
    """
    processes = processes or cores()
    busy: set[Worker] = set()

    def work(request: Request) -> list[Built] | InputError:
        worker = _idle().take(seconds)
        busy.add(worker)
        try:
            return worker(request, settings)
        except InputError as error:
            return error
        finally:
            busy.discard(worker)
            _idle().give(worker)

    pool = ThreadPoolExecutor(processes)
    waiting: deque[Future[list[Built] | InputError] | T] = deque()
    try:
        for request in requests:
            waiting.append(pool.submit(work, request) if isinstance(request, dict) else request)
            if len(waiting) > AHEAD * processes:
                yield _outcome(waiting.popleft())
        while waiting:
            yield _outcome(waiting.popleft())
    finally:
        for each in waiting:
            if isinstance(each, Future):
                each.cancel()
        # Nobody needs the geometries still in progress.
        for worker in tuple(busy):
            worker.kill()
        pool.shutdown()


def _outcome(each: Future[list[Built] | InputError] | T) -> list[Built] | InputError | T:
    return each.result() if isinstance(each, Future) else each
