"""How transition dipoles change along normal modes: what Herzberg–Teller intensities need.

    m_k = ∂μ/∂q_k ≈ [μ(q_k = h) − μ(q_k = −h)] / 2h

A state is followed by the overlap of its amplitudes (``esml.analysis.transitions.overlaps``), which
also fixes its sign: at each displacement the states at the minimum and those found there are paired
so that the overlaps are largest. Two predictions for each mode, solved in batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment

from esml.analysis.herzberg_teller import MIXED, DipoleExpansion
from esml.analysis.spectrum import WAVENUMBERS
from esml.analysis.transitions import overlaps
from esml.analysis.vibronic import NormalModes
from esml.physics.solvent import Solvent
from esml.predict.gradients import DEGENERATE, LARGEST_SET, degenerate_sets
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import Array, Index

Expansion = tuple[DipoleExpansion | None, tuple[str, ...]]
"""That of a state, if it has one, and a sentence on each doubt about it."""

STEP = 0.1
"""Of the dimensionless coordinate, a seventh of its zero-point motion: half of it changes a
strength by less than a hundredth, and rounding of single precision is smaller still."""

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
    """The transition dipoles of the lowest singlets of ``atoms`` to first order in ``modes``.

    Parameters
    ----------
    model
        From ``load_model``.
    atoms
        One molecule, where ``gradients`` are those of its states.
    modes
        V of them.
    gradients
        ∂ω/∂R (S, N, 3) eV/Å of the S lowest singlets.
    solvent
        That of ``Surrogate.predict``.
    step
        h, of the dimensionless coordinates.

    Returns
    -------
    For each state its expansion, and a sentence on each doubt about it. None for one of several
    degenerate states: the modes that split them turn them into each other, so that their dipoles
    have no derivative.

    Raises
    ------
    StructureError
        For a structure the model cannot treat.
    InstabilityError
        Where the closed shell is far from a minimum at one of the displacements.
    """
    n_states = len(gradients)
    few = model.with_batching(replace(model.batching, window=AT_ONCE))
    found = few.predict_many(
        _displaced(atoms, modes, step),
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


def _displaced(atoms: Atoms, modes: NormalModes, step: float) -> Iterator[Atoms]:
    """The molecule as it is, then by a step forth and back along each mode."""
    yield atoms
    for way in modes.displacements:
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions += sign * step * way
            yield moved


def _followed(start: Result, there: Result, n_states: int) -> tuple[Array, Array, Index, np.bool_]:
    """Of the first states of ``start`` at ``there``: dipoles, overlaps, and what mixes in most.

    Also whether there are de-excitations: none in the Tamm–Dancoff approximation.
    """
    table = overlaps(start.wavefunctions(), there.wavefunctions())
    rows, places = linear_sum_assignment(-np.abs(table[:n_states]))
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
