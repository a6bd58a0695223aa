"""Losses of one crystal: bands, d-band centres and d populations.

Band energies count from the Fermi level, near it more than elsewhere and from 2 eV above it less
and less, as the labels end 3 eV above it. H between the reference's states holds states beside
energies. Centres and populations are traces of functions of H(k), whose gradients degenerate states
do not spoil (``esml.physics.crystals.spectral_sums``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from esml.io.crystal_records import CrystalRecord
from esml.model.crystals import CrystalModel, Neighbourhood
from esml.physics.crystals import PeriodicHamiltonian, moment, orbitals_of, spectral_sums, step_down
from esml.physics.crystals.bands import CUT, EDGE
from esml.training.crystals.config import CrystalLossWeights

TOP, FADE = 2.2, 0.3
"""eV above the Fermi level: where bands cease to count, and over what width."""
NEAR_WEIGHT, NEAR_WIDTH = 1.5, 1.0
"""Additional weight at the Fermi level, and over how many eV."""
SMALL = 1e-4
"""Below the square root of this (eV, e) a deviation counts by its square."""


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

    @classmethod
    def of(cls, record: CrystalRecord, model: CrystalModel) -> Target:
        """From a record and the elements and cutoff of ``model``."""
        numbers = record.numbers.tolist()
        k_points = torch.as_tensor(record.k_points)
        h = record.hamiltonian.at(k_points)
        energies, states = torch.linalg.eigh(h)
        groups = tuple(orbitals_of(numbers, "d"))
        smearing = model.config.smearing
        weights = torch.sigmoid((TOP - energies) / FADE)
        weights = weights * (1.0 + NEAR_WEIGHT * torch.exp(-0.5 * (energies / NEAR_WIDTH) ** 2))
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
        )


def d_sums(h: Tensor, groups: tuple[Tensor, ...], smearing: float) -> tuple[Tensor, Tensor]:
    """Energies (K, n) and sums (3, K, N); the Fermi level is at zero."""
    cut = step_down(CUT, EDGE)
    return spectral_sums(h, groups, [step_down(0.0, smearing), cut, moment(cut)])


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
    energies, sums = d_sums(h, target.groups, target.smearing)
    weights, wanted = target.weights[some], target.energies[some]
    shares = torch.ones(len(some), dtype=torch.float64) if even else target.shares[some]
    shares = shares / shares.sum()
    occupied, cut, moments = torch.einsum("k,fkg->fg", shares, sums)
    occupied0, cut0, moments0 = torch.einsum("k,fkg->fg", shares, target.sums[:, some])
    states = target.states[some]
    between = states.mH @ h @ states - torch.diag_embed(wanted).to(h.dtype)
    below = weights.clamp(max=1.0)
    between = between * (below[:, :, None] * below[:, None, :]).sqrt()
    return {
        "energies": (weights * _robust(energies - wanted)).sum() / weights.sum(),
        "states": (between.abs().square().sum() / below.sum()).sqrt(),
        "d_centres": _robust(moments / cut - moments0 / cut0).mean(),
        "d_populations": _robust(2.0 * (occupied - occupied0)).mean(),
    }


def total(found: dict[str, Tensor], weights: CrystalLossWeights) -> Tensor:
    """Their weighted sum."""
    result = torch.zeros((), dtype=torch.float64)
    for name, value in found.items():
        result = result + getattr(weights, name) * value
    return result
