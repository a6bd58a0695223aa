"""Vibronic bands of a molecule: exact gradients on the normal modes of a ground-state method."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from esml.analysis.vibronic import NormalModes, VibronicBand, normal_modes
from esml.physics.solvent import Solvent
from esml.predict.dipole_slopes import Expansion, dipole_expansions
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate


def vibronic_bands(
    model: Surrogate,
    atoms: Atoms,
    ground: Any,
    n_states: int = 3,
    modes: NormalModes | None = None,
    solvent: Solvent | str | None = None,
    herzberg_teller: bool = False,
) -> list[VibronicBand]:
    """The lowest singlets of ``atoms`` with their vibrational structure.

    Parameters
    ----------
    model
        From ``load_model``.
    atoms
        One molecule, at a minimum of ``ground``.
    ground
        Any ASE calculator with forces, such as GFN2-xTB of tblite.
    n_states
        How many singlets.
    modes
        Those of ``atoms``, where they are known.
    solvent
        That of ``Surrogate.predict``; the modes are those of ``ground``.
    herzberg_teller
        Let the transition dipole change along the modes, to first order
        (:mod:`esml.analysis.herzberg_teller`): the intensity of forbidden bands. Two predictions
        more for each mode, solved in batches.

    Returns
    -------
    One band for each state; degenerate states share the gradient of their mean, and have no
    Herzberg–Teller term. ``VibronicBand.warnings`` tell of that, and of states that meet along a
    mode.

    Raises
    ------
    StructureError
        For a structure the model cannot treat.
    InstabilityError
        Where the closed shell is far from a minimum.
    """
    if modes is None:
        modes = normal_modes(atoms, ground)
    singlets = model.predict(atoms, n_states=n_states, n_triplets=1, solvent=solvent).singlets
    slopes = excitation_gradients(model, atoms, range(len(singlets)), solvent=solvent)
    expansions: list[Expansion] = [(None, ())] * len(singlets)
    if herzberg_teller:
        expansions = dipole_expansions(model, atoms, modes, slopes.gradients, solvent)
    return [
        VibronicBand.of(
            float(singlets.energies[k]),
            float(singlets.oscillator_strengths[k]),
            slopes.gradients[k],
            modes,
            singlets.labels[k],
            expansion=expansion,
            warnings=warnings,
        )
        for k, (expansion, warnings) in enumerate(expansions)
    ]
