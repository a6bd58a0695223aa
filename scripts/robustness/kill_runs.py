"""Kill generations, trainings and predictions again and again, fill disks, and see what is left.

    python -m scripts.robustness.kill_runs [--kills 30] [--only generate] [--seed 0]
                                           [--directory DIR]

The kills are spread evenly over three commands. Each does the same work twice: in one run, and in
runs that each get kill -9 at a random moment, three in ten of them while they start, until enough
have died, then in a last run that may end.

*generate*: water, formaldehyde, ethene and hydrogen cyanide, distorted at random, by two processes
(or on a Dask cluster, --dask local). Shards are joined every five records here, so that kills hit
that too. Both sets must hold every structure once, with all labels equal to 1e-9.
*train*: a small model from one seed. Model and training state must be equal bit for bit, the logs
but for their timings, and whatever model file a kill leaves must load.
*predict*: one set of molecules into HDF5, CSV and JSON lines. No kill may leave a file under the
output's own name, the last run must go on with what the others kept, and end with the same bits.
*disk*: train and predict on a file system of few kilobytes, a tmpfs where that can be mounted, and
where files may not be larger (ulimit -f): one sentence, exit code 2, no file that passes for whole.
Where files may be as large as half of what is predicted, the first half must be kept.

Exit code 1 unless all holds.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

import ase.build
import ase.io
import h5py
import numpy as np
from safetensors.numpy import load_file

from esml.export import part_path
from esml.io.records import Record, read
from esml.model import checkpoint
from esml.predict.batching import Batching
from esml.predict.journal import journal_path
from reference.generate import join_parts
from scripts import ROOT

DATA = ROOT / "tests" / "data" / "tiny.h5"

WINDOW = Batching().window

ESML = ("-m", "esml")

GENERATE = (
    "-c",
    "import sys; from reference import generate; from reference.__main__ import app;"
    "generate.PARTS_PER_SHARD = 5; app()",
    "generate",
)

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
    """A process of Python, its files limited to ``most_bytes``."""

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
    """Exit code and standard error of a process of Python."""
    with start(*arguments, most_bytes=most_bytes) as process:
        _, error = process.communicate()
    return process.returncode, error


def wait_for(process: subprocess.Popen[str], begun: Callable[[], object]) -> None:
    """Return when ``begun()`` has changed, or the process has ended."""
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
    """Start ``command`` and kill it; whether that came before its end.

    Either within the ``starting`` seconds it takes until ``begun()`` changes, or up to ``span``
    seconds after that.
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
    return path.stat().st_mtime_ns if path.exists() else 0


MOLECULES = ("H2CO", "C2H4", "CH3OH", "HCOOH", "CH3CHO", "C4H4O", "C6H6")


def write_molecules(
    path: Path, n: int, rng: np.random.Generator, names: tuple[str, ...] = MOLECULES
) -> None:
    images = []
    for i in range(n):
        atoms = ase.build.molecule(names[i % len(names)])
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        images.append(atoms)
    ase.io.write(path, images)


# ---- generate ------------------------------------------------------------------------------------


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


def kill_generation(
    folder: Path, kills: int, rng: np.random.Generator, dask: str | None = None
) -> list[str]:
    """Generate in peace and with ``kills``; returns what differs."""
    structures, *runs = (folder / n for n in ("structures.xyz", "quiet", "killed"))
    n = 4 * kills + 8
    write_molecules(structures, n, rng, ("H2O", "H2CO", "C2H4", "HCN"))
    options = ["--workers", "2", "--functional", "hf", "--basis", "3-21g"]
    commands = [(*GENERATE, structures, "-o", run, *options) for run in runs]

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
    """Train in peace and with ``kills``; returns what differs."""
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


def lines(path: Path) -> int:
    """Lines of a journal: one, and one for each window."""
    return path.read_bytes().count(b"\n") if path.exists() else 1


def content(path: Path) -> object:
    """What a file holds; HDF5 lays out the same data in many ways."""
    if path.suffix != ".h5":
        return path.read_bytes()
    found: dict[str, bytes] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(note)
        return found, dict(file.attrs)


def resumed(error: str) -> int:
    """How many predictions a run says it found."""
    told = re.search(r"note: (\d+) of them are from an earlier run", error)
    return int(told[1]) if told else 0


def kill_prediction(folder: Path, kills: int, rng: np.random.Generator) -> list[str]:
    """Predict in peace and with ``kills``, in turn into HDF5, CSV and JSON lines."""
    found = []
    for place, suffix in enumerate((".h5", ".csv", ".jsonl")):
        deaths = len(range(place, kills, 3))
        if not deaths:
            continue
        structures = folder / f"structures{suffix}.xyz"
        write_molecules(structures, WINDOW * (3 * deaths + 2), rng)
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


# ---- disk ----------------------------------------------------------------------------------------


def fill_disk(folder: Path, n: int) -> list[str]:
    """Train and predict where there is no room; returns what went wrong."""
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)]
    found = []
    if subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            found += full(folder, small, n, None)
        finally:
            subprocess.run(["umount", str(small)], check=True)
    else:
        print("  no tmpfs can be mounted here: limits on the size of files only")
    return found + full(folder, small, n, 24_576) + limited(folder)


def full(folder: Path, small: Path, n: int, most_bytes: int | None) -> list[str]:
    """What goes wrong where nothing fits into ``small``, or no file may be above ``most_bytes``."""
    found = []
    structures = folder / "many.xyz"
    write_molecules(structures, n, np.random.default_rng(0))
    (folder / "full.yaml").write_text(CONFIG.format(data=DATA, output=small / "run", epochs=2))
    ends = (".h5", ".csv", ".json")
    commands = [("predict", structures, "-o", small / f"out{end}") for end in ends]
    commands.append(("train", folder / "full.yaml"))
    for command in commands:
        code, error = finish(*ESML, *command, most_bytes=most_bytes)
        name = f"{command[0]} to {command[-1].suffix}"
        last = error.strip().splitlines()[-1] if error.strip() else ""
        if code != 2 or not last.startswith("error: ") or "Traceback" in error:
            found.append(f"{name} on a full disk ended with {code}: {error[-500:]}")
        if "expected" not in last:
            found.append(f"{name} on a full disk said: {last}")
        whole = [p for p in small.rglob("*") if p.is_file() and p.stat().st_size]
        left = [p.name for p in whole if p.suffix != ".part" and p.name != "log.csv"]
        if left:
            found.append(f"{name} on a full disk left {left}")
        for path in whole:
            path.unlink()
    return found


def limited(folder: Path) -> list[str]:
    """What is lost where no file may hold the journal of a run, two windows and a bit."""
    structures, output = folder / "limited.xyz", folder / "limited.csv"
    write_molecules(structures, 2 * WINDOW + 4, np.random.default_rng(0))
    command = (*ESML, "predict", structures, "-o", output, "--n-states", "1")
    code, error = finish(*command, most_bytes=WINDOW * 2_400)  # a prediction takes 1,330
    found = []
    if code != 2 or not error.strip().splitlines()[-1].startswith("error: ") or output.exists():
        found.append(f"predict with limited files ended with {code}: {error[-500:]}")
    if lines(journal_path(output)) < 2:
        found.append("predict with limited files kept nothing")
    code, error = finish(*command)
    if code or not resumed(error):
        found.append(f"predict after the limit was raised ended with {code}: {error[-500:]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of the three commands together")
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
