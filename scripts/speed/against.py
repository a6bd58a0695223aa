"""Compare the times of this version with another one: a table of ratios.

    git worktree add --detach ../before 6b50799
    python -m scripts.speed.against ../before --model ../before/esml/models/default.safetensors

The two take turns, one prediction or one start each, so that other load on the machine affects both
alike. Times are processor times of one thread; a ratio is the median over the pairs, and its spread
is from the first to the third quartile. Both versions predict with ``--model``, a file that both
can read, or each with the model it ships. The other version is any clone that has
``esml.load_model``; both run with the packages of this Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.io import read, write

from scripts import ROOT
from scripts.pages import table
from scripts.speed.molecules import polyene

N_STATES = 10
EXAMPLES = ROOT / "examples"
WORKER = Path(__file__).with_name("predictions.py")
"""Script that runs with either version, so it imports nothing from ``scripts``."""

SMALL = ("C6H6", "C5H5N", "CH3COCH3", "C4H4O")

STARTS = {
    "`import esml`": ("-c", "import esml"),
    "`esml --help`": ("-m", "esml", "--help"),
    "`esml spectrum`, azobenzene": ("-m", "esml", "spectrum", str(EXAMPLES / "azobenzene.xyz")),
}
"""Arguments of Python for each start that is timed."""


class Ratio(NamedTuple):
    """Ratio of times of this version to times of the other one."""

    before: float  # s, median of the other version
    now: float  # s, median of this one
    middle: float  # median of the ratios of pairs
    low: float  # their first quartile
    high: float  # their third

    @classmethod
    def of(cls, pairs: list[tuple[float, float]]) -> Ratio:
        """Compute the ratio from ``pairs`` of times (before, now)."""
        before, now = np.array(pairs).T
        low, middle, high = np.quantile(now / before, (0.25, 0.5, 0.75))
        return cls(*map(float, (np.median(before), np.median(now), middle, low, high)))


def structures() -> dict[str, list[Atoms]]:
    """Return the structures to predict by name; several structures form one batch."""
    batch = [molecule(SMALL[seed % len(SMALL)]) for seed in range(16)]
    for seed, atoms in enumerate(batch):
        atoms.rattle(0.02, seed=seed)
    named = {"azobenzene": "azobenzene.xyz", "*p*-nitroaniline": "p-nitroaniline.xyz"}
    single = {f"{name}, one": _read(EXAMPLES / file) for name, file in named.items()}
    return {**single, "16 small molecules, a batch": batch, "C80 polyene, one": [polyene(162)]}


def _read(path: Path) -> list[Atoms]:
    images = read(path, ":")
    assert isinstance(images, list)
    return images


def environment(clone: Path) -> dict[str, str]:
    """Return the environment of a process with the version in ``clone`` and one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(clone.resolve())}


@contextmanager
def predictions(
    clone: Path, files: dict[str, str], model: Path | None
) -> Iterator[Callable[[str], float]]:
    """Yield a function that times a prediction of a named file by the version in ``clone``, s."""
    told = json.dumps({"files": files, "model": str(model or ""), "n_states": N_STATES})
    with subprocess.Popen(
        [sys.executable, str(WORKER), told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(clone),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        used = Path(process.stdout.readline().strip())
        if clone.resolve() not in used.parents:
            raise SystemExit(f"{clone} holds no package esml that can be imported: {used}")

        def seconds(name: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(name + "\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield seconds
        process.stdin.close()


def started(clone: Path, arguments: tuple[str, ...]) -> float:
    """Return the processor time of Python with ``arguments`` and the version in ``clone``, s."""
    command = [sys.executable, *arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment(clone), stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def in_turns(
    before: Callable[[], float], now: Callable[[], float], times: int
) -> list[tuple[float, float]]:
    """Return pairs of times; the two take turns in starting."""
    before()  # warm-up, such as compiling
    now()
    pairs = []
    for k in range(times):
        if k % 2:
            later = now()
            pairs.append((before(), later))
        else:
            pairs.append((before(), now()))
    return pairs


def of_predictions(other: Path, model: Path | None, times: int) -> Iterator[tuple[str, Ratio]]:
    """Yield a ratio for each of ``structures``."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = {}
        for k, (name, batch) in enumerate(structures().items()):
            files[name] = str(folder / f"{k}.xyz")
            write(files[name], batch, format="extxyz")
        before, now = (
            stack.enter_context(predictions(clone, files, model)) for clone in (other, ROOT)
        )
        for name in files:
            yield name, Ratio.of(in_turns(partial(before, name), partial(now, name), times))


def of_starts(other: Path, times: int) -> Iterator[tuple[str, Ratio]]:
    """Yield a ratio for each of ``STARTS``."""
    for name, arguments in STARTS.items():
        before, now = (partial(started, clone, arguments) for clone in (other, ROOT))
        yield name, Ratio.of(in_turns(before, now, times))


def as_row(name: str, found: Ratio) -> tuple[str, ...]:
    """Format the cells of a row."""
    spread = f"{found.low:.2f}–{found.high:.2f}"
    times = (f"{1e3 * found.before:.0f}", f"{1e3 * found.now:.0f}")
    return (name, *times, f"{found.middle:.2f}", spread)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, metavar="CLONE", help="folder of the other version")
    parser.add_argument("--model", type=Path, help="model file that both versions read")
    parser.add_argument("--times", type=int, default=15, help="pairs of each row")
    parts = ("predictions", "starts")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="both if left out")
    given = parser.parse_args()
    found: dict[str, Iterator[tuple[str, Ratio]]] = {
        "predictions": of_predictions(given.other, given.model, given.times),
        "starts": of_starts(given.other, given.times),
    }
    rows = []
    for part in given.parts:
        for name, ratio in found[part]:
            rows.append(as_row(name, ratio))
            print(*rows[-1], sep="  ", flush=True)
    headings = ("", "before, ms", "now, ms", "ratio", "quartiles")
    print("", table(headings, rows), sep="\n")


if __name__ == "__main__":
    main()
