"""Relaxed dipole moments of excited states: orbitals, mean field and amplitudes respond.

In a uniform electric field E every electron feels w = E·r, and the energy of state n changes by

    ∂(E₀ + ω_n)/∂E = −μ_n ,   so that   μ_n = μ_0 − ∂ω_n/∂E .

The charges respond to the field and to each other until they are self-consistent
(:mod:`esml.model.mean_field`), and orbitals and amplitudes follow. Moments from only the amplitudes
(``Result.state_dipoles``) lack this response and change too much.

Derivatives are finite differences between ±``FIELD`` along each axis, not backward passes: at zero
field density mixing has nothing to mix, and its derivative there is not the limit of those in small
fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.physics.medium import Medium
from esml.physics.solvent import Solvent
from esml.predict.batching import Wanted
from esml.predict.gradients import DEGENERATE, LARGEST_SET, degenerate_sets
from esml.predict.solution import check_answered
from esml.predict.surrogate import Surrogate, medium_around
from esml.typing import Array, Multiplicity, MultiplicityName, as_multiplicity
from esml.units import BOHR, DEBYE

FIELD = 5e-3
"""V/Å, about 1e-4 atomic units: energies change linearly and by far more than rounding."""


@dataclass(frozen=True)
class RelaxedDipoles:
    """Relaxed dipole moments of the states of one molecule."""

    multiplicity: Multiplicity  # singlet or triplet
    energies: Array  # (S,) eV
    ground: Array  # (3,) μ_0, debye
    changes: Array  # (S, 3) μ_n − μ_0, debye; degenerate states share their mean

    @property
    def dipoles(self) -> Array:
        """(S, 3) μ_n, debye; for ions relative to the origin of the positions."""
        dipoles: Array = self.ground + self.changes
        return dipoles


def relaxed_dipoles(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 3,
    multiplicity: MultiplicityName = "singlet",
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> RelaxedDipoles:
    """Compute the relaxed dipole moments of the ``n_states`` lowest states of ``atoms``.

    In single precision they are accurate to about 0.01 debye. A solvent also responds to the field.

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
    solvent, point_charges
        As in ``Surrogate.predict``.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum.
    ValueError
        If ``n_states`` is below 1.
    """
    chosen = as_multiplicity(multiplicity)
    n_states = Wanted(n_states).n_states
    fields = FIELD * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    medium = medium_of_copies(atoms, len(fields), solvent, point_charges)
    graph = model.graph([atoms] * len(fields))
    with torch.no_grad():
        field = torch.from_numpy(fields).to(graph.positions)
        solution = model(graph, n_states + LARGEST_SET - 1, medium=replace(medium, field=field))
    check_answered(atoms, solution)
    energies = solution.states(chosen).energies.cpu().numpy().astype(np.float64)
    energies = energies[:, np.isfinite(energies).all(0)]
    sets = degenerate_sets(energies[0], DEGENERATE)
    means = np.stack([energies[:, [*members]].mean(1) for members in sets[:n_states]], 1)
    slopes = (means[1:4] - means[4:]) / (2.0 * FIELD)  # e·Å, by axis and state
    return RelaxedDipoles(
        multiplicity=chosen,
        energies=energies[0, :n_states],
        ground=DEBYE * solution.dipole[0].cpu().numpy().astype(np.float64),
        changes=-DEBYE / BOHR * slopes.T,
    )


def medium_of_copies(
    atoms: Atoms,
    number: int,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> Medium:
    """Return the medium of a batch of ``number`` copies of ``atoms``; fields can be added to it.

    Parameters
    ----------
    atoms, solvent, point_charges
        As in ``Surrogate.predict``.
    number
        Number of copies.
    """
    medium = medium_around(atoms, solvent, point_charges, number)
    return medium or Medium((None,) * number, (None,) * number)
