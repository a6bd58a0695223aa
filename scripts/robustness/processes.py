"""Run commands of the project as processes that are killed or limited in file size."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ase.build
import ase.io
import numpy as np

from esml.predict.batching import Batching
from scripts import ROOT

DATA = ROOT / "tests" / "data" / "tiny.h5"

ESML = ("-m", "esml")

WINDOW = Batching().window
"""Number of structures that are predicted and saved together."""

CONFIG = """
data: [{data}]
output: {output}
epochs: {epochs}
batch_size: 2
validate_every: 3
seed: 3
model:
  network: {{channels: 8, layers: 1, radial: 4, radial_hidden: 8}}
  pair_channels: 4
  hidden: 8
"""


def start(*arguments: str | Path, most_bytes: int | None = None) -> subprocess.Popen[str]:
    """Start a Python process whose files are limited to ``most_bytes``."""

    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def finish(*arguments: str | Path, most_bytes: int | None = None) -> tuple[int, str]:
    """Run a Python process; return its exit code and standard error."""
    with start(*arguments, most_bytes=most_bytes) as process:
        _, error = process.communicate()
    return process.returncode, error


def wait_for(process: subprocess.Popen[str], begun: Callable[[], object]) -> None:
    """Wait until ``begun()`` has changed or the process has ended."""
    before = begun()
    while process.poll() is None and begun() == before:
        time.sleep(0.002)


def killed(
    command: tuple[str | Path, ...],
    begun: Callable[[], object],
    starting: float,
    span: float,
    rng: np.random.Generator,
) -> bool:
    """Start ``command`` and kill it; return whether it was killed before its end.

    The kill comes either within the ``starting`` seconds until ``begun()`` changes, or up to
    ``span`` seconds after that.
    """
    with start(*command) as process:
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, starting))
        else:
            wait_for(process, begun)
            time.sleep(rng.uniform(0, span))
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL


def changed(path: Path) -> int:
    """Return when ``path`` was last written, ns; 0 if it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else 0


MOLECULES = ("H2CO", "C2H4", "CH3OH", "HCOOH", "CH3CHO", "C4H4O", "C6H6")


def write_molecules(
    path: Path, n: int, rng: np.random.Generator, names: tuple[str, ...] = MOLECULES
) -> None:
    """Write a file of ``n`` randomly distorted molecules, ``names`` in turn."""
    images = []
    for i in range(n):
        atoms = ase.build.molecule(names[i % len(names)])
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        images.append(atoms)
    ase.io.write(path, images)
