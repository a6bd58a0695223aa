"""Energies, gradients and couplings of excited states, as needed for nonadiabatic dynamics.

    ∂ω_I/∂R ,   h_IJ = (ω_J − ω_I) ⟨I|∂_R J⟩ ,   ⟨0|∂_R J⟩

:mod:`esml.physics.couplings` defines them; they are exact derivatives of the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import ArrayLike
from torch.autograd import forward_ad

from esml.model.graph import Graph
from esml.model.local import Local
from esml.physics.copies import Copies
from esml.physics.couplings import State, among_all, densities, interstate, with_ground_state
from esml.physics.excitations import Excitations, InstabilityError, singlets, triplets
from esml.physics.medium import Medium
from esml.physics.response import Response
from esml.physics.slopes import at_once, slopes
from esml.physics.solvent import Solvent
from esml.predict.batching import Wanted
from esml.predict.surrogate import Surrogate, medium_around
from esml.typing import Array, Multiplicity, MultiplicityName, as_multiplicity


@dataclass(frozen=True)
class Motion:
    """States of a molecule, and the data to differentiate them in one direction."""

    model: Surrogate
    graph: Graph
    medium: Medium | None
    multiplicity: Multiplicity
    plus: torch.Tensor  # (S, n, n) C_o (X + Y) C_vᵀ
    minus: torch.Tensor  # (S, n, n) C_o (X − Y) C_vᵀ

    def slopes(self, velocities: Array) -> Array:
        """Return Σ h_IJ · v (S, S) for ``velocities`` v (N, 3)."""
        positions = self.graph.positions.detach()
        with torch.no_grad(), forward_ad.dual_level():
            moving = forward_ad.make_dual(positions, torch.as_tensor(velocities).to(positions))
            graph = replace(self.graph, positions=moving)
            response, _ = self.model.response(graph, self.medium)
            states = State.from_densities(self.plus, self.minus, response.orbitals)
            values = among_all(response, states, self.multiplicity)
            return _numpy(forward_ad.unpack_dual(values).tangent[0])


@dataclass(frozen=True)
class StateCouplings:
    """Energies, gradients and couplings of the lowest states of one molecule.

    The sign of every state is arbitrary, and so are the signs of its couplings and its transition
    dipole; degenerate states are also arbitrary up to rotation. With an ``active`` state only its
    gradient and couplings are computed; the rest is nan. ``time_derivatives`` has all pairs.
    """

    multiplicity: Multiplicity  # singlet or triplet
    energies: Array  # (S,) eV
    interstate: Array  # (S, S, N, 3) h_IJ, eV/Å, symmetric; the gradients of ω on the diagonal
    ground: Array  # (S, N, 3) ⟨0|∂_R J⟩, 1/Å; zero for triplets
    transition_dipoles: Array  # (S, 3) e·bohr; zero for triplets
    transition_densities: Array  # (S, n, n) C_o (X + Y) C_vᵀ in the minimal basis, with those signs
    _motion: Motion = field(repr=False, compare=False)

    def time_derivatives(self, velocities: ArrayLike) -> Array:
        """Return τ_IJ = ⟨I|∂_t J⟩ = Σ d_IJ · v (S, S) of all pairs, 1/fs.

        They are along ``velocities`` v (N, 3), Å/fs. If only the couplings of one state are known,
        one forward pass through the model in that direction gives all of them. Zero on the
        diagonal; infinite or nan between degenerate states.

        Raises
        ------
        ValueError
            If the velocities are not (N, 3) finite numbers.
        """
        velocities = _checked(velocities, self.interstate.shape[2])
        if np.isfinite(self.interstate).all():
            along = np.einsum("ijax,ax->ij", self.interstate, velocities)
        else:
            along = self._motion.slopes(velocities)
        gaps = self.energies[None, :] - self.energies[:, None]
        np.fill_diagonal(gaps, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            taus: Array = along / gaps
        return taus

    @property
    def gradients(self) -> Array:
        """(S, N, 3) gradients ∂ω_I/∂R, eV/Å."""
        states = np.arange(len(self.energies))
        gradients: Array = self.interstate[states, states]
        return gradients

    @property
    def nonadiabatic(self) -> Array:
        """(S, S, N, 3) d_IJ = ⟨I|∂_R J⟩ = h_IJ / (ω_J − ω_I), 1/Å, antisymmetric.

        Zero on the diagonal; infinite or nan between degenerate states.
        """
        gaps = self.energies[None, :] - self.energies[:, None]
        np.fill_diagonal(gaps, np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            couplings: Array = self.interstate / gaps[:, :, None, None]
        return couplings

    def branching_plane(self, lower: int, upper: int) -> tuple[Array, Array]:
        """Return the two vectors (N, 3) that span the branching plane of two states (from 0), eV/Å.

        g = ½ ∂(ω_upper − ω_lower)/∂R and h = h_lower,upper. Near a crossing the gap is
        2 √[(ΔE/2 + g·x)² + (h·x)²] for a displacement x.

        Parameters
        ----------
        lower, upper
            Places of the two states, from 0.
        """
        difference: Array = 0.5 * (self.interstate[upper, upper] - self.interstate[lower, lower])
        return difference, self.interstate[lower, upper]


def state_couplings(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 10,
    multiplicity: MultiplicityName = "singlet",
    active: int | None = None,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> StateCouplings:
    """Compute energies, gradients and couplings of the lowest states of ``atoms``.

    These are exact derivatives, in the precision of the network: load it with
    ``dtype=torch.float64`` if you need more than four digits.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule.
    n_states
        Number of states; fewer if the molecule has fewer.
    multiplicity
        ``"singlet"`` or ``"triplet"``.
    active
        Index of one state, from 0: compute only its gradient and its couplings to all others,
        which takes about half the time for ten states. Together with
        ``StateCouplings.time_derivatives`` that is all a trajectory needs.
    solvent, point_charges
        As in ``Surrogate.predict``.

    Returns
    -------
    The couplings between these states and, for singlets, with the ground state.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is unstable.
    ValueError
        If ``n_states`` is below 1.
    """
    chosen = as_multiplicity(multiplicity)
    n_states = Wanted(n_states).n_states
    graph = model.graph([atoms])
    medium = medium_around(atoms, solvent, point_charges)
    graph.positions.requires_grad_(True)
    local = model.hamiltonian.local(graph)
    with torch.enable_grad():
        response, operators = model.response(graph, medium, local)
    found = _lowest(model, response, operators.dipole, chosen, n_states)
    count = int(found.mask.sum())
    # Couplings are defined for full linear response, not for its replacement at a saddle point.
    if count == 0 or (chosen == "singlet" and not bool(found.stable.all())):
        raise InstabilityError(
            f"the predicted closed-shell ground state of {atoms.get_chemical_formula()} is "
            "unstable, so its states have no couplings: expected a closed-shell molecule near "
            "its equilibrium; check the structure"
        )
    if active is not None and not 0 <= active < count:
        raise ValueError(f"active is {active}: expected a state from 0 to {count - 1}")
    rows, columns = torch.triu_indices(count, count)
    own = torch.arange(count)
    if active is not None:
        rows, columns, own = own, torch.full_like(own, active), own[active : active + 1]
    wanted = _between(response, found, chosen, rows, columns)
    if chosen == "singlet":
        wanted += _with_ground(response, found, own)
    between, with_ground = np.split(_numpy(_slopes(graph, local, wanted)), [len(rows)])
    plus, minus = densities(found, response.orbitals, count)
    couplings = np.full((count, count, len(atoms), 3), np.nan)
    couplings[rows, columns] = couplings[columns, rows] = between
    ground = np.zeros((count, len(atoms), 3))
    if chosen == "singlet":
        ground[:] = np.nan
        ground[own] = with_ground
    return StateCouplings(
        multiplicity=chosen,
        energies=_numpy(found.energies[0, :count]),
        interstate=couplings,
        ground=ground,
        transition_dipoles=_numpy(found.transition_dipoles[0, :count]),
        transition_densities=_numpy(plus),
        _motion=Motion(model, graph, medium, chosen, plus, minus),
    )


@torch.no_grad()
def _lowest(
    model: Surrogate,
    response: Response,
    dipole: torch.Tensor,
    multiplicity: Multiplicity,
    n_states: int,
) -> Excitations:
    """Return the lowest states of the only molecule of ``response``, without gradients."""
    n_states = min(n_states, max(1, int(response.n_available.max())))
    limits = model.strategy.tolerance._replace(
        double=model.strategy.slopes_tolerance.of(model.dtype)
    )
    strategy = replace(model.strategy, tolerance=limits)
    if multiplicity == "triplet":
        return triplets(response, n_states, strategy=strategy)
    return singlets(response, dipole, n_states, strategy=strategy)


def _between(
    response: Response,
    found: Excitations,
    multiplicity: Multiplicity,
    rows: torch.Tensor,
    columns: torch.Tensor,
) -> list[tuple[Copies, torch.Tensor]]:
    """⟨I|ω|J⟩ for states I of ``rows`` and J of ``columns``, each computed in its own copy."""
    made = []
    few = at_once(response.layout.n_max**2)
    for i, j in zip(rows.split(few), columns.split(few), strict=True):
        copies = Copies.of(response, len(i), multiplicity)
        bra, ket = State.of(found, i), State.of(found, j)
        with torch.enable_grad():
            made.append((copies, interstate(copies.response, bra, ket, multiplicity)))
    return made


def _with_ground(
    response: Response, found: Excitations, states: torch.Tensor
) -> list[tuple[Copies, torch.Tensor]]:
    """Numbers whose gradients are ⟨0|∂J⟩ for ``states`` J, also each in its own copy."""
    made = []
    for part in states.split(at_once(response.layout.n_max**2)):
        copies = Copies.of(response, len(part), "singlet")
        with torch.enable_grad():
            made.append((copies, with_ground_state(copies.response, State.of(found, part))))
    return made


def _checked(velocities: Any, n_atoms: int) -> Array:
    """Convert ``velocities`` to an array (N, 3). Raises ValueError for anything else."""
    expected = (
        f"expected shape {(n_atoms, 3)}, finite numbers in Å/fs for each atom; of ASE Atoms "
        "give atoms.get_velocities() * ase.units.fs"
    )
    if isinstance(velocities, torch.Tensor):
        velocities = velocities.detach().cpu()
    try:
        given = np.asarray(velocities)
    except ValueError:  # rows of different lengths
        raise ValueError(f"velocities have rows of different lengths: {expected}") from None
    if given.dtype.kind not in "iuf":
        first = next(iter(given.ravel().tolist()), None)
        raise ValueError(f"velocities hold {first!r}, which is not a real number: {expected}")
    if given.shape != (n_atoms, 3):
        raise ValueError(f"velocities have shape {given.shape}: {expected}")
    bad = np.flatnonzero(~np.isfinite(given).all(axis=1))
    if len(bad):
        raise ValueError(f"the velocity of atom {bad[0]} is {given[bad[0]].tolist()}: {expected}")
    return given.astype(np.float64)


def _slopes(graph: Graph, local: Local, wanted: list[tuple[Copies, torch.Tensor]]) -> torch.Tensor:
    """Derivatives (K, N, 3) of ``wanted`` numbers by positions, direct and through ``local``."""
    found = zip(*(copies.slopes(values) for copies, values in wanted), strict=True)
    weights = [torch.cat(each)[:, None] for each in found]
    originals = wanted[0][0].originals
    direct, *of_local = slopes(originals, [graph.positions, *local.leaves], weights)
    return direct + local.slopes(of_local)


def _numpy(values: torch.Tensor) -> Array:
    array: Array = values.detach().cpu().numpy().astype(np.float64)
    return array
