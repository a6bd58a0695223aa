"""Parts of a molecule that do not touch, each filled with its own electrons.

Two molecules far apart share one Hamiltonian without elements between them. If all orbitals are
filled from the bottom, one molecule may take electrons from the other merely because the levels
from which the mean field starts are higher there. Therefore, each part starts with the electrons
that make it a closed shell without charge. If these are too many or too few for the whole, as in an
ion, the orbitals of all parts are filled from the bottom once. Then, pairs of electrons move to a
lower empty level of another part as long as that lowers the energy (``settled``). Adding a pair
raises the levels of a part, so the energy is computed from the mean of the levels before and after.
If an empty level of one part still lies below an occupied one of another, a single electron would
move, and the molecule is not a closed shell.

Atoms closer than the onset of the switch f (``esml.model.tensors.switch``) belong to one part.
Atoms farther apart than its cutoff, where Hamiltonians have no elements, belong to different parts.
In between, the density matrix is a mean that changes smoothly with the distance. Let l₁ ≤ l₂ ≤ … be
the distances at which parts meet (the edges of the minimum spanning tree of all atoms, without
those below the onset), and P_k the density matrix of the parts joined up to l_k. Then

    P = Σ_k [f(l_k) − f(l_k+1)] P_k ,   f(l₀) = 1 .

A molecule whose atoms are all linked by neighbours within the onset is a single part, and P = P_0
is the density matrix of the whole.
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
"""Largest number of pairs of electrons that move between the parts of a molecule."""

Labels = NDArray[np.int32]
"""(K,) index of the part to which each atom of a molecule belongs."""

Levels = list[NDArray[np.floating]]
"""Orbital energies of each part of a molecule, ascending, eV."""


@dataclass(frozen=True)
class Cut:
    """One way to cut the molecule with index ``molecule`` into parts."""

    molecule: int
    share: Tensor  # () weight of its density matrix
    orbitals: tuple[Tensor, ...]  # indices of the orbitals of each part
    occupied: tuple[int, ...]  # number of doubly occupied orbitals of each part


def cuts(separation: Tensor, layout: OrbitalLayout, near: Tensor, onset: float) -> list[Cut]:
    """Cut the molecules of a batch into parts; molecules that are a single part have no cut.

    Parameters
    ----------
    separation:
        (M, K, K) distances of atoms, Å.
    layout:
        Layout of the batch.
    near:
        (M, K, K) the switch f at these distances.
    onset:
        Distance at which f begins to fall, Å.
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
    """Return how many orbitals of each part are occupied at the start: a closed shell each.

    Parts are neutral if they have an even number of electrons. Those with an odd number are all
    anions if that gives ``n_occupied``, or else all cations.
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
    """Distribute pairs of electrons among the parts until no move of a pair lowers the energy.

    Parameters
    ----------
    parted:
        Cuts of the molecules of a batch.
    n_occupied:
        (M,) number of doubly occupied orbitals of each molecule.
    mean_field:
        Function of cuts, at most one for each molecule, that returns the Hamiltonians (M, n, n) in
        their mean field.
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
    """Find molecules in which a part has an empty level below an occupied one of another part.

    They are not closed shells in their ``hamiltonian`` (M, n, n).
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
    """Distribute the electrons of ``parted``, cuts of different molecules, as in ``settled``."""

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
    """Return the orbital energies of each part in ``hamiltonian`` (n, n), ascending, eV."""
    return [
        torch.linalg.eigvalsh(hamiltonian[own[:, None], own]).cpu().numpy() for own in cut.orbitals
    ]


def _filled_from_bottom(levels: Levels, n_occupied: int) -> tuple[int, ...]:
    """Return occupied orbitals per part when all parts are filled from the bottom together."""
    owner = np.repeat(np.arange(len(levels)), [len(own) for own in levels])
    order = np.concatenate(levels).argsort(kind="stable")[:n_occupied]
    return tuple(np.bincount(owner[order], minlength=len(levels)).tolist())


def _one_pair_moved(levels: Levels, occupied: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return ``occupied`` after the highest pair has moved to the lowest empty level.

    The result is None if no empty level lies below an occupied one.
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
    """Return the energy (eV) gained by going from the first filling to the second.

    It is the change of the sum of occupied levels, averaged over the mean fields of both fillings:
    Slater's transition state (Adv. Quantum Chem. 6, 1 (1972)), which is exact if levels depend
    linearly on occupations.
    """

    def band(own: Levels, filling: tuple[int, ...]) -> float:
        return 2.0 * sum(float(part[:n].sum()) for part, n in zip(own, filling, strict=True))

    return 0.5 * sum(band(own, occupied[0]) - band(own, occupied[1]) for own in levels)


def density_and_charges(
    hamiltonian: Tensor, layout: OrbitalLayout, parted: Sequence[Cut]
) -> tuple[Tensor, Tensor]:
    """Return density matrices P (M, n, n) and charges (M, K), e, of ``hamiltonian`` (M, n, n).

    For molecules with cuts in ``parted``, P is the weighted mean over their cuts. For all others,
    orbitals are filled from the bottom.
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
    """Return the density matrix (n, n) of the parts of ``cut``, times its share."""
    density = torch.zeros_like(hamiltonian)
    for chosen, n_occupied in zip(cut.orbitals, cut.occupied, strict=True):
        rows, columns = chosen[:, None], chosen[None, :]
        size = torch.tensor([len(chosen)], device=chosen.device)
        filled = torch.full_like(size, n_occupied)
        block = density_matrix(diagonalize(hamiltonian[rows, columns][None], size, filled))[0]
        density = density.index_put((rows, columns), block)
    return cut.share * density
