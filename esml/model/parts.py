"""Parts of a molecule that do not touch, each filled with electrons of its own.

Two molecules far apart share one Hamiltonian without elements between them. Filled from the bottom,
the orbitals of one may take electrons from the other only because the levels that the mean field
starts from are higher there. So each part starts with the electrons that make it a closed shell
without charge; where these are too many or too few for the whole, as in an ion, the orbitals of all
parts are filled from the bottom once. Then a pair of electrons goes to an empty level of another
part that lies below its own as long as that lowers the energy (``settled``): the level of a part
with two electrons more is higher, and both are averaged. Where an empty level of one part stays
below an occupied one of another, a single electron would go, and the molecule is no closed shell.

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

ROUNDS = 8
"""Pairs of electrons that may move between the parts of a molecule."""

Labels = NDArray[np.int32]
"""(K,) part of each atom of a molecule."""

Levels = list[NDArray[np.floating]]
"""Orbital energies of each part of a molecule, ascending, eV."""


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
        if _is_whole(touching):
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


def _is_whole(touching: NDArray[np.bool_]) -> bool:
    """Whether all atoms are linked by pairs that are ``touching`` (K, K)."""
    reached = touching[0]
    while not reached.all():
        wider = touching[reached].any(axis=0)
        if (wider == reached).all():
            return False
        reached = wider
    return True


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
) -> list[Cut]:
    """``parted`` with pairs of electrons shared out so that moving one more lowers no energy.

    Parameters
    ----------
    parted:
        Cuts of the molecules of a batch.
    n_occupied:
        (M,) doubly occupied orbitals of each molecule.
    mean_field:
        Cuts, one of each molecule at most → Hamiltonians (M, n, n) in their mean field.
    """
    found = list(parted)
    rank: dict[int, int] = {}
    layers: dict[int, list[int]] = {}
    for place, cut in enumerate(parted):
        rank[cut.molecule] = rank.get(cut.molecule, -1) + 1
        layers.setdefault(rank[cut.molecule], []).append(place)
    for places in layers.values():
        chosen = _shared_out([parted[i] for i in places], n_occupied, mean_field)
        for place, cut in zip(places, chosen, strict=True):
            found[place] = cut
    return found


def unsettled(hamiltonian: Tensor, parted: Sequence[Cut]) -> frozenset[int]:
    """Molecules where a part has an empty level below an occupied one of another.

    They are no closed shells in their ``hamiltonian`` (M, n, n).
    """
    return frozenset(
        cut.molecule
        for cut in parted
        if _filled_from_bottom(_levels(hamiltonian[cut.molecule], cut), sum(cut.occupied))
        != cut.occupied
    )


def _shared_out(
    parted: Sequence[Cut],
    n_occupied: Tensor,
    mean_field: Callable[[Sequence[Cut]], Tensor],
) -> list[Cut]:
    """``parted``, cuts of different molecules, with their electrons settled."""

    def levels_of(cuts: Sequence[Cut]) -> list[Levels]:
        whole = [replace(cut, share=torch.ones_like(cut.share)) for cut in cuts]
        hamiltonian = mean_field(whole)
        return [_levels(hamiltonian[cut.molecule], cut) for cut in cuts]

    found = list(parted)
    levels = levels_of(found)
    wrong = [i for i, cut in enumerate(found) if sum(cut.occupied) != n_occupied[cut.molecule]]
    for i in wrong:
        filled = _filled_from_bottom(levels[i], int(n_occupied[found[i].molecule]))
        found[i] = replace(found[i], occupied=filled)
    for i, own in zip(wrong, levels_of([found[i] for i in wrong]) if wrong else [], strict=True):
        levels[i] = own
    pending = list(range(len(found)))
    for _ in range(ROUNDS):
        moves = {i: _one_pair_moved(levels[i], found[i].occupied) for i in pending}
        tried = {i: replace(found[i], occupied=m) for i, m in moves.items() if m is not None}
        pending = []
        for i, own in zip(tried, levels_of(list(tried.values())) if tried else [], strict=True):
            if _gain((levels[i], own), (found[i].occupied, tried[i].occupied)) > 0:
                found[i], levels[i] = tried[i], own
                pending.append(i)
    return found


def _levels(hamiltonian: Tensor, cut: Cut) -> Levels:
    """Orbital energies of each part in ``hamiltonian`` (n, n), ascending, eV."""
    return [
        torch.linalg.eigvalsh(hamiltonian[own[:, None], own]).cpu().numpy() for own in cut.orbitals
    ]


def _filled_from_bottom(levels: Levels, n_occupied: int) -> tuple[int, ...]:
    """Occupied orbitals of each part if those of all parts are filled from the bottom together."""
    owner = np.repeat(np.arange(len(levels)), [len(own) for own in levels])
    order = np.concatenate(levels).argsort(kind="stable")[:n_occupied]
    return tuple(np.bincount(owner[order], minlength=len(levels)).tolist())


def _one_pair_moved(levels: Levels, occupied: tuple[int, ...]) -> tuple[int, ...] | None:
    """``occupied`` after the highest pair has gone to the lowest empty level of another part.

    None if no empty level lies below an occupied one.
    """
    if _filled_from_bottom(levels, sum(occupied)) == occupied:
        return None
    highest = [own[n - 1] if n else -np.inf for own, n in zip(levels, occupied, strict=True)]
    lowest = [own[n] if n < len(own) else np.inf for own, n in zip(levels, occupied, strict=True)]
    moved = list(occupied)
    moved[int(np.argmax(highest))] -= 1
    moved[int(np.argmin(lowest))] += 1
    return tuple(moved)


def _gain(levels: tuple[Levels, Levels], occupied: tuple[tuple[int, ...], ...]) -> float:
    """Energy (eV) won by going from the first filling to the second.

    The sum of occupied levels, averaged over the mean fields of both fillings: Slater's transition
    state (Adv. Quantum Chem. 6, 1 (1972)), exact where levels follow occupations linearly.
    """

    def band(own: Levels, filling: tuple[int, ...]) -> float:
        return 2.0 * sum(float(part[:n].sum()) for part, n in zip(own, filling, strict=True))

    return 0.5 * sum(band(own, occupied[0]) - band(own, occupied[1]) for own in levels)


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
