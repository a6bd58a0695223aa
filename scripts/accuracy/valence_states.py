"""Which molecules have no valence state: what esml says beside what the labels say.

    python -m scripts.accuracy.valence_states [MODEL] [--data DIR ...] [--list]

Uses one geometry of each molecule. A label state is a valence state if the minimal basis holds 85 %
of it. Prints Markdown: the number of molecules without a valence state according to esml, by the
kinds of the lowest singlet and triplet labels; with ``--list`` also the molecules on which the two
disagree.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import esml
from esml.io.records import Record, read
from esml.results import Result
from esml.training.scores import LEAST_WEIGHT
from esml.training.targets import structure
from scripts import ROOT

SETS = tuple(ROOT / "data" / name for name in ("small", "pool", "chromophores", "extrapolation"))
KINDS = (
    (True, True, "singlet and triplet are valence states"),
    (False, True, "only the triplet is"),
    (False, False, "neither is"),
)


def one_of_each(records: list[Record]) -> list[Record]:
    """Draw one geometry of each molecule at random."""
    found: dict[str, Record] = {}
    for i in np.random.default_rng(0).permutation(len(records)):
        found.setdefault(records[i].inchikey, records[i])
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--data", type=Path, nargs="+", default=SETS)
    parser.add_argument("--list", action="store_true", help="list molecules where the two disagree")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = esml.load_model(args.model)
    records = one_of_each(read(args.data))
    results = model.predict_many(map(structure, records), 1, errors="return")
    said: dict[tuple[bool, bool], list[tuple[bool, str]]] = {}
    for record, result in zip(records, results, strict=True):
        if not isinstance(result, Result):
            continue
        weights = record.singlet_valence_weights, record.triplet_valence_weights
        singlet, triplet = (bool(w[0] >= LEAST_WEIGHT) for w in weights)
        flagged = any("no valence state" in warning for warning in result.warnings)
        said.setdefault((singlet, triplet), []).append((flagged, record.smiles))
    print("| lowest label states | molecules | said to have no valence state |\n|---|---|---|")
    for singlet, triplet, title in KINDS:
        group = said.get((singlet, triplet), [])
        print(f"| {title} | {len(group)} | {sum(flag for flag, _ in group)} |")
    if args.list:
        for (singlet, triplet), group in said.items():
            wrong = [smiles for flag, smiles in group if flag == triplet]
            print(f"\nsinglet {singlet}, triplet {triplet}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
