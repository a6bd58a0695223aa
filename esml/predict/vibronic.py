"""Vibronic bands of a molecule: exact gradients on the normal modes of a ground-state method."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from esml.analysis.vibronic import NormalModes, VibronicBand, normal_modes
from esml.physics.solvent import Solvent
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate


def vibronic_bands(
    model: Surrogate,
    atoms: Atoms,
    ground: Any,
    n_states: int = 3,
    modes: NormalModes | None = None,
    solvent: Solvent | str | None = None,
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

    Returns
    -------
    One band for each state; degenerate states share the gradient of their mean.
    """
    if modes is None:
        modes = normal_modes(atoms, ground)
    singlets = model.predict(atoms, n_states=n_states, n_triplets=1, solvent=solvent).singlets
    slopes = excitation_gradients(model, atoms, range(len(singlets)), solvent=solvent)
    return [
        VibronicBand.of(float(energy), float(strength), gradient, modes, label)
        for energy, strength, gradient, label in zip(
            singlets.energies,
            singlets.oscillator_strengths,
            slopes.gradients,
            singlets.labels,
            strict=True,
        )
    ]
