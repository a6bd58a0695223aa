"""Detect implausible coordinates and say what is wrong with them.

Files may lack hydrogens, have lengths in bohr, or contain drawings instead of geometries or two
overlapping molecules. The model would accept each of these and return wrong numbers without a
warning. Each rule below compares distances with sums r_A + r_B of covalent radii: the *reduced
distance* is about 1 for a bond. The limits are far from thermal or stretched geometries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.units import Bohr
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class GeometryLimits:
    """Limits of the rules: reduced distances and angles."""

    shortest: float = 0.6
    """Shorter than any bond: N≡N has 0.77, a C–H bond at 600 K rarely less than 0.8."""
    neighbour: float = 1.3
    """Heavy atoms up to this reduced distance count as bonded."""
    hydrogen: float = 1.5
    """The same if one of the two is hydrogen, whose bonds stretch further."""
    crowded: float = 1.15
    """Neighbours nearer than this count for the highest number of bonds."""
    lonely: float = 1.5
    """An atom with no other atom nearer than this has no bond at all."""
    bent: float = 150.0
    """Degrees; a carbon atom with two neighbours lacks an atom if its angle is smaller …"""
    strongly_bent: float = 130.0
    """… unless one of its bonds is as short as a triple bond and the angle is above this."""
    triple: float = 0.86
    """Reduced lengths of C≡C, C≡N and cumulated C=O bonds are below this."""
    open_end: float = 0.9
    """A C or N atom with only one neighbour has a triple bond, which is shorter than this."""
    share: float = 0.2
    """Hydrogens are missing if this share of the heavy atoms lacks neighbours …"""
    single: float = 0.985
    """… or a carbon atom with two bonds to C, N or O, both longer than this: carbenes have shorter
    ones (dimethylcarbene 0.97), CH₂ groups 0.99 to 1.01 …"""
    plain: float = 0.95
    """… or two atoms with one bond longer than this, or with two, both longer than ``triple`` (not
    so in arynes) and at less than ``strongly_bent``, which is exceeded in aryl cations …"""
    carbanion: float = 116.0
    """… except that each negative charge may be at an atom with an angle below this (aryl anions,
    112°) …"""
    carbene: float = 106.0
    """… and that the carbon of a carbene between two N, O or S has an angle below this (imidazol-
    ylidenes 102°; C2 of imidazole 112°)."""
    stretched: float = 3.2
    """Å; an atom of another molecule nearer than this may be a partner that was pulled away, but
    stacked molecules are 3.4 Å apart."""
    shielding: float = 0.95
    """Two atoms have no bond if a third is nearer to both than this fraction of their distance, as
    across a four-membered ring."""
    equal: float = 0.02
    """Lengths count as equal up to this relative difference, as all bonds in drawings are …"""
    long_hydrogen: float = 1.35
    """… if bonds to hydrogen are longer than this …"""
    short_heavy: float = 0.75
    """… or bonds between other atoms are shorter than this."""


LIMITS = GeometryLimits()

CARBENE = {9: 1.33, 17: 1.745, 35: 1.91, 53: 2.11}
"""Å; bonds of carbon to a halogen are shorter in dihalocarbenes (CF₂ 1.30, CCl₂ 1.72) and longer in
dihalomethanes (CH₂F₂ 1.36, CH₂Cl₂ 1.77)."""

MOST_NEIGHBOURS = {1: 1, 6: 4, 7: 4, 8: 3, 9: 1}
"""Highest number of bonds, for elements that never have more; others are not checked."""

_MOST = np.full(len(covalent_radii), np.iinfo(np.int64).max)
_MOST[list(MOST_NEIGHBOURS)] = list(MOST_NEIGHBOURS.values())

_REACH = 2.0 * GeometryLimits.lonely
"""Å; covers reduced distances up to ``lonely`` for the lighter elements."""


def implausible(atoms: Atoms, charge: int = 0, limits: GeometryLimits = LIMITS) -> str | None:
    """Return what is wrong with the coordinates of ``atoms``, in one sentence; None if nothing is.

    Recognizes lengths in bohr, drawings (two-dimensional coordinates), missing hydrogens, and
    overlapping molecules. Single atoms and pairs of atoms are not checked. A negative ``charge``
    may be at carbon atoms with a lone pair.
    """
    if len(atoms) < 2:
        return None
    bonds = _Bonds(atoms, limits)
    if len(atoms) > 2:
        if bonds.in_bohr():
            return (
                "no atom has a bond, but all would if the lengths were in bohr: these distances "
                "are not Å, where Å are expected; multiply all coordinates by 0.529177"
            )
        if reason := bonds.too_close():
            flat = bonds.flat
            return _drawing(reason) if flat else reason
        if bonds.flat and (reason := bonds.drawn()):
            return _drawing(reason)
    if bonds.many_lack():
        reason = bonds.missing_hydrogens()
        return _drawing(reason) if bonds.flat and len(atoms) > 3 else reason
    return bonds.missing_hydrogens() if bonds.some_lack(charge) else None


def _drawing(reason: str) -> str:
    return (
        "the coordinates are those of a two-dimensional drawing (all atoms lie in a plane, and "
        f"{reason.partition(':')[0]}) where a three-dimensional geometry is expected: make one, or "
        "give the molecule as SMILES or MOL file, from which esml makes a geometry"
    )


class _Bonds:
    """Neighbours of every atom by reduced distance."""

    def __init__(self, atoms: Atoms, limits: GeometryLimits) -> None:
        self.atoms, self.limits = atoms, limits
        self.numbers = atoms.numbers
        self.positions = np.asarray(atoms.positions, dtype=np.float64)
        radii = covalent_radii[self.numbers]
        reach = max(_REACH, 2.0 * limits.lonely * float(radii.max()))
        self.pairs, self.distances = _pairs(self.positions, reach)
        i, j = self.pairs.T
        self.reduced = self.distances / (radii[i] + radii[j])

    @cached_property
    def flat(self) -> bool:
        """Whether one coordinate is the same for all atoms, as in drawings."""
        return bool((np.ptp(self.positions, axis=0) < 1e-6).any())

    def _nearest(self, pairs: Indices, reduced: Array) -> Array:
        nearest = np.full(len(self.numbers), np.inf)
        np.minimum.at(nearest, pairs[:, 0], reduced)
        np.minimum.at(nearest, pairs[:, 1], reduced)
        return nearest

    def in_bohr(self) -> bool:
        """Whether no atom is within ``lonely`` of another, but all are at bond lengths in bohr."""
        if len(self.reduced) and self.reduced.min() < self.limits.lonely:
            return False
        radii = covalent_radii[self.numbers]
        scaled = self.positions * Bohr
        pairs, distances = _pairs(scaled, 2.0 * 1.3 * float(radii.max()))
        if not len(pairs):
            return False
        i, j = pairs.T
        reduced = distances / (radii[i] + radii[j])
        nearest = self._nearest(pairs, reduced)
        return bool((nearest > 0.7).all() and (nearest < 1.3).all())

    def _count(self, limit: float) -> Indices:
        near = self.pairs[self.reduced < limit]
        return np.bincount(near.ravel(), minlength=len(self.numbers))

    def too_close(self) -> str | None:
        """Describe distances shorter than any bond, or atoms with too many neighbours."""
        if len(self.reduced):
            k = int(self.reduced.argmin())
            if self.reduced[k] < self.limits.shortest:
                i, j = (int(x) for x in self.pairs[k])
                return (
                    f"{self._name(i)} and {self._name(j)} are {self.distances[k]:.2f} Å apart, "
                    "closer than any bond: molecules overlap where they are expected apart; move "
                    "them, or look for a doubled atom or coordinates not in Å"
                )
        counts = self._count(self.limits.crowded)
        crowded = np.flatnonzero(counts > _MOST[self.numbers])
        if not crowded.size:
            return None
        i = int(crowded[self.numbers[crowded].argmin()])
        return (
            f"{self._name(i)} has {counts[i]} neighbours at the distance of a bond where at most "
            f"{_MOST[self.numbers[i]]} are expected: molecules overlap; move them apart or fix the "
            "coordinates"
        )

    def drawn(self) -> str | None:
        """Describe what shows that a flat structure is a drawing.

        It is a carbon atom with four neighbours in a plane, or bonds to hydrogen as long as all
        others, which stretching one kind of bond does not give.
        """
        bonds = self._bonds()
        pairs, lengths, reduced = self.pairs[bonds], self.distances[bonds], self.reduced[bonds]
        counts = np.bincount(pairs.ravel(), minlength=len(self.numbers))
        tetrahedral = np.flatnonzero((self.numbers == 6) & (counts > 3))
        if tetrahedral.size:
            return f"{self._name(int(tetrahedral[0]))} has four neighbours in it"
        light = (self.numbers[pairs] == 1).any(axis=1)
        if light.all() or not light.any():
            return None
        to_hydrogen, others = np.median(lengths[light]), np.median(lengths[~light])
        if abs(to_hydrogen - others) > self.limits.equal * others:
            return None
        long = np.median(reduced[light]) > self.limits.long_hydrogen
        short = np.median(reduced[~light]) < self.limits.short_heavy
        if long or short:
            return f"bonds to hydrogen are as long as all others, {to_hydrogen:.2f} Å"
        return None

    def _bonds(self) -> Indices:
        """Indices of the ``pairs`` at bond distance with no third atom between them."""
        near = np.flatnonzero(self.reduced < self._limit)
        i, j = self.pairs[near].T
        apart = cdist(self.positions, self.positions)
        reach = self.limits.shielding * self.distances[near, None]
        shielded = ((apart[i] < reach) & (apart[j] < reach)).any(axis=1)
        return np.asarray(near[~shielded], dtype=np.int64)

    @cached_property
    def _limit(self) -> Array:
        """Largest reduced distance at which each of ``pairs`` counts as bonded."""
        light = (self.numbers[self.pairs] == 1).any(axis=1)
        return np.where(light, self.limits.hydrogen, self.limits.neighbour)

    @cached_property
    def _lacking(self) -> dict[int, list[tuple[int, float]]]:
        """C and N atoms with fewer neighbours than in any stable molecule, and these neighbours."""
        bonded = self.reduced < self._limit
        counts = np.bincount(self.pairs[bonded].ravel(), minlength=len(self.numbers))
        carbon_or_nitrogen = (self.numbers == 6) | (self.numbers == 7)
        suspects = np.flatnonzero(carbon_or_nitrogen & (counts > 0) & (counts < 3))
        # Most molecules end here: only sp atoms and nitrogens have so few neighbours.
        if not (self.numbers[suspects] == 6).any():
            return {}
        neighbours: dict[int, list[tuple[int, float]]] = {int(k): [] for k in suspects}
        for (i, j), reduced in zip(
            self.pairs[bonded].tolist(), self.reduced[bonded].tolist(), strict=True
        ):
            if i in neighbours:
                neighbours[i].append((j, reduced))
            if j in neighbours:
                neighbours[j].append((i, reduced))
        return {k: near for k, near in neighbours.items() if self._lacks(k, near)}

    def many_lack(self) -> bool:
        """Whether so many atoms lack hydrogens that no exception explains it."""
        lacking = list(self._lacking)
        enough = len(lacking) > 1 or not (self.numbers == 1).any()
        heavy = np.count_nonzero(self.numbers != 1)
        share = len(lacking) > self.limits.share * heavy
        return bool(enough and share and (self.numbers[lacking] == 6).any())

    def some_lack(self, charge: int) -> bool:
        """Whether carbon atoms lack hydrogens that are none of the exceptions.

        These are carbenes, arynes, aryl anions and cations, and atoms whose partner was pulled
        away. Losing one hydrogen makes a radical, which the count of electrons tells; so two atoms
        must have lost one, or one atom two.
        """
        limits, plain, bent = self.limits, 0, 0
        for k, neighbours in self._lacking.items():
            lengths = [reduced for _, reduced in neighbours]
            if self.numbers[k] != 6 or min(lengths) < limits.triple or self._left(k):
                continue
            if len(neighbours) == 1:
                plain += lengths[0] > limits.plain
                continue
            elements = set(self.numbers[[n for n, _ in neighbours]].tolist())
            if min(lengths) > limits.single and elements <= {6, 7, 8}:
                return True
            angle = self._angle(k, neighbours)
            between = elements <= {7, 8, 16} and angle < limits.carbene
            if angle < limits.strongly_bent and not between:
                bent += angle < limits.carbanion
                plain += angle >= limits.carbanion
        return plain + max(bent - max(-charge, 0), 0) > 1

    def _left(self, k: int) -> bool:
        """Whether an atom of another molecule is as near as the partner in a stretched bond."""
        elsewhere = self._molecules != self._molecules[k]
        distances = np.linalg.norm(self.positions[elsewhere] - self.positions[k], axis=1)
        return bool((distances < self.limits.stretched).any())

    @cached_property
    def _molecules(self) -> Indices:
        """Number of the molecule, by connected bonds, of every atom."""
        i, j = self.pairs[self.reduced < self._limit].T
        n = len(self.numbers)
        bonds = coo_array((np.ones(len(i)), (i, j)), shape=(n, n))
        return np.asarray(connected_components(bonds, directed=False)[1], dtype=np.int64)

    def missing_hydrogens(self) -> str:
        """Say which atoms lack hydrogens."""
        lacking, heavy = list(self._lacking), int(np.count_nonzero(self.numbers != 1))
        first = self._name(next(k for k in lacking if self.numbers[k] == 6))
        which = f"{first} first, have" if len(lacking) > 1 else f"{first}, has"
        return (
            f"hydrogens are missing: {len(lacking)} of {heavy} heavy atoms, {which} fewer "
            "neighbours than any stable molecule gives them, where a whole molecule is expected; "
            "add the hydrogens, or give the molecule as SMILES"
        )

    def _lacks(self, k: int, neighbours: list[tuple[int, float]]) -> bool:
        """Whether a carbon or nitrogen atom with one or two neighbours lacks hydrogens.

        A file loses all hydrogens of an atom or none, so an atom that still has one lacks none,
        however far its partner was pulled away (C₂H₄ with a stretched bond).
        """
        elements = self.numbers[[n for n, _ in neighbours]]
        if (elements == 1).any() or self._is_carbene(k, [n for n, _ in neighbours]):
            return False
        if len(neighbours) == 1:
            return neighbours[0][1] > self.limits.open_end
        if self.numbers[k] == 7:
            return False  # pyridine, imines and azo groups have two
        short = min(reduced for _, reduced in neighbours) < self.limits.triple
        limit = self.limits.strongly_bent if short else self.limits.bent
        return self._angle(k, neighbours) < limit

    def _angle(self, k: int, neighbours: list[tuple[int, float]]) -> float:
        """Angle at an atom between its two neighbours, in degrees."""
        a, b = (self.positions[n] - self.positions[k] for n, _ in neighbours)
        cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    def _is_carbene(self, k: int, neighbours: list[int]) -> bool:
        """Whether an atom is the carbon of a dihalocarbene, which has a closed shell (CF₂)."""
        elements = [int(self.numbers[n]) for n in neighbours]
        if len(elements) != 2 or not all(z in CARBENE for z in elements):
            return False
        lengths = np.linalg.norm(self.positions[neighbours] - self.positions[k], axis=1)
        return bool(lengths.sum() < sum(CARBENE[z] for z in elements))

    def _name(self, index: int) -> str:
        return f"{self.atoms.symbols[index]} (atom {index})"


def _pairs(positions: Array, reach: float) -> tuple[Indices, Array]:
    """All pairs (P, 2) of atoms within ``reach``, each once, and their distances (P,)."""
    if len(positions) > 200:
        found = cKDTree(positions).query_pairs(reach, output_type="ndarray")
        pairs = np.asarray(found, dtype=np.int64).reshape(-1, 2)
    else:
        pairs = _each_pair(len(positions))
    distances = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    near = distances < reach
    return pairs[near], distances[near]


@lru_cache(maxsize=32)
def _each_pair(n: int) -> Indices:
    """All pairs (n (n − 1) / 2, 2) of ``n`` atoms."""
    return np.stack(np.triu_indices(n, 1), axis=1)
