"""Vibronic bands of a molecule: exact gradients along the normal modes of a ground-state method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.analysis.vibronic import TEMPERATURE, WIDTH, VibronicBand
from esml.physics.solvent import Solvent
from esml.predict.charges import relaxed_solvation
from esml.predict.dipole_slopes import Expansion, dipole_expansions
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate
from esml.predict.vibrational_averages import vibrational_averages
from esml.results.last_step import lowest_band_state

REACH, STEP = 2.0, 0.002
"""eV around the vertical energy where the maximum of a band is looked for, and how finely."""


@dataclass(frozen=True)
class VibrationalShift:
    """How far vibrations move the maximum of the lowest band."""

    energy: float  # eV
    doubts: tuple[str, ...] = ()
    """A sentence on each doubt about the mean over vibrations."""


def vibronic_bands(
    model: Surrogate,
    atoms: Atoms,
    ground: Any,
    n_states: int = 3,
    modes: NormalModes | None = None,
    solvent: Solvent | str | None = None,
    herzberg_teller: bool = False,
    averaged: bool = False,
    temperature: float = TEMPERATURE,
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
    averaged
        Count each band from the mean of its energy over zero-point and thermal motion
        (:mod:`esml.predict.vibrational_averages`), which takes 24 more predictions.
    temperature
        Of this mean, K.

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
    AverageError
        If too many displaced geometries have no prediction.
    """
    if modes is None:
        modes = normal_modes(atoms, ground)
    result = model.predict(atoms, n_states=n_states, n_triplets=1, solvent=solvent)
    singlets = result.singlets
    solvent_terms = relaxed_solvation(model, result, len(singlets))
    slopes = excitation_gradients(model, atoms, range(len(singlets)), solvent=solvent)
    expansions: list[Expansion] = [(None, ())] * len(singlets)
    if herzberg_teller:
        expansions = dipole_expansions(model, atoms, modes, slopes.gradients, solvent)
    bands = [
        replace(
            VibronicBand.of(
                float(singlets.energies[k]),
                float(singlets.oscillator_strengths[k]),
                slopes.gradients[k],
                modes,
                singlets.labels[k],
                expansion=expansion,
                warnings=warnings,
            ),
            solvent_reorganization=float(solvent_terms.reorganization[k]),
        )
        for k, (expansion, warnings) in enumerate(expansions)
    ]
    if not averaged:
        return bands
    means = vibrational_averages(model, atoms, modes, len(bands), temperature, solvent=solvent)
    return [
        replace(
            band,
            averaging=float(means.shifts[k]),
            warnings=band.warnings + means.doubts(k, band.label),
        )
        for k, band in enumerate(bands)
    ]


def vibrational_shift(
    model: Surrogate,
    atoms: Atoms,
    modes: NormalModes,
    solvent: Solvent | str | None = None,
    temperature: float = TEMPERATURE,
    fwhm: float = WIDTH,
) -> VibrationalShift | None:
    """Return how far vibrations move the maximum of the lowest band.

        ⟨ω⟩ − ω(R₀) + E_max − ⟨ω⟩

    The first part is the mean over zero-point and thermal motion, the second the distance from the
    mean of the vibronic band of that state to its maximum.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule, at the minimum that ``modes`` belong to.
    modes
        Normal modes of the ground state.
    solvent
        As in ``Surrogate.predict``; it does not change the modes.
    temperature
        K.
    fwhm
        Full width of a vibronic line, eV.

    Returns
    -------
    The shift of the state that contributes most to the lowest band; None without a band.

    Raises
    ------
    StructureError, InstabilityError
        As in ``Surrogate.predict``.
    AverageError
        If too many displaced geometries have no prediction.
    """
    result = model.predict(atoms, n_triplets=1, solvent=solvent)
    state = lowest_band_state(result)
    if state is None:
        return None
    slopes = excitation_gradients(model, atoms, range(state, state + 1), solvent=solvent)
    averages = vibrational_averages(model, atoms, modes, state + 1, temperature, solvent=solvent)
    vertical = float(result.singlets.energies[state])
    band = VibronicBand.of(vertical, 1.0, slopes.gradients[0], modes)
    band = replace(band, averaging=float(averages.shifts[state]))
    grid = vertical + np.arange(-REACH, REACH, STEP)
    maximum = float(grid[band.profile(grid, fwhm, temperature).argmax()])
    doubts = averages.doubts(state, result.singlets.labels[state])
    return VibrationalShift(maximum - vertical, doubts)
