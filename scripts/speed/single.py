"""Print time and peak memory of one molecule as JSON; growth.py runs it in separate processes.

    python -m scripts.speed.single MOLECULE [--threads 1]
    python -m scripts.speed.single MOLECULE --program batch|sparrow|mopac|label

MOLECULE is a family and a size, such as polyene-64, or C60 or beta-carotene.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable
from typing import Any

import torch
from ase.build import molecule

import esml
from scripts.accuracy.peers import run_mopac_indo, run_sparrow_td_dftb
from scripts.measuring import peak_memory, timed
from scripts.speed.molecules import named

N_STATES = 10
BATCH = 16
"""Number of structures of a batch of one size."""


def single(name: str, threads: int = 1) -> dict[str, Any]:
    """Predict one molecule in this process: time, peak memory, outcome."""
    torch.set_num_threads(threads)
    atoms = named(name)
    model = esml.load_model()
    model.predict(molecule("CH3CHO"), N_STATES)
    baseline = peak_memory()
    outcome = "ok"

    def run() -> None:
        nonlocal outcome
        try:
            model.predict(atoms, N_STATES, n_triplets=1)
        except ValueError as error:
            outcome = str(error)

    times = timed(run)
    if times["wall_s"] < 2:  # longer runs need no warm-up
        times = timed(run, 5)
    return {
        "name": name,
        "n_atoms": len(atoms),
        "threads": threads,
        **times,
        "outcome": outcome,
        "peak_MB": peak_memory(),
        "before_MB": baseline,
    }


def batch(name: str) -> dict[str, Any]:
    """Predict a batch of slightly distorted copies of the molecule; times are per copy."""
    torch.set_num_threads(1)
    atoms = named(name)
    copies = [atoms.copy() for _ in range(BATCH)]
    for seed, copy in enumerate(copies):
        copy.rattle(0.02, seed=seed)
    model = esml.load_model()
    list(model.predict_many([molecule("CH3CHO")] * BATCH, N_STATES, "return"))
    baseline = peak_memory()
    times = repeated(
        lambda: list(model.predict_many(copies, N_STATES, "return", n_triplets=1)), BATCH
    )
    return row("batch", name, len(atoms), times, baseline)


def foreign(name: str, program: str) -> dict[str, Any]:
    """Compute the molecule with "sparrow", "mopac", or the calculation of a "label"."""
    atoms = named(name)
    if program == "label":
        from reference.record import make_record
        from reference.scf import Level

        times = repeated(lambda: make_record(atoms, Level()))
    else:
        method = {"mopac": run_mopac_indo, "sparrow": run_sparrow_td_dftb}[program]
        times = repeated(lambda: method(atoms, N_STATES))
    return row(program, name, len(atoms), times, 0.0)


def repeated(run: Callable[[], object], count: int = 1) -> dict[str, float]:
    """Return times per molecule for a run of ``count`` molecules, the best of three if short."""
    times = timed(run)
    if times["wall_s"] < 2:
        times = timed(run, 3)
    return {name: seconds / count for name, seconds in times.items()}


def row(
    program: str, name: str, n_atoms: int, times: dict[str, float], baseline: float
) -> dict[str, Any]:
    """Make the row of one molecule; peak memory is that of the largest process involved."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "program": program,
        "name": name,
        "n_atoms": n_atoms,
        **times,
        "outcome": "ok",
        "peak_MB": max(peak_memory(), children),
        "before_MB": baseline,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecule")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", choices=("batch", "sparrow", "mopac", "label"))
    args = parser.parse_args()
    if args.program is None:
        found = single(args.molecule, args.threads)
    elif args.program == "batch":
        found = batch(args.molecule)
    else:
        found = foreign(args.molecule, args.program)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
