"""How good are populations of bonds? Those of the model beside those of the reference's H(R).

    python -m scripts.accuracy.crystal_bonds [MODEL] [--data data/alloys] [--n 4] [--most 4]

Integrated crystal orbital Hamilton populations (eV) of the test crystals with few atoms, by pair of
elements. Both are of orthonormal orbitals and on the labels' k mesh. Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from esml.io.records import CrystalRecord, read
from esml.predict.crystals import CrystalSurrogate
from esml.predict.model_files import solid_model
from esml.training.crystals.scores import structure
from scripts.accuracy.crystals import reference_crystal
from scripts.pages import table

LONGEST = 2.9
"""Å; longer pairs are no bonds."""


def rows(model: CrystalSurrogate, record: CrystalRecord) -> list[list[str]]:
    """A row for all bonds of a crystal and one for each pair of elements."""
    predicted = model.predict(structure(record), record.divisions.tolist())
    reference = reference_crystal(record, model.model.config)
    symbols = list(predicted.atoms.symbols)
    bonds = reference.bonds(LONGEST)
    kinds = np.array(["–".join(sorted((symbols[b.first], symbols[b.second]))) for b in bonds])
    true = np.array([b.energy for b in bonds])
    found = np.array([b.energy for b in predicted.bonds(LONGEST)])
    correlation = f"{np.corrcoef(true, found)[0, 1]:.2f}"
    parts = [("all", np.full(len(kinds), True)), *((k, kinds == k) for k in np.unique(kinds))]
    return [
        [
            record.name if kind == "all" else "",
            *(kind, f"{own.sum()}", f"{true[own].mean():.2f}", f"{found[own].mean():.2f}"),
            f"{np.abs(found - true)[own].mean():.2f}",
            correlation if kind == "all" else "",
        ]
        for kind, own in parts
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/alloys")])
    parser.add_argument("--n", type=int, default=4, help="number of crystals")
    parser.add_argument("--most", type=int, default=4, help="largest number of atoms")
    arguments = parser.parse_args()
    model = solid_model(arguments.model)
    tests = [
        r
        for r in read(arguments.data, split="test", kind=CrystalRecord)
        if len(r.numbers) <= arguments.most
    ][: arguments.n]
    headings = [
        "crystal",
        "bonds",
        "number",
        "reference",
        "model",
        "mean abs. error",
        "correlation",
    ]
    print(table(headings, [row for record in tests for row in rows(model, record)]))


if __name__ == "__main__":
    main()
