"""Everything about one excited state: ``esml.results.details`` says what, and shows it."""

from __future__ import annotations

import numpy as np

from esml.predict.charges import relaxed_charges
from esml.predict.dipoles import relaxed_dipoles
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.results.details import SpinOrbitPartners, StateDetails


def state_details(model: Surrogate, result: Result, state: str) -> StateDetails:
    """Compute relaxed dipole and charges of one state, its absorption and spin–orbit couplings.

    Absorption and couplings are with the states in ``result``: ask for many.

    Parameters
    ----------
    model
        The model that made ``result``.
    result
        A result of ``predict``, with its wave functions.
    state
        ``S1``, ``T1``, …

    Raises
    ------
    MissingWavefunctionsError
        If the result has no wave functions.
    ValueError
        For a state that was not computed.
    """
    multiplicity = result.multiplicity_of(state)
    place = int(state[1:]) - 1
    absorption = result.excited_state_absorption(state)
    spin_orbit = result.spin_orbit()
    singlet = multiplicity == "singlet"
    if singlet:
        partners = SpinOrbitPartners(
            tuple(result.triplets.labels),
            result.triplets.energies,
            spin_orbit.strengths[1 + place],
        )
    else:
        partners = SpinOrbitPartners(
            ("S0", *result.singlets.labels),
            np.append(0.0, result.singlets.energies),
            spin_orbit.strengths[:, place],
        )
    medium = (result.solvent or "vacuum", result.point_charges)
    dipoles = relaxed_dipoles(model, result.atoms, place + 1, multiplicity, *medium)
    charges = relaxed_charges(model, result.atoms, place + 1, multiplicity, *medium)
    return StateDetails(
        state=state,
        energy=float(result.states(multiplicity).energies[place]),
        symbols=tuple(result.atoms.get_chemical_symbols()),
        ground_dipole=result.dipole,
        dipole=result.dipole + dipoles.changes[place],
        ground_charges=result.charges,
        charges=result.charges + charges.changes[place],
        absorption=absorption,
        partners=partners,
        lifetime=None if singlet else float(spin_orbit.lifetimes[place]),
    )
