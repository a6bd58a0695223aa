"""Fill the numbers and pictures of the data card, docs/data.md, from the committed records.

    python -m scripts.data.card [DATA ...] [--page docs/data.md] [--figures docs/figures]

DATA are directories of records; each is a row of the first table. By default they are all of data/
except those of ``APART``. The script replaces the blocks of the page between
``<!-- data card: NAME -->`` and ``<!-- end -->`` and the pictures data_*.png. A record that is in
several directories counts for the first of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reference.coverage import groups as coverage_groups
from scripts import ROOT
from scripts.data.card_cost import cost, cost_of_elements
from scripts.data.card_groups import groups
from scripts.data.card_pictures import DRAWINGS
from scripts.data.card_tables import (
    charges_and_elements,
    composition,
    coverage,
    elements_of_ions,
    provenance,
    sets,
    splits,
    states,
)
from scripts.data.entries import collect
from scripts.pages import fill

APART = ("alloys", "distorted", "electrolytes")
"""Sets whose records are not counted: crystals and sets for testing only, which are described
separately."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "data.md")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "figures")
    args = parser.parse_args()
    directories = args.data or sorted(
        {p.parent for p in (ROOT / "data").glob("*/*.h5") if p.parent.name not in APART}
    )
    entries = collect(directories)
    blocks = {
        "sets": sets(entries, directories),
        "splits": splits(entries),
        "composition": composition(entries),
        "elements": charges_and_elements(entries),
        "elements of ions": elements_of_ions(entries),
        "groups": groups(coverage_groups(), entries),
        "states": states(entries),
        "coverage": coverage(entries),
        "cost": cost(entries),
        "cost of elements": cost_of_elements(entries),
        "provenance": provenance(entries),
    }
    fill(args.page, blocks, "data card")
    args.figures.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        draw(entries, args.figures / name)
    print(f"{len(entries)} records: {args.page} and {len(DRAWINGS)} pictures in {args.figures}")


if __name__ == "__main__":
    main()
