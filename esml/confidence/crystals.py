"""Whether a crystal is like those that a model was trained on.

Four properties of the structure are compared: elements that all training crystals have, pairs of
neighbouring elements, distances to the nearest atom, and numbers of neighbours. Few neighbours mean
surfaces or vacancies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

from esml.typing import Array

NEIGHBOURS = 3.15
"""Å; atoms closer than this are neighbours: twelve in fcc, fourteen in bcc crystals."""
SLACK = 0.05
"""Å by which nearest distances may lie outside their range: atoms of training crystals are
displaced, and the nearest of twelve displaced atoms is closer than in a crystal at rest."""


def _surroundings(atoms: Atoms) -> tuple[set[tuple[int, int]], Array, list[int]]:
    """Return neighbouring elements, and nearest distance and number of neighbours of each atom."""
    first, second, distances = neighbor_list("ijd", atoms, NEIGHBOURS)
    numbers: list[int] = atoms.numbers.tolist()
    found = {
        (min(numbers[i], numbers[j]), max(numbers[i], numbers[j]))
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    }
    nearest: Array = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, first, distances)
    return found, nearest, np.bincount(first, minlength=len(atoms)).tolist()


@dataclass(frozen=True)
class CrystalDomain:
    """Elements, neighbours and distances that occur in the training crystals."""

    pairs: frozenset[tuple[int, int]]  # neighbouring elements, atomic numbers ascending
    nearest: tuple[float, float]  # range of the nearest distance of an atom, Å
    neighbours: tuple[int, int]  # fewest and most neighbours of an atom
    common: frozenset[int] = frozenset()  # elements of every training crystal, atomic numbers

    @classmethod
    def of(cls, crystals: Iterable[Atoms]) -> CrystalDomain:
        """Return the domain of ``crystals``."""
        crystals = list(crystals)
        found = [_surroundings(atoms) for atoms in crystals]
        nearest = np.concatenate([n for _, n, _ in found])
        neighbours = [count for _, _, counts in found for count in counts]
        return cls(
            frozenset().union(*(pairs for pairs, _, _ in found)),
            (float(nearest.min()), float(nearest.max())),
            (min(neighbours), max(neighbours)),
            frozenset.intersection(*(frozenset(atoms.numbers.tolist()) for atoms in crystals)),
        )

    def plain(self) -> dict[str, Any]:
        """Return the domain as numbers and lists, for a model file."""
        return {
            "pairs": sorted(map(list, self.pairs)),
            "nearest": [round(d, 4) for d in self.nearest],
            "neighbours": list(self.neighbours),
            "common": sorted(self.common),
        }

    @classmethod
    def from_plain(cls, stored: dict[str, Any]) -> CrystalDomain:
        """Return the domain from the result of ``plain``; older models have no common elements."""
        low, high = stored["nearest"]
        fewest, most = stored["neighbours"]
        pairs = frozenset((a, b) for a, b in stored["pairs"])
        common = frozenset(stored.get("common", ()))
        return cls(pairs, (low, high), (fewest, most), common)

    def reasons(self, atoms: Atoms) -> list[str]:
        """Return reasons, as sentences, why ``atoms`` are unlike the training crystals, if any."""
        pairs, nearest, neighbours = _surroundings(atoms)
        said = []
        if lacking := sorted(self.common - set(atoms.numbers.tolist())):
            names = " and ".join(chemical_symbols[z] for z in lacking)
            said.append(f"all training crystals have {names}, which this one lacks")
        if new := sorted(pairs - self.pairs):
            names = ", ".join("–".join(chemical_symbols[z] for z in pair) for pair in new)
            said.append(f"no training crystal has these elements as neighbours: {names}")
        low, high = self.nearest
        off = np.flatnonzero((nearest < low - SLACK) | (nearest > high + SLACK))
        if len(off):
            said.append(
                f"the nearest neighbour of atom {off[0]} is {nearest[off[0]]:.2f} Å away where "
                f"training crystals have {low:.2f} to {high:.2f} Å"
            )
        fewest, most = self.neighbours
        odd = [i for i, count in enumerate(neighbours) if not fewest <= count <= most]
        if odd:
            said.append(
                f"atom {odd[0]} has {neighbours[odd[0]]} neighbours within {NEIGHBOURS} Å where "
                f"those of training crystals have {fewest} to {most}: surfaces and vacancies were "
                "not trained on"
            )
        return said
