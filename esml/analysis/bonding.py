"""Bonds, fragments, π systems and lone pairs, read from the density matrix of the model.

Nothing here looks for functional groups. In an orthonormal basis the Wiberg index [1]

    W_AB = Σ_{μ∈A, ν∈B} P_μν²

is a bond order: 1 for a single, 1.4 for an aromatic and 2 for a double bond. It tells which atoms
are bonded and which bonds are multiple. The geometry around an atom tells which of its p directions
is π. Of the other hybrids of an atom, eigenvectors of its own block of P, those that are nearly
doubly occupied are lone pairs, as in natural bond orbital analysis [2].

1. K. B. Wiberg, Tetrahedron 24, 1083 (1968).
2. J. P. Foster and F. Weinhold, J. Am. Chem. Soc. 102, 7211 (1980).

Shape letters: N atoms and n orbitals of one molecule, o occupied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from esml.physics.basis import orbitals_per_atom

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BONDED = 0.6
"""Two atoms with this Wiberg index or more are bonded; the two O of a nitro group reach 0.45."""

MULTIPLE = 1.3
"""Bonds with this Wiberg index are not cut; it lies between amide (1.2) and aromatic (1.4)."""

UNSATURATED = 0.4
"""An atom is in a multiple bond if its bond orders exceed one per neighbour by this in total."""

STRAIGHT = -0.94
"""Cosine of the angle (160°) beyond which an atom between two others is linear."""

ALIGNED = 0.5
"""Cosine of the angle (60°) up to which π directions of neighbours conjugate."""

LONE_PAIR = 1.7
"""A hybrid with this occupation or more is a lone pair; bonding hybrids hold at most 1.5."""


class FragmentError(ValueError):
    """Raised for fragments that do not fit the molecule."""


@dataclass(frozen=True)
class Fragment:
    """A fragment of a molecule: its atoms and its name."""

    name: str  # its formula, with an atom where several have the same: C6H5(C9)
    atoms: tuple[int, ...]  # their indices in the molecule, from 0


@dataclass(frozen=True)
class Bonding:
    """Bonds, π orbitals, lone pairs and fragments of a molecule, from its density matrix.

    ``pi`` and ``lone_pairs`` are projectors in the minimal basis, block-diagonal in the atoms and
    orthogonal to each other; the rest of the basis forms the σ bonds.
    """

    orders: Array  # (N, N) Wiberg indices, zero on the diagonal
    bonds: tuple[tuple[int, int], ...]  # bonded pairs, i < j
    owner: Index  # (n,) atom that carries each orbital
    pi: Array  # (n, n) projector on π orbitals
    lone_pairs: Array  # (n, n) projector on lone pairs
    fragments: tuple[Fragment, ...]  # together all atoms, each once


def orbital_owner(numbers: NDArray[np.integer]) -> Index:
    """Return (n,) the atom of each minimal-basis orbital, for atomic ``numbers``."""
    counts = orbitals_per_atom(torch.as_tensor(np.asarray(numbers))).numpy()
    return np.repeat(np.arange(len(counts)), counts)


def bond_orders(density: Array, owner: Index) -> Array:
    """Return the Wiberg indices W_AB (N, N) of ``density`` P (n, n), zero on the diagonal."""
    n_atoms = int(owner.max()) + 1
    belongs = (owner == np.arange(n_atoms)[:, None]).astype(np.float64)
    orders: Array = belongs @ np.square(density) @ belongs.T
    np.fill_diagonal(orders, 0.0)
    return orders


def analyze(
    atoms: Atoms,
    coefficients: Array,
    n_occupied: int,
    fragments: Sequence[Sequence[int]] | None = None,
) -> Bonding:
    """Find bonds, π systems, lone pairs and fragments of a molecule.

    Parameters
    ----------
    atoms
        The molecule.
    coefficients
        (n, n) orbitals in columns.
    n_occupied
        Number of filled orbitals, the first ones.
    fragments
        Lists of atoms, counted from 0; atoms in none of them make a further fragment. If None, the
        molecule is cut at every single bond that is in no ring and has an atom of a π system on at
        least one side.

    Returns
    -------
    Bonds, projectors on π orbitals and lone pairs, and fragments.

    Raises
    ------
    FragmentError
        If lists overlap, are empty or name atoms that do not exist.
    """
    occupied = coefficients[:, :n_occupied]
    density = 2.0 * occupied @ occupied.T
    owner = orbital_owner(atoms.numbers)
    orders = bond_orders(density, owner)
    graph = [np.flatnonzero(row).tolist() for row in orders > BONDED]
    directions = _pi_directions(atoms, graph, orders)
    pi, lone_pairs = _projectors(density, owner, directions)
    groups = _found(atoms, graph, orders) if fragments is None else _given(atoms, fragments)
    return Bonding(
        orders=orders,
        bonds=tuple((a, b) for a, others in enumerate(graph) for b in others if a < b),
        owner=owner,
        pi=pi,
        lone_pairs=lone_pairs,
        fragments=_named(atoms, groups),
    )


def _pi_directions(atoms: Atoms, graph: Sequence[list[int]], orders: Array) -> list[Array]:
    """Orthonormal π directions (k, 3) of each atom: one, two on a linear atom, or none."""
    positions = atoms.positions
    own = [_perpendicular(positions, a, neighbours) for a, neighbours in enumerate(graph)]
    for a, neighbours in enumerate(graph):
        # An atom with one bond defines no plane; it takes that of its neighbour.
        if len(neighbours) == 1 and atoms.numbers[a] != 1:
            (b,) = neighbours
            own[a] = own[b] if len(graph[b]) > 1 else _normals(positions[b] - positions[a])
    unsaturated = _unsaturated(graph, orders)
    return [
        own[a] if a in unsaturated or _conjugates(a, graph, own, unsaturated) else np.zeros((0, 3))
        for a in range(len(graph))
    ]


def _perpendicular(positions: Array, a: int, neighbours: list[int]) -> Array:
    """Directions normal to the bonds of atom ``a``; none if its bonds do not define them."""
    arms = positions[neighbours] - positions[a]
    arms /= np.linalg.norm(arms, axis=1)[:, None]
    if len(arms) == 2 and arms[0] @ arms[1] < STRAIGHT:
        return _normals(arms[0] - arms[1])
    if len(arms) == 2:
        normal = np.cross(arms[0], arms[1])
    elif len(arms) == 3:
        normal = np.cross(arms[1] - arms[0], arms[2] - arms[0])
    else:
        return np.zeros((0, 3))
    direction: Array = normal[None] / np.linalg.norm(normal)
    return direction


def _normals(axis: Array) -> Array:
    """Two unit vectors (2, 3) perpendicular to ``axis`` and to each other."""
    normals: Array = np.linalg.svd(axis[None])[2][1:]
    return normals


def _unsaturated(graph: Sequence[list[int]], orders: Array) -> set[int]:
    """Atoms in multiple bonds, by the sum of their bond orders: single ones fail for aromatics."""
    return {
        a
        for a, neighbours in enumerate(graph)
        if sum(orders[a, b] - 1.0 for b in neighbours) >= UNSATURATED
    }


def _conjugates(
    a: int, graph: Sequence[list[int]], own: list[Array], unsaturated: set[int]
) -> bool:
    """Whether a π direction of ``a`` runs along one of a neighbour in a multiple bond."""
    beside = [own[b] for b in graph[a] if b in unsaturated]
    return any(bool((np.abs(own[a] @ other.T) > ALIGNED).any()) for other in beside)


def _projectors(density: Array, owner: Index, directions: list[Array]) -> tuple[Array, Array]:
    pi, lone_pairs = np.zeros_like(density), np.zeros_like(density)
    for a, normal in enumerate(directions):
        place = np.flatnonzero(owner == a)
        block = np.ix_(place, place)
        inside = np.zeros((len(place), len(place)))
        if len(place) > 1:
            inside[1:, 1:] = normal.T @ normal
        pi[block] = inside
        rest = np.eye(len(place)) - inside
        occupations, hybrids = np.linalg.eigh(rest @ density[block] @ rest)
        chosen = hybrids[:, occupations > LONE_PAIR]
        lone_pairs[block] = chosen @ chosen.T
    return pi, lone_pairs


def _found(atoms: Atoms, graph: Sequence[list[int]], orders: Array) -> list[list[int]]:
    unsaturated = _unsaturated(graph, orders)
    bonded = np.triu(orders > BONDED, 1)
    cut = bonded.copy()
    for a, b in np.argwhere(bonded & (orders < MULTIPLE)).tolist():
        heavy = atoms.numbers[a] != 1 and atoms.numbers[b] != 1
        if heavy and (a in unsaturated or b in unsaturated):
            cut[a, b] = _in_ring(bonded, a, b)
    n_parts, labels = connected_components(cut, directed=False)
    return [np.flatnonzero(labels == part).tolist() for part in range(n_parts)]


def _in_ring(bonded: NDArray[np.bool_], a: int, b: int) -> bool:
    """Whether the atoms of a bond stay connected without it."""
    without = bonded.copy()
    without[a, b] = False
    labels = connected_components(without, directed=False)[1]
    return bool(labels[a] == labels[b])


def _given(atoms: Atoms, fragments: Sequence[Sequence[int]]) -> list[list[int]]:
    listed = [int(a) for part in fragments for a in part]
    outside = [a for a in listed if not 0 <= a < len(atoms)]
    if outside:
        raise FragmentError(
            f"fragments name atom {outside[0]}: expected atoms 0 to {len(atoms) - 1} of "
            f"{atoms.get_chemical_formula()}; count them from 0"
        )
    twice = [a for a, count in Counter(listed).items() if count > 1]
    if twice:
        raise FragmentError(
            f"atom {twice[0]} is in two fragments: expected every atom in one; take it out of one"
        )
    if any(len(part) == 0 for part in fragments):
        raise FragmentError("a fragment is empty: expected lists of atoms; leave it out")
    rest = sorted(set(range(len(atoms))) - set(listed))
    return [sorted(int(a) for a in part) for part in fragments] + ([rest] if rest else [])


def _named(atoms: Atoms, groups: list[list[int]]) -> tuple[Fragment, ...]:
    """Fragments by first atom, named by formula, and by an atom (from 1) if two share a formula."""
    formulas = [_formula([atoms.symbols[a] for a in group]) for group in groups]
    shared = Counter(formulas)
    fragments = []
    for group, formula in zip(groups, formulas, strict=True):
        heavy = next((a for a in group if atoms.numbers[a] != 1), group[0])
        name = formula if shared[formula] == 1 else f"{formula}({atoms.symbols[heavy]}{heavy + 1})"
        fragments.append(Fragment(name, tuple(group)))
    return tuple(sorted(fragments, key=lambda fragment: fragment.atoms))


def _formula(symbols: Sequence[str]) -> str:
    """Formula with C and H first; without carbon, H last: C6H5, NH2, NO2."""
    count = Counter(symbols)
    first = ["C", "H"] if "C" in count else []
    last = [] if first else ["H"]
    middle = sorted(set(count) - {"C", "H"})
    return "".join(
        f"{symbol}{count[symbol] if count[symbol] > 1 else ''}"
        for symbol in (*first, *middle, *last)
        if count[symbol]
    )
