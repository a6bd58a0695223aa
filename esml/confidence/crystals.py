"""Whether a crystal is like those that a model was trained on.

Some properties of the structure must be as in a training crystal, or within the range of all of
them: elements that all training crystals have, the volume for its elements, pairs of neighbouring
elements, distances to the nearest atom, and numbers of neighbours. Few neighbours mean surfaces or
vacancies.

Two more depend on the kind of crystal. In metals, neighbours stand in pairs on opposite sides of an
atom. They tell stackings that distances hardly tell: of twelve neighbours, fcc has six pairs, hcp
three. In crystals of ions, each pair of neighbouring elements has a range of distances; metal atoms
are so alike that one range is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
LENGTH_SLACK = 0.1
"""Å by which distances of ions may lie outside the range of their elements: a large cell has more
distances, and so more unusual ones, than the training crystals."""
VOLUME_SLACK = 0.01
"""Part of the volume by which it may lie outside its range."""
OPPOSITE = 160.0
"""Degrees; neighbours at a larger angle are on opposite sides of an atom. In hcp crystals the
largest angle below 180° is 146°."""
CLOSE_PACKED = 8
"""Crystals whose atoms all have at least so many neighbours are metals."""
PRIOR = 1e-3
"""Weight, in crystals, of the mean volume of all atoms in the fit of those of elements."""

Pair = tuple[int, int]
Range = tuple[float, float]


@dataclass(frozen=True)
class _Surroundings:
    """Neighbours within a crystal of N atoms."""

    lengths: dict[Pair, Range]  # shortest and longest distance of neighbouring elements, Å
    nearest: Array  # (N,) distance to the nearest neighbour, Å
    neighbours: list[int]  # (N,) how many
    opposite: list[int]  # (N,) how many pairs of these are on opposite sides of the atom

    @classmethod
    def of(cls, atoms: Atoms) -> _Surroundings:
        first, second, distances, vectors = neighbor_list("ijdD", atoms, NEIGHBOURS)
        ends = np.sort(np.stack([atoms.numbers[first], atoms.numbers[second]], 1), axis=1)
        lengths: dict[Pair, Range] = {}
        for a, b in np.unique(ends, axis=0).tolist():
            own = distances[(ends == (a, b)).all(1)]
            lengths[a, b] = float(own.min()), float(own.max())
        nearest: Array = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, first, distances)
        directions = vectors / distances[:, None]
        opposite = [_opposite(directions[first == atom]) for atom in range(len(atoms))]
        return cls(lengths, nearest, np.bincount(first, minlength=len(atoms)).tolist(), opposite)


def _opposite(directions: Array) -> int:
    """How many pairs of unit vectors (M, 3) point to opposite sides."""
    cosines = np.triu(directions @ directions.T, 1)
    return int((cosines < np.cos(np.radians(OPPOSITE))).sum())


def element_volumes(crystals: Sequence[Atoms]) -> dict[int, float]:
    """Volumes of atoms, Å³, whose sums are nearest to those of ``crystals`` (least squares)."""
    elements = sorted({int(z) for atoms in crystals for z in atoms.numbers})
    shares = np.array([[(atoms.numbers == z).mean() for z in elements] for atoms in crystals])
    of_atoms = np.array([atoms.get_volume() / len(atoms) for atoms in crystals])
    mean = of_atoms.mean()
    matrix = shares.T @ shares + PRIOR * np.eye(len(elements))
    found = mean + np.linalg.solve(matrix, shares.T @ (of_atoms - mean))
    return dict(zip(elements, found.tolist(), strict=True))


def _all_within(surroundings: Sequence[_Surroundings]) -> dict[Pair, Range]:
    """Shortest and longest distance of each pair of neighbouring elements in all of them."""
    found: dict[Pair, Range] = {}
    for each in surroundings:
        for pair, (low, high) in each.lengths.items():
            shortest, longest = found.get(pair, (low, high))
            found[pair] = min(low, shortest), max(high, longest)
    return found


@dataclass(frozen=True)
class CrystalDomain:
    """What occurs in the training crystals. Fields with a default are unknown in older models."""

    pairs: frozenset[Pair]  # neighbouring elements, atomic numbers ascending
    nearest: Range  # range of the nearest distance of an atom, Å
    neighbours: tuple[int, int]  # fewest and most neighbours of an atom
    common: frozenset[int] = frozenset()  # elements of every training crystal, atomic numbers
    lengths: Mapping[Pair, Range] = field(default_factory=dict)  # of neighbours, Å; ions only
    opposite: tuple[int, int] | None = None  # fewest and most opposite pairs; metals only
    volumes: Mapping[int, float] = field(default_factory=dict)  # of elements, Å³ per atom
    swelling: Range = (-1.0, np.inf)  # range of the volume over the sum of these, minus one

    @classmethod
    def of(cls, crystals: Iterable[Atoms]) -> CrystalDomain:
        """Return the domain of ``crystals``."""
        crystals = list(crystals)
        found = [_Surroundings.of(atoms) for atoms in crystals]
        nearest = np.concatenate([s.nearest for s in found])
        neighbours = [count for s in found for count in s.neighbours]
        opposite = [count for s in found for count in s.opposite]
        lengths, volumes = _all_within(found), element_volumes(crystals)
        swelling = [_swelling(atoms, volumes) for atoms in crystals]
        metals = min(neighbours) >= CLOSE_PACKED
        return cls(
            pairs=frozenset(lengths),
            nearest=(float(nearest.min()), float(nearest.max())),
            neighbours=(min(neighbours), max(neighbours)),
            common=frozenset.intersection(*(frozenset(a.numbers.tolist()) for a in crystals)),
            lengths={} if metals else lengths,
            opposite=(min(opposite), max(opposite)) if metals else None,
            volumes=volumes,
            swelling=(min(swelling), max(swelling)),
        )

    def plain(self) -> dict[str, Any]:
        """Return the domain as numbers and lists, for a model file."""
        found: dict[str, Any] = {
            "pairs": sorted(map(list, self.pairs)),
            "nearest": [round(d, 4) for d in self.nearest],
            "neighbours": list(self.neighbours),
            "common": sorted(self.common),
        }
        if self.lengths:
            ranges = sorted(self.lengths.items())
            found["lengths"] = [[*pair, *(round(d, 4) for d in ends)] for pair, ends in ranges]
        if self.opposite:
            found["opposite"] = list(self.opposite)
        if self.volumes:
            found["volumes"] = [[z, round(v, 4)] for z, v in sorted(self.volumes.items())]
            found["swelling"] = [round(part, 4) for part in self.swelling]
        return found

    @classmethod
    def from_plain(cls, stored: dict[str, Any]) -> CrystalDomain:
        """Return the domain from the result of ``plain``; older models lack parts of it."""
        low, high = stored["nearest"]
        fewest, most = stored["neighbours"]
        known: dict[str, Any] = {}
        if "opposite" in stored:
            known["opposite"] = tuple(stored["opposite"])
        if "volumes" in stored:
            known["volumes"] = dict(stored["volumes"])
            known["swelling"] = tuple(stored["swelling"])
        return cls(
            pairs=frozenset((a, b) for a, b in stored["pairs"]),
            nearest=(low, high),
            neighbours=(fewest, most),
            common=frozenset(stored.get("common", ())),
            lengths={(a, b): (near, far) for a, b, near, far in stored.get("lengths", ())},
            **known,
        )

    def reasons(self, atoms: Atoms) -> list[str]:
        """Return reasons, as sentences, why ``atoms`` are unlike the training crystals, if any."""
        found = _Surroundings.of(atoms)
        said = (
            self._lacking(atoms),
            self._new_pairs(found),
            self._volume(atoms),
            self._nearest(found),
            self._lengths(found),
            self._neighbours(found),
            self._opposite(found),
        )
        return [sentence for sentence in said if sentence is not None]

    def _lacking(self, atoms: Atoms) -> str | None:
        lacking = sorted(self.common - set(atoms.numbers.tolist()))
        if not lacking:
            return None
        names = " and ".join(chemical_symbols[z] for z in lacking)
        return f"all training crystals have {names}, which this one lacks"

    def _new_pairs(self, found: _Surroundings) -> str | None:
        new = sorted(found.lengths.keys() - self.pairs)
        if not new:
            return None
        names = ", ".join(map(_name, new))
        return f"no training crystal has these elements as neighbours: {names}"

    def _volume(self, atoms: Atoms) -> str | None:
        if not set(atoms.numbers.tolist()) <= set(self.volumes):
            return None
        low, high = self.swelling
        part = _swelling(atoms, self.volumes)
        if low - VOLUME_SLACK <= part <= high + VOLUME_SLACK:
            return None
        of_atom = atoms.get_volume() / len(atoms)
        usual = of_atom / (1.0 + part)
        return (
            f"the volume is {of_atom:.1f} Å³ per atom where training crystals of these elements "
            f"have {(1.0 + low) * usual:.1f} to {(1.0 + high) * usual:.1f} Å³: check the lattice "
            "constants, or relax the cell"
        )

    def _nearest(self, found: _Surroundings) -> str | None:
        low, high = self.nearest
        off = np.flatnonzero((found.nearest < low - SLACK) | (found.nearest > high + SLACK))
        if not len(off):
            return None
        return (
            f"the nearest neighbour of atom {off[0]} is {found.nearest[off[0]]:.2f} Å away where "
            f"training crystals have {low:.2f} to {high:.2f} Å"
        )

    def _lengths(self, found: _Surroundings) -> str | None:
        """The pair of elements whose distance is farthest outside its range."""
        worst, most = None, LENGTH_SLACK
        for pair, ends in found.lengths.items():
            low, high = self.lengths.get(pair, (0.0, NEIGHBOURS))
            for length, outside in ((ends[0], low - ends[0]), (ends[1], ends[1] - high)):
                if outside > most:
                    worst, most = (pair, length, low, high), outside
        if worst is None:
            return None
        pair, length, low, high = worst
        return (
            f"{_name(pair)} are {length:.2f} Å apart where neighbours in training crystals have "
            f"{low:.2f} to {high:.2f} Å: check the positions"
        )

    def _neighbours(self, found: _Surroundings) -> str | None:
        fewest, most = self.neighbours
        odd = [i for i, count in enumerate(found.neighbours) if not fewest <= count <= most]
        if not odd:
            return None
        return (
            f"atom {odd[0]} has {found.neighbours[odd[0]]} neighbours within {NEIGHBOURS} Å where "
            f"those of training crystals have {fewest} to {most}: surfaces and vacancies were "
            "not trained on"
        )

    def _opposite(self, found: _Surroundings) -> str | None:
        """Of atoms whose number of neighbours is usual: of others it is told already."""
        if self.opposite is None:
            return None
        usual, (fewest, most) = self.neighbours, self.opposite
        odd = [
            i
            for i, (count, pairs) in enumerate(zip(found.neighbours, found.opposite, strict=True))
            if usual[0] <= count <= usual[1] and not fewest <= pairs <= most
        ]
        if not odd:
            return None
        return (
            f"atom {odd[0]} has {found.opposite[odd[0]]} pairs of neighbours on opposite sides "
            f"where those of training crystals have {fewest} to {most}: hcp and other stackings "
            "were not trained on"
        )


def _name(pair: Pair) -> str:
    return "–".join(chemical_symbols[z] for z in pair)


def _swelling(atoms: Atoms, volumes: Mapping[int, float]) -> float:
    """The volume over that of the atoms alone, minus one."""
    usual = sum(volumes[z] for z in atoms.numbers.tolist())
    return float(atoms.get_volume()) / usual - 1.0
