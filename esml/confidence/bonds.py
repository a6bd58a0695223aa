"""Bonds and chains of elements that no training molecule has: a model cannot know these.

Atoms A and B are bonded if their distance is below ``BONDED`` (r_A + r_B), with covalent radii r. A
*chain* is an atom and two atoms bonded to it, such as H–O–O. Elements are numbered by their
position in ``ELEMENTS``.

A second check compares chains together with the number of neighbours of each atom, up to ``MOST``.
These numbers tell C=C=S of a thioketene (carbon with 3 neighbours, carbon with 2, sulfur with 1)
from C–C–S of a thioether. If no training molecule has a chain with the same numbers, its bonding
pattern is unknown, even though every bond is known.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor

from esml.model.graph import Graph
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS

BONDED = 1.25
"""Largest distance of bonded atoms, as a multiple of the sum of their covalent radii."""

MOST = 4
"""Largest number of neighbours that is counted; more count as this many."""

RADII = torch.zeros(119)
"""Covalent radii (Å) by atomic number, of the elements of ``ELEMENTS``."""
RADII[list(ELEMENTS)] = torch.tensor([float(covalent_radii[z]) for z in ELEMENTS])


@dataclass(frozen=True)
class Seen:
    """Bonds and chains of the training molecules; ``linkages`` is None in older model files."""

    elements: Collection[int]  # atomic numbers
    pairs: Tensor  # (elements, elements) True if bonded
    triples: Tensor  # (elements, elements, elements) True if the first is bonded to both others
    linkages: Tensor | None  # triples with numbers of neighbours, see ``classes``


@dataclass(frozen=True)
class Unseen:
    """Bonds and chains that no training molecule has."""

    sentences: list[list[str]]  # warnings for each molecule
    atoms: Tensor  # (N,) bool, whether an atom is part of such a bond or chain


@dataclass(frozen=True)
class Chains:
    """Bonds, listed in both directions, and chains: each pair of two bonds of one atom once."""

    source: Tensor  # (B,) atom, ascending
    target: Tensor  # (B,) atom bonded to it
    first: Tensor  # (C,) index of one bond of a chain
    second: Tensor  # (C,) index of the other bond

    @classmethod
    def of(cls, graph: Graph) -> Chains:
        """Find the bonds and chains of ``graph``, whose pairs are sorted by source."""
        with torch.no_grad():
            radii = RADII.to(graph.positions)[graph.numbers]
            reach = BONDED * (radii[graph.edge_source] + radii[graph.edge_target])
            bonded = graph.vectors().norm(dim=1) < reach
        source, target = graph.edge_source[bonded], graph.edge_target[bonded]
        places = torch.arange(len(source), device=source.device)
        first, second = [places[:0]], [places[:0]]
        # Bonds of an atom are adjacent in the list: pair those k places apart, k = 1, 2, …
        for k in range(1, len(source)):
            together = source[k:] == source[:-k]
            if not together.any():
                break
            first.append(places[:-k][together])
            second.append(places[k:][together])
        return cls(source, target, torch.cat(first), torch.cat(second))

    def kinds(self, of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return kinds (C,) of the middle and of both ends of each chain; ``of`` (N,) of atoms."""
        ends = of[self.target]
        return of[self.source[self.first]], ends[self.first], ends[self.second]

    def mark(self, bonds: Tensor, of: Tensor) -> None:
        """Set ``bonds`` (kinds, kinds) to True for each bond; ``of`` (N,) are kinds of atoms."""
        bonds[of[self.source], of[self.target]] = True

    def mark_chains(self, chains: Tensor, of: Tensor) -> None:
        """Set ``chains`` (kinds, kinds, kinds) to True for each chain, in both directions."""
        middle, a, b = self.kinds(of)
        chains[middle, a, b] = True
        chains[middle, b, a] = True


def classes(graph: Graph, chains: Chains) -> Tensor:
    """Return (N,) the index of the element times ``MOST`` + 1, plus the number of neighbours."""
    count = torch.bincount(chains.source, minlength=len(graph.numbers)).clamp(max=MOST)
    return species(graph.numbers) * (MOST + 1) + count


def unseen(graph: Graph, seen: Seen) -> Unseen:
    """Return warnings about bonds and chains that no training molecule has, and their atoms.

    Only the simplest cause is named: an unknown bond rather than the chains that contain it, and an
    unknown chain rather than its numbers of neighbours. Elements that no training molecule has are
    not mentioned here.
    """
    chains, kinds = Chains.of(graph), species(graph.numbers)
    known = seen.pairs[kinds[chains.source], kinds[chains.target]]
    middle, a, b = chains.kinds(kinds)
    ordinary = seen.triples[middle, a, b]
    strange = ~ordinary & known[chains.first] & known[chains.second]
    new = ~known
    odd = torch.zeros_like(strange)
    if seen.linkages is not None:
        odd = ordinary & ~seen.linkages[chains.kinds(classes(graph, chains))]
    for place in (chains.first, chains.second):
        new[place[strange | odd]] = True
    atoms = torch.zeros(len(kinds), dtype=torch.bool, device=kinds.device)
    if not new.any():
        return Unseen([[] for _ in range(graph.n_molecules)], atoms)
    atoms[chains.source[new]] = True
    atoms[chains.target[new]] = True
    names = _Names(graph, chains, seen.elements)
    names.bonds(~known)
    names.chains(strange)
    names.linkages(odd)
    return Unseen([_sentences(each) for each in names.found], atoms)


class _Names:
    """Collects names of bonds and chains of each molecule, if all elements are in ``allowed``."""

    def __init__(self, graph: Graph, chains: Chains, allowed: Collection[int]) -> None:
        self.found: list[list[set[str]]] = [[set(), set(), set()] for _ in range(graph.n_molecules)]
        self._graph, self._chains, self._allowed = graph, chains, set(allowed)

    def bonds(self, chosen: Tensor) -> None:
        """Collect names A–B of the ``chosen`` (B,) bonds."""
        for bond in chosen.nonzero()[:, 0].tolist():
            source, target = self._chains.source[bond], self._chains.target[bond]
            self._note(0, int(source), sorted([self._element(source), self._element(target)]))

    def chains(self, chosen: Tensor) -> None:
        """Collect names A–B–C of the ``chosen`` (C,) chains."""
        for middle, *ends in self._atoms(chosen):
            first, last = sorted(self._element(k) for k in ends)
            self._note(1, middle, [first, self._element(middle), last])

    def linkages(self, chosen: Tensor) -> None:
        """Collect names A(m)–B(n)–C(o) of ``chosen`` (C,) chains, with numbers of neighbours."""
        for middle, *ends in self._atoms(chosen):
            own = self._element(middle), self._count(middle)
            first, last = sorted((self._element(k), self._count(k)) for k in ends)
            numbers, counts = zip(first, own, last, strict=True)
            self._note(2, middle, list(numbers), [f"({n})" for n in counts])

    def _atoms(self, chosen: Tensor) -> list[list[int]]:
        """Return the middle atom and both end atoms of the ``chosen`` (C,) chains."""
        at = self._chains
        first, second = at.first[chosen], at.second[chosen]
        found = torch.stack([at.source[first], at.target[first], at.target[second]], 1)
        rows: list[list[int]] = found.tolist()
        return rows

    def _element(self, atom: int | Tensor) -> int:
        return int(self._graph.numbers[atom])

    def _count(self, atom: int) -> int:
        return min(int((self._chains.source == atom).sum()), MOST)

    def _note(
        self, which: int, atom: int, numbers: list[int], suffixes: list[str] | None = None
    ) -> None:
        if set(numbers) <= self._allowed:
            ends = suffixes or [""] * len(numbers)
            text = "–".join(chemical_symbols[z] + end for z, end in zip(numbers, ends, strict=True))
            self.found[int(self._graph.molecule[atom])][which].add(text)


def _sentences(names: list[set[str]]) -> list[str]:
    """Return warnings about unknown bonds, chains, and chains with numbers of neighbours."""
    kinds = (
        "bond in the",
        "chain in the",
        "chain (with the number of neighbours of each atom in brackets) in the",
    )
    return [
        f"no {' or '.join(sorted(found))} {what} training data: the prediction is an extrapolation"
        for found, what in zip(names, kinds, strict=True)
        if found
    ]
