"""Give esml odd structures, odd options and damaged files, and check that it never crashes.

    python -m scripts.robustness.fuzz [--examples 2000] [--mutations 3000] [--seed 0]

1. *Structures and options*, drawn by hypothesis: any elements at any distances, any charge, any
   numbers of states. Each is predicted, with finite, ascending energies, strengths that are not
   negative and charges that sum to the charge, or refused in one sentence.
2. *Files*: a model, a training state, shards of every schema, a predictions file, a configuration,
   geometries. Each is mutated: bytes flipped, removed, doubled or replaced, numbers in text
   replaced by large ones. Half of the mutants get a correct checksum, as an attacker would give
   them. A child process reads them, with at most MEMORY bytes of address space beyond what it
   starts with and SECONDS of time for each. It reads each one, or refuses it in one sentence by the
   reader's own exception.

A child that dies, hangs or runs out of memory is a finding, as is any other exception. Exit code 1
if there is any; the mutants stay in --directory. Peak memory and the slowest reader are printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ase.build
import ase.io
import numpy as np
import torch
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

import esml
from esml.export import ExportError, open_writer, read_results
from esml.io.records import DatasetError, read_shard, sealed, write_shard
from esml.io.structures import InputError, read_structures
from esml.model import checkpoint
from esml.physics.basis import ELEMENTS
from esml.physics.strategy import DEFAULT
from esml.training import ConfigError
from esml.training.config import load_config
from scripts import ROOT
from scripts.measuring import peak_memory

MEMORY = 2 * 2**30
"""Bytes; the mutated files have at most 200 kB, but a shard may expand by a factor of 1100."""

SECONDS = 20
"""Longest time to read one file."""

DATA = ROOT / "tests" / "data"

MOLECULES = ("H2O", "H2CO", "C2H4", "HCN", "CH3OH", "C6H6", "HCOOH", "CH3Cl", "CS2", "OCS", "N2")

# ---- structures and options ----------------------------------------------------------------------


@st.composite
def structures(draw: st.DrawFn) -> Atoms:
    """Draw a distorted molecule or random atoms, with odd charges, spins and cells."""
    if draw(st.booleans()):
        atoms: Atoms = ase.build.molecule(draw(st.sampled_from(MOLECULES)))
        size = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5]))
        noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        atoms.positions += noise.normal(scale=size, size=atoms.positions.shape)
    else:
        atoms = draw(heaps())
    if len(atoms) and draw(st.integers(0, 9)) == 0:
        odd = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 1e-300])
        atoms.positions[draw(st.integers(0, len(atoms) - 1)), draw(st.integers(0, 2))] = draw(odd)
    if draw(st.integers(0, 4)) == 0:
        atoms.info["charge"] = draw(
            st.one_of(st.none(), st.integers(-3, 3), st.floats(), st.text(max_size=3))
        )
    for key in ("spin", "multiplicity"):
        if draw(st.integers(0, 9)) == 0:
            atoms.info[key] = draw(st.one_of(st.integers(-2, 5), st.text(max_size=2)))
    if draw(st.integers(0, 9)) == 0:
        atoms.set_cell([9, 9, 9])
        atoms.set_pbc(draw(st.tuples(*[st.booleans()] * 3)))
    return atoms


@st.composite
def heaps(draw: st.DrawFn) -> Atoms:
    """Draw atoms of mostly known elements at any distances, from coinciding to far apart."""
    n = draw(st.integers(0, 8))
    known = st.sampled_from(ELEMENTS)
    numbers = draw(
        st.lists(known if draw(st.booleans()) else st.integers(0, 118), min_size=n, max_size=n)
    )
    scale = draw(st.sampled_from([0.3, 1.0, 1.5, 3.0, 10.0, 1e3, 1e9]))
    place = st.floats(-1, 1, width=32)
    positions = draw(st.lists(st.tuples(place, place, place), min_size=n, max_size=n))
    return Atoms(numbers, scale * np.array(positions).reshape(-1, 3))


OPTIONS = st.fixed_dictionaries(
    {"n_states": st.one_of(st.integers(-1, 12), st.integers(10**3, 10**18))},
    optional={
        "n_triplets": st.one_of(st.none(), st.integers(-1, 5)),
        "energy_window": st.one_of(st.none(), st.floats(), st.floats(1, 20)),
    },
)


def examine(model: esml.Surrogate, atoms: Atoms, options: dict[str, Any]) -> str:
    """Predict and return the outcome; AssertionError for an unsound result or refusal."""
    before = atoms.copy()
    try:
        result = model.predict(atoms, **options)
    except ValueError as refusal:
        sentence = str(refusal)
        helpful = "expected" in sentence or "it knows" in sentence
        if not helpful or "\n" in sentence:
            raise AssertionError(f"unhelpful: {sentence}") from refusal
        return "refused"
    assert_sound(result, int(atoms.info.get("charge") or 0))
    assert np.array_equal(before.positions, atoms.positions)
    return "predicted"


def assert_sound(result: esml.Result, charge: int) -> None:
    """Check for finite, ascending numbers, the right charge, a warning of a negative triplet."""
    assert (result.singlets.energies > 0).all()
    below = result.triplets.energies[result.triplets.energies <= 0]
    assert (below > -DEFAULT.saddle).all()
    assert not len(below) or (result.warnings and not result.in_domain)
    assert np.isfinite(result.orbital_energies).all()
    assert (np.diff(result.orbital_energies) >= 0).all()
    for states in (result.singlets, result.triplets):
        assert np.isfinite(states.energies).all()
        assert (np.diff(states.energies) >= 0).all()
        assert np.isfinite(states.transition_dipoles).all()
        assert (states.oscillator_strengths >= 0).all()
        assert np.isfinite(states.oscillator_strengths).all()
    assert np.isfinite(result.dipole).all()
    assert abs(result.charges.sum() - charge) < 1e-6


def fuzz_structures(examples: int, seed: int) -> Counter[str]:
    """Draw and examine structures; hypothesis shrinks a failing example and raises its error."""
    model = esml.load_model()
    counts: Counter[str] = Counter()

    @hypothesis_seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(atoms=structures(), options=OPTIONS)
    def run(atoms: Atoms, options: dict[str, Any]) -> None:
        counts[examine(model, atoms, options)] += 1

    run()
    return counts


# ---- files ---------------------------------------------------------------------------------------


def read_model(path: Path) -> None:
    esml.load_model(path)


def read_config(path: Path) -> None:
    load_config(path)


def read_geometries(path: Path) -> None:
    for _ in read_structures(path):
        pass


READERS: dict[str, tuple[Callable[[Path], Any], type[Exception]]] = {
    ".safetensors": (read_model, checkpoint.CheckpointError),
    ".h5": (read_shard, DatasetError),
    ".predictions": (read_results, ExportError),
    ".yaml": (read_config, ConfigError),
    ".xyz": (read_geometries, InputError),
    ".json": (read_geometries, InputError),
    ".cif": (read_geometries, InputError),
    ".pdb": (read_geometries, InputError),
    ".traj": (read_geometries, InputError),
    ".db": (read_geometries, InputError),
    ".sdf": (read_geometries, InputError),
}
"""Reader by file name extension, and the one exception that it may raise."""


def seeds(folder: Path) -> list[Path]:
    """Write one intact file of every kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("version-1.safetensors", "schema-2.h5", "tiny.h5"):
        (folder / name).write_bytes((DATA / name).read_bytes())
    esml.save_model(esml.load_model(DATA / "version-1.safetensors"), folder / "now.safetensors")
    write_shard(folder / "now.h5", read_shard(DATA / "schema-2.h5"))
    molecules = [ase.build.molecule(name) for name in ("H2CO", "C6H6", "CH3OH")]
    model = esml.load_model()
    with open_writer(folder / "now.h5.out", 3, "hdf5", model="shipped") as writer:
        for atoms in molecules:
            writer.add(model.predict(atoms, 3))
        writer.add(esml.Failure("nothing", "no atoms"))
    (folder / "now.h5.out").rename(folder / "now.predictions")
    (folder / "now.yaml").write_text(
        "data: [tiny.h5]\noutput: run\nname: trial\nepochs: 3\nlearning_rate: 0.001\nseed: 3\n"
        "model: {network: {channels: 8, layers: 2, cutoff: 5.0}, hidden: 16}\n"
        "losses: {energies: 1.0, dipole: 0.5}\n"
    )
    ase.io.write(folder / "now.xyz", molecules)
    for end in ("json", "traj", "db"):
        ase.io.write(folder / f"now.{end}", molecules)
    ase.io.write(folder / "now.pdb", molecules)
    crystal = molecules[0].copy()
    crystal.set_cell([6, 6, 6])
    ase.io.write(folder / "now.cif", crystal)
    (folder / "now.sdf").write_text(
        "water\n\n\n  3  2  0  0  0  0  0  0  0  0999 V2000\n"
        "    0.0000    0.0000    0.1193 O   0  0\n    0.0000    0.7632   -0.4770 H   0  0\n"
        "    0.0000   -0.7632   -0.4770 H   0  0\n  1  2  1  0\n  1  3  1  0\nM  END\n"
    )
    return sorted(p for p in folder.iterdir() if p.suffix in READERS)


LARGE = [b"999999999999", b"-1", b"1e308", b"nan", b"0", b"4294967296", b"65535", b"\xff" * 8]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return ``content`` with one to four changes."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not data:
            break
        at = int(rng.integers(len(data)))
        width = int(rng.choice([1, 2, 4, 8, 64, 1024]))
        kind = rng.integers(7)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + width] = rng.bytes(width)
        elif kind == 2:
            data[at : at + width] = b"\xff" * width
        elif kind == 3:
            del data[at : at + width]
        elif kind == 4:
            data[at:at] = data[at : at + width] * int(rng.integers(1, 20))
        elif kind == 5:
            del data[at:]
        else:
            numbers = [m.span() for m in re.finditer(rb"\d+", bytes(data[:20_000]))]
            if numbers:
                start, end = numbers[int(rng.integers(len(numbers)))]
                data[start:end] = LARGE[int(rng.integers(len(LARGE)))]
    return bytes(data)


def mutant(seed_file: Path, rng: np.random.Generator) -> bytes:
    """Return a mutated file, half of the time with a correct checksum."""
    content = seed_file.read_bytes()
    anew = rng.random() < 0.5
    if seed_file.name == "now.h5" and anew:
        return sealed(mutated(content[: -len(sealed(b""))], rng))
    if seed_file.name == "now.safetensors" and anew:
        tensors, entries = checkpoint.unpack(seed_file)
        header = {k: v for k, v in json.loads(entries["esml"]).items() if k != "sha256"}
        name = sorted(tensors)[int(rng.integers(len(tensors)))]
        choice = rng.integers(4)
        if choice == 0:
            tensors[name] = tensors[name].double().reshape(-1)[:3]
        elif choice == 1:
            tensors[name] = torch.full_like(tensors[name], torch.nan)
        elif choice == 2:
            del tensors[name]
        try:
            header = json.loads(mutated(json.dumps(header).encode(), rng))
            return checkpoint.pack(tensors, "esml", header)
        except (ValueError, TypeError):
            return mutated(content, rng)
    return mutated(content, rng)


def serve(connection: Connection) -> None:
    """Read the files whose names arrive, and send the outcome of each."""
    torch.set_num_threads(1)
    (held_kb,) = re.findall(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())
    held = int(held_kb) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # kills
    while True:
        path = Path(connection.recv())
        reader, expected = READERS[path.suffix]
        signal.alarm(SECONDS)
        began = time.perf_counter()
        try:
            reader(path)
            outcome = "read"
        except expected as error:
            text = str(error)
            outcome = "refused" if "\n" not in text and len(text) < 2000 else f"unclear: {text}"
        except BaseException:
            outcome = traceback.format_exc()
        signal.alarm(0)
        peak = int(peak_memory() * 2**20)
        connection.send((outcome, time.perf_counter() - began, peak))


class Child:
    """A process that reads files and is restarted when a file has killed it."""

    def __init__(self) -> None:
        self._process: Any = None

    def read(self, path: Path) -> tuple[str, float, int]:
        """Read ``path``; return the outcome, the time (s) and the peak memory so far."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._here, there = context.Pipe()
            self._process = context.Process(target=serve, args=(there,), daemon=True)
            self._process.start()
            there.close()
        self._here.send(str(path))
        try:
            answer: tuple[str, float, int] = self._here.recv()
            return answer
        except EOFError:
            self._process.join()
            code, self._process = self._process.exitcode, None
            return f"the reader died of signal {-code}", float(SECONDS), 0

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()


def fuzz_files(folder: Path, n: int, seed: int) -> list[str]:
    """Read ``n`` mutants and return the findings."""
    originals = seeds(folder / "whole")
    child, rng = Child(), np.random.default_rng(seed)
    findings: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    slowest, peak = 0.0, 0
    for original in originals:
        outcome, _, _ = child.read(original)
        if outcome != "read":
            findings.append(f"{original.name}, unharmed: {outcome}")
    for i in range(n):
        original = originals[i % len(originals)]
        path = folder / f"mutant-{i}{original.suffix}"
        path.write_bytes(mutant(original, rng))
        outcome, seconds, most = child.read(path)
        slowest, peak = max(slowest, seconds), max(peak, most)
        known = outcome in ("read", "refused")
        counts[original.name, outcome if known else "FOUND"] += 1
        if known:
            path.unlink()
        else:
            findings.append(f"{path}: {outcome}")
    child.close()
    for name in sorted({name for name, _ in counts}):
        told = ", ".join(f"{count} {what}" for (of, what), count in counts.items() if of == name)
        print(f"  {name:24} {told}")
    print(f"  slowest {slowest:.1f} s, peak memory {peak / 2**20:.0f} MiB")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2000, help="of structures and options")
    parser.add_argument("--mutations", type=int, default=3000, help="of files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where mutants are written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.examples:
        print(f"structures and options: {dict(fuzz_structures(args.examples, args.seed))}")
    folder = args.directory or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(f"files: {args.mutations} mutants, at most {MEMORY >> 20} MiB and {SECONDS} s each")
    findings = fuzz_files(folder, args.mutations, args.seed)
    print("\n".join(findings) or "no finding")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
