"""Derivatives of transition dipoles along normal modes, for Herzberg–Teller intensities.

    m_k = ∂μ/∂q_k ≈ [μ(q_k = h) − μ(q_k = −h)] / 2h

The overlap of amplitudes (``esml.analysis.transitions.overlaps``) tracks the states and fixes their
signs: at each displacement the states are paired with those at the minimum so that the overlaps are
largest. This takes two predictions per mode, solved in batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from ase import Atoms

from esml.analysis.herzberg_teller import MIXED, DipoleExpansion
from esml.analysis.normal_modes import NormalModes, opposite_pairs
from esml.analysis.spectrum import WAVENUMBERS
from esml.analysis.transitions import paired
from esml.physics.solvent import Solvent
from esml.predict.gradients import DEGENERATE, LARGEST_SET, degenerate_sets
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import Array, Index

Expansion = tuple[DipoleExpansion | None, tuple[str, ...]]
"""The expansion of a state, or None, and a sentence on each doubt about it."""

STEP = 0.05
"""Step in the dimensionless coordinate, a fourteenth of the zero-point motion. Half the step
changes a strength by less than 0.3 %; rounding in single precision changes it even less."""

AT_ONCE = 64
"""Largest number of displacements kept in memory."""

UNLIKE = (
    "the predicted closed shell is a minimum at some displacements along the modes and not quite "
    "at others, where states are those of the Tamm–Dancoff approximation: the dipoles of the two "
    "differ, so do not use what vibrations lend"
)


def dipole_expansions(
    model: Surrogate,
    atoms: Atoms,
    modes: NormalModes,
    gradients: Array,
    solvent: Solvent | str | None = None,
    step: float = STEP,
) -> list[Expansion]:
    """Compute the transition dipoles of the lowest singlets to first order in ``modes``.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule, at the geometry of ``gradients``.
    modes
        The V normal modes.
    gradients
        (S, N, 3) ∂ω/∂R of the S lowest singlets, eV/Å.
    solvent
        As in ``Surrogate.predict``.
    step
        Step h in the dimensionless coordinates.

    Returns
    -------
    For each state its expansion, and a sentence on each doubt about it. Degenerate states have
    None: the modes that split them mix them, so that their dipoles have no derivative.

    Raises
    ------
    StructureError
        If the model cannot treat the structure.
    InstabilityError
        If the closed shell is far from a minimum at one of the displacements.
    """
    n_states = len(gradients)
    few = model.with_batching(replace(model.batching, window=AT_ONCE))
    found = few.predict_many(
        chain([atoms], opposite_pairs(atoms, step * modes.displacements)),
        n_states + LARGEST_SET,
        wavefunctions=True,
        n_triplets=1,
        solvent=solvent,
    )
    results = (each for each in found if isinstance(each, Result))
    start = next(results)
    along = [_followed(start, each, n_states) for each in results]
    if not along:  # a molecule without modes
        return [(None, ())] * n_states
    dipoles, kept, others, deexcited = (
        np.array(each).reshape(-1, 2, *each[0].shape) for each in zip(*along, strict=True)
    )
    slopes = (dipoles[:, 0] - dipoles[:, 1]) / (2.0 * step)
    sets = degenerate_sets(start.singlets.energies, DEGENERATE)
    labels = start.singlets.labels
    unlike = (UNLIKE,) if (deexcited != np.any(start.singlets.Y)).any() else ()
    expansions: list[Expansion] = []
    for state in range(n_states):
        if len(sets[state]) > 1:
            expansions.append((None, (_degenerate([labels[k] for k in sets[state]]),)))
            continue
        expansion = DipoleExpansion(
            dipole=start.singlets.transition_dipoles[state],
            slopes=slopes[:, state],
            shifts=modes.shifts(gradients[state]),
            overlaps=kept[:, :, state].min(1),
            step=step,
        )
        worst = int(expansion.overlaps.argmin())
        other = labels[others[worst, kept[worst, :, state].argmin(), state]]
        place = modes.energies[worst] * WAVENUMBERS
        doubts = unlike + _meeting(expansion, labels[state], other, place)
        expansions.append((expansion, doubts))
    return expansions


def _followed(start: Result, there: Result, n_states: int) -> tuple[Array, Array, Index, np.bool_]:
    """Dipoles and overlaps, at ``there``, of the first states of ``start``, and what mixes in most.

    Also whether there are de-excitations (there are none in the Tamm–Dancoff approximation).
    """
    table, rows, places = paired(start.wavefunctions(), there.wavefunctions(), n_states)
    own = table[rows, places]
    dipoles = there.singlets.transition_dipoles[places] * np.where(own < 0, -1.0, 1.0)[:, None]
    shares = np.abs(table[:, places])
    shares[rows, rows] = -1.0
    return dipoles, np.abs(own), shares.argmax(0), np.any(there.singlets.Y)


def _degenerate(labels: Sequence[str]) -> str:
    names = " and ".join(labels)
    return (
        f"{names} are degenerate, and modes that split them turn them into each other, so their "
        "bands are without the Herzberg–Teller term"
    )


def _meeting(expansion: DipoleExpansion, label: str, other: str, place: float) -> tuple[str, ...]:
    """A sentence if the mode at ``place`` (cm⁻¹) mixes two states too much for a linear dipole."""
    mixing = float(expansion.mixing.max())
    if mixing <= MIXED:
        return ()
    return (
        f"{label} meets {other} along the mode at {place:.0f} cm⁻¹, whose zero-point motion mixes "
        f"{min(mixing, 1.0):.0%} of other states into it where a linear dipole needs less than "
        f"{MIXED:.0%}: take the strength that vibrations lend to it as a rough estimate",
    )
