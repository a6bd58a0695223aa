"""Two-photon absorption of one molecule.

:mod:`esml.physics.two_photon` has the equations, :mod:`esml.analysis.two_photon` strengths and
cross-sections.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms

from esml.analysis.two_photon import TwoPhotonAbsorption
from esml.physics.solvent import Solvent
from esml.physics.two_photon import two_photon_moments
from esml.predict.batching import Wanted
from esml.predict.solution import check_answered, doubts
from esml.predict.surrogate import Surrogate, medium_around


@torch.no_grad()
def two_photon(
    model: Surrogate,
    atoms: Atoms,
    n_states: int = 10,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
) -> TwoPhotonAbsorption:
    """Two-photon absorption by the ``n_states`` lowest singlets of ``atoms``.

    Both photons have half the energy of the state; energies are those of ``Surrogate.predict``.

    Parameters
    ----------
    model
        From ``load_model``.
    atoms
        One molecule.
    n_states
        How many; fewer where the molecule has fewer.
    solvent, point_charges
        Those of ``Surrogate.predict``. The solvent is that of the states: it does not answer to
        the two photons.

    Raises
    ------
    StructureError
        For a structure the model cannot treat.
    InstabilityError
        Where the closed shell is far from a minimum.
    ConvergenceError
        If the response to light does not converge.
    ValueError
        For less than one state.
    """
    n_states = Wanted(n_states).n_states
    medium = medium_around(atoms, solvent, point_charges)
    solution = model(model.graph([atoms]), n_states, n_triplets=1, medium=medium)
    check_answered(atoms, solution)
    singlets = solution.singlets
    moments = two_photon_moments(
        solution.response, solution.operators.dipole, singlets, model.strategy
    )
    exists = singlets.mask[0]
    energies = singlets.energies[0, exists].cpu().numpy().astype(np.float64)
    # Iterations leave degenerate states in any order.
    order = energies.argsort(kind="stable")
    return TwoPhotonAbsorption(
        energies=energies[order],
        moments=moments[exists].cpu().numpy().astype(np.float64)[order],
        warnings=tuple(doubts(solution)[0]),
    )
