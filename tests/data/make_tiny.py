"""Makes tiny.h5, the reference records the tests train on and score with.

    python tests/data/make_tiny.py

Eleven structures of one or two heavy atoms at the default level (CAM-B3LYP/def2-SVP), relaxed or
thermally distorted with GFN2-xTB as ``python -m reference`` does it, so every element and molecules
with and without valence excited states occur. Splits are given here, not drawn. Needs the packages
of the extra ``reference`` and about half a minute; the tests need only the file.
"""

from __future__ import annotations

from pathlib import Path

from esml.io.records import write_shard
from reference.geometries import structures
from reference.molecules import molecule_from_smiles
from reference.record import make_record
from reference.scf import Level

MOLECULES = (
    # SMILES, split, whether relaxed, number of distorted geometries
    ("O", "train", True, 0),
    ("CF", "train", True, 0),
    ("Cl", "train", True, 0),
    ("C=O", "train", True, 1),
    ("C=C", "train", True, 0),
    ("C=S", "train", True, 0),
    ("C#N", "validation", False, 1),
    ("N=N", "validation", True, 0),
    ("C=N", "test", True, 1),
)


def main() -> None:
    level = Level()
    records = []
    for smiles, split, relaxed, n_distorted in MOLECULES:
        molecule = molecule_from_smiles(smiles)
        for atoms in structures(molecule, 0, n_distorted, include_relaxed=relaxed):
            atoms.info["split"] = split
            records.append(make_record(atoms, level))
            print(f"{records[-1].name:10} {split:10} {records[-1].geometry}")
    write_shard(Path(__file__).with_name("tiny.h5"), records)


if __name__ == "__main__":
    main()
