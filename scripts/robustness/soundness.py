"""Predict every structure of the data, as it is and distorted until bonds break: is it sound?

    python -m scripts.robustness.soundness [DATA...] [--distortions 2] [--limit N] [--seed 0]

Each record of the data (by default all but data/distorted) is predicted as it is and distorted at
random: all atoms moved by up to half an Å, or one bond stretched by up to three times its length
with everything on its far side. A result is sound if all of it is finite, energies ascend and are
positive (but for triplets below a closed shell that is nearly a minimum, which come with a
warning), strengths are not negative and charges sum to the charge. Anything else must be refused in
one sentence. Prints how many of each kind were predicted and refused, and why. Exit code 1 for any
result that is not sound.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import esml
from esml.io.records import iterate
from scripts import ROOT
from scripts.robustness.fuzz import assert_sound

DATA = tuple(ROOT / "data" / n for n in ("small", "pool", "chromophores", "extrapolation"))


def stretched(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Stretch one bond to 1 to 3 times its length, with everything on its far side."""
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances()
    bonded = (distances < 1.25 * (radii[:, None] + radii)) & (distances > 0)
    bonds = np.argwhere(np.triu(bonded))
    found: Atoms = atoms.copy()
    if not len(bonds):
        return found
    i, j = bonds[rng.integers(len(bonds))]
    bonded[i, j] = bonded[j, i] = False
    _, part = connected_components(coo_array(bonded), directed=False)
    # A ring bond has no far side: one atom moves alone.
    beyond = part == part[j] if part[i] != part[j] else np.arange(len(atoms)) == j
    along = atoms.positions[j] - atoms.positions[i]
    found.positions[beyond] += rng.uniform(0, 2) * along
    return found


def shaken(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Move every atom by normally distributed displacements of up to half an Å."""
    found: Atoms = atoms.copy()
    found.positions += rng.normal(scale=rng.uniform(0, 0.5), size=found.positions.shape)
    return found


def structures(
    paths: list[Path], distortions: int, limit: int | None, seed: int
) -> Iterator[tuple[str, Atoms]]:
    """Yield each kind of distortion and the distorted structure."""
    rng = np.random.default_rng(seed)
    for n, record in enumerate(iterate(paths)):
        if limit is not None and n >= limit:
            return
        atoms = Atoms(record.numbers, record.positions, info={"charge": int(record.charge)})
        yield "as they are", atoms
        for _ in range(distortions):
            yield "shaken", shaken(atoms, rng)
            yield "a bond stretched", stretched(atoms, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, default=list(DATA))
    parser.add_argument("--distortions", type=int, default=2)
    parser.add_argument("--limit", type=int, help="number of records; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model")
    args = parser.parse_args()
    model = esml.load_model(args.model)
    kinds: list[tuple[str, int]] = []

    def stream() -> Iterator[Atoms]:
        for kind, atoms in structures(args.data, args.distortions, args.limit, args.seed):
            kinds.append((kind, int(atoms.info["charge"])))
            yield atoms

    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    began = time.perf_counter()
    for n, result in enumerate(model.predict_many(stream(), n_states=5, errors="return")):
        kind, charge = kinds[n]
        if n % 1000 == 999:
            print(f"{n + 1} done, {wrong} not sound", flush=True)
        if isinstance(result, esml.Failure):
            sound = "\n" not in result.reason and "expected" in result.reason
            why = "unstable" if "unstable" in result.reason else result.reason[:60]
            why = "a triplet below" if "a triplet of" in result.reason else why
            why = "atoms too close" if "apart where" in result.reason else why
            counts[kind, f"refused: {why}"] += 1
        else:
            try:
                assert_sound(result, charge)
                sound = True
                counts[kind, "predicted"] += 1
            except AssertionError:
                sound = False
        if not sound:
            wrong += 1
            print(f"not sound: structure {n}, {kind}: {result}")
    print(f"{len(kinds)} predictions, {time.perf_counter() - began:.0f} s, {wrong} not sound")
    for (kind, what), count in sorted(counts.items()):
        print(f"  {kind:18} {count:6} {what}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
