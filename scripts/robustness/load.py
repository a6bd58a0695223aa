"""Predict many molecules in one process: does memory grow, does anything fail, is it repeatable?

    python -m scripts.robustness.load [--molecules 20000] [--seed 0] [DATA...]

Structures of the data (by default the training data of the shipped model) are drawn at random and
shaken by 0.02 Å, so that no two are alike. Every hundredth is one of a few that are repeated at
other places of the stream and so in other batches. Exit code 1 if memory grows by more
than GROWTH after the first fifth of the run, if a structure is refused for any reason other than an
unstable closed shell (the model's own limit, which it states), or if the energies of the same
molecule differ by more than SAME (batches differ, and the network runs in single precision).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

import esml
from esml.io.records import iterate
from scripts import ROOT
from scripts.measuring import memory

DATA = tuple(ROOT / "data" / n for n in ("small", "pool", "chromophores"))

GROWTH = 64
"""Largest growth of memory, MiB."""

SAME = 2e-4
"""Largest difference of energies of the same structure, eV."""

REPEATED = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, default=list(DATA))
    parser.add_argument("--molecules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-states", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(args.seed)
    known = [Atoms(r.numbers, r.positions, info={"name": r.key}) for r in iterate(args.data)]
    model = esml.load_model()
    again = [known[i] for i in rng.choice(len(known), REPEATED, replace=False)]
    places: list[int | None] = []

    def stream() -> Iterator[Atoms]:
        for n in range(args.molecules):
            if n % 100 == 0:
                place = int(rng.integers(REPEATED))
                places.append(place)
                yield again[place]
                continue
            places.append(None)
            atoms = known[rng.integers(len(known))].copy()
            atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
            yield atoms

    first: dict[int, np.ndarray] = {}
    differ, refused, failed, held = 0.0, 0, 0, []
    began = time.perf_counter()
    results = model.predict_many(stream(), args.n_states, errors="return")
    for n, result in enumerate(results):
        if isinstance(result, esml.Failure):
            refused += 1
            if "closed shell" not in result.reason and "closed-shell" not in result.reason:
                failed += 1
                print(f"structure {n}: {result.reason}")
        elif (place := places[n]) is not None:
            energies = first.setdefault(place, result.singlets.energies)
            differ = max(differ, float(np.abs(energies - result.singlets.energies).max()))
        places[n] = None
        if (n + 1) % (args.molecules // 10) == 0:
            held.append(memory())
            rate = (n + 1) / (time.perf_counter() - began)
            print(f"{n + 1:7} molecules, {rate:5.0f} a second, {held[-1]:.0f} MiB", flush=True)
    grown = max(held[2:]) - held[1]
    print(f"memory grew by {grown:.0f} MiB after the first fifth (at most {GROWTH})")
    print(f"{refused} of {args.molecules} refused, {failed} of them for another reason than that")
    print(f"the same molecule differs by {differ:.1e} eV")
    sys.exit(grown > GROWTH or differ > SAME or bool(failed))


if __name__ == "__main__":
    main()
