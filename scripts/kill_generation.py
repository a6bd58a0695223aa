"""Kill a generation run again and again, resume it, and compare with one left in peace.

    python scripts/kill_generation.py [--kills 10] [--structures 40] [--workers 2] [--dask local]

Water, formaldehyde, ethene and hydrogen cyanide, distorted at random, are computed twice: in one
run, and in runs that each get kill -9 at a random moment until enough have died, then in a last run
that may end. Shards are joined every five records here, so that kills hit that too. Exit code 1
unless both hold every structure once, with all labels equal to 1e-9.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path

import ase.build
import ase.io
import numpy as np

from esml.dataset import Record, read
from reference.generate import join_parts

MOLECULES = ("H2O", "H2CO", "C2H4", "HCN")
PARTS_PER_SHARD = 5
RUN = (
    "import sys; from reference import generate; from reference.__main__ import app;"
    f"generate.PARTS_PER_SHARD = {PARTS_PER_SHARD}; app()"
)


def write_structures(path: Path, n: int, rng: np.random.Generator) -> None:
    images = []
    for i in range(n):
        atoms = ase.build.molecule(MOLECULES[i % len(MOLECULES)])
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        images.append(atoms)
    ase.io.write(path, images)


def start(structures: Path, output: Path, options: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, "generate", str(structures), "-o", str(output), *options]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_change(output: Path, process: subprocess.Popen[str]) -> None:
    """Return when a file is put into or taken from ``output``, or the process has ended."""

    def state() -> list[int]:
        return [p.stat().st_mtime_ns for p in (output / "parts", output) if p.exists()]

    before = state()
    while process.poll() is None and (state() == before or not any(output.rglob("*.h5"))):
        time.sleep(0.005)


def differences(one: list[Record], other: list[Record]) -> list[str]:
    """What distinguishes two sets, dates and timings aside."""
    keys = [Counter(record.key for record in records) for records in (one, other)]
    found = [f"{key} stored {n} times" for c in keys for key, n in c.items() if n > 1]
    found += [f"{key} is in one set only" for key in keys[0].keys() ^ keys[1].keys()]
    by_key = {record.key: record for record in other}
    for record in one:
        twin = by_key.get(record.key, record)
        for spec in fields(Record):
            a, b = getattr(record, spec.name), getattr(twin, spec.name)
            if spec.metadata["kind"] == "text":
                if a != b and spec.name != "provenance":
                    found.append(f"{record.key}: {spec.name} is {a} and {b}")
            elif a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=1e-9):
                found.append(f"{record.key}: {spec.name} differs")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--structures", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dask", help="address of a scheduler, or local")
    parser.add_argument("--functional", default="camb3lyp")
    parser.add_argument("--basis", default="3-21g")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where to work; default: a temporary one")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    directory = args.directory or Path(tempfile.mkdtemp())
    directory.mkdir(parents=True, exist_ok=True)
    structures, quiet, killed = (directory / n for n in ("structures.xyz", "quiet", "killed"))
    write_structures(structures, args.structures, rng)
    options = ["--workers", str(args.workers), "--basis", args.basis]
    options += ["--functional", args.functional]

    began = time.monotonic()
    with start(structures, quiet, options) as process:
        wait_for_change(quiet, process)
        starting = time.monotonic() - began
        process.communicate()
    span = (time.monotonic() - began - starting) / args.kills
    print(f"undisturbed: {starting:.1f} s to the first record, then {span * args.kills:.1f} s")
    if process.returncode:
        sys.exit(f"the undisturbed run ended with exit code {process.returncode}")

    if args.dask:
        options += ["--dask", args.dask]
    for i in range(args.kills):
        with start(structures, killed, options) as process:
            # Three in ten before there is anything new, while things are loaded and joined.
            if rng.random() < 0.3:
                time.sleep(rng.uniform(0, starting))
            else:
                wait_for_change(killed, process)
                time.sleep(rng.uniform(0, span))
            process.kill()
            output, _ = process.communicate()
        if process.returncode != -signal.SIGKILL:
            sys.exit(f"the run ended before kill {i + 1}: give it more --structures\n{output}")
        shards, parts = (len(list(killed.glob(p))) for p in ("shard-*.h5", "parts/*.h5"))
        print(f"kill {i + 1:2d}: {shards} shards and {parts} parts left")
    with start(structures, killed, options) as process:
        output, _ = process.communicate()
    print(output.splitlines()[-1])
    if process.returncode:
        sys.exit(f"the last run ended with exit code {process.returncode}")
    for run in (quiet, killed):
        join_parts(run)
    found = differences(read(quiet, unique=False), read(killed, unique=False))
    n = len(read(killed))
    found += [] if n == args.structures else [f"{n} of {args.structures} structures are stored"]
    print("\n".join(found) or f"{n} records, each once, equal to those of the undisturbed run")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
