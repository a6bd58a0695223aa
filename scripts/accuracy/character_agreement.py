"""Does the model's S1 have the character of the reference's? Table for one split of a dataset.

    python -m scripts.accuracy.character_agreement data/small --split test

The same code assigns the character of both, from the predicted amplitudes and from those of the
records, so any difference comes from the states. Label states that a minimal basis cannot hold
(valence weight below 0.85) are left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase import Atoms

import esml
from esml.analysis.characters import Character, Wavefunctions, characterize
from esml.io.records import Record, read
from esml.results import Failure, Result

LEAST_WEIGHT = 0.85


def reference(record: Record, multiplicity: str) -> Wavefunctions:
    """Return the "singlet" or "triplet" states of a record in the form that characters need."""
    x = getattr(record, f"{multiplicity}_x").astype(float)
    return Wavefunctions(
        atoms=Atoms(record.numbers, record.positions),
        coefficients=record.coefficients.astype(float),
        orbital_energies=record.energies.astype(float),
        n_occupied=int(record.n_occupied),
        energies=getattr(record, f"{multiplicity}_energies").astype(float),
        X=x,
        Y=record.singlet_y.astype(float) if multiplicity == "singlet" else np.zeros_like(x),
    )


def leading(character: Character) -> str:
    """Return the largest contribution to a state, such as "nπ*"."""
    return max(character.weights, key=lambda name: character.weights[name])


def agreement(
    records: Sequence[Record], results: Sequence[Result | Failure], multiplicity: str
) -> tuple[Counter[tuple[str, str]], int]:
    """Count characters of the lowest state by reference and by model, and refusals.

    Only structures whose lowest label is a valence state are counted.
    """
    counts: Counter[tuple[str, str]] = Counter()
    refused = 0
    for record, result in zip(records, results, strict=True):
        if getattr(record, f"{multiplicity}_valence_weights")[0] < LEAST_WEIGHT:
            continue
        if not isinstance(result, Result):
            refused += 1
            continue
        expected = characterize(reference(record, multiplicity))[0]
        found = result.characters("singlets" if multiplicity == "singlet" else "triplets")[0]
        counts[leading(expected), leading(found)] += 1
    return counts, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="camb3lyp")
    arguments = parser.parse_args()
    records = read(arguments.data, split=arguments.split)
    model = esml.load_model(arguments.model)
    structures = [Atoms(r.numbers, r.positions, info={"charge": int(r.charge)}) for r in records]
    results = list(model.predict_many(structures, 5, errors="return", wavefunctions=True))
    for multiplicity, label in (("singlet", "S1"), ("triplet", "T1")):
        counts, refused = agreement(records, results, multiplicity)
        total = sum(counts.values())
        same = sum(n for (a, b), n in counts.items() if a == b)
        print(f"{label}: the same character in {same} of {total} structures, {refused} refused")
        for (a, b), n in counts.most_common():
            print(f"   reference {a:<4} model {b:<4} {n:4d}")


if __name__ == "__main__":
    main()
