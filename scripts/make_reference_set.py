"""Make the shipped reference set again: sample, compute, join.

    python scripts/make_reference_set.py RUN_DIRECTORY [--workers 2] [--molecules 700]

Resumable: run it again after an interruption. The records land in RUN_DIRECTORY/set as shards. The
committed data/small is what a first run of it had computed when the first model was trained: 624 of
its 1,050 structures, nearly all with up to six heavy atoms.
Everything follows from the seed; the xTB relaxations make positions agree to about 1e-4 Å between
machines, so content keys may differ where the numbers do not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase.io

from reference.generate import generate, join_parts
from reference.sample import write_sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--molecules", type=int, default=700)
    parser.add_argument("--max-heavy", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    structures = args.directory / "structures.xyz"
    write_sample(structures, args.molecules, max_heavy=args.max_heavy, seed=args.seed)
    images = ase.io.read(structures, index=":")
    # Small molecules first: a run cut short still holds a fair sample of them.
    images.sort(key=lambda atoms: int((atoms.numbers > 1).sum()) > 6)
    summary = generate(images, args.directory / "set", workers=args.workers)
    join_parts(args.directory / "set")
    print(summary)


if __name__ == "__main__":
    main()
