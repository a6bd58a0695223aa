"""Make the reference set again: sample structures, compute records, join shards.

    python -m scripts.data.reference_set RUN [--only NAME ...] [--workers 2] [--dask ADDRESS]
                                             [--beside DATA]

Each part of the set (SAMPLES below, and the larger molecules of reference/molecules.py as
"extrapolation") goes to RUN/NAME.xyz as structures and to RUN/NAME as shards of records, small
molecules first. Run the same command again to continue after an interruption. --dask takes the
address of a scheduler. --beside leaves out what an existing set holds, to continue one whose run
directory is gone. Everything takes a day on two cores.

The seeds determine everything. The xTB relaxations make positions agree to about 1e-4 Å between
machines, so content keys may differ where the numbers do not.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ase.io
from ase import Atoms

from esml.io.records import iterate
from reference.families import Family
from reference.generate import generate, join_parts
from reference.molecules import dye_molecules
from reference.sample import write_coverage, write_extrapolation, write_larger, write_sample
from reference.scf import Level


@dataclass(frozen=True)
class Sample:
    """Molecules skip, …, n_molecules − 1 of a seeded sample, a distorted structure of each."""

    n_molecules: int
    skip: int = 0
    max_heavy: int = 7
    n_distorted: int = 1
    relaxed_share: float = 0.5
    seed: int = 0
    family: Family | None = None
    level: Level = Level()


SAMPLES = {
    # A first run of it gave data/small and data/pool: 889 of its 1,050 structures.
    "first": Sample(n_molecules=700),
    "more": Sample(n_molecules=2000, skip=700),
    # The next molecules of up to five heavy atoms: cheap, and rich in functional groups.
    "small-ones": Sample(n_molecules=1900, skip=818, max_heavy=5),
    # The relaxed structures of small molecules that "small-ones" contains only distorted.
    "equilibria": Sample(n_molecules=1900, skip=818, max_heavy=5, n_distorted=0, relaxed_share=1.0),
    # Parts of dyes, which are rare in a sample of small molecules.
    "benzenoid": Sample(n_molecules=220, max_heavy=8, family="benzenoid"),
    "hydrocarbons": Sample(n_molecules=55, max_heavy=9, family="hydrocarbon", relaxed_share=1.0),
    # Some molecules of nine heavy atoms.
    "fused": Sample(n_molecules=129, max_heavy=9, family="fused", relaxed_share=0.2),
}

COVERAGE = "coverage"
"""Name of the part with the molecules of reference/coverage.csv."""
EXTRAPOLATION = "extrapolation"
DYES = "dyes"
"""Name of the part with dyes that contain the new elements or are ions."""
LARGER = "larger"
"""Name of the part with larger molecules to train on."""
LEVELS = {name: Level(n_singlets=5, n_triplets=3) for name in (EXTRAPOLATION, DYES, LARGER)}
"""Levels for large molecules, with the lowest states only."""


PARTS = (*SAMPLES, COVERAGE, EXTRAPOLATION, DYES, LARGER)


def images_of(name: str, path: Path) -> list[Atoms]:
    """Return a part's structures in order of use; draw those that are missing in ``path``."""
    if name == COVERAGE:
        write_coverage(path)
        return one_of_each_first(list(ase.io.iread(path, index=":")))
    if name == LARGER:
        write_larger(path)
        return list(ase.io.iread(path, index=":"))
    if name == EXTRAPOLATION:
        write_extrapolation(path)
    elif name == DYES:
        write_extrapolation(path, dye_molecules())
    else:
        s = SAMPLES[name]
        write_sample(
            path,
            s.n_molecules,
            s.max_heavy,
            s.n_distorted,
            s.relaxed_share,
            s.seed,
            s.skip,
            s.family,
        )
    images = ase.io.read(path, index=":")
    assert isinstance(images, list)
    # An interrupted run then still contains a fair sample of the smaller ones.
    return sorted(images, key=lambda atoms: int((atoms.numbers > 1).sum()))


def one_of_each_first(images: list[Atoms]) -> list[Atoms]:
    """Sort ``images`` so that the first structure of every molecule precedes any second one."""
    seen: Counter[str] = Counter()
    rounds = []
    for atoms in images:
        rounds.append(seen[atoms.info["inchikey"]])
        seen[atoms.info["inchikey"]] += 1
    return [images[i] for i in sorted(range(len(images)), key=rounds.__getitem__)]


def fresh(images: list[Atoms], data: Path) -> list[Atoms]:
    """Return the ``images`` for which ``data`` has no structure of that molecule and kind.

    Content keys are not compared: relaxations on two machines differ in the last digits.
    """
    held = {(record.inchikey, record.geometry) for record in iterate(data)}
    return [a for a in images if (a.info["inchikey"], a.info["geometry"]) not in held]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="RUN")
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dask", help="address of a scheduler, or local")
    parser.add_argument(
        "--beside", type=Path, metavar="DATA", help="set that the new one will be added to"
    )
    args = parser.parse_args()
    for name in args.only or PARTS:
        images = images_of(name, args.directory / f"{name}.xyz")
        if args.beside:
            images = fresh(images, args.beside)
        level = SAMPLES[name].level if name in SAMPLES else LEVELS.get(name, Level())
        output = args.directory / name
        summary = generate(images, output, level, workers=args.workers, dask=args.dask)
        join_parts(output)
        print(f"{name}: {summary}")


if __name__ == "__main__":
    main()
