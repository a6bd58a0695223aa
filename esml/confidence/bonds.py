"""Which elements are bonded to which: what no training molecule has, a model cannot know.

Atoms A and B are bonded when their distance is below ``BONDED`` (r_A + r_B), with covalent radii
r. A *chain* is an atom and two atoms bonded to it, such as H–O–O. Elements are counted by their
place in ``ELEMENTS``.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor

from esml.model.graph import Graph
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS

BONDED = 1.25
"""Sums of covalent radii within which two atoms count as bonded."""

RADII = torch.zeros(119)
"""Covalent radii (Å) by atomic number, of the elements of ``ELEMENTS``."""
RADII[list(ELEMENTS)] = torch.tensor([float(covalent_radii[z]) for z in ELEMENTS])


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
    with torch.no_grad():
        radii = RADII.to(graph.positions)[graph.numbers]
        reach = BONDED * (radii[graph.edge_source] + radii[graph.edge_target])
        bonded = graph.vectors().norm(dim=1) < reach
        source, target = graph.edge_source[bonded], graph.edge_target[bonded]
        place = source * len(ELEMENTS) + species(graph.numbers)[target]
        size = len(radii) * len(ELEMENTS)
        neighbours = torch.bincount(place, minlength=size).reshape(-1, len(ELEMENTS))
        bonds = neighbours > 0
        chains = bonds[:, :, None] & bonds[:, None, :]
        # Two atoms of one element make a chain, one does not.
        chains.diagonal(dim1=1, dim2=2).copy_(neighbours > 1)
        return bonds, chains


def unseen_bonds(
    graph: Graph, pairs: Tensor, triples: Tensor, seen: Collection[int]
) -> list[list[str]]:
    """What to say of bonds and chains that no training molecule has.

    Parameters
    ----------
    graph : Graph
        M molecules.
    pairs : Tensor
        Boolean (elements, elements): bonded in a training molecule.
    triples : Tensor
        Boolean (elements, elements, elements): the first bonded to both others in one.
    seen : Collection of int
        Atomic numbers in the training molecules; of other elements nothing is said here.

    Returns
    -------
    list of list of str
        Sentences for each molecule; none where all is known.
    """
    bonds, chains = bonds_and_chains(graph)
    kinds = species(graph.numbers)
    known = pairs[kinds]
    # A chain with an unknown bond is unknown by that; the bond is what to name.
    strange = chains & ~triples[kinds] & known[:, :, None] & known[:, None, :]
    names: list[tuple[set[str], set[str]]] = [(set(), set()) for _ in range(graph.n_molecules)]
    molecule, numbers = graph.molecule.tolist(), graph.numbers.tolist()
    for which, found in enumerate((bonds & ~known, strange)):
        for atom, *others in found.nonzero().tolist():
            ends = [ELEMENTS[k] for k in others]
            if which == 0:
                chain = sorted([numbers[atom], *ends])
            else:
                chain = [min(ends), numbers[atom], max(ends)]
            if set(chain) <= set(seen):
                names[molecule[atom]][which].add("–".join(chemical_symbols[z] for z in chain))
    return [
        [
            f"no {' or '.join(sorted(found))} {what} in the training data: the prediction is an "
            "extrapolation"
            for found, what in zip(each, ("bond", "chain"), strict=True)
            if found
        ]
        for each in names
    ]
