"""Parts of a molecule that do not touch, each filled with electrons of its own.

Two molecules far apart share one Hamiltonian without elements between them. Filled from the bottom,
the orbitals of one may take electrons from the other only because the levels that the mean field
starts from are higher there. So each part starts with the electrons that make it a closed shell
without charge. From the mean field of these the orbitals of all parts are filled from the bottom
together, which places the charge of an ion and the electrons of a salt, and so on until no part
takes electrons from another (``settled``). Where that never ends, as where a bond is torn, the
molecule is filled as one part and is no closed shell.

Atoms closer than the onset of the switch f (``esml.model.tensors.switch``) belong to one part,
those farther apart than its end, where Hamiltonians have no elements, to different parts. In
between, the density matrix is a mean that follows the distance smoothly. Let l₁ ≤ l₂ ≤ … be the
distances at which parts meet (the edges of the shortest tree that joins all atoms, without those
below the onset), and P_k the density matrix of the parts joined up to l_k. Then

    P = Σ_k [f(l_k) − f(l_k+1)] P_k ,   f(l₀) = 1 .

A molecule whose atoms are all linked by neighbours within the onset is one part: P is P_0, that of
the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.orbitals import density_matrix, diagonalize, filled

ROUNDS = 4
"""Times that electrons may move between parts before that counts as never ending."""

Labels = NDArray[np.int32]
"""(K,) part of each atom of a molecule."""


@dataclass(frozen=True)
class Cut:
    """One way to cut the molecule with index ``molecule`` into parts."""

    molecule: int
    share: Tensor  # () weight of its density matrix
    orbitals: tuple[Tensor, ...]  # those of each part
    occupied: tuple[int, ...]  # doubly occupied orbitals of each part


def cuts(separation: Tensor, layout: OrbitalLayout, near: Tensor, onset: float) -> list[Cut]:
    """How the molecules of a batch fall into parts; none for molecules that are one part.

    Parameters
    ----------
    separation:
        (M, K, K) distances of atoms, Å.
    layout:
        Orbitals of the batch.
    near:
        (M, K, K) the switch f at these distances.
    onset:
        Å, where f begins to fall.
    """
    found = []
    distances = separation.detach().cpu().numpy()
    owner = layout.orbital_atom
    valence = layout.nuclear_charges.tolist()
    for m, n_atoms in enumerate(layout.n_atoms.tolist()):
        between = distances[m, :n_atoms, :n_atoms]
        touching = between < onset
        if touching.all() or connected_components(touching, directed=False)[0] == 1:
            continue
        tree = minimum_spanning_tree(between).tocoo()
        meeting = sorted(
            (length, int(a), int(b))
            for length, a, b in zip(tree.data, tree.row, tree.col, strict=True)
            if length >= onset
        )
        one = near.new_ones(())
        shares = [one, *(near[m, a, b] for _, a, b in meeting), torch.zeros_like(one)]
        own = owner[m, : int(layout.n_orbitals[m])]
        for k, (first, last) in enumerate(pairwise(shares)):
            if float(first.detach()) == float(last.detach()):
                continue
            joined = touching.copy()
            for _, a, b in meeting[:k]:
                joined[a, b] = True
            labels: Labels = connected_components(joined, directed=False)[1]
            occupied = _filling(labels, valence[m], int(layout.n_occupied[m]))
            part = torch.from_numpy(labels).to(own.device)[own]
            orbitals = tuple((part == c).nonzero()[:, 0] for c in range(len(occupied)))
            found.append(Cut(m, first - last, orbitals, occupied))
    return found


def _filling(labels: Labels, valence: Sequence[int], n_occupied: int) -> tuple[int, ...]:
    """Occupied orbitals of each part to start with: those of a closed shell without charge.

    Parts of an odd number of electrons are all anions where that gives ``n_occupied``, else all
    cations.
    """
    electrons = np.bincount(labels, valence[: len(labels)]).astype(int)
    if len(electrons) == 1:
        return (n_occupied,)
    anions = (electrons + 1) // 2
    pairs = anions if anions.sum() == n_occupied else electrons // 2
    return tuple(pairs.tolist())


def settled(
    parted: Sequence[Cut],
    n_occupied: Tensor,
    mean_field: Callable[[Sequence[Cut]], Tensor],
) -> tuple[list[Cut], frozenset[int]]:
    """``parted`` with electrons shared out so that no part takes any from another.

    Parameters
    ----------
    parted:
        Cuts of the molecules of a batch.
    n_occupied:
        (M,) doubly occupied orbitals of each molecule.
    mean_field:
        Cuts, one of each molecule at most → Hamiltonians (M, n, n) in their mean field.

    Returns
    -------
    The cuts in order, and the molecules for which there is no such way: filled from the bottom,
    electrons always move on. Their cuts are one part.
    """
    found, unsettled = list(parted), set[int]()
    rank: dict[int, int] = {}
    layers: dict[int, list[int]] = {}
    for place, cut in enumerate(parted):
        rank[cut.molecule] = rank.get(cut.molecule, -1) + 1
        layers.setdefault(rank[cut.molecule], []).append(place)
    for pending in layers.values():
        for _ in range(ROUNDS):
            whole = [replace(found[i], share=torch.ones_like(found[i].share)) for i in pending]
            hamiltonian = mean_field(whole)
            moved = []
            for i in pending:
                cut = found[i]
                occupied = _lowest(hamiltonian[cut.molecule], cut, int(n_occupied[cut.molecule]))
                if occupied != cut.occupied:
                    found[i] = replace(cut, occupied=occupied)
                    moved.append(i)
            pending = moved
            if not pending:
                break
        for i in pending:
            cut = found[i]
            filled = (int(n_occupied[cut.molecule]),)
            found[i] = replace(cut, orbitals=(torch.cat(cut.orbitals),), occupied=filled)
            unsettled.add(cut.molecule)
    return found, frozenset(unsettled)


def _lowest(hamiltonian: Tensor, cut: Cut, n_occupied: int) -> tuple[int, ...]:
    """Occupied orbitals of each part if those of all parts are filled from the bottom together."""
    levels = [torch.linalg.eigvalsh(hamiltonian[own[:, None], own]) for own in cut.orbitals]
    owner = np.repeat(np.arange(len(levels)), [len(x) for x in levels])
    order = torch.cat(levels).argsort(stable=True)[:n_occupied].cpu().numpy()
    return tuple(np.bincount(owner[order], minlength=len(levels)).tolist())


def density_and_charges(
    hamiltonian: Tensor, layout: OrbitalLayout, parted: Sequence[Cut]
) -> tuple[Tensor, Tensor]:
    """Density matrices P (M, n, n) and atomic charges (M, K), e, of ``hamiltonian`` (M, n, n).

    Molecules with ``parted`` cuts have the mean of the density matrices of their cuts, all others
    that of their orbitals filled from the bottom.
    """
    density, charge = filled(hamiltonian, layout)
    if not parted:
        return density, charge
    own = list(density.unbind())
    for m in {cut.molecule for cut in parted}:
        own[m] = torch.stack(
            [_density_of(hamiltonian[m], cut) for cut in parted if cut.molecule == m]
        ).sum(0)
    density = torch.stack(own)
    populations = torch.zeros_like(charge).scatter_add(
        1, layout.orbital_atom, density.diagonal(dim1=1, dim2=2) * layout.orbital_mask
    )
    nuclei = layout.nuclear_charges.to(charge)
    changed = torch.zeros(len(charge), dtype=torch.bool, device=charge.device)
    changed[[cut.molecule for cut in parted]] = True
    return density, torch.where(changed[:, None], nuclei - populations, charge)


def _density_of(hamiltonian: Tensor, cut: Cut) -> Tensor:
    """The density matrix (n, n) of the parts of ``cut``, times its share."""
    density = torch.zeros_like(hamiltonian)
    for chosen, n_occupied in zip(cut.orbitals, cut.occupied, strict=True):
        rows, columns = chosen[:, None], chosen[None, :]
        size = torch.tensor([len(chosen)], device=chosen.device)
        filled = torch.full_like(size, n_occupied)
        block = density_matrix(diagonalize(hamiltonian[rows, columns][None], size, filled))[0]
        density = density.index_put((rows, columns), block)
    return cut.share * density
