"""Two-photon absorption of one molecule.

:mod:`esml.physics.two_photon` has the equations, :mod:`esml.analysis.two_photon` the strengths and
cross-sections. ``two_photon`` computes them, ``with_two_photon`` adds them to a ``Result``, and
thus to all files and pages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.analysis.two_photon import RESONANT, TwoPhotonAbsorption, resonant
from esml.physics.solvent import Solvent
from esml.physics.two_photon import two_photon_moments
from esml.predict.batching import Wanted
from esml.predict.solution import check_answered, doubts, in_order
from esml.predict.surrogate import Surrogate, medium_around
from esml.results import Result, States

SAME = 1e-3
"""eV; energies from the same model differ by less, due to rounding in different batches."""


@torch.no_grad()
def two_photon(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 10,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> TwoPhotonAbsorption:
    """Compute the two-photon absorption of the ``n_states`` lowest singlets of ``atoms``.

    Both photons have half the energy of the state; energies are those of ``Surrogate.predict``.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule.
    n_states
        Number of states; fewer if the molecule has fewer.
    solvent, point_charges
        As in ``Surrogate.predict``. The solvent affects the states, but does not respond to the
        two photons.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum.
    ConvergenceError
        If the response to light does not converge.
    ValueError
        If ``n_states`` is below 1.
    """
    n_states = Wanted(n_states).n_states
    medium = medium_around(atoms, solvent, point_charges)
    solution = model(model.graph([atoms]), n_states, n_triplets=1, medium=medium)
    check_answered(atoms, solution)
    singlets = solution.singlets
    moments = two_photon_moments(
        solution.response, solution.operators.dipole, singlets, model.strategy
    )
    order = in_order(singlets)
    return TwoPhotonAbsorption(
        energies=singlets.energies[0, order].cpu().numpy().astype(np.float64),
        moments=moments[order].cpu().numpy().astype(np.float64),
        warnings=tuple(doubts(solution)[0]),
    )


def with_two_photon(model: Surrogate, result: Result) -> Result:
    """Add the two-photon strengths and cross-sections of the singlets to ``result``.

    They are the fields ``two_photon_…`` of ``result.singlets``. A warning names the states whose
    strengths are resonant.

    Parameters
    ----------
    model
        The model that made ``result``.
    result
        A result of ``predict`` or ``predict_many``, or read from a file, with its solvent and
        point charges.

    Raises
    ------
    ValueError
        If the result is from another model.
    StructureError, InstabilityError, ConvergenceError
        As in ``two_photon``.
    """
    singlets = result.singlets
    if not len(singlets):
        return result
    found = two_photon(
        model,
        result.atoms,
        len(singlets),
        result.solvent or "vacuum",
        result.point_charges,
    )
    same = len(found.energies) == len(singlets)
    if not same or np.abs(found.energies - singlets.energies).max() > SAME:
        raise ValueError(
            f"the energies of '{result.name}' are not those of this model: expected a result of "
            f"the model given, with all its singlets from S1 on; predict it with this one"
        )
    filled = replace(
        singlets,
        two_photon_strengths=found.strengths,
        two_photon_circular_strengths=found.circular_strengths,
        two_photon_cross_sections=found.cross_sections(),
    )
    warnings = dict.fromkeys((*result.warnings, *_resonances(singlets)))
    return replace(result, singlets=filled, warnings=tuple(warnings))


def _resonances(singlets: States) -> list[str]:
    """A warning if half the energy of a state is close to another state."""
    near = resonant(singlets.energies, singlets.oscillator_strengths)
    labels = [label for label, there in zip(singlets.labels, near, strict=True) if there]
    if not labels:
        return []
    return [
        f"two-photon strengths of {', '.join(labels)} are resonant: half the energy is within "
        f"{RESONANT:g} eV of a state that one photon reaches, and nothing is damped; do not read "
        "them"
    ]
