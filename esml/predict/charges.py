"""Relaxed charges of excited states: orbitals, mean field and amplitudes respond.

If all levels of atom A are shifted by w_A, the energy of state n changes by its electrons there,

    ∂(E₀ + ω_n)/∂w_A = Z_A − q_A(n) ,   so that   q_A(n) = q_A(0) − ∂ω_n/∂w_A ,

with the same response as in relaxed dipoles (:mod:`esml.predict.dipoles`). Charges from only the
amplitudes (``Result.state_charges``) lack it and change too much. A shift of all atoms changes no
excitation energy: the changes of the charges sum to exactly zero.

The derivatives are exact ones by a backward pass, taken at small shifts ±w and averaged: without
any, density mixing has nothing to mix. w is largest at the ends of the molecule, as symmetric as
the molecule is; which w it is changes charges by about 1e-4 e.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.analysis.solvation import Solvation, solvation
from esml.physics.solvent import Solvent
from esml.predict.batching import Wanted
from esml.predict.dipoles import medium_of_copies
from esml.predict.gradients import DEGENERATE, LARGEST_SET, degenerate_sets
from esml.predict.solution import check_answered
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import Array, Multiplicity, MultiplicityName, as_multiplicity

SHIFT = 1e-3
"""Size of the shifts, eV: small beside the distance of states, and large beside rounding."""


@dataclass(frozen=True)
class RelaxedCharges:
    """Relaxed atomic charges of the states of one molecule."""

    multiplicity: Multiplicity  # singlet or triplet
    energies: Array  # (S,) eV
    ground: Array  # (N,) charges of the ground state, e
    changes: Array  # (S, N) q_n − q_0, e; each row sums to zero; degenerate states share their mean

    @property
    def charges(self) -> Array:
        """(S, N) charges of the states, e."""
        charges: Array = self.ground + self.changes
        return charges


def relaxed_charges(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 3,
    multiplicity: MultiplicityName = "singlet",
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> RelaxedCharges:
    """Compute the relaxed charges of the ``n_states`` lowest states of ``atoms``.

    They are accurate to about 0.001 e. A solvent also responds.

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
    shifts = torch.from_numpy(SHIFT * np.outer([0.0, 1.0, -1.0], _outwards(atoms)))
    shifts.requires_grad_()
    medium = replace(medium_of_copies(atoms, 3, solvent, point_charges), shifts=shifts)
    graph = model.graph([atoms] * 3)
    with torch.enable_grad():
        solution = model(graph, n_states + LARGEST_SET - 1, medium=medium)
    check_answered(atoms, solution)
    energies = solution.states(chosen).energies
    levels = energies[0].detach().cpu().numpy().astype(np.float64)
    levels = levels[np.isfinite(levels)]
    slopes: dict[range, Array] = {}
    sets = degenerate_sets(levels, DEGENERATE)[:n_states]
    for members in sets:
        if members not in slopes:
            mean = energies[1:, members.start : members.stop].mean(1).sum()
            (found,) = torch.autograd.grad(mean, shifts, retain_graph=True)
            slopes[members] = found[1:].mean(0).numpy()
    return RelaxedCharges(
        multiplicity=chosen,
        energies=levels[:n_states],
        ground=solution.charges[0].detach().cpu().numpy().astype(np.float64),
        changes=-np.stack([slopes[members] for members in sets]),
    )


def relaxed_solvation(
    model: Surrogate, result: Result, n_states: int, multiplicity: MultiplicityName = "singlet"
) -> Solvation:
    """Return the state-specific terms of :mod:`esml.analysis.solvation` for relaxed charges.

    They take one more prediction with a backward pass for each state, in vacuum nothing. Raises as
    :func:`relaxed_charges`.

    Parameters
    ----------
    model
        The model that predicted ``result``.
    result
        A prediction in a solvent or in vacuum.
    n_states
        Number of states, as many as ``result`` has at most.
    multiplicity
        ``"singlet"`` or ``"triplet"``.
    """
    n_states = min(n_states, len(result.states(as_multiplicity(multiplicity))))
    changes = np.zeros((n_states, len(result.atoms)))
    if result.solvent is not None:
        found = relaxed_charges(model, result.atoms, n_states, multiplicity, result.solvent)
        changes = found.changes
    return solvation(result.atoms, changes, result.solvent)


def _outwards(atoms: Atoms) -> Array:
    """Return (N,) how far each atom is from all others, between −1 and 1 about the mean."""
    far = atoms.get_all_distances().mean(1)
    far -= far.mean()
    outwards: Array = far / max(np.abs(far).max(), 1e-6)
    return outwards
