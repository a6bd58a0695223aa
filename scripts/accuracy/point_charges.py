"""Compare predicted shifts by point charges with those at the level of the labels.

    python -m scripts.accuracy.point_charges data/solvents/charges.json

The charges are those of ``scripts.data.point_charge_shifts`` (an ion, a strong uniform field, 24
scattered waters, two waters in hydrogen bonds), the reference is PySCF's ``qmmm``. Compared are S1
and the brightest singlet, as in ``scripts.accuracy.solvents``; the baseline is no shift at all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import esml
from scripts.accuracy.solvents import Shift, atoms_of, shifts_of, table


def charge_shifts(model: esml.Surrogate, molecules: Iterable[dict[str, Any]]) -> list[Shift]:
    """Return the shifts of all ``molecules`` among their sets of point charges."""
    shifts: list[Shift] = []
    for entry in molecules:
        atoms = atoms_of(entry)
        media = []
        for kind, there in entry["charges"].items():
            charges = esml.PointCharges(there["charges"], there["positions"])
            media.append((kind, there, model.predict(atoms, 8, point_charges=charges)))
        shifts += shifts_of(entry, entry["vacuum"], model.predict(atoms, 8), media)
    return shifts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="camb3lyp")
    parser.add_argument("--each", action="store_true", help="print every shift")
    args = parser.parse_args()
    molecules = json.loads(args.data.read_text())["molecules"]
    model = esml.load_model(args.model, dtype=torch.float64)
    shifts = charge_shifts(model, molecules)
    for s in shifts if args.each else ():
        print(f"{s.molecule:<20}{s.medium:<10}{s.state:<10}{s.reference:+8.3f}{s.predicted:+8.3f}")
    print(table(shifts, len(molecules)))


if __name__ == "__main__":
    main()
