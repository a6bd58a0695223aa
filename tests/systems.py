"""Random but physically shaped problems, for the tests of response and excitations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.interaction import Interaction, distances, gamma, triplet_exchange
from esml.physics.orbitals import diagonalize
from esml.physics.response import Response
from esml.physics.strategy import DEFAULT

MOLECULES = [[6, 1, 1, 8], [7, 1, 1, 1], [16, 6], [1, 1], [6, 7, 1]]


VALENCE = {1: 1, 6: 4, 7: 5, 8: 6, 16: 6}


@dataclass
class System:
    """A random but physically shaped batch: wide gaps, positive couplings, r with its R_A."""

    layout: OrbitalLayout
    hamiltonian: Tensor
    dipole_operator: Tensor
    interaction: Interaction

    def response(self, chunk: int = DEFAULT.chunk) -> Response:
        orbitals = diagonalize(self.hamiltonian, self.layout.n_orbitals, self.layout.n_occupied)
        return Response(orbitals, self.interaction, self.layout, chunk)

    def singlets(self, n_states: int | None = None) -> Excitations:
        return singlets(self.response(), self.dipole_operator, n_states)

    def triplets(self, n_states: int | None = None) -> Excitations:
        return triplets(self.response(), n_states)


def lay_out(molecules: list[list[int]]) -> OrbitalLayout:
    numbers = torch.tensor([z for molecule in molecules for z in molecule])
    sizes = torch.tensor([len(molecule) for molecule in molecules])
    electrons = torch.tensor([sum(VALENCE[z] for z in molecule) for molecule in molecules])
    molecule = torch.repeat_interleave(torch.arange(len(molecules)), sizes)
    return OrbitalLayout.build(numbers, molecule, electrons % 2)


def random_system(molecules: list[list[int]], seed: int = 0) -> System:
    layout = lay_out(molecules)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    m, k, n = layout.n_molecules, layout.n_atoms_max, layout.n_max
    mask = layout.orbital_mask[:, :, None] & layout.orbital_mask[:, None, :]
    matrix, *r = ((x + x.mT) * mask for x in normal(m, 4, n, n).unbind(1))
    # A wide gap between occupied and virtual space keeps the ground state stable.
    hamiltonian = matrix.clone()
    for i in range(m):
        size, occupied = int(layout.n_orbitals[i]), int(layout.n_occupied[i])
        _, c = torch.linalg.eigh(matrix[i, :size, :size])
        step = torch.where(torch.arange(size) < occupied, -8.0, 6.0).double()
        hamiltonian[i, :size, :size] += c @ torch.diag(step) @ c.mT
    distance = distances(2.0 * normal(m, k, 3))
    hardness = uniform(5, 9, m, k)
    mean = 0.5 * (hardness[:, :, None] + hardness[:, None, :])
    ranges = (
        (0.2, 2.0), (0.1, 1.0), (-2.0, -0.5), (-1.0, -0.1), (-1.0, -0.1), (0.2, 1), (0.1, 0.5),
    )  # fmt: skip
    exchange = gamma(distance, 0.8 * mean, 0.65)
    relaxation = 0.3 * normal(m, n, n)
    return System(
        layout,
        hamiltonian,
        0.4 * torch.stack(r, 1),
        Interaction(
            gamma(distance, mean), exchange, triplet_exchange(exchange, distance, 0.3),
            *[
                *(uniform(low, high, m, k) for low, high in ranges),
                (relaxation + relaxation.mT) * mask,
                torch.tensor(-0.15, dtype=torch.float64),
            ],
        ),
    )  # fmt: skip


def parameters(interaction: Interaction) -> list[Tensor]:
    return [getattr(interaction, field.name) for field in fields(interaction)]


def converted(
    interaction: Interaction,
    change: Callable[[Tensor], Tensor],
    orbitals: Callable[[Tensor], Tensor],
) -> Interaction:
    """``change`` of all that belongs to atoms, ``orbitals`` of what belongs to orbitals."""
    atoms = {
        field.name: change(getattr(interaction, field.name))
        for field in fields(interaction)
        if field.name not in ("relaxation", "virtual_scale")
    }
    return replace(interaction, **atoms, relaxation=orbitals(interaction.relaxation))


def take(system: System, molecule: int, numbers: list[int]) -> System:
    """One molecule of a batch, without padding."""
    layout = lay_out([numbers])
    n, k, m = layout.n_max, layout.n_atoms_max, slice(molecule, molecule + 1)
    return System(
        layout,
        system.hamiltonian[m, :n, :n],
        system.dipole_operator[m, :, :n, :n],
        converted(
            system.interaction,
            lambda x: x[(m, *(slice(k),) * (x.dim() - 1))],
            lambda x: x[m, :n, :n],
        ),
    )


def explicit_relaxed_virtuals(system: System, molecule: int) -> np.ndarray:
    """(1 + σ) ε_a δ_ab + Σ_μν C_μa D_μν C_νb of one molecule, element by element."""
    layout, interaction = system.layout, system.interaction
    n, o = int(layout.n_orbitals[molecule]), int(layout.n_occupied[molecule])
    orbitals = diagonalize(system.hamiltonian, layout.n_orbitals, layout.n_occupied)
    c = orbitals.coefficients[molecule, :n, o:n].numpy()
    scale = 1.0 + interaction.virtual_scale.item()
    fock = np.diag(scale * orbitals.energies[molecule, o:n].numpy())
    for mu, nu in product(range(n), repeat=2):
        relaxation = interaction.relaxation[molecule, mu, nu].item()
        fock += relaxation * np.outer(c[mu], c[nu])
    return fock
