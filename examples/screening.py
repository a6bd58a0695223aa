"""Screen 1,000 push–pull dyes for strong absorption in a range of wavelengths.

    python examples/screening.py                 # all 1,000, some minutes
    python examples/screening.py -n 20           # the first 20 of a shuffled list

Donors, bridges and acceptors are combined as SMILES, given geometries (RDKit; tblite if there),
predicted in batches, ranked, and written to screening.csv.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import sys
from collections.abc import Iterator

from ase import Atoms

import esml
from esml.io.structures import InputError, ReadingOptions, from_smiles
from esml.units import HC

DONORS = ("N", "O", "S", "OC", "NC", "N(C)C", "SC", "NCC", "C", "F")
BRIDGES = (
    "c1ccc({})cc1",
    "c1cccc({})c1",
    "c1ccc({})nc1",
    "c1cnc({})nc1",
    "c1ccc({})o1",
    "c1ccc({})s1",
    "c1ccc({})[nH]1",
    "C=C{}",
    "C=CC=C{}",
    "c1ccc(C=C{})cc1",
)
ACCEPTORS = (
    "C=O",
    "C#N",
    "[N+](=O)[O-]",
    "C(C)=O",
    "C(=O)O",
    "C(N)=O",
    "C(F)(F)F",
    "C=C(C#N)C#N",
    "C=CC=O",
    "Cl",
)

# Relaxed with GFN2-xTB, as without this option, energies are better by some 0.1 eV; it takes a
# second or more for each molecule.
QUICK = ReadingOptions(geometry="mmff")


def geometries(smiles: list[str]) -> Iterator[Atoms]:
    """Geometries, one at a time, so memory stays flat."""
    for text in smiles:
        try:
            atoms = from_smiles(text, QUICK).atoms
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        atoms.info["name"] = text
        yield atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=1000, help="molecules")
    parser.add_argument("--shortest", type=float, default=320.0, help="nm")
    parser.add_argument("--longest", type=float, default=420.0, help="nm")
    given = parser.parse_args()

    smiles = [
        donor + bridge.format(acceptor)
        for donor, bridge, acceptor in itertools.product(DONORS, BRIDGES, ACCEPTORS)
    ]
    random.Random(0).shuffle(smiles)

    model = esml.load_model()
    rows = []
    failures = 0
    found = model.predict_many(geometries(smiles[: given.n]), n_states=6, errors="return")
    for result in found:
        if isinstance(result, esml.Failure):
            failures += 1
            print(f"no prediction: {result.name}: {result.reason}", file=sys.stderr)
            continue
        states = result.singlets
        brightest = int(states.oscillator_strengths.argmax())
        energy = float(states.energies[brightest])
        rows.append(
            {
                "smiles": result.atoms.info["name"],
                "S1_eV": round(float(states.energies[0]), 3),
                "bright_eV": round(energy, 3),
                "bright_nm": round(HC / energy, 1),
                "strength": round(float(states.oscillator_strengths[brightest]), 3),
                "uncertainty_eV": round(float(states.uncertainties[brightest]), 3),
            }
        )

    rows.sort(key=lambda row: -row["strength"])
    with open("screening.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    hits = [row for row in rows if given.shortest <= row["bright_nm"] <= given.longest]
    print(f"{len(rows)} predicted, {failures} without a prediction")
    print(f"{len(hits)} absorb between {given.shortest:.0f} and {given.longest:.0f} nm; strongest:")
    for row in hits[:10]:
        print(f"  {row['bright_nm']:6.1f} nm  f = {row['strength']:.2f}  {row['smiles']}")


if __name__ == "__main__":
    main()
