"""What the model predicts for one molecule: its orbitals and its excited states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.special import ndtri

from esml.analysis import spectrum
from esml.analysis.characters import (
    Character,
    MissingWavefunctionsError,
    Wavefunctions,
    characterize,
)

Array = NDArray[np.float64]


def half_width(level: float) -> float:
    """Standard deviations on either side that hold a share ``level`` of a normal distribution.

    Raises ValueError for a share outside 0 to 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: expected a share between 0 and 1, such as 0.9")
    return float(ndtri(0.5 + 0.5 * level))


@dataclass(frozen=True)
class States:
    """Excited states of one molecule and multiplicity, ascending in energy.

    An uncertainty u is the error to expect of an energy, against the level of theory the model was
    trained on: the standard deviation of a normal distribution whose central 90 %, ±1.645 u, hold
    90 % of the errors on molecules not trained on. nan where the model file knows none.
    """

    energies: Array  # (n_states,) eV
    oscillator_strengths: Array  # (n_states,), zero for triplets
    transition_dipoles: Array  # (n_states, 3) e·bohr, sign arbitrary, zero for triplets
    uncertainties: Array  # (n_states,) eV, one standard deviation
    X: Array | None = None  # (n_states, o, v) excitation amplitudes, see Result.coefficients
    Y: Array | None = None  # (n_states, o, v) de-excitation amplitudes, zero for triplets

    def __len__(self) -> int:
        return len(self.energies)

    def interval(self, level: float = 0.9) -> Array:
        """(n_states, 2) lower and upper end, eV, of what holds a share ``level`` of the errors.

        Calibrated at 0.9; at other levels as far as errors are distributed normally. Raises
        ValueError for a level outside 0 to 1.
        """
        half = half_width(level) * self.uncertainties
        return np.stack([self.energies - half, self.energies + half], axis=1)


@dataclass(frozen=True)
class Result:
    """What the model predicts for one molecule.

    The wave functions (``coefficients``, ``dipole_operator`` and the amplitudes of the states) grow
    with the square of the molecule and faster than all the rest; ``Surrogate.predict`` gives them,
    ``Surrogate.predict_many`` only where asked to, and None else. Amplitudes refer to these very
    ``coefficients``: signs, and the axes within degenerate sets, are those of one diagonalization.
    """

    atoms: Atoms
    orbital_energies: Array  # (n_orbitals,) eV, ascending; valence orbitals
    n_occupied: int
    hamiltonian: Array  # (n_orbitals, n_orbitals) eV, minimal orthonormal valence basis
    charges: Array  # (n_atoms,) e
    dipole: Array  # (3,) debye
    singlets: States
    triplets: States
    coefficients: Array | None = None  # (n_orbitals, n_orbitals) canonical orbitals in columns
    dipole_operator: Array | None = None  # (3, n_orbitals, n_orbitals) position ⟨μ|r|ν⟩, e·bohr
    in_domain: bool = True  # whether the molecule is like those the model was trained on
    warnings: tuple[str, ...] = ()  # why it is not, and what else to know of this prediction

    def wavefunctions(self, kind: Literal["singlets", "triplets"] = "singlets") -> Wavefunctions:
        """Orbitals and amplitudes of the excited states, to ask what the states are.

        Raises MissingWavefunctionsError for a result of ``predict_many`` without them.
        """
        if kind not in ("singlets", "triplets"):
            raise ValueError(f"kind must be 'singlets' or 'triplets', got {kind!r}")
        states = self.singlets if kind == "singlets" else self.triplets
        if self.coefficients is None or states.X is None or states.Y is None:
            raise MissingWavefunctionsError(
                "this result carries no wave functions: expected one of predict, or of "
                "predict_many(…, wavefunctions=True)"
            )
        return Wavefunctions(
            atoms=self.atoms,
            coefficients=self.coefficients,
            orbital_energies=self.orbital_energies,
            n_occupied=self.n_occupied,
            energies=states.energies,
            X=states.X,
            Y=states.Y,
        )

    def characters(
        self,
        kind: Literal["singlets", "triplets"] = "singlets",
        fragments: Sequence[Sequence[int]] | None = None,
    ) -> list[Character]:
        """What each excited state is (see ``esml.analysis.characters``).

        ``fragments`` are lists of atoms (from 0) between which charge transfer is counted; they
        are found where left out. Raises as ``wavefunctions``, and FragmentError for lists that do
        not fit the molecule.
        """
        return characterize(self.wavefunctions(kind), fragments)

    @property
    def homo(self) -> float:
        """Energy of the highest occupied orbital, eV."""
        return float(self.orbital_energies[self.n_occupied - 1])

    @property
    def lumo(self) -> float:
        """Energy of the lowest unoccupied orbital, eV; nan where none exists."""
        virtual = self.orbital_energies[self.n_occupied :]
        return float(virtual[0]) if len(virtual) else float("nan")

    @property
    def gap(self) -> float:
        """lumo − homo, eV."""
        return self.lumo - self.homo

    def spectrum(
        self, fwhm: float = 0.3, shape: Literal["gaussian", "lorentzian"] = "gaussian"
    ) -> spectrum.Spectrum:
        """Absorption spectrum of the predicted singlets, broadened to ``fwhm`` (eV)."""
        return spectrum.broaden(
            self.singlets.energies, self.singlets.oscillator_strengths, fwhm=fwhm, shape=shape
        )


@dataclass(frozen=True)
class Failure:
    """A structure of a batch that could not be predicted, and why."""

    name: str
    reason: str

    @classmethod
    def of(cls, atoms: Atoms, reason: str) -> Failure:
        """That of ``atoms``, under its name or, if it has none, its formula."""
        return cls(str(atoms.info.get("name", "")) or atoms.get_chemical_formula(), reason)
