"""Time typical molecules with esml and other programs, and the commands of esml."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import write

import esml
from esml.export import part_path
from scripts.accuracy.peers import PeerError, run_mopac_indo, run_sparrow_td_dftb
from scripts.measuring import fine, processor_time, timed
from scripts.speed.molecules import TYPICAL, typical
from scripts.speed.single import N_STATES


def tddft() -> dict[str, dict[str, float]]:
    """Time ten singlets of styrene at the labels' level with PySCF, without truncations."""
    from pyscf import dft, lib, tdscf

    from reference.scf import Level, molecule

    lib.num_threads(1)
    level = Level()
    styrene = molecule(typical()[TYPICAL.index("C=Cc1ccccc1")], level.basis)

    def run() -> None:
        ground = dft.RKS(styrene, xc=level.functional).run()
        tdscf.TDDFT(ground).run(nstates=N_STATES).oscillator_strength()

    return {"styrene": timed(run)}


def peers(n_labels: int) -> dict[str, Any]:
    """Time typical molecules, batched and single, beside PySCF labels, MOPAC and Sparrow."""
    torch.set_num_threads(1)
    model = esml.load_model()
    structures = typical()
    many = distorted(structures, 13)
    list(model.predict_many(many[:20], N_STATES))
    # Interleaved, so that other load on the machine affects all alike.
    ours = ("batched", "single", "batched, 10 triplets", "single, 10 triplets")
    found: dict[str, list[float]] = {name: [] for name in (*ours, "mopac", "sparrow")}
    failures: dict[str, str] = {}
    for atoms in structures:
        for name, n_triplets in zip(ours[::2], (1, N_STATES), strict=True):
            stream = model.predict_many(many, N_STATES, "return", n_triplets=n_triplets)
            found[name].append(timed(partial(list, stream))["cpu_s"] / len(many))
        for name, n_triplets in zip(ours[1::2], (1, N_STATES), strict=True):
            one = partial(model.predict, atoms, N_STATES, n_triplets=n_triplets)
            found[name].append(fine(one, 5))
        for name, run in (("mopac", run_mopac_indo), ("sparrow", run_sparrow_td_dftb)):
            try:
                found[name].append(timed(partial(run, atoms, N_STATES))["cpu_s"])
            except PeerError as error:
                failures[name] = str(error)
        print({name: values[-1] for name, values in found.items() if values}, flush=True)
    found["label"] = label_times(structures[:n_labels])
    means = {name: float(np.median(values)) for name, values in found.items() if values}
    ratios = {
        f"{name} / {kind}": means[name] / means[kind]
        for name in ("label", "mopac", "sparrow")
        for kind in ours
        if name in means
    }
    return {"median_cpu_s": means, "ratios": ratios, "failures": failures}


def distorted(structures: list[Atoms], times: int) -> list[Atoms]:
    """Return every structure ``times`` times, each time distorted a little differently."""
    found = []
    for seed in range(times):
        for atoms in structures:
            copy: Atoms = atoms.copy()
            copy.rattle(0.02, seed=seed)
            found.append(copy)
    return found


def label_times(structures: list[Atoms]) -> list[float]:
    """Return the processor time of the record of each structure, s."""
    if not structures:
        return []
    from reference.record import make_record
    from reference.scf import Level

    times = []
    for atoms in structures:
        times.append(timed(partial(make_record, atoms, Level()))["cpu_s"])
        print("label", times[-1], flush=True)
    return times


def stream(n_molecules: int) -> dict[str, Any]:
    """Measure memory and throughput of ``esml predict`` over a file of many small molecules."""
    units = [molecule(name) for name in ("H2CO", "CH3CHO", "C2H4", "HCN", "CH3SH", "H2O", "C6H6")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.xyz"
        with path.open("w") as file:
            for index in range(n_molecules):
                atoms = units[index % len(units)].copy()
                atoms.rattle(0.02, seed=index)
                write(file, atoms, format="extxyz")
        output = Path(folder) / "many.h5"
        command = [sys.executable, "-m", "esml", "predict", str(path), "-o", str(output)]
        cpu, rss, written = watched(command, output).T
    steady = written > 0.1 * n_molecules
    third = [np.searchsorted(written, f * n_molecules) for f in (0.1, 0.4, 0.65, 0.95)]
    rate = [
        float((written[b] - written[a]) / (cpu[b] - cpu[a]))
        for a, b in ((third[0], third[1]), (third[2], min(third[3], len(cpu) - 1)))
    ]
    return {
        "n_molecules": n_molecules,
        "memory_MB": [float(rss[steady].min()), float(rss[steady].max())],
        "molecules_per_cpu_s": {"beginning": rate[0], "end": rate[1]},
        "cpu_s": float(cpu[-1]),
    }


def watched(command: list[str], output: Path) -> np.ndarray:
    """Return processor time (s), memory (MB) and molecules written every second of a run (n, 3)."""
    samples = []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        run = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                times = run.cpu_times()
                memory = run.memory_info().rss / 2**20
                samples.append((times.user + times.system, memory, written_to(output)))
            except (psutil.Error, OSError):
                break
            time.sleep(1.0)
    return np.array(samples)


def startup(n_pairs: int = 8) -> dict[str, float]:
    """Time ``esml spectrum`` on a small file beside the imports it needs; return medians."""
    times: dict[str, list[float]] = {"spectrum": [], "imports": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acetaldehyde.xyz"
        write(path, molecule("CH3CHO"))
        commands = {
            "spectrum": ("-m", "esml", "spectrum", str(path)),
            "imports": ("-c", "import torch, ase.io"),
        }
        for _ in range(n_pairs):
            for name, command in commands.items():
                begin = processor_time()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                times[name].append(processor_time() - begin)
    ratios = np.divide(times["spectrum"], times["imports"])
    return {
        "spectrum_cpu_s": float(np.median(times["spectrum"])),
        "imports_cpu_s": float(np.median(times["imports"])),
        "ratio": float(np.median(ratios)),
    }


def written_to(output: Path) -> int:
    """Return the number of molecules in a file that is being written."""
    path = part_path(output) if part_path(output).exists() else output
    if not path.exists():
        return 0
    try:
        with h5py.File(path, "r", swmr=True) as file:
            return int(file["counts"][0])
    except (OSError, KeyError):
        return 0
