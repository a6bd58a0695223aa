"""Losses of one crystal: bands, d-band centres and d populations.

Band energies count from the Fermi level, the model's from its own, as in a prediction: where it
lies depends on all atoms of a crystal, and the tables need not know. It is the level below which
the looked-at k points hold as many electrons as the reference has there. Bands near it count more
than others, and from 2 eV above it less and less, as the labels end 3 eV above it. H between the
reference's states holds states beside energies. Centres and populations are traces of functions of
H(k), whose gradients degenerate states do not spoil (``esml.physics.crystals.spectral_sums``).

In insulators the valence bands and the lowest conduction bands count, those at the gap more than
others. The most unusual atom of a cell decides where the top of its valence bands lies, and the
zero of its potential is a convention, so the mean difference of valence bands is taken off first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from esml.io.records import CrystalRecord
from esml.model.crystals import CrystalModel, Neighbourhood
from esml.physics.crystals import (
    Eigenstates,
    PeriodicHamiltonian,
    eigenstates,
    moment,
    orbitals_of,
    spectral_sums,
    step_down,
)
from esml.physics.crystals.bands import CUT, EDGE
from esml.physics.crystals.filling import fermi_level, occupations
from esml.training.crystals.config import CrystalLossWeights

TOP, FADE = 2.2, 0.3
"""eV above the Fermi level: where bands cease to count, and over what width."""
NEAR_WEIGHT, NEAR_WIDTH = 1.5, 1.0
"""Additional weight at the Fermi level, and over how many eV."""
SMALL = 1e-4
"""Below the square root of this (eV, e) a deviation counts by its square."""
CONDUCTION_WEIGHT = 4.0
"""Weight of the lowest conduction bands of an insulator, which are few."""


@dataclass(frozen=True)
class Target:
    """What a record asks of a model."""

    near: Neighbourhood
    k_points: Tensor  # (K, 3)
    shares: Tensor  # (K,)
    energies: Tensor  # (K, n) eV from the Fermi level
    states: Tensor  # (K, n, n)
    weights: Tensor  # (K, n) of the bands
    sums: Tensor  # (3, K, N) of d orbitals: occupation, cut, energy times cut
    groups: tuple[Tensor, ...]  # d orbitals of each atom
    smearing: float
    n_occupied: int  # valence bands of an insulator; 0: a metal
    exact: Tensor  # (K, n) whether H has the band, and its state

    @classmethod
    def of(cls, record: CrystalRecord, model: CrystalModel) -> Target:
        """From a record and the elements and cutoff of ``model``."""
        numbers = record.numbers.tolist()
        k_points = torch.as_tensor(record.k_points)
        h = record.hamiltonian.at(k_points)
        energies, states = torch.linalg.eigh(h)
        groups = tuple(orbitals_of(numbers, "d"))
        smearing = model.config.smearing
        exact = torch.arange(energies.shape[1]) < torch.as_tensor(record.n_exact)[:, None]
        n_occupied = int(record.n_electrons) // 2 if model.config.insulating else 0
        if n_occupied:
            energies = torch.where(exact, energies, torch.as_tensor(record.energies).to(energies))
            weights = _insulator_weights(energies, exact, n_occupied)
        else:
            weights = torch.sigmoid((TOP - energies) / FADE)
            near_fermi = torch.exp(-0.5 * (energies / NEAR_WIDTH) ** 2)
            weights = weights * (1.0 + NEAR_WEIGHT * near_fermi)
        return cls(
            near=model.neighbourhood(numbers, record.cell, record.positions),
            k_points=k_points,
            shares=torch.as_tensor(record.k_weights),
            energies=energies,
            states=states,
            weights=weights,
            sums=d_sums(h, groups, smearing)[1],
            groups=groups,
            smearing=smearing,
            n_occupied=n_occupied,
            exact=exact,
        )


def _insulator_weights(energies: Tensor, exact: Tensor, n_occupied: int) -> Tensor:
    """(K, n) of valence bands and the conduction bands that are known, one at least."""
    places = torch.arange(energies.shape[1])
    bottom = energies[:, n_occupied:].min()
    from_edge = torch.where(places < n_occupied, energies, energies - bottom)
    weights = 1.0 + NEAR_WEIGHT * torch.exp(-0.5 * (from_edge / NEAR_WIDTH) ** 2)
    weights = torch.where(places < n_occupied, weights, CONDUCTION_WEIGHT * weights)
    return weights * (exact | (places == n_occupied))


def d_sums(
    h: Tensor, groups: tuple[Tensor, ...], smearing: float, known: Eigenstates | None = None
) -> tuple[Tensor, Tensor]:
    """Energies (K, n) and sums (3, K, N); the Fermi level is at zero."""
    cut = step_down(CUT, EDGE)
    return spectral_sums(h, groups, [step_down(0.0, smearing), cut, moment(cut)], known)


def _robust(deviations: Tensor) -> Tensor:
    return torch.sqrt(deviations.square() + SMALL)


def terms(
    hamiltonian: PeriodicHamiltonian, target: Target, chosen: np.ndarray, even: bool
) -> dict[str, Tensor]:
    """Loss terms by name, unweighted.

    Parameters
    ----------
    hamiltonian:
        The predicted one.
    target:
        What the record asks.
    chosen:
        Places of the k points that are looked at.
    even:
        Whether they were drawn by their shares, so that all count the same.
    """
    some = torch.as_tensor(chosen)
    h = hamiltonian.at(target.k_points[some])
    if target.n_occupied:
        return _insulator_terms(h, target, some)
    weights, wanted = target.weights[some], target.energies[some]
    shares = torch.ones(len(some), dtype=torch.float64) if even else target.shares[some]
    shares = shares / shares.sum()
    energies, states = eigenstates(h.detach())
    zero = _own_fermi_level(h, states, wanted, shares, target.smearing)
    h = _moved(h, zero)
    known = (energies - zero.detach(), states)  # another zero, the same states
    energies, sums = d_sums(h, target.groups, target.smearing, known)
    occupied, cut, moments = torch.einsum("k,fkg->fg", shares, sums)
    occupied0, cut0, moments0 = torch.einsum("k,fkg->fg", shares, target.sums[:, some])
    return {
        "energies": (weights * _robust(energies - wanted)).sum() / weights.sum(),
        "states": _between(h, target, some, weights.clamp(max=1.0)),
        "d_centres": _robust(moments / cut - moments0 / cut0).mean(),
        "d_populations": _robust(2.0 * (occupied - occupied0)).mean(),
    }


def _own_fermi_level(
    h: Tensor, states: Tensor, wanted: Tensor, shares: Tensor, smearing: float
) -> Tensor:
    """Below which H(k) holds as many electrons as bands ``wanted`` (K, n) have below zero, eV.

    ``states`` are those of H(k), without gradients, which energies do not need: dε = Cᴴ dH C.
    """
    electrons = 2.0 * (shares[:, None] * occupations(wanted, 0.0, smearing)).sum()
    energies = (states.conj() * (h @ states)).sum(1).real
    return fermi_level(energies, shares, float(electrons), smearing)


def _moved(h: Tensor, zero: Tensor) -> Tensor:
    """H counted from ``zero``."""
    return h - zero * torch.eye(h.shape[1]).to(h)


def _insulator_terms(h: Tensor, target: Target, some: Tensor) -> dict[str, Tensor]:
    weights, wanted = target.weights[some], target.energies[some]
    energies = torch.linalg.eigvalsh(h)
    valence = weights * (torch.arange(energies.shape[1]) < target.n_occupied)
    zero = (valence * (energies - wanted)).sum() / valence.sum()
    moved = _moved(h, zero)
    below = target.exact[some].to(weights)
    return {
        "energies": (weights * _robust(energies - zero - wanted)).sum() / weights.sum(),
        "states": _between(moved, target, some, below),
    }


def _between(h: Tensor, target: Target, some: Tensor, below: Tensor) -> Tensor:
    """Root mean square of H between the reference's states, less their energies."""
    states = target.states[some]
    found = states.mH @ h @ states - torch.diag_embed(target.energies[some]).to(h.dtype)
    found = found * (below[:, :, None] * below[:, None, :]).sqrt()
    return (found.abs().square().sum() / below.sum()).sqrt()


def total(found: dict[str, Tensor], weights: CrystalLossWeights) -> Tensor:
    """Their weighted sum."""
    result = torch.zeros((), dtype=torch.float64)
    for name, value in found.items():
        result = result + getattr(weights, name) * value
    return result
