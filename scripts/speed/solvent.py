"""Cost of a medium: times of predictions in vacuum, water and point charges, measured in turns.

    python -m scripts.speed.solvent [NAME ...] [--times 15]

NAME is a molecule of ``scripts.speed.molecules``, such as polyene-64. Each row is one molecule, or
a batch of slightly different ones; the media take turns in one process, and the shortest time of
each counts. Point charges are those of 1,000 waters in random places around each molecule. Times
are those of one processor, so that other work on the machine disturbs them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from ase import Atoms

import esml
from esml.io import from_smiles
from scripts.data.point_charge_shifts import WATER_CHARGES
from scripts.speed.molecules import named

N_STATES = 10
BATCH = 16
"""Number of molecules of a batch."""

SOLVENT = "water"
WATERS = 1000
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


def charges_around(atoms: Atoms) -> esml.PointCharges:
    """Return the charges of ``WATERS`` molecules, each 6 to 30 Å beyond the ends of ``atoms``."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(WATERS, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    reach = np.ptp(atoms.positions, axis=0).max() / 2.0
    distance = (reach + np.cbrt(rng.uniform(6.0**3, 30.0**3, WATERS)))[:, None]
    oxygens = atoms.positions.mean(0) + distance * direction
    sites = oxygens[:, None] + rng.normal(scale=0.5, size=(WATERS, 3, 3))
    return esml.PointCharges(np.tile(WATER_CHARGES, WATERS), sites.reshape(-1, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*SMILES, "glycines-100"])
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = esml.load_model()
    print("| | vacuum (ms) | water | point charges |\n|---|---|---|---|")
    for name in given.names:
        atoms = molecule(name)
        batch = [atoms.copy() for _ in range(BATCH)]
        for seed, copy in enumerate(batch):
            copy.rattle(0.02, seed=seed)
        charges = charges_around(atoms)

        def alone(
            solvent: str | None, around: esml.PointCharges | None, atoms: Atoms = atoms
        ) -> object:
            return model.predict(atoms, N_STATES, solvent=solvent, point_charges=around)

        def together(
            solvent: str | None, around: esml.PointCharges | None, batch: Sequence[Atoms] = batch
        ) -> object:
            charges = [around] * len(batch)
            found = model.predict_many(batch, N_STATES, solvent=solvent, point_charges=charges)
            return list(found)

        for title, task in ((name, alone), (f"{BATCH} of it", together)):
            media = ((None, None), (SOLVENT, None), (None, charges))
            tasks = [partial(task, *medium) for medium in media]
            vacuum, *others = in_turn(tasks, given.times)
            ratios = " | ".join(f"{other / vacuum:.2f}" for other in others)
            print(f"| {title} | {1e3 * vacuum:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
