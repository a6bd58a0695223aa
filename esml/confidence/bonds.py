"""Which elements are bonded to which: what no training molecule has, a model cannot know.

Atoms A and B are bonded when their distance is below ``BONDED`` (r_A + r_B), with covalent radii
r. A *chain* is an atom and two atoms bonded to it, such as H–O–O. Elements are counted by their
place in ``ELEMENTS``.

A chain is also looked at with the number of neighbours of each of its atoms, up to ``MOST``. These
tell C=C=S of a thioketene (carbon with 3 neighbours, carbon with 2, sulfur with 1) from the C–C–S
of a thioether: where they are unknown, so is the bond pattern, though every bond is known.
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
"""Sums of covalent radii within which two atoms count as bonded."""

MOST = 4
"""Neighbours of an atom that are told apart; more count as so many."""

RADII = torch.zeros(119)
"""Covalent radii (Å) by atomic number, of the elements of ``ELEMENTS``."""
RADII[list(ELEMENTS)] = torch.tensor([float(covalent_radii[z]) for z in ELEMENTS])


@dataclass(frozen=True)
class Seen:
    """What is bonded in the training molecules; ``linkages`` is None in older model files."""

    elements: Collection[int]  # atomic numbers
    pairs: Tensor  # (elements, elements) bonded
    triples: Tensor  # (elements, elements, elements) the first bonded to both others
    linkages: Tensor | None  # the same with numbers of neighbours, see ``neighbourhoods``


@dataclass(frozen=True)
class Unseen:
    """What no training molecule has."""

    sentences: list[list[str]]  # of each molecule
    atoms: Tensor  # (N,) bool, whether part of it


def bonds_and_chains(graph: Graph) -> tuple[Tensor, Tensor]:
    """The elements bonded to each atom, and the pairs of elements bonded to it.

    Parameters
    ----------
    graph : Graph
        N atoms.

    Returns
    -------
    tuple of Tensor
        Boolean (N, elements), and boolean and symmetric (N, elements, elements).
    """
    source, target = _bonded(graph)
    return _chains(source, target, species(graph.numbers), len(ELEMENTS))


def neighbourhoods(graph: Graph) -> tuple[Tensor, Tensor]:
    """The class of each atom, and the pairs of classes bonded to it.

    The class is the element's place times ``MOST`` + 1, plus the number of neighbours.

    Parameters
    ----------
    graph : Graph
        N atoms.

    Returns
    -------
    tuple of Tensor
        (N,), and boolean and symmetric (N, classes, classes).
    """
    return _linked(graph, *_bonded(graph))


def _linked(graph: Graph, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """``neighbourhoods`` of atoms that are bonded from ``source`` to ``target``."""
    classes = _classes(graph, source)
    return classes, _chains(source, target, classes, len(ELEMENTS) * (MOST + 1))[1]


def _bonded(graph: Graph) -> tuple[Tensor, Tensor]:
    """Atoms at both ends of every bond, each bond twice."""
    with torch.no_grad():
        radii = RADII.to(graph.positions)[graph.numbers]
        reach = BONDED * (radii[graph.edge_source] + radii[graph.edge_target])
        bonded = graph.vectors().norm(dim=1) < reach
        return graph.edge_source[bonded], graph.edge_target[bonded]


def _classes(graph: Graph, source: Tensor) -> Tensor:
    count = torch.bincount(source, minlength=len(graph.numbers)).clamp(max=MOST)
    return species(graph.numbers) * (MOST + 1) + count


def _chains(source: Tensor, target: Tensor, kinds: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Which of ``count`` kinds are bonded to each atom, and which two at once."""
    place = source * count + kinds[target]
    neighbours = torch.bincount(place, minlength=len(kinds) * count).reshape(-1, count)
    bonds = neighbours > 0
    chains = bonds[:, :, None] & bonds[:, None, :]
    # Two atoms of one kind make a chain, one does not.
    chains.diagonal(dim1=1, dim2=2).copy_(neighbours > 1)
    return bonds, chains


def unseen(graph: Graph, seen: Seen) -> Unseen:
    """What to say of bonds and chains that no training molecule has, and which atoms they join.

    Nothing is said of elements that no training molecule has, nor of a chain of which a bond is
    unknown, nor of neighbours in a chain unknown as such: the simplest of it is named.
    """
    source, target = _bonded(graph)
    kinds = species(graph.numbers)
    bonds, chains = _chains(source, target, kinds, len(ELEMENTS))
    known = seen.pairs[kinds]
    new_chains = chains & ~seen.triples[kinds] & known[:, :, None] & known[:, None, :]
    # Whether a bond leads to an unknown element, or is part of an unknown chain.
    new = (~known | new_chains.any(2))[source, kinds[target]]
    names: list[list[set[str]]] = [[set(), set(), set()] for _ in range(graph.n_molecules)]
    molecule, numbers = graph.molecule.tolist(), graph.numbers.tolist()

    def note(which: int, atom: int, chain: list[int], name: str) -> None:
        if set(chain) <= set(seen.elements):
            names[molecule[atom]][which].add(name)

    for atom, end in (bonds & ~known).nonzero().tolist():
        pair = sorted([numbers[atom], ELEMENTS[end]])
        note(0, atom, pair, "–".join(chemical_symbols[z] for z in pair))
    for atom, *others in new_chains.nonzero().tolist():
        ends = sorted(ELEMENTS[k] for k in others)
        chain = [ends[0], numbers[atom], ends[1]]
        note(1, atom, chain, "–".join(chemical_symbols[z] for z in chain))
    if seen.linkages is not None:
        classes, linked = _linked(graph, source, target)
        plain = chains & seen.triples[kinds]
        element = torch.arange(linked.shape[1], device=kinds.device) // (MOST + 1)
        plain = plain[:, element][:, :, element]
        strange = linked & ~seen.linkages[classes] & plain
        new = new | strange.any(2)[source, classes[target]]
        for atom, *others in strange.nonzero().tolist():
            ends = sorted((ELEMENTS[k // (MOST + 1)], k % (MOST + 1)) for k in others)
            own = numbers[atom], int(classes[atom]) % (MOST + 1)
            chain = [ends[0], own, ends[1]]
            name = "–".join(f"{chemical_symbols[z]}({n})" for z, n in chain)
            note(2, atom, [z for z, _ in chain], name)
    atoms = torch.zeros(len(kinds), dtype=torch.bool, device=kinds.device)
    atoms[source[new]] = True
    atoms[target[new]] = True
    return Unseen([_sentences(each) for each in names], atoms)


def _sentences(names: list[set[str]]) -> list[str]:
    """What to say of unknown bonds, chains, and chains with numbers of neighbours."""
    kinds = (
        "bond in the",
        "chain in the",
        "chain, in brackets the neighbours of each atom, in the",
    )
    return [
        f"no {' or '.join(sorted(found))} {what} training data: the prediction is an extrapolation"
        for found, what in zip(names, kinds, strict=True)
        if found
    ]
