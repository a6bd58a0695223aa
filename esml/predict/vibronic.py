"""Vibronic bands of a molecule: exact gradients along the normal modes of a ground-state method."""

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
    """Predict the lowest singlets of ``atoms`` with their vibrational structure.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule, at a minimum of ``ground``.
    ground
        Any ASE calculator with forces, such as GFN2-xTB of tblite.
    n_states
        Number of singlets.
    modes
        The normal modes of ``atoms``; computed with ``ground`` if None.
    solvent
        As in ``Surrogate.predict``; it does not change the modes.
    herzberg_teller
        Let the transition dipole change along the modes, to first order
        (:mod:`esml.analysis.herzberg_teller`). Forbidden bands get their intensity this way. It
        takes two more predictions per mode, solved in batches.

    Returns
    -------
    One band for each state. Degenerate states share the gradient of their mean and have no
    Herzberg–Teller term. ``VibronicBand.warnings`` report this, and states that cross or mix along
    a mode.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum.
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
