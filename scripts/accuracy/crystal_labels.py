"""How good are the labels of alloys? d-band centres on finer k meshes than the labels'.

    python -m scripts.accuracy.crystal_labels [--data data/alloys] [--n 4] [--times 1.6]

Recomputes some of the four-atom test crystals, evenly chosen, with more divisions of the k mesh,
which takes a minute and a half each. Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from esml.io.records import CrystalRecord, read
from esml.training.crystals.scores import structure
from esml.typing import Array
from reference.crystals.cell import CrystalLevel
from reference.crystals.record import make_record
from scripts.pages import table


def finer(record: CrystalRecord, times: float) -> tuple[tuple[int, int, int], Array]:
    """Return a k mesh with ``times`` as many divisions, and the change of d-band centres, eV."""
    a, b, c = (round(times * int(n)) for n in record.divisions)
    atoms = structure(record)
    atoms.info["k_points"] = (a, b, c)
    change: Array = make_record(atoms, CrystalLevel()).d_centres - record.d_centres
    return (a, b, c), change


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/alloys")])
    parser.add_argument("--n", type=int, default=4, help="number of crystals")
    parser.add_argument(
        "--times", type=float, default=1.6, help="factor by which the k mesh is refined"
    )
    arguments = parser.parse_args()
    records = [
        r
        for r in read(arguments.data, kind=CrystalRecord)
        if r.split == "test" and r.family == "set of elements" and len(r.numbers) == 4
    ]
    chosen = records[:: max(1, len(records) // arguments.n)][: arguments.n]
    rows, changes = [], []
    for record in chosen:
        divisions, change = finer(record, arguments.times)
        changes.append(np.abs(change))
        labels = "×".join(map(str, record.divisions.tolist()))
        rows.append(
            [record.name, labels, "×".join(map(str, divisions)), f"{1e3 * changes[-1].mean():.0f}"]
        )
    mean = 1e3 * float(np.concatenate(changes).mean())
    rows.append(["all", "", "", f"{mean:.0f}"])
    print(table(["crystal", "k mesh", "finer", "d centres change by (meV)"], rows))


if __name__ == "__main__":
    main()
