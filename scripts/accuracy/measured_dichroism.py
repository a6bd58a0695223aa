"""Signs of circular dichroism beside measured ones, band by band.

    python -m scripts.accuracy.measured_dichroism

Each molecule, in the configuration that was measured, is relaxed with GFN2-xTB. A measured band is
compared with the nearest extremum of the predicted curve, if that lies within ``FAR`` of it. Prints
Markdown. Needs the extra ``smiles``.

Sources. Camphor: (1S)-(+)-10-camphorsulfonic acid, whose ring has the configuration of (1R)-(+)-
camphor, Δε +2.36 at 290.5 and −4.72 at 192.5 nm (G. C. Chen and J. T. Yang, Anal. Lett. 10, 1195,
1977). Hexahelicene: F. Furche, R. Ahlrichs, C. Wachsmann, E. Weber, A. Sobanski, F. Vögtle and
S. Grimme, J. Am. Chem. Soc. 122, 1717 (2000): of the P enantiomer, positive near 325 and negative
near 246 nm.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

import esml
from esml.io import from_smiles
from esml.io.geometry import relaxed
from esml.io.provenance import ReadingOptions
from esml.typing import Array
from esml.units import HC
from scripts.pages import table

FAR = 1.0
"""eV."""

SMALLEST = 1.0
"""L mol⁻¹ cm⁻¹; what is smaller is no band."""

FWHM = 0.4
"""eV; of the predicted bands."""

N_STATES = 40

HELIX = 3.4
"""Å; height of a turn to begin with."""


def camphor() -> Atoms:
    """(1R)-camphor."""
    smiles = "C[C@@]12CC[C@@H](C1(C)C)CC2=O"
    return from_smiles(smiles, ReadingOptions(geometry="xtb")).atoms


def hexahelicene() -> Atoms:
    """(P)-[6]helicene: hexagons around a seventh that climb anticlockwise, relaxed."""
    turns = np.radians(60.0 * np.arange(7) - 30.0)
    outer = np.radians(60.0 * np.arange(6))[:, None] + [-0.19, 0.19]
    angle = np.concatenate([turns, turns, outer.ravel()])
    radius = np.repeat([1.40, 2.80, 3.70], [7, 7, 12])
    ring = np.concatenate([[0, *range(6)], [0, *range(6)], np.repeat(range(6), 2)])
    bare = np.isin(np.arange(26), [0, 6, 7, 13, *range(14, 26)])  # carbon atoms with a hydrogen

    def helix(r: Array, a: Array) -> Array:
        return np.stack([r * np.cos(a), r * np.sin(a), HELIX * a / (2.0 * np.pi)], 1)

    carbons = helix(radius, angle)
    away = carbons - helix(np.full(26, 2.42), np.radians(60.0 * ring))
    hydrogens = (carbons + 1.08 * away / np.linalg.norm(away, axis=1)[:, None])[bare]
    numbers = [6] * 26 + [1] * 16
    found, _, _ = relaxed(numbers, np.concatenate([carbons, hydrogens]), 0, 0.02, 500)
    return Atoms(numbers, found)


@dataclass(frozen=True)
class MeasuredEnantiomer:
    """The enantiomer that was measured, and the signs of its bands."""

    name: str
    made: Callable[[], Atoms]
    signs: tuple[tuple[float, int], ...]  # nm and sign


MOLECULES = (
    MeasuredEnantiomer("(1R)-camphor", camphor, ((290.5, 1), (192.5, -1))),
    MeasuredEnantiomer("(P)-[6]helicene", hexahelicene, ((325.0, 1), (246.0, -1))),
)


def nearest(energies: Array, curve: Array, place: float) -> tuple[float, float]:
    """Energy and height of the extremum of ``curve`` nearest to ``place``."""
    size = np.abs(curve)
    turns = (size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:]) & (size[1:-1] > SMALLEST)
    found = 1 + np.flatnonzero(turns)
    best = found[np.abs(energies[found] - place).argmin()]
    return float(energies[best]), float(curve[best])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.parse_args()
    model = esml.load_model()
    rows: list[tuple[object, ...]] = []
    for molecule in MOLECULES:
        result = model.predict(molecule.made(), N_STATES, n_triplets=1)
        curve = result.dichroism(FWHM)
        for nm, sign in molecule.signs:
            energy, height = nearest(curve.energies, curve.dichroism, HC / nm)
            far = abs(energy - HC / nm) > FAR
            right = "no band" if far else "yes" if height * sign > 0 else "no"
            ours = "" if far else f"{height:+.1f} at {HC / energy:.0f} nm"
            rows.append((molecule.name, f"{'+-'[sign < 0]} at {nm:g} nm", ours, right))
    print(table(("molecule", "measured", "predicted Δε", "same sign"), rows))


if __name__ == "__main__":
    main()
