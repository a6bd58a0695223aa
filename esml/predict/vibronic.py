"""Vibronic bands of a molecule: exact gradients on the normal modes of a ground-state method."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from esml.analysis.vibronic import NormalModes, VibronicBand, normal_modes
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate


def vibronic_bands(
    model: Surrogate,
    atoms: Atoms,
    ground: Any,
    n_states: int = 3,
    modes: NormalModes | None = None,
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

    Returns
    -------
    One band for each state; degenerate states share the gradient of their mean.
    """
    if modes is None:
        modes = normal_modes(atoms, ground)
    singlets = model.predict(atoms, n_states=n_states, n_triplets=1).singlets
    slopes = excitation_gradients(model, atoms, range(len(singlets)))
    return [
        VibronicBand.of(float(energy), float(strength), gradient, modes)
        for energy, strength, gradient in zip(
            singlets.energies, singlets.oscillator_strengths, slopes.gradients, strict=True
        )
    ]
