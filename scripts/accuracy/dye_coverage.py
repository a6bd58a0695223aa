"""How many measured dyes esml predicts, how many in domain, and why not the rest.

    python -m scripts.accuracy.dye_coverage TABLE.csv.gz [--n 200] [--seed 0] [--column NAME]
                                          [--geometry xtb|mmff]

Draws different chromophores from a table of SMILES (gzip or not), makes geometries of them as
``esml predict`` does, and predicts. Prints Markdown. The table itself is not part of the project.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import esml
from esml.io.embedding import Settings
from esml.io.geometry_workers import build_many
from esml.io.provenance import InputError
from esml.physics.basis import ELEMENTS

REASONS = {
    r"an element the model does not know": "an element the model does not know",
    r"radical|open shell|odd number": "open shell",
    r"no three-dimensional conformer": "no conformer found",
    r"unstable": "the closed shell is unstable",
    r"within \d+ s": "no geometry in time",
    r"neither an existing file nor a SMILES": "no SMILES",
    r"overlap|apart": "implausible geometry",
    r"charge is .* neutral": "charged",
    r"heavy atoms": "larger than the molecules trained on",
    r"unlike any": "surroundings or bonds unlike any trained on",
}
"""Words of a sentence, and what is counted under them."""


def drawn(path: Path, column: str, n: int, seed: int) -> list[str]:
    """``n`` different SMILES of a column of a table."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        smiles = sorted({row[column] for row in csv.DictReader(file) if row[column]})
    return random.Random(seed).sample(smiles, n)


def kind(sentence: str) -> str:
    """What a sentence is counted under."""
    return next((k for pattern, k in REASONS.items() if re.search(pattern, sentence)), sentence)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--column", default="chromophore_smiles")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--geometry", choices=("xtb", "mmff"), default="xtb")
    given = parser.parse_args(arguments)
    model = esml.load_model()
    smiles = drawn(given.table, given.column, given.n, given.seed)
    settings = Settings(given.geometry, largest_fragment=True, elements=ELEMENTS)
    refused: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    predicted = inside = 0
    start = time.perf_counter()
    requests = ({"smiles": text} for text in smiles)
    for outcome in build_many(requests, settings):
        if isinstance(outcome, InputError):
            refused[kind(str(outcome))] += 1
            continue
        assert isinstance(outcome, list)
        atoms = outcome[0].atoms
        atoms.info["charge"] = outcome[0].charge
        try:
            result = model.predict(atoms, 1, n_triplets=1)
        except (ValueError, RuntimeError) as error:
            refused[kind(str(error))] += 1
            continue
        predicted += 1
        inside += result.in_domain
        if not result.in_domain:
            outside.update({kind(warning) for warning in result.warnings})
    seconds = time.perf_counter() - start
    print(f"| of {given.n} dyes | share |\n|---|---|")
    print(f"| predicted | {predicted / given.n:.0%} |")
    print(f"| predicted and in domain | {inside / given.n:.0%} |")
    for reason, count in refused.most_common():
        print(f"| refused: {reason} | {count / given.n:.1%} |")
    for reason, count in outside.most_common():
        print(f"| out of domain, warned of: {reason} | {count / given.n:.1%} |")
    print(
        f"\nGeometries: {given.geometry}; {seconds:.0f} s in all, {seconds / given.n:.1f} s per dye"
    )


if __name__ == "__main__":
    main()
