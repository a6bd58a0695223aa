"""Measure the cost of a run: processor time and peak memory, also in a separate process."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import ROOT


def processor_time() -> float:
    """Return the processor time of this process and its finished children, s (to 10 ms)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def timed(function: Callable[[], Any], repeats: int = 1) -> dict[str, float]:
    """Return the shortest processor and wall time of several runs, s."""
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), processor_time()
        function()
        found.append((processor_time() - cpu, time.perf_counter() - wall))
    return {"cpu_s": min(c for c, _ in found), "wall_s": min(w for _, w in found)}


def fine(function: Callable[[], Any], repeats: int = 15) -> float:
    """Return the shortest processor time of a run in this process, s; for runs of milliseconds."""
    return side_by_side({"": function}, repeats)[""]


def side_by_side(functions: dict[str, Callable[[], Any]], repeats: int = 15) -> dict[str, float]:
    """Time several functions like ``fine``, in turns, so that other load affects all alike."""
    least = dict.fromkeys(functions, math.inf)
    for _ in range(repeats):
        for name, function in functions.items():
            before = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - before)
    return least


def memory() -> float:
    """Return the memory that this process uses now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_memory() -> float:
    """Return the peak memory of this process, MB.

    On Linux it is not ``ru_maxrss``, which starts at the memory of the parent process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(module: str, *arguments: str, threads: int = 1, most_s: float) -> dict[str, Any]:
    """Run ``python -m module arguments`` and return the JSON object that it prints last.

    Returns ``{"outcome": reason}`` if it fails or takes more than ``most_s`` seconds of wall time.
    """
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=most_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and its children
            return {"outcome": f"not done within {most_s:.0f} s"}
    if process.returncode:
        return {"outcome": errors.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
