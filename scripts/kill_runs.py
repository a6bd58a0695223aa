"""Kill `esml train` and `esml predict` again and again, fill their disk, and see what is left.

    python scripts/kill_runs.py [--kills 10] [--seed 0] [--directory DIR]

*train*: a small model is trained twice from one seed: in one run, and in runs that each get kill -9
at a random moment until enough have died, then in a last run that may end. Model and training state
must be equal bit for bit, the logs but for their timings, and whatever model file a kill leaves
must load. *predict*: one set of molecules is predicted into one format after the other, killed at a
random moment; no kill may leave a file under the output's own name that is not whole, what an HDF5
file has kept must be the first of the right results, and the last run must give them all.
*disk*: both again on a file system of few kilobytes: one sentence, exit code 2, no file that
passes for whole. It is a tmpfs where that can be mounted, else a limit on the size of files.

`scripts/kill_generation.py` does the first for `python -m reference generate`. Exit code 1 unless
all holds.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ase.build
import ase.io
import numpy as np
from safetensors.numpy import load_file

from esml import checkpoint
from esml.export import ExportError, StoredResult, part_path, read_results

DATA = Path(__file__).parents[1] / "tests" / "data" / "tiny.h5"

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
    """An `esml` command, its files limited to ``most_bytes``."""

    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "esml", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def finish(*arguments: str | Path, most_bytes: int | None = None) -> tuple[int, str]:
    """Exit code and standard error of an `esml` command."""
    with start(*arguments, most_bytes=most_bytes) as process:
        _, error = process.communicate()
    return process.returncode, error


def wait_for(process: subprocess.Popen[str], begun: Callable[[], object]) -> None:
    """Return when ``begun()`` has changed, or the process has ended."""
    before = begun()
    while process.poll() is None and begun() == before:
        time.sleep(0.002)


def changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def kill_training(folder: Path, kills: int, rng: np.random.Generator, epochs: int) -> list[str]:
    """Train in peace and with ``kills``; returns what differs."""
    runs = {}
    for name in ("quiet", "killed"):
        runs[name] = folder / name
        text = CONFIG.format(data=DATA, output=runs[name], epochs=epochs)
        (folder / f"{name}.yaml").write_text(text)
    code, error = finish("train", folder / "quiet.yaml")
    if code:
        return [f"the undisturbed training ended with exit code {code}: {error}"]
    found = []
    state, model = (runs["killed"] / f"{n}.safetensors" for n in ("state", "model"))
    for _ in range(kills):
        with start("train", folder / "killed.yaml") as process:
            wait_for(process, lambda: (changed(state), changed(model)))
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            process.communicate()
        if process.returncode != -signal.SIGKILL:
            return [f"the training ended before it was killed: give it more epochs than {epochs}"]
        for path in (state, model):
            if path.exists():
                checkpoint.unpack(path)
        if model.exists():
            checkpoint.load(model)
    code, error = finish("train", folder / "killed.yaml")
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


MOLECULES = ("H2CO", "C2H4", "CH3OH", "HCOOH", "CH3CHO", "C4H4O", "C6H6")


def write_molecules(path: Path, n: int, rng: np.random.Generator) -> None:
    images = []
    for i in range(n):
        atoms = ase.build.molecule(MOLECULES[i % len(MOLECULES)])
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        images.append(atoms)
    ase.io.write(path, images)


def kept_results(part: Path) -> list[StoredResult]:
    """What a killed prediction has left; nothing where it died before its first flush."""
    try:
        return list(read_results(part))
    except ExportError:
        return []


def kill_prediction(folder: Path, kills: int, rng: np.random.Generator, n: int) -> list[str]:
    """Predict in peace and with ``kills``, in turn into HDF5, CSV and JSON lines."""
    structures = folder / "structures.xyz"
    write_molecules(structures, n, rng)
    found = []
    for place, suffix in enumerate((".h5", ".csv", ".jsonl")):
        quiet, killed = (folder / f"{name}{suffix}" for name in ("quiet", "killed"))
        deaths = len(range(place, kills, 3))
        if not deaths:
            continue
        for _ in range(deaths):
            with start("predict", structures, "-o", killed) as process:
                wait_for(process, partial(changed, part_path(killed)))
                time.sleep(rng.uniform(0, 1.0))
                process.kill()
                process.communicate()
            if process.returncode != -signal.SIGKILL:
                return [f"the prediction ended before it was killed: give it more than {n}"]
            if killed.exists():
                found.append(f"a kill left {killed.name} as if it were whole")
        kept = kept_results(part_path(killed)) if suffix == ".h5" else []
        for output in (quiet, killed):
            code, error = finish("predict", structures, "-o", output)
            if code:
                return [f"the last prediction ended with exit code {code}: {error}"]
        if part_path(killed).exists():
            found.append("the last prediction left its part file")
        if suffix != ".h5":
            if quiet.read_bytes() != killed.read_bytes():
                found.append(f"the {suffix} files differ")
            continue
        results = [read_results(path) for path in (quiet, killed)]
        for early, one, other in zip([*kept, *[None] * n], *results, strict=False):
            pairs = [(one, other)] + ([(one, early)] if early is not None else [])
            for a, b in pairs:
                if not (
                    np.array_equal(a.singlets.energies, b.singlets.energies)
                    and np.array_equal(a.charges, b.charges)
                ):
                    found.append(f"results of {one.name}, {one.index}, differ")
        if [len(r) for r in results] != [n, n]:
            found.append(f"{[len(r) for r in results]} of {n} results are there")
    return found


def fill_disk(folder: Path, n: int) -> list[str]:
    """Train and predict where there is no room; returns what went wrong."""
    small = folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    print(f"  {'a tmpfs of 24 kB' if mounted else 'files of at most 24 kB (no tmpfs here)'}")
    try:
        return full(folder, small, n, None if mounted else 24_576)
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)


def full(folder: Path, small: Path, n: int, most_bytes: int | None) -> list[str]:
    """What goes wrong where nothing fits into ``small``, or no file is above ``most_bytes``."""
    found = []
    structures = folder / "many.xyz"
    write_molecules(structures, n, np.random.default_rng(0))
    (folder / "full.yaml").write_text(CONFIG.format(data=DATA, output=small / "run", epochs=2))
    # HDF5 asks how much room there is, not how large a file may be: beyond that it crashes.
    suffixes = (".csv", ".json") if most_bytes else (".h5", ".csv", ".json")
    commands = [("predict", structures, "-o", small / f"out{suffix}") for suffix in suffixes]
    commands.append(("train", folder / "full.yaml"))
    for command in commands:
        code, error = finish(*command, most_bytes=most_bytes)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of train, and of predict")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--structures", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where to work; default: a temporary one")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    directory = args.directory or Path(tempfile.mkdtemp())
    failed = False
    for name, run in (
        ("train", lambda folder: kill_training(folder, args.kills, rng, args.epochs)),
        ("predict", lambda folder: kill_prediction(folder, args.kills, rng, args.structures)),
        ("disk", lambda folder: fill_disk(folder, 300)),
    ):
        folder = directory / name
        folder.mkdir(parents=True)
        began = time.monotonic()
        found = run(folder)
        failed |= bool(found)
        told = f"{args.kills} kills, " if name != "disk" else ""
        print(f"{name}: {told}{time.monotonic() - began:.0f} s", flush=True)
        print("\n".join(f"  {line}" for line in found) or "  nothing lost, nothing wrong")
    sys.exit(failed)


if __name__ == "__main__":
    main()
