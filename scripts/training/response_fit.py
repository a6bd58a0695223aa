"""How excitation energies change with the response parameters, to first order, and their fit.

An atom's eleven couplings deviate from its element's baseline by δ (``deviations`` of the
Hamiltonian). The change of δ is linear in the parameters sought,

    Δδ_A = T[element of A] + W h_A ,

with a table T of the elements and a matrix W on the hidden features h_A the model has anyway.
Energies are stationary, so dω/dδ_A follows from one backward pass per state, and dω/d(T, W) from it
by sums over atoms. A ridge regression of energies on (T, W) with Huber's loss, evaluated anew at
each solution, is a Gauss–Newton fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esml.model.graph import Graph
from esml.model.hamiltonian import COUPLINGS
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS, OrbitalLayout
from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.interaction import distances
from esml.physics.orbitals import Orbitals, diagonalize
from esml.physics.response import Response
from esml.predict.solution import in_double
from esml.predict.surrogate import Surrogate
from scripts.training.better_levels import (
    Better,
    Predicted,
    plane_normal,
    targets,
)

Array = NDArray[np.float64]

N_STATES = {"quest": 12, "cc2": 4, "adc2": 3}
"""States solved for, by source."""

BATCH = 24
"""Molecules solved at a time."""


@dataclass(frozen=True)
class Parameters:
    """Changes of the response parameters: T (elements, 11) and W (hidden, 11)."""

    table: Tensor
    weight: Tensor

    @classmethod
    def zero(cls, model: Surrogate) -> Parameters:
        hidden = model.hamiltonian.couplings.in_features
        shape = len(COUPLINGS)
        return cls(
            torch.zeros(len(ELEMENTS), shape, dtype=torch.float64),
            torch.zeros(hidden, shape, dtype=torch.float64),
        )

    @property
    def flat(self) -> Array:
        return torch.cat([self.table.flatten(), self.weight.flatten()]).numpy()

    def like(self, flat: Array) -> Parameters:
        """The parameters of ``flat``, shaped as these."""
        n = self.table.numel()
        values = torch.from_numpy(flat)
        return Parameters(values[:n].view_as(self.table), values[n:].view_as(self.weight))


@dataclass(frozen=True)
class Batch:
    """Molecules with all that does not depend on the response parameters."""

    molecules: tuple[Better, ...]
    graph: Graph
    layout: OrbitalLayout
    orbitals: Orbitals
    dipole: Tensor
    kinds: Tensor  # (N,)
    hidden: Tensor  # (N, hidden)
    deviation: Tensor  # (N, 11) the labels'
    separation: Tensor
    relaxation: Tensor  # without that of the couplings


@dataclass(frozen=True)
class Row:
    """A predicted state, the energy it should have, and dω/d(parameters)."""

    molecule: Better
    triplet: bool
    kind: str
    predicted: float  # eV
    target: float  # eV
    slope: Array  # (parameters,) eV

    @property
    def error(self) -> float:
        return self.predicted - self.target


def prepared(model: Surrogate, molecules: Sequence[Better]) -> Iterator[Batch]:
    """Batches of ``molecules`` by size."""
    by_size = sorted(molecules, key=lambda m: len(m.atoms))
    for start in range(0, len(by_size), BATCH):
        yield _batch(model, tuple(by_size[start : start + BATCH]))


@torch.no_grad()
def _batch(model: Surrogate, molecules: tuple[Better, ...]) -> Batch:
    hamiltonian = model.hamiltonian
    graph = model.graph([m.atoms for m in molecules])
    operators = in_double(hamiltonian(graph))
    layout = operators.layout
    kinds = species(graph.numbers)
    deviation = hamiltonian.deviations(kinds, operators.features)
    separation = distances(layout.pad_atoms(graph.positions))
    own = hamiltonian.interaction(kinds, deviation, layout, separation).relaxation
    return Batch(
        molecules,
        graph,
        layout,
        diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied),
        operators.dipole,
        kinds,
        hamiltonian.hidden_couplings(operators.features),
        deviation,
        separation,
        operators.interaction.relaxation - own,
    )


def solve(
    model: Surrogate, batch: Batch, parameters: Parameters, change: Tensor | None = None
) -> tuple[Excitations, Excitations]:
    """Singlets and triplets with ``parameters``, and ``change`` (N, 11) of the couplings."""
    deviation = batch.deviation + parameters.table[batch.kinds] + batch.hidden @ parameters.weight
    if change is not None:
        deviation = deviation + change
    interaction = model.hamiltonian.interaction(
        batch.kinds, deviation, batch.layout, batch.separation, batch.relaxation
    )
    response = Response(batch.orbitals, interaction, batch.layout)
    n_states = min(N_STATES[batch.molecules[0].source], int(response.n_available.max()))
    return singlets(response, batch.dipole, n_states), triplets(response, n_states)


def predicted_states(batch: Batch, found: Excitations, molecule: int) -> tuple[Predicted, Array]:
    """States of one molecule of the batch in ascending order, and their places in ``found``."""
    energies = found.energies[molecule].detach().numpy()
    places = np.argsort(np.where(np.isfinite(energies), energies, np.inf))
    places = places[np.isfinite(energies[places])]
    strengths = found.oscillator_strengths[molecule].detach().numpy()
    pi = _pi(batch, found, molecule)
    return (
        Predicted(energies[places], strengths[places], None if pi is None else pi[places]),
        places,
    )


def _pi(batch: Batch, found: Excitations, molecule: int) -> NDArray[np.bool_] | None:
    """(S, 2) whether more than half of hole and electron are in p orbitals off the plane."""
    atoms = batch.molecules[molecule].atoms
    normal = plane_normal(atoms)
    if normal is None:
        return None
    slots = batch.layout.slot_index[molecule, : len(atoms), 1:]
    heavy = torch.from_numpy(atoms.numbers > 1)
    out_of_plane = torch.zeros(batch.layout.n_max, len(atoms), dtype=torch.float64)
    atom = torch.arange(len(atoms))[heavy]
    for axis in range(3):
        out_of_plane[slots[heavy, axis], atom] = float(normal[axis])
    amplitudes = found.X[molecule].detach()
    hole = out_of_plane.mT @ batch.orbitals.occupied[molecule] @ amplitudes  # (S, K, v)
    electron = out_of_plane.mT @ batch.orbitals.virtual[molecule] @ amplitudes.mT
    norm = amplitudes.square().sum((1, 2)).clamp(min=1e-12)
    shares = [x.square().sum((1, 2)) / norm for x in (hole, electron)]
    return (torch.stack(shares, 1) > 0.5).numpy()


def rows(model: Surrogate, batches: Sequence[Batch], parameters: Parameters) -> list[Row]:
    """All states of ``batches`` that a better level knows, evaluated with ``parameters``."""
    found: list[Row] = []
    for batch in batches:
        change = torch.zeros_like(batch.deviation).requires_grad_()
        both = solve(model, batch, parameters, change)
        slopes = [_slopes(x.energies, change) for x in both]
        starts = np.cumsum([0, *(len(m.atoms) for m in batch.molecules)])
        for index, molecule in enumerate(batch.molecules):
            own = slice(starts[index], starts[index + 1])
            (singlet, s_places), (triplet, t_places) = (
                predicted_states(batch, x, index) for x in both
            )
            for target in targets(molecule, singlet, triplet):
                place = (t_places if target.triplet else s_places)[target.state]
                atoms = slopes[int(target.triplet)][place][own]
                energies = (triplet if target.triplet else singlet).energies
                found.append(
                    Row(
                        molecule,
                        target.triplet,
                        target.kind,
                        float(energies[target.state]),
                        target.energy,
                        _over_atoms(batch, own, atoms),
                    )
                )
    return found


def _slopes(energies: Tensor, change: Tensor) -> list[Tensor]:
    """dω/dδ (N, 11) of the k-th state of all molecules, for every k."""
    result = []
    for column in energies.unbind(1):
        known = column.isfinite()
        (slope,) = torch.autograd.grad(column[known].sum(), [change], retain_graph=True)
        result.append(slope)
    return result


def _over_atoms(batch: Batch, own: slice, slope: Tensor) -> Array:
    """dω/d(T, W), flat, of dω/dδ (n, 11) of the atoms ``own``."""
    table = slope.new_zeros(len(ELEMENTS), slope.shape[1]).index_add(0, batch.kinds[own], slope)
    weight = batch.hidden[own].mT @ slope
    return torch.cat([table.flatten(), weight.flatten()]).detach().numpy()


@dataclass(frozen=True)
class Prior:
    """What the parameters and the errors are expected to be, one standard deviation."""

    table: float = 0.3  # of an element's couplings, in units of δ (eV for the levels)
    weight: float = 0.02  # of W
    offset: float = 0.1  # eV, of the mean error of CC2
    noise: dict[str, float] = field(
        default_factory=lambda: {"quest": 0.15, "cc2": 0.4, "adc2": 0.5}
    )
    """eV, of the energies, by source; many CC2 energies count as few independent ones."""
    huber: float = 0.2  # eV, beyond which an error counts linearly
    steps: int = 10  # times that Huber's weights are made anew


def ridge(found: Sequence[Row], at: Parameters, prior: Prior) -> tuple[Parameters, float]:
    """The parameters that serve ``found`` best, and the mean error of CC2 (eV) that goes with them.

    ``found`` are rows evaluated with the parameters ``at``.
    """
    scale = np.concatenate(
        [
            np.full(at.table.numel(), prior.table),
            np.full(at.weight.numel(), prior.weight),
            [prior.offset],
        ]
    )
    cc2 = np.array([row.molecule.source == "cc2" for row in found], dtype=float)
    slopes = np.stack([row.slope for row in found])
    wanted = np.array([-row.error for row in found]) + slopes @ at.flat
    slopes = np.concatenate([slopes, cc2[:, None]], 1) * scale
    noise = np.array([prior.noise[row.molecule.source] for row in found])
    solution = np.concatenate([at.flat, [0.0]]) / scale
    for _ in range(prior.steps):
        residual = np.abs(wanted - slopes @ solution)
        weight = 1.0 / (noise**2 * np.maximum(1.0, residual / prior.huber))
        matrix = slopes.T @ (slopes * weight[:, None]) + np.eye(len(scale))
        solution = np.linalg.solve(matrix, slopes.T @ (weight * wanted))
    values = solution * scale
    return at.like(values[:-1]), float(values[-1])
