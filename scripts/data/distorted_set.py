"""Make data/distorted: small test molecules stretched and twisted further than any in training.

    python -m scripts.data.distorted_set RUN [--data DATA ...] [--workers 1]

The structures start from relaxed ones of the test split whose chromophores occur in training, so a
failure is due to the geometry. Stretched by 8 to 15 %: one bond between heavy atoms in every second
molecule, the whole molecule in the others; training structures have thermal vibrations only.
Twisted: a double bond by 60° to 75° (at most 60° in training), or at least two single bonds at once
by 45° to 90° (only one in training). Labels are computed as for the reference set. The structures
depend only on the seed and the molecules of DATA, so a larger DATA gives other structures. An
interrupted run can be continued.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from rdkit import Chem

from esml.io.records import Record, read
from esml.training.targets import structure
from reference.generate import generate, join_parts
from reference.geometries import (
    GeometryError,
    Mol,
    bonds_of,
    check_connectivity,
)
from reference.molecules import held_out_core, molecule_from_smiles, parse
from reference.twists import far_side, twist, twistable_bonds
from scripts import ROOT

N_STRETCHED, N_TWISTED = 30, 20
MOST_HEAVY = 5
STRETCH = (1.08, 1.15)
"""Range of factors on a bond, or on all distances."""
DOUBLE = (60.0, 75.0)
"""Range of twists of double bonds (degrees)."""
SINGLE = (45.0, 90.0)


def bonded(record: Record) -> Mol | None:
    """Return the molecule of ``record`` if its atoms are in RDKit's order, else None.

    Records store atoms in RDKit's order for their SMILES (reference/geometries.py).
    """
    mol = Chem.AddHs(parse(record.smiles))
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    if numbers != record.numbers.tolist():
        return None
    try:
        check_connectivity(structure(record), bonds_of(mol), record.name)
    except GeometryError:
        return None
    return mol


def stretched(
    record: Record, mol: Mol, one_bond: bool, rng: np.random.Generator
) -> np.ndarray | None:
    """Return positions with one bond, or all distances, longer by a factor within ``STRETCH``."""
    factor = rng.uniform(*STRETCH)
    if not one_bond:
        return record.positions * factor
    open_bonds = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx())
        for b in mol.GetBonds()
        if not b.IsInRing()
        and b.GetBeginAtom().GetAtomicNum() > 1
        and b.GetEndAtom().GetAtomicNum() > 1
    ]
    if not open_bonds:
        return None
    i, j = open_bonds[rng.integers(len(open_bonds))]
    positions: np.ndarray = record.positions.copy()
    positions[far_side(bonds_of(mol), i, j)] += (factor - 1.0) * (positions[j] - positions[i])
    return positions


def twisted(record: Record, mol: Mol, rng: np.random.Generator) -> np.ndarray | None:
    """Return positions twisted about a double bond, or about all twistable single bonds."""
    found = twistable_bonds(mol)
    chosen = [entry for entry in found if entry[2] == "double"][:1]
    chosen = chosen or (found if len(found) > 1 else [])
    if not chosen:
        return None
    positions = record.positions
    for i, j, order in chosen:
        angle = rng.uniform(*(DOUBLE if order == "double" else SINGLE)) * rng.choice([-1.0, 1.0])
        positions = twist(positions, bonds_of(mol), i, j, angle)
    return positions


def distort(records: Sequence[Record], seed: int = 0) -> Iterator[Atoms]:
    """Yield distorted structures of relaxed test ``records``, as input for ``generate``."""
    rng = np.random.default_rng(seed)
    relaxed = {
        r.inchikey: r
        for r in sorted(records, key=lambda r: r.inchikey)
        if r.split == "test" and r.geometry == "relaxed"
    }
    known = [r for r in relaxed.values() if held_out_core(molecule_from_smiles(r.smiles)) is None]
    for geometry, count in (("stretched", N_STRETCHED), ("twisted", N_TWISTED)):
        made = 0
        for place in rng.permutation(len(known)):
            record = known[place]
            mol = bonded(record)
            if mol is None or int((record.numbers > 1).sum()) > MOST_HEAVY:
                continue
            positions = (
                stretched(record, mol, made % 2 == 1, rng)
                if geometry == "stretched"
                else twisted(record, mol, rng)
            )
            if positions is None or made == count:
                continue
            atoms = structure(record)
            atoms.positions = positions
            try:
                check_connectivity(atoms, bonds_of(mol), record.name)
            except GeometryError:
                continue
            made += 1
            atoms.info |= {
                "smiles": record.smiles,
                "inchikey": record.inchikey,
                "split": "extrapolation",
                "geometry": geometry,
                "seed": seed,
            }
            yield atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="RUN")
    parser.add_argument(
        "--data", nargs="+", type=Path, default=[ROOT / "data" / "small", ROOT / "data" / "pool"]
    )
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    structures = list(distort(read(args.data)))
    summary = generate(structures, args.directory, workers=args.workers)
    join_parts(args.directory)
    print(f"{len(structures)} structures: {summary}")


if __name__ == "__main__":
    main()
