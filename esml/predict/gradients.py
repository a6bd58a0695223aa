"""Gradients of excitation energies: slopes of excited-state surfaces relative to the ground state.

    g = ∂ω/∂R

With the energy E₀ and forces F₀ of a ground-state calculator they give the excited-state surface,
E = E₀ + ω and F = F₀ − ∂ω/∂R (``esml.interfaces.ase.ExcitedStateCalculator``).

Degenerate states have no gradients of their own: in a symmetric molecule a displacement splits
them, and which of them goes up depends on the choice of axes. Only their mean has a derivative, and
every member of a degenerate set gets that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from esml.physics.slopes import slopes
from esml.physics.solvent import Solvent
from esml.predict.solution import check_answered, doubts
from esml.predict.surrogate import Surrogate, medium_around
from esml.typing import Multiplicity, MultiplicityName, as_multiplicity, renamed

Array = NDArray[Any]

DEGENERATE = 1e-3
"""eV; states closer than this count as degenerate."""

LARGEST_SET = 5
"""Dimension of the largest irreducible representation of a point group (icosahedral H)."""


@dataclass(frozen=True)
class ExcitationGradients:
    """Gradients of the excitation energies of one molecule, for the requested states."""

    multiplicity: Multiplicity  # singlet or triplet
    states: Array  # (S,) indices of the states, from 0
    energies: Array  # (S,) eV
    gradients: Array  # (S, N, 3) eV/Å
    degeneracies: Array  # (S,) number of states that share the gradient; 1 if not degenerate
    charge_gradients: Array | None = None  # (S, L, 3) eV/Å on the point charges, if there are any
    warnings: tuple[str, ...] = ()  # if the closed shell may not be a minimum, within the error


@renamed(kind="multiplicity")
def excitation_gradients(
    model: Surrogate,
    atoms: Atoms,
    states: int | Sequence[int] = 0,
    multiplicity: MultiplicityName = "singlet",
    degenerate: float = DEGENERATE,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> ExcitationGradients:
    """Compute the gradients ∂ω/∂R of excitation energies.

    They are exact first derivatives of the model's energies, in the precision of its network: load
    it with ``dtype=torch.float64`` if you need more than four digits.

    If the closed shell is a minimum only to within the error of the model, these are gradients of
    the Tamm–Dancoff energies that ``predict`` gives, and ``warnings`` say so.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        The molecule.
    states
        One state or several, counted from 0 as in ``result.singlets``.
    multiplicity
        ``"singlet"`` or ``"triplet"``.
    degenerate
        States closer to each other than this (eV) get the gradient of their mean energy; 0
        turns that off.
    solvent, point_charges
        As in ``Surrogate.predict``; the gradients on the point charges are also returned.

    Returns
    -------
    Energies and gradients of the states.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum.
    ValueError
        If the molecule does not have a requested state.
    """
    chosen = as_multiplicity(multiplicity)
    wanted = np.atleast_1d(np.asarray(states, dtype=np.int64))
    if wanted.ndim != 1 or len(wanted) == 0 or wanted.min() < 0:
        raise ValueError(f"states is {states!r}: expected one or several numbers from 0 on")
    graph = model.graph([atoms])
    medium = medium_around(atoms, solvent, point_charges)
    places = [graph.positions.requires_grad_(True)]
    if medium is not None and (sites := medium.sites[0]) is not None:
        places.append(sites.positions.requires_grad_(True))
    with torch.enable_grad():
        solution = model(graph, int(wanted.max()) + LARGEST_SET, medium=medium)
    check_answered(atoms, solution)
    energies = solution.states(chosen).energies[0]
    levels = energies.detach().cpu().numpy()
    available = int(np.isfinite(levels).sum())
    if wanted.max() >= available:
        raise ValueError(
            f"state {chosen[0].upper()}{wanted.max() + 1} (number {wanted.max()} from 0 on) is "
            f"asked for of a molecule with {available} {chosen}s: expected one up to "
            f"{chosen[0].upper()}{available}; choose a lower one"
        )
    sets = degenerate_sets(levels[:available], degenerate)
    wanted_sets = list(dict.fromkeys(sets[state] for state in wanted))
    means = torch.stack([energies[each.start : each.stop].mean() for each in wanted_sets])
    found = [
        x.cpu().numpy().astype(np.float64)
        for x in slopes([means], places, [torch.eye(len(means)).to(means)])
    ]
    rows = [wanted_sets.index(sets[state]) for state in wanted]
    on_atoms, *on_charges = (each[rows] for each in found)
    return ExcitationGradients(
        multiplicity=chosen,
        states=wanted,
        energies=levels[wanted].astype(np.float64),
        gradients=on_atoms,
        degeneracies=np.array([len(sets[state]) for state in wanted]),
        charge_gradients=on_charges[0] if on_charges else None,
        warnings=tuple(doubts(solution)[0]),
    )


def degenerate_sets(levels: Array, degenerate: float) -> list[range]:
    """Return, for each of the ascending ``levels``, the range of levels degenerate with it."""
    breaks = np.flatnonzero(np.diff(levels) > degenerate) + 1
    if degenerate == 0:
        breaks = np.arange(1, len(levels))
    edges = [0, *breaks.tolist(), len(levels)]
    return [range(start, stop) for start, stop in pairwise(edges) for _ in range(start, stop)]
