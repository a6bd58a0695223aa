"""Kill generations, trainings and predictions again and again, fill disks, and check what is left.

    python -m scripts.robustness.kill_runs [--kills 30] [--only generate] [--seed 0]
                                           [--directory DIR]

The kills are spread evenly over three commands. Each does the same work twice: in one undisturbed
run, and in runs that are each killed (kill -9) at a random moment, three in ten of them during
start-up, followed by a last run that may finish.

*generate*: water, formaldehyde, ethene and hydrogen cyanide, distorted at random, by two processes
(or on a Dask cluster, --dask local). Shards are joined every five records here, so that kills hit
that too. Both sets must hold every structure once, with all labels equal to 1e-9.
*train*: a small model from one seed. Model and training state must be equal bit for bit, the logs
except for their timings, and any model file that a kill leaves must load.
*predict*: one set of molecules into HDF5, CSV and JSON lines. No kill may leave a file under the
output's own name; the last run must continue from what the others kept and end with the same bits.
*disk*: train and predict on a file system of a few kilobytes, a tmpfs where one can be mounted, and
with a limit on the size of files (ulimit -f): one sentence, exit code 2, no incomplete file that
looks complete. Where files may hold half of the predictions, the first half must be kept.

Exit code 1 unless all of this holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

from esml.export import part_path
from esml.io.records import Record, read
from esml.model import checkpoint
from esml.predict.journal import journal_path
from reference.generate import join_parts
from scripts.robustness.full_disks import fill_disk, lines, resumed
from scripts.robustness.processes import (
    CONFIG,
    DATA,
    ESML,
    WINDOW,
    changed,
    finish,
    killed,
    start,
    wait_for,
    write_molecules,
)

GENERATE = ("-m", "reference", "generate", "--parts-per-shard", "5")


# ---- generate ------------------------------------------------------------------------------------


def differences(one: list[Record], other: list[Record]) -> list[str]:
    """List the differences of two sets, except dates and timings."""
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


def kill_generation(
    folder: Path, kills: int, rng: np.random.Generator, dask: str | None = None
) -> list[str]:
    """Generate undisturbed and with ``kills``; return the differences."""
    structures, *runs = (folder / n for n in ("structures.xyz", "quiet", "killed"))
    n = 4 * kills + 8
    write_molecules(structures, n, rng, ("H2O", "H2CO", "C2H4", "HCN"))
    options = ["--workers", "2", "--functional", "hf", "--basis", "3-21g"]
    commands: list[tuple[str | Path, ...]] = [
        (*GENERATE, structures, "-o", run, *options) for run in runs
    ]

    def written(run: Path) -> list[int]:
        return [changed(run / "parts"), len(list(run.rglob("*.h5")))]

    began = time.monotonic()
    with start(*commands[0]) as process:
        wait_for(process, lambda: len(list(runs[0].rglob("*.h5"))))
        starting = time.monotonic() - began
        _, error = process.communicate()
    if process.returncode:
        return [f"the undisturbed run ended with exit code {process.returncode}: {error}"]
    span = (time.monotonic() - began - starting) / (kills + 2)
    if dask:
        commands[1] += ("--dask", dask)
    for _ in range(kills):
        if not killed(commands[1], partial(written, runs[1]), starting, span, rng):
            return ["the generation ended before it was killed"]
    code, error = finish(*commands[1])
    if code:
        return [f"the last generation ended with exit code {code}: {error}"]
    for run in runs:
        join_parts(run)
    found = differences(*(read(run, unique=False) for run in runs))
    stored = len(read(runs[1]))
    return found + ([] if stored == n else [f"{stored} of {n} structures are stored"])


# ---- train ---------------------------------------------------------------------------------------


def kill_training(folder: Path, kills: int, rng: np.random.Generator) -> list[str]:
    """Train undisturbed and with ``kills``; return the differences."""
    epochs = 12 + 5 * kills
    runs = {}
    for name in ("quiet", "killed"):
        runs[name] = folder / name
        text = CONFIG.format(data=DATA, output=runs[name], epochs=epochs)
        (folder / f"{name}.yaml").write_text(text)
    code, error = finish(*ESML, "train", folder / "quiet.yaml")
    if code:
        return [f"the undisturbed training ended with exit code {code}: {error}"]
    found = []
    state, model = (runs["killed"] / f"{n}.safetensors" for n in ("state", "model"))
    for _ in range(kills):
        command = (*ESML, "train", folder / "killed.yaml")
        if not killed(command, lambda: (changed(state), changed(model)), 4.0, 0.3, rng):
            return ["the training ended before it was killed"]
        for path in (state, model):
            if path.exists():
                checkpoint.unpack(path)
        if model.exists():
            checkpoint.load(model)
    code, error = finish(*ESML, "train", folder / "killed.yaml")
    if code:
        return [f"the last training ended with exit code {code}: {error}"]
    files = {name: (run / "model.safetensors").read_bytes() for name, run in runs.items()}
    if files["quiet"] != files["killed"]:
        found.append("the models differ")
    states = {name: load_file(run / "state.safetensors") for name, run in runs.items()}
    for name, tensor in states["quiet"].items():
        if not np.array_equal(tensor, states["killed"][name]):
            found.append(f"{name} of the states differs")
    logs = [
        [line.split(",")[:1] + line.split(",")[2:] for line in (run / "log.csv").open()]
        for run in runs.values()
    ]
    if logs[0] != logs[1]:
        found.append("the logs differ")
    return found


# ---- predict -------------------------------------------------------------------------------------


def content(path: Path) -> object:
    """Read the content of a file, because HDF5 can store the same data in many ways."""
    if path.suffix != ".h5":
        return path.read_bytes()
    found: dict[str, bytes] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(note)
        return found, dict(file.attrs)


def kill_prediction(folder: Path, kills: int, rng: np.random.Generator) -> list[str]:
    """Predict undisturbed and with ``kills``, in turn into HDF5, CSV and JSON lines."""
    found = []
    for place, suffix in enumerate((".h5", ".csv", ".jsonl")):
        deaths = len(range(place, kills, 3))
        if not deaths:
            continue
        structures = folder / f"structures{suffix}.xyz"
        write_molecules(structures, WINDOW * (deaths + 2), rng)
        quiet, other = (folder / f"{name}{suffix}" for name in ("quiet", "killed"))
        journal = journal_path(other)
        begun = partial(lines, journal)
        for _ in range(deaths):
            if not killed((*ESML, "predict", structures, "-o", other), begun, 4.0, 1.0, rng):
                return ["the prediction ended before it was killed"]
            if other.exists():
                found.append(f"a kill left {other.name} as if it were whole")
        kept = lines(journal) > 1
        for output in (quiet, other):
            code, error = finish(*ESML, "predict", structures, "-o", output)
            if code:
                return [*found, f"the last prediction ended with exit code {code}: {error}"]
        if bool(resumed(error)) != kept:
            found.append(f"the last prediction into {suffix} did not go on")
        if part_path(other).exists() or journal.exists():
            found.append(f"the last prediction into {suffix} left more than its output")
        if content(quiet) != content(other):
            found.append(f"the {suffix} files differ")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=30, help="number of kills, of the three commands together"
    )
    parser.add_argument("--only", choices=("generate", "train", "predict", "disk"))
    parser.add_argument("--dask", help="for generate: address of a scheduler, or local")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where to work; default: a temporary one")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    directory = args.directory or Path(tempfile.mkdtemp())
    runs: dict[str, Callable[[Path, int], list[str]]] = {
        "generate": lambda folder, kills: kill_generation(folder, kills, rng, args.dask),
        "train": lambda folder, kills: kill_training(folder, kills, rng),
        "predict": lambda folder, kills: kill_prediction(folder, kills, rng),
        "disk": lambda folder, _: fill_disk(folder, 300),
    }
    failed = False
    for place, (name, run) in enumerate(runs.items()):
        if args.only not in (None, name):
            continue
        kills = args.kills if args.only else len(range(place, args.kills, 3))
        folder = directory / name
        folder.mkdir(parents=True)
        began = time.monotonic()
        found = run(folder, kills)
        failed |= bool(found)
        told = f"{kills} kills, " if name != "disk" else ""
        print(f"{name}: {told}{time.monotonic() - began:.0f} s")
        for line in found or ["nothing lost, nothing wrong"]:
            print(f"  {line}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
