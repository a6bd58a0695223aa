"""The expected error of an excitation energy.

It is a regression on quantities that every prediction contains, fitted to errors on molecules that
were not trained on (``esml.training.calibration``). With descriptors z of a state
(``descriptors``), scaled and bounded, the expected error is

    u = s exp(c + b·z) ,

where exp(c + b·z) is the mean size of such errors: the simplest positive function that descriptors
can raise or lower. The factor s is chosen so that the interval ω ± 1.645 u holds 90 % of the
errors, as for a normal distribution of standard deviation u.

All descriptors are averages over the atoms where the electron comes from (hole populations h_A) and
goes to (electron populations e_A), so distant parts of a molecule do not affect the uncertainty of
a state. States closer than about ``DEGENERATE`` share their populations, because the choice of
states in a degenerate set is arbitrary.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from esml.confidence.domain import TrainingLikeness
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS, OrbitalLayout, valence_electrons
from esml.physics.excitations import Excitations
from esml.physics.orbitals import Orbitals, stack_times

DEGENERATE = 1e-3
"""eV; a Gaussian of this width in the energy difference averages the populations of states."""

_CHEMISTRY = (
    "novelty", "energy", "triplet", "charge_transfer", "strength", "polarity", "deexcitation",
    "charge_shift",
)  # fmt: skip

NAMES: tuple[str, ...] = (
    *_CHEMISTRY,
    *(f"hole_on_{z}" for z in ELEMENTS[1:]),
    *(f"electron_on_{z}" for z in ELEMENTS[1:]),
    "size",
    "unseen",
    "charge",
)
"""The descriptors in order. Older models have no coefficients for the last ones."""

BOUND = 3.0
"""Descriptors are cut at this many standard deviations of the calibration molecules."""

NOVELTY_BOUND = 8.0
"""Upper limit of the novelty, likewise: larger, since errors grow beyond the calibration range."""


def populations(found: Excitations, orbitals: Orbitals, layout: OrbitalLayout) -> Tensor:
    """Return the hole and electron populations of atoms in each state.

    Parameters
    ----------
    found
        The states of a batch.
    orbitals, layout
        The orbitals, and their places in padded matrices.

    Returns
    -------
    (M, S, 2, K) hole and electron populations of X, each with sum 1; zero for missing states.
    """
    occupied = stack_times(found.X.mT, orbitals.occupied.mT).square().sum(2)
    virtual = stack_times(found.X, orbitals.virtual.mT).square().sum(2)
    by_orbital = torch.stack([occupied, virtual], 2)  # (M, S, 2, n)
    owner = layout.orbital_atom[:, None, None, :].expand_as(by_orbital)
    shape = (*by_orbital.shape[:3], layout.n_atoms_max)
    by_atom = by_orbital.new_zeros(shape).scatter_add(3, owner, by_orbital)
    return by_atom / by_atom.sum(3, keepdim=True).clamp(min=1e-12)


def of_atoms(layout: OrbitalLayout, charges: Tensor, surroundings: TrainingLikeness) -> Tensor:
    """Return the atomic quantities that ``descriptors`` average, (M, K, 5 + elements).

    In order: novelty; charge; its absolute value; for each element but hydrogen, 1 for atoms of
    that element; number of heavy atoms around; 1 for atoms in a bond or chain that no training
    molecule has; absolute value of the molecule's charge. ``charges`` (M, K) are in e.
    """
    elements = nn.functional.one_hot(species(layout.numbers), len(ELEMENTS))[:, 1:]
    total = layout.pad_atoms(valence_electrons(layout.numbers)).sum(1) - layout.n_electrons
    total = total.abs()[layout.molecule]
    last = torch.stack([surroundings.size, surroundings.unseen.atoms, total], 1)
    padded = layout.pad_atoms(torch.cat([surroundings.novelty[:, None], elements, last], 1))
    padded = padded.to(charges)
    return torch.cat(
        [padded[..., :1], charges[..., None], charges.abs()[..., None], padded[..., 1:]], 2
    )


def descriptors(
    found: Excitations, orbitals: Orbitals, layout: OrbitalLayout, atoms: Tensor, triplets: bool
) -> Tensor:
    """Return the descriptors from which the error of a state is predicted.

    With w = (h + e)/2, the mean of hole and electron populations, these are: the logarithm of the
    novelty averaged with w; the energy (eV); 1 for triplets; ½ Σ_A |e_A − h_A|; √f; absolute
    charges averaged with w; the logarithm of 1e-3 + Σ Y²; charges summed with weights e − h; h and
    e by element, without hydrogen; the logarithm of the number of heavy atoms around
    (``domain.size``), averaged with w; the share of w in bonds or chains that no training molecule
    has; the absolute value of the molecule's charge, e.

    Parameters
    ----------
    found
        The states of a batch.
    orbitals, layout
        The orbitals, and their places in padded matrices.
    atoms
        Descriptors of the atoms, from ``of_atoms``.
    triplets
        Whether the states are triplets.

    Returns
    -------
    (M, S, ``len(NAMES)``) in the order of ``NAMES``; finite everywhere.
    """
    with torch.no_grad():
        energies = torch.nan_to_num(found.energies)
        alike = torch.exp(-0.5 * ((energies[:, :, None] - energies[:, None]) / DEGENERATE).square())
        alike = alike * found.mask[:, None, :]
        alike = alike / alike.sum(2, keepdim=True).clamp(min=1e-12)
        shares = alike @ populations(found, orbitals, layout).flatten(2)  # (M, S, 2 K)
        hole, electron = shares.chunk(2, 2)
        single = torch.stack([found.oscillator_strengths, found.Y.square().sum((2, 3))], 2)
        strength, deexcitation = (alike @ single).unbind(2)
        shift = electron - hole
        mean, change = 0.5 * (hole + electron) @ atoms, shift @ atoms
        chemistry = [
            mean[..., 0].clamp(min=1e-3).log(),
            energies,
            torch.full_like(energies, float(triplets)),
            0.5 * shift.abs().sum(2),
            strength.clamp(min=0.0).sqrt(),
            mean[..., 2],
            (deexcitation + 1e-3).log(),
            change[..., 1],
        ]
        of, shifted = mean[..., 3:-3], 0.5 * change[..., 3:-3]
        last = [mean[..., -3:-2].clamp(min=1.0).log(), mean[..., -2:]]
        return torch.cat([torch.stack(chemistry, 2), of - shifted, of + shifted, *last], 2)


def scaled(values: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """Scale ``descriptors`` by mean and spread of the calibration molecules, and bound them."""
    z = (values - centre) / spread
    return torch.cat([z[..., :1].clamp(-BOUND, NOVELTY_BOUND), z[..., 1:].clamp(-BOUND, BOUND)], -1)


class ErrorModel(nn.Module):
    """Descriptors of states → one standard deviation of the error of their energies, eV.

    ``esml.training.calibrate`` creates it. ``state`` exports it to a model file, and the
    constructor restores it. Raises KeyError if ``tensors`` lack one of ``PARTS``.
    """

    centre: Tensor  # (descriptors,) mean over the calibration molecules
    spread: Tensor  # (descriptors,) standard deviation over the calibration molecules
    coefficients: Tensor  # (1 + descriptors,) c and b
    factor: Tensor  # () s

    PARTS = ("centre", "spread", "coefficients", "factor")  # tensors of a model file

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in self.PARTS:
            self.register_buffer(name, tensors[name].double())

    def state(self) -> dict[str, Tensor]:
        """Return the tensors for a model file, by name."""
        return dict(self.named_buffers())

    def knows(self, name: str) -> bool:
        """Whether errors grow or shrink with the descriptor ``name``."""
        return NAMES.index(name) < len(self.centre)

    def forward(self, values: Tensor) -> Tensor:
        """Return u (...) of states with descriptors ``values`` (..., descriptors)."""
        z = scaled(values.double()[..., : len(self.centre)], self.centre, self.spread)
        found: Tensor = self.factor * (self.coefficients[0] + z @ self.coefficients[1:]).exp()
        return found
