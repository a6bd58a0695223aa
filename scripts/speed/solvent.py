"""Cost of a solvent: times of predictions in water and in vacuum, measured in turns.

    python -m scripts.speed.solvent [NAME ...] [--times 15]

NAME is a molecule of ``scripts.speed.molecules``, such as polyene-64. Each row is one molecule, or
a batch of slightly different ones; vacuum and water take turns in one process, and the shortest
time of each counts. Times are those of one processor, so that other work on the machine disturbs
them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from ase import Atoms

import esml
from esml.io import from_smiles
from scripts.speed.molecules import named

N_STATES = 10
BATCH = 16
"""Number of molecules of a batch."""

SOLVENT = "water"
SMILES = {
    "p-nitroaniline": "Nc1ccc(cc1)[N+](=O)[O-]",
    "coumarin 153": "O=c1cc(C(F)(F)F)c2cc3c4c(c2o1)CCCN4CCC3",
}


def in_turn(tasks: Sequence[Callable[[], object]], times: int) -> list[float]:
    """Return the shortest processor time (s) of each task; tasks run in turns ``times`` times."""
    least = [float("inf")] * len(tasks)
    for _ in range(times + 1):  # the first time is a warm-up and is never the shortest
        for k, task in enumerate(tasks):
            start = time.process_time()
            task()
            least[k] = min(least[k], time.process_time() - start)
    return least


def molecule(name: str) -> Atoms:
    return from_smiles(SMILES[name]).atoms if name in SMILES else named(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*SMILES, "glycines-100"])
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = esml.load_model()
    print("| | vacuum (ms) | water (ms) | ratio |\n|---|---|---|---|")
    for name in given.names:
        atoms = molecule(name)
        batch = [atoms.copy() for _ in range(BATCH)]
        for seed, copy in enumerate(batch):
            copy.rattle(0.02, seed=seed)

        def alone(solvent: str, atoms: Atoms = atoms) -> object:
            return model.predict(atoms, N_STATES, solvent=solvent)

        def together(solvent: str, batch: Sequence[Atoms] = batch) -> object:
            return list(model.predict_many(batch, N_STATES, solvent=solvent))

        for title, task in ((name, alone), (f"{BATCH} of it", together)):
            vacuum, water = in_turn([partial(task, s) for s in ("vacuum", SOLVENT)], given.times)
            print(f"| {title} | {1e3 * vacuum:.1f} | {1e3 * water:.1f} | {water / vacuum:.2f} |")


if __name__ == "__main__":
    main()
