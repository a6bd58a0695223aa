"""Make structures on the way to the minimum of the lowest triplet.

    python -m scripts.data.triplet_set RUN [--n 80] [--workers 2] [--seed 0]

Relaxed structures of the training split of data/small, data/pool and data/chromophores are relaxed
again with GFN2-xTB in the lowest triplet (two unpaired electrons); the structure kept lies between
both minima, at a random share of 0.4 to 1 of the way. Structures go to RUN/triplets.xyz, labels to
RUN/triplets. The smaller molecules of a random order come first. Structures at which the closed
shell is not a minimum, such as double bonds twisted by 90°, get no labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from esml.io.records import Record, read
from esml.jobs import tracked
from esml.training.targets import structure
from reference.generate import generate, join_parts
from reference.geometries import GeometryError, bonds_of, check_connectivity, relax
from reference.molecules import parse
from reference.scf import Level
from scripts import ROOT
from scripts.data.distorted_set import bonded

SETS = ("chromophores", "pool", "small")
SHARES = (0.4, 1.0)
"""Range of the position between the minima of ground state and triplet, as a share."""
LARGEST = 6
"""Largest number of heavy atoms."""


def candidates(seed: int, largest: int = LARGEST) -> list[Record]:
    """Return relaxed training structures of unsaturated molecules, in a random order.

    They have up to ``largest`` heavy atoms.
    """
    records = [
        r
        for r in read([ROOT / "data" / name for name in SETS], split="train")
        if r.geometry == "relaxed" and int((r.numbers > 1).sum()) <= largest
        and any(b.GetBondTypeAsDouble() > 1 for b in parse(r.smiles).GetBonds())
    ]  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(records))
    return [records[k] for k in order]


def toward(record: Record, end: Atoms, share: float, geometry: str) -> Atoms:
    """Move ``record``'s molecule a ``share`` of the way to ``end``; label it ``geometry``.

    Raises GeometryError if bonds break on the way.
    """
    between: Atoms = structure(record)
    between.positions += share * (end.positions - between.positions)
    mol = bonded(record)
    if mol is None:
        raise GeometryError(f"{record.name}: expected its atoms in the order of its SMILES")
    check_connectivity(between, bonds_of(mol), record.name)
    between.info = {
        "name": record.name,
        "smiles": record.smiles,
        "inchikey": record.inchikey,
        "split": record.split,
        "geometry": geometry,
        "share": share,
    }
    return between


def toward_triplet(record: Record, share: float) -> Atoms:
    """Move ``record``'s molecule a ``share`` of the way to the minimum of its triplet.

    Raises GeometryError if bonds break on the way.
    """
    excited = relax(structure(record), name=record.name, multiplicity=3)
    return toward(record, excited, share, "triplet")


def structures(records: Sequence[Record], n: int, seed: int) -> Iterator[Atoms]:
    """Yield ``n`` structures, or fewer if the ``records`` give fewer."""
    rng = np.random.default_rng(seed)
    found = 0
    for record in tracked(records, "molecules"):
        share = float(rng.uniform(*SHARES))
        if found == n:
            return
        try:
            between = toward_triplet(record, share)
        except GeometryError:
            continue
        found += 1
        yield between


def label(path: Path, images: Iterable[Atoms], workers: int) -> None:
    """Compute labels of the structures in ``path``, made from ``images`` if it does not exist.

    Smaller molecules come first.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = sorted(images, key=lambda atoms: int((atoms.numbers > 1).sum()))
        ase.io.write(path, found, format="extxyz")
    output = path.with_suffix("")
    print(generate(list(ase.io.iread(path)), output, Level(), workers=workers))
    join_parts(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="RUN")
    parser.add_argument("--n", type=int, default=80, help="number of structures")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    images = structures(candidates(arguments.seed), arguments.n, arguments.seed)
    label(arguments.directory / "triplets.xyz", images, arguments.workers)


if __name__ == "__main__":
    main()
