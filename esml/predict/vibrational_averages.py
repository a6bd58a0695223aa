"""Means of excitation energies over zero-point and thermal motion.

    ⟨ω⟩ − ω(R₀) = ½ Σ_k (n_k + ½) ∂²ω/∂q_k² + …

with thermal occupations n_k of the modes q_k of the ground state. Bonds are softer in most excited
states, so the mean lies lower, by about a tenth of an eV in dyes; the vertical-gradient model of
``esml.analysis.vibronic`` has the same modes in both states and leaves this out. To first order it
is also the change of the zero-point energy, which moves the 0-0 transition.

The mean is taken over geometries drawn from the harmonic thermal distribution (Wigner's), in pairs
of opposite displacements, in which slopes cancel. Overlaps of amplitudes track the states. Modes
below ``STIFF`` stay at rest: large straight displacements along torsions stretch bonds.

Reference: F. Della Sala, R. Rousseau, A. Görling and D. Marx, Phys. Rev. Lett. 92, 183401 (2004),
for averages of vertical excitations over quantum and thermal motion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from esml.analysis.normal_modes import NormalModes, opposite_pairs
from esml.analysis.spectrum import WAVENUMBERS
from esml.analysis.transitions import paired
from esml.analysis.vibronic import TEMPERATURE, check_temperature
from esml.physics.solvent import Solvent
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import Array

STIFF = 200.0
"""cm⁻¹; modes below it stay at rest."""

PAIRS = 12
"""Pairs of displaced geometries; their mean is then known to about 0.01 eV."""

MORE_STATES = 7
"""States above those asked for that are looked at, as states cross along modes."""

LIKE, UNSURE = 0.6, 0.05
"""Overlap below which, and standard error (eV) above which, a mean is doubtful."""

FEWEST = 0.5
"""Part of the pairs that have to have a prediction."""


class AverageError(ValueError):
    """Too many displaced geometries have no prediction."""


@dataclass(frozen=True)
class VibrationalAverages:
    """What zero-point and thermal motion does to the energies of S singlets."""

    shifts: Array
    """(S,) ⟨ω⟩ − ω at rest, eV."""
    errors: Array
    """(S,) standard errors of ``shifts`` from the number of pairs, eV."""
    overlaps: Array
    """(S,) mean overlap of a state with itself at rest; far below 1 where states mix."""
    pairs: int  # pairs of geometries in the mean
    unlike: float = 0.0
    """Part of the displaced geometries that have states of the Tamm–Dancoff approximation where the
    molecule at rest has not, or the other way round."""

    def doubts(self, state: int, label: str) -> tuple[str, ...]:
        """Return a sentence on each doubt about the mean of a state.

        Parameters
        ----------
        state
            Its place, from 0.
        label
            Its name, as S1.
        """
        found = []
        if self.unlike:
            found.append(
                "states at rest are those of the full response and at "
                f"{self.unlike:.0%} of the geometries displaced by vibrations those of the "
                "Tamm–Dancoff approximation, which lie higher, or the other way round: the mean "
                f"of {label} is doubtful"
            )
        if self.overlaps[state] < LIKE:
            found.append(
                f"{label} mixes with other states along the modes (overlap with itself "
                f"{self.overlaps[state]:.2f}), so its mean over vibrations is doubtful"
            )
        if self.errors[state] > UNSURE:
            found.append(
                f"the mean of {label} over vibrations is known to {self.errors[state]:.2f} eV only"
            )
        return tuple(found)


def thermal_displacements(
    modes: NormalModes, pairs: int = PAIRS, temperature: float = TEMPERATURE, seed: int = 0
) -> Array:
    """Draw displacements (pairs, N, 3) in Å from the harmonic thermal distribution.

    Each dimensionless coordinate q_k is normal with ⟨q_k²⟩ = n_k + ½; those of modes below
    ``STIFF`` are zero.

    Parameters
    ----------
    modes
        The normal modes.
    pairs
        Number of displacements; their opposites belong to the distribution as well.
    temperature
        K.
    seed
        Of the random numbers.
    """
    check_temperature(temperature)
    kept = modes.energies * WAVENUMBERS >= STIFF
    squares = modes.occupations(temperature) + 0.5
    drawn = np.random.default_rng(seed).standard_normal((pairs, len(modes.energies)))
    coordinates = drawn * np.sqrt(squares) * kept
    displacements: Array = np.einsum("pv,vax->pax", coordinates, modes.displacements)
    return displacements


def vibrational_averages(
    model: Surrogate,
    atoms: Atoms,
    modes: NormalModes,
    n_states: int = 3,
    temperature: float = TEMPERATURE,
    pairs: int = PAIRS,
    seed: int = 0,
    solvent: Solvent | str | None = None,
) -> VibrationalAverages:
    """Average the energies of the lowest singlets over zero-point and thermal motion.

    Parameters
    ----------
    model
        A trained model of molecules.
    atoms
        One molecule, at the minimum that ``modes`` belong to.
    modes
        Normal modes of the ground state.
    n_states
        Number of singlets.
    temperature
        K.
    pairs
        Number of pairs of opposite displacements, two predictions each.
    seed
        Of the random numbers.
    solvent
        As in ``Surrogate.predict``.

    Raises
    ------
    AverageError
        If more than half of the pairs have no prediction.
    StructureError, InstabilityError
        As in ``Surrogate.predict``, for the molecule at rest.
    ValueError
        For fewer than two pairs or a negative temperature.
    """
    if pairs < 2:
        raise ValueError(f"pairs is {pairs}: expected at least 2; give a larger number")
    n_looked_at = n_states + MORE_STATES
    start = model.predict(atoms, n_looked_at, n_triplets=1, solvent=solvent)
    n_states = min(n_states, len(start.singlets))
    moved = opposite_pairs(atoms, thermal_displacements(modes, pairs, temperature, seed))
    few = model.with_batching(replace(model.batching, window=2 * pairs))
    found = list(
        few.predict_many(
            moved, n_looked_at, "return", wavefunctions=True, n_triplets=1, solvent=solvent
        )
    )
    means, kept, unlike = [], [], []
    for one, other in zip(found[::2], found[1::2], strict=True):
        if isinstance(one, Result) and isinstance(other, Result):
            both = [_followed(start, each, n_states) for each in (one, other)]
            means.append(0.5 * (both[0][0] + both[1][0]))
            kept += [both[0][1], both[1][1]]
            unlike += [_is_tamm_dancoff(each) != _is_tamm_dancoff(start) for each in (one, other)]
    if len(means) < max(2.0, FEWEST * pairs):
        reason = next((str(each) for each in found if not isinstance(each, Result)), "no states")
        raise AverageError(
            f"{pairs - len(means)} of {pairs} pairs of displaced geometries have no prediction "
            f"({reason}): expected at least half; leave the average out"
        )
    energies = np.array(means)
    return VibrationalAverages(
        shifts=energies.mean(0) - start.singlets.energies[:n_states],
        errors=energies.std(0, ddof=1) / np.sqrt(len(means)),
        overlaps=np.mean(kept, axis=0),
        pairs=len(means),
        unlike=float(np.mean(unlike)),
    )


def _is_tamm_dancoff(result: Result) -> bool:
    """Whether the singlets of ``result`` have no de-excitations."""
    return not np.any(result.singlets.Y)


def _followed(start: Result, there: Result, n_states: int) -> tuple[Array, Array]:
    """Energies (S,) and overlaps (S,), at ``there``, of the first states of ``start``."""
    table, rows, places = paired(start.wavefunctions(), there.wavefunctions(), n_states)
    return there.singlets.energies[places], np.abs(table[rows, places])
