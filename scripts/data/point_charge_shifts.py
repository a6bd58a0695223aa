"""Compute how point charges shift excited states at the level of the labels.

    python -m scripts.data.point_charge_shifts data/solvents/charges.json

CAM-B3LYP/def2-SVP at GFN2-xTB geometries, in vacuum and among the charges of ``surroundings``
(``pyscf.qmmm``: no damping). Existing entries are kept; run the same command again to continue.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.units import BOHR
from reference.geometries import from_smiles
from scripts.data.solvent_shifts import LEVEL, MOLECULES, StatesInMedium, fill

Array = NDArray[np.float64]

CHOSEN = (
    "formaldehyde",
    "formamide",
    "acetaldehyde",
    "acrolein",
    "acetamide",
    "acetone",
    "acetate",
    "aminoacrolein",
    "trimethine cyanine",
    "nitroethenamine",
    "pyridine",
    "pyridinium",
    "p-nitroaniline",
)
"""Molecules of ``MOLECULES`` that are computed."""

WATER = np.array([[0.0, 0.0, 0.0], [0.7570, 0.5859, 0.0], [-0.7570, 0.5859, 0.0]])
WATER_CHARGES = np.array([-0.834, 0.417, 0.417])
"""Geometry and charges of the three-point model TIP3P: O, H, H, in Å and e."""

TRIES = 40_000
"""Number of positions tried for a bonded water."""


def surroundings(atoms: Atoms, charges: Array, seed: int) -> dict[str, tuple[Array, Array]]:
    """Return point charges (e) and positions (Å) around ``atoms`` of atomic ``charges``, by name.

    ``ion``: +1 about 4 Å beyond an end of the molecule; ``waters``: 24 three-point water models in
    random places and orientations between 3 and 7 Å from the nearest atom; ``field``: two charges
    ±200 at 100 Å on either side, a field of 0.576 V/Å; ``bonded``: two waters where they bind best,
    in hydrogen bonds.
    """
    rng = np.random.default_rng(seed)
    x = atoms.positions
    axis = np.linalg.svd(x - x.mean(0))[2][0]
    along = (x - x.mean(0)) @ axis
    found = {
        "ion": (np.array([1.0]), (x[along.argmax()] + 4.0 * axis)[None]),
        "field": (
            np.array([200.0, -200.0]),
            np.stack([x.mean(0) + 100.0 * axis, x.mean(0) - 100.0 * axis]),
        ),
    }
    oxygens: list[Array] = []
    sites: list[Array] = []
    while len(oxygens) < 24:
        place = x.mean(0) + rng.uniform(-12.0, 12.0, 3)
        nearest = np.linalg.norm(x - place, axis=1).min()
        apart = min((float(np.linalg.norm(o - place)) for o in oxygens), default=np.inf)
        if not 3.0 < nearest < 7.0 or apart < 2.8:
            continue
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        sites.append(place + WATER @ turn.T)
        oxygens.append(place)
    found["waters"] = (np.tile(WATER_CHARGES, 24), np.concatenate(sites))
    found["bonded"] = (np.tile(WATER_CHARGES, 2), _bonded(atoms, charges, rng))
    return found


def _bonded(atoms: Atoms, charges: Array, rng: np.random.Generator) -> Array:
    """Place two waters, one after the other at the lowest electrostatic energy, (6, 3) Å.

    No atoms come nearer than in usual hydrogen bonds.
    """
    x = atoms.positions
    # Å between O or H of a water and H or a heavier atom of the molecule.
    nearest = {
        True: np.where(atoms.numbers == 1, 1.85, 2.75),
        False: np.where(atoms.numbers == 1, 2.0, 1.85),
    }
    found = np.empty((0, 3))
    for _ in range(2):
        start = x[rng.integers(len(x), size=TRIES)]
        direction = rng.normal(size=(TRIES, 3))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        turns = np.linalg.qr(rng.normal(size=(TRIES, 3, 3)))[0]
        oxygen = start + direction * rng.uniform(1.85, 3.2, (TRIES, 1))
        sites = oxygen[:, None] + np.einsum("ai,tji->taj", WATER, turns)
        distance = np.linalg.norm(sites[:, :, None] - x, axis=3)
        allowed = (distance[:, 0] > nearest[True]).all(1)
        allowed &= (distance[:, 1:] > nearest[False]).all((1, 2))
        energy = np.einsum("a,tab,b->t", WATER_CHARGES, 1.0 / distance, charges)
        for other in found[::3]:
            allowed &= np.linalg.norm(oxygen - other, axis=1) > 3.5
        found = np.concatenate([found, sites[np.where(allowed, energy, np.inf).argmin()]])
    return found


def among_charges(mean_field: Any, charges: Array, positions: Array) -> Any:
    """Put ``mean_field`` in the potential of point charges."""
    from pyscf import qmmm

    return qmmm.mm_charge(mean_field, positions / BOHR, charges, unit="Bohr")


def computed(name: str, known: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Yield the entry of a molecule after each of the surroundings missing in ``known``."""
    if known is None:
        atoms = from_smiles(MOLECULES[name])
    else:
        atoms = Atoms(known["numbers"], known["positions"], info={"charge": known["charge"]})
    kinds = surroundings(atoms, np.zeros(len(atoms)), CHOSEN.index(name))
    if known is not None and known["charges"].keys() >= kinds.keys():
        return
    vacuum = StatesInMedium(atoms)
    atomic = vacuum.mean_field.mulliken_pop(verbose=0)[1]
    kinds = surroundings(atoms, np.asarray(atomic), CHOSEN.index(name))
    entry = known or {
        "name": name,
        "smiles": MOLECULES[name],
        "charge": int(atoms.info.get("charge", 0)),
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.round(6).tolist(),
        "vacuum": vacuum.plain(None),
        "charges": {},
    }
    for kind, (charges, positions) in kinds.items():
        if kind in entry["charges"]:
            continue
        positions = positions.round(4)
        medium = partial(among_charges, charges=charges, positions=positions)
        entry["charges"][kind] = {
            "charges": charges.tolist(),
            "positions": positions.tolist(),
            **StatesInMedium(atoms, medium).plain(vacuum),
        }
        yield entry


def run(path: Path) -> None:
    """Compute what is missing in ``path``, and rewrite the file after every calculation."""
    header = {
        "level": f"{LEVEL.functional}/{LEVEL.basis}, density fitting, TDDFT; point charges (qmmm)",
        "settings": json.loads(LEVEL.to_json()),
        "geometry": "GFN2-xTB minimum",
        "versions": {package: version(package) for package in ("pyscf", "tblite")},
    }
    fill(path, header, CHOSEN, computed, lambda entry: entry["charges"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", default=Path("charges.json"))
    args = parser.parse_args()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    run(args.output)


if __name__ == "__main__":
    main()
