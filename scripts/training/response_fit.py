"""First-order changes of excitation energies with the response parameters, and their fit.

An atom's eleven couplings deviate from its element's baseline by δ (``deviations`` of the
Hamiltonian). The change of δ is linear in the parameters to fit,

    Δδ_A = T[element of A] + W (h_A − mean of the element) ,

with a table T of the elements and a matrix W on the existing hidden features h_A of the model. Two
parameters are global: the scale σ of the virtual levels and the shift τ of triplets
(:func:`esml.physics.interaction.triplet_exchange`). Energies are
stationary, so dω/dδ_A follows from one backward pass per state, and dω/d(T, W) from it by sums over
atoms. A ridge regression of energies on (T, W, σ, τ) with Huber's loss, evaluated anew at each
solution, is a Gauss–Newton fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esml.model.graph import Graph
from esml.model.hamiltonian import COUPLINGS, N_SIGNED
from esml.model.pairs import species
from esml.physics.basis import ELEMENTS, OrbitalLayout
from esml.physics.excitations import Excitations, singlets, triplets
from esml.physics.interaction import distances, triplet_exchange
from esml.physics.orbitals import Orbitals, diagonalize
from esml.physics.response import Response
from esml.predict.surrogate import Surrogate
from scripts.training.better_energies import (
    Better,
    Predicted,
    TargetState,
    plane_normal,
    targets,
)

Array = NDArray[np.float64]

N_STATES = {"quest": 12, "cc2": 4, "adc2": 3}
"""Number of states to solve for, by source."""

BATCH = 24
"""Number of molecules solved at a time."""

LEAST_SPREAD = 1e-4
"""Smallest variance of a direction, as a share of the features' mean square."""


@dataclass(frozen=True)
class Parameters:
    """Changes of the response parameters: T (elements, 11), W (hidden, 11), and σ and τ (2,)."""

    table: Tensor
    weight: Tensor
    shared: Tensor

    @classmethod
    def zero(cls, model: Surrogate) -> Parameters:
        hidden = model.hamiltonian.couplings.in_features
        shapes = ((len(ELEMENTS), len(COUPLINGS)), (hidden, len(COUPLINGS)), (2,))
        return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    @property
    def flat(self) -> Array:
        return torch.cat([x.flatten() for x in (self.table, self.weight, self.shared)]).numpy()

    def like(self, flat: Array) -> Parameters:
        """Return the parameters in ``flat``, in the shapes of these."""
        parts = (self.table, self.weight, self.shared)
        values = torch.from_numpy(flat).split([x.numel() for x in parts])
        return Parameters(*(v.view_as(x) for v, x in zip(values, parts, strict=True)))


@dataclass(frozen=True)
class MoleculesToFit:
    """Molecules with all quantities that do not depend on the response parameters."""

    molecules: tuple[Better, ...]
    graph: Graph
    layout: OrbitalLayout
    orbitals: Orbitals
    dipole: Tensor
    kinds: Tensor  # (N,)
    hidden: Tensor  # (N, hidden) less the means of the elements
    deviation: Tensor  # (N, 11) the labels'
    separation: Tensor
    relaxation: Tensor  # (M, n, n) without that of the couplings
    stretch: Tensor  # (M, n, n) what the relaxation gains for each unit of σ


@dataclass(frozen=True)
class StateToFit:
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


def prepared(model: Surrogate, molecules: Sequence[Better]) -> Iterator[MoleculesToFit]:
    """Yield batches of ``molecules`` by size."""
    by_size = sorted(molecules, key=lambda m: len(m.atoms))
    for start in range(0, len(by_size), BATCH):
        yield _batch(model, tuple(by_size[start : start + BATCH]))


def centres(model: Surrogate) -> Tensor:
    """Return mean features of each element in the training data, (elements, hidden).

    Raises ValueError for a model without a domain.
    """
    if model.domain is None:
        raise ValueError("the model file holds no domain: expected the means of its elements")
    with torch.no_grad():
        return model.hamiltonian.hidden_couplings(model.domain.means.to(model.dtype))


@torch.no_grad()
def _batch(model: Surrogate, molecules: tuple[Better, ...]) -> MoleculesToFit:
    hamiltonian = model.hamiltonian
    graph = model.graph([m.atoms for m in molecules])
    operators = hamiltonian(graph).double()
    layout = operators.layout
    kinds = species(graph.numbers)
    deviation = hamiltonian.deviations(kinds, operators.features)
    separation = distances(layout.pad_atoms(graph.positions))
    own = hamiltonian.interaction(kinds, deviation, layout, separation).relaxation
    orbitals = diagonalize(operators.hamiltonian, layout.n_orbitals, layout.n_occupied)
    scale = hamiltonian.virtual_scale
    scale.add_(1.0)
    rescaled = hamiltonian(graph).double().interaction.relaxation
    scale.sub_(1.0)
    levels = orbitals.virtual @ orbitals.fock_virtual @ orbitals.virtual.mT
    return MoleculesToFit(
        molecules,
        graph,
        layout,
        orbitals,
        operators.dipole,
        kinds,
        hamiltonian.hidden_couplings(operators.features) - centres(model)[kinds],
        deviation,
        separation,
        operators.interaction.relaxation - own,
        levels + rescaled - operators.interaction.relaxation,
    )


def solve(
    model: Surrogate,
    batch: MoleculesToFit,
    parameters: Parameters,
    change: Tensor | float = 0.0,
    rescaled: Tensor | float = 0.0,
    shifted: Tensor | float = 0.0,
) -> tuple[Excitations, Excitations]:
    """Solve for singlets and triplets with ``parameters``.

    ``change`` (N, 11) is added to the couplings of atoms, ``rescaled`` (M,) to each molecule's σ
    and ``shifted`` (M,) to its τ.
    """
    deviation = batch.deviation + parameters.table[batch.kinds] + batch.hidden @ parameters.weight
    scale, shift = parameters.shared
    each = torch.ones(len(batch.molecules), 1, 1, dtype=torch.float64)
    scales, shifts = (
        each * (x + torch.as_tensor(y).view(-1, 1, 1))
        for x, y in ((scale, rescaled), (shift + model.hamiltonian.triplet_shift, shifted))
    )
    relaxation = batch.relaxation + scales * batch.stretch
    interaction = model.hamiltonian.interaction(
        batch.kinds, deviation + change, batch.layout, batch.separation, relaxation
    )
    triplet = triplet_exchange(interaction.exchange, batch.separation, shifts)
    interaction = replace(interaction, triplet_exchange=triplet)
    response = Response(batch.orbitals, interaction, batch.layout)
    n_states = min(N_STATES[batch.molecules[0].source], int(response.n_available.max()))
    return singlets(response, batch.dipole, n_states), triplets(response, n_states)


def predicted_states(
    batch: MoleculesToFit, found: Excitations, molecule: int
) -> tuple[Predicted, Array]:
    """Return the states of one molecule in ascending order, and their indices in ``found``."""
    energies = found.energies[molecule].detach().numpy()
    places = np.argsort(np.where(np.isfinite(energies), energies, np.inf))
    places = places[np.isfinite(energies[places])]
    strengths = found.oscillator_strengths[molecule].detach().numpy()
    pi = _pi(batch, found, molecule)
    return (
        Predicted(energies[places], strengths[places], None if pi is None else pi[places]),
        places,
    )


def _pi(batch: MoleculesToFit, found: Excitations, molecule: int) -> NDArray[np.bool_] | None:
    """Return (S, 2) whether more than half of hole and electron is in out-of-plane p orbitals."""
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


Known = Mapping[str, Sequence[TargetState]]
"""Targets of molecules by name, as found with other parameters."""


def found_targets(
    model: Surrogate, batches: Sequence[MoleculesToFit], parameters: Parameters
) -> dict[str, list[TargetState]]:
    """Return the targets of the better level for the states from ``parameters``, by molecule."""
    known = {}
    for batch in batches:
        with torch.no_grad():
            both = solve(model, batch, parameters)
        for index, molecule in enumerate(batch.molecules):
            singlet, triplet = (predicted_states(batch, x, index)[0] for x in both)
            known[molecule.name] = list(targets(molecule, singlet, triplet))
    return known


def rows(
    model: Surrogate,
    batches: Sequence[MoleculesToFit],
    parameters: Parameters,
    known: Known | None = None,
) -> list[StateToFit]:
    """Return all states of ``batches`` with a target, evaluated with ``parameters``.

    States are matched again unless their targets are ``known``.
    """
    found: list[StateToFit] = []
    for batch in batches:
        change = torch.zeros_like(batch.deviation).requires_grad_()
        scales, shifts = (
            torch.zeros(len(batch.molecules), dtype=torch.float64).requires_grad_()
            for _ in range(2)
        )
        both = solve(model, batch, parameters, change, scales, shifts)
        slopes = [_slopes(x.energies, change, scales, shifts) for x in both]
        starts = np.cumsum([0, *(len(m.atoms) for m in batch.molecules)])
        for index, molecule in enumerate(batch.molecules):
            own = slice(starts[index], starts[index + 1])
            states = [predicted_states(batch, x, index) for x in both]
            wanted = known[molecule.name] if known else targets(molecule, *(s for s, _ in states))
            for target in wanted:
                state, places = states[target.triplet]
                of_atoms, *of_shared = slopes[target.triplet][places[target.state]]
                shared = [float(x[index]) for x in of_shared]
                found.append(
                    StateToFit(
                        molecule,
                        target.triplet,
                        target.kind,
                        float(state.energies[target.state]),
                        target.energy,
                        np.append(_over_atoms(batch, own, of_atoms[own]), shared),
                    )
                )
    return found


def _slopes(energies: Tensor, *parameters: Tensor) -> list[tuple[Tensor, ...]]:
    """Return dω/d(each of ``parameters``) of the k-th state of all molecules, for every k."""
    result = []
    for column in energies.unbind(1):
        known = column.isfinite()
        result.append(
            torch.autograd.grad(
                column[known].sum(), parameters, retain_graph=True, materialize_grads=True
            )
        )
    return result


def _over_atoms(batch: MoleculesToFit, own: slice, slope: Tensor) -> Array:
    """Return dω/d(T, W), flat, from dω/dδ (n, 11) of the atoms ``own``."""
    table = slope.new_zeros(len(ELEMENTS), slope.shape[1]).index_add(0, batch.kinds[own], slope)
    weight = batch.hidden[own].mT @ slope
    return torch.cat([table.flatten(), weight.flatten()]).detach().numpy()


def spread(batches: Iterable[MoleculesToFit]) -> Array:
    """Return Σ (hidden, hidden), the mean square of the centred features of heavy atoms.

    Directions in which they hardly vary get ``LEAST_SPREAD``.
    """
    hidden = torch.cat([b.hidden[b.graph.numbers > 1] for b in batches])
    square = hidden.mT @ hidden / len(hidden)
    return (square + LEAST_SPREAD * square.trace() * torch.eye(len(square))).numpy()


NOT_AT_ALL = 1e-6
"""Expected change of a parameter that is held fixed."""


@dataclass(frozen=True)
class Prior:
    """Expected sizes of parameters and errors, one standard deviation.

    W has the precision Σ / ``weight``², with Σ the ``spread`` of the features: its contribution
    to δ on real atoms is expected to be small, whatever units the features have.
    """

    spread: Array  # (hidden, hidden) Σ
    sized: float = 0.2  # of an element's couplings but for the levels, in units of δ
    levels: float = 0.3  # eV, of an element's levels
    held: tuple[int, ...] = (17,)
    """Elements whose own couplings are fixed. The best estimates list too few nσ* states, the
    lowest of halides; fitted, those of CH3Cl and HCl rise by 0.4 eV, away from the estimates."""
    weight: float = 0.0075
    scale: float = 0.05  # of σ
    shift: float = 0.3  # eV, of τ
    noise: dict[str, float] = field(
        default_factory=lambda: {"quest": 0.15, "cc2": 0.15, "adc2": 0.2}
    )
    """eV, of the energies, by source."""
    most: dict[str, float] = field(default_factory=lambda: {"cc2": 270.0})
    """Number of energies of a source beyond which its total weight no longer grows, because the
    errors of one method are not independent."""
    huber: float = 0.2  # eV, beyond which an error counts linearly
    steps: int = 10  # number of updates of Huber's weights

    def noise_of(self, found: Sequence[StateToFit]) -> Array:
        """Return the expected error of each energy, (len(found),) eV."""
        count = Counter(row.molecule.source for row in found)
        of_source = {
            source: self.noise[source] * max(1.0, n / self.most.get(source, n)) ** 0.5
            for source, n in count.items()
        }
        return np.array([of_source[row.molecule.source] for row in found])

    def precision(self, at: Parameters) -> Array:
        """Return the precision matrix (parameters, parameters), for the shapes of ``at``."""
        table = torch.full_like(at.table, self.sized)
        table[:, -N_SIGNED:] = self.levels
        table[[ELEMENTS.index(z) for z in self.held]] = NOT_AT_ALL
        weight = np.kron(self.spread, np.eye(at.weight.shape[1])) / self.weight**2
        first, last = at.table.numel(), at.table.numel() + at.weight.numel()
        matrix = np.zeros((len(at.flat), len(at.flat)))
        matrix[:first, :first] = np.diag(table.flatten().numpy() ** -2.0)
        matrix[first:last, first:last] = weight
        matrix[last:, last:] = np.diag([self.scale**-2, self.shift**-2])
        return matrix


def ridge(found: Sequence[StateToFit], at: Parameters, prior: Prior) -> Parameters:
    """Fit the parameters to the rows ``found``, evaluated with the parameters ``at``."""
    slopes = np.stack([row.slope for row in found])
    wanted = np.array([-row.error for row in found]) + slopes @ at.flat
    noise, precision = prior.noise_of(found), prior.precision(at)
    solution: Array = at.flat
    for _ in range(prior.steps):
        residual = np.abs(wanted - slopes @ solution)
        weight = 1.0 / (noise**2 * np.maximum(1.0, residual / prior.huber))
        matrix = slopes.T @ (slopes * weight[:, None]) + precision
        solution = np.asarray(np.linalg.solve(matrix, slopes.T @ (weight * wanted)), dtype=float)
    return at.like(solution)
