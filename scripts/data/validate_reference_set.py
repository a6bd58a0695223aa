"""Run every check on every committed record.

    python -m scripts.data.validate_reference_set [DATA ...]

DATA are directories of records, by default all of data/, checked together: no record occurs twice,
no molecule is in two splits, and each split is the one that the hash of the molecule gives. By
default data/distorted, whose molecules are also in the test split, is checked by itself, and so are
the crystals of data/alloys and data/electrolytes. Exit code 1 if something is wrong, 2 for a file
that cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from esml.io.records import DatasetError, iterate
from reference.crystals.validate import validate as validate_crystals
from reference.molecules import assign_split, molecule_from_smiles
from reference.validate import validate
from scripts import ROOT

CRYSTALS = ("alloys", "electrolytes")
"""Sets of data/ that contain crystals."""


def misplaced(directories: list[Path]) -> list[str]:
    """List molecules whose split differs from the hash of their connectivity."""
    splits = {r.smiles: r.split for r in iterate(directories) if r.smiles}
    found = []
    for smiles, split in splits.items():
        expected = assign_split(molecule_from_smiles(smiles))
        if split not in (expected, "extrapolation" if expected == "test" else expected):
            found.append(f"{smiles} is in the split {split!r}: expected {expected!r}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path)
    args = parser.parse_args()
    home = ROOT / "data"
    every = sorted({shard.parent for shard in home.glob("*/*.h5")})
    crystals = [path for path in every if path.name in CRYSTALS]
    apart = [path for path in every if path.name == "distorted"]
    together = [path for path in every if path not in crystals + apart]
    sets = [args.data] if args.data else [together, apart]
    wrong = False
    for directories in filter(None, sets):
        try:
            report = validate(directories)
            report.errors += misplaced(directories)
        except DatasetError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(", ".join(path.name for path in directories))
        print(report.summary())
        wrong |= bool(report.errors)
    if crystals and not args.data:
        found = validate_crystals(crystals)
        print(", ".join(path.name for path in crystals), *found.errors, sep="\n")
        print(f"{found.n_records} crystals: {len(found.errors)} errors")
        wrong |= bool(found.errors)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
