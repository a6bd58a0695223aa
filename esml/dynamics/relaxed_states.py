"""Emission: relax an excited state on E₀ + ω and predict its emission at the minimum.

    E_absorption = ω(R₀)                    R₀: minimum of the ground state
    E_emission   = ω(R*)                    R*: minimum of E₀ + ω
    E_adiabatic  = E₀(R*) + ω(R*) − E₀(R₀)
    E₀₀          = E_adiabatic + zero-point energy of the excited state − that of the ground state
    Stokes shift = E_absorption − E_emission

A state is named by its rank at either minimum. Where states cross on the way, the two of one rank
are two states; overlaps of amplitudes tell, and a warning says so.

In a solvent, ω is that of ``Surrogate.predict``, for solvent molecules oriented as around the
ground state. At R* they relax around the excited state, which lowers its free energy by λ and its
emission energy by 2λ (:mod:`esml.analysis.solvation`):

    E_emission = ω(R*) − 2λ ,   E_adiabatic = E₀(R*) + ω(R*) − λ − E₀(R₀) .

R* is the minimum without λ. E₀ comes from the ground-state calculator; it is the energy in vacuum
if that calculator has no solvent model. Among point charges it must include them, so that both
minima are minima there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from esml.analysis.emission import radiative_rate
from esml.analysis.emission_spectrum import EmissionSpectrum, emission_spectrum
from esml.analysis.herzberg_teller import DipoleExpansion
from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.analysis.transitions import overlaps
from esml.analysis.vibronic import TEMPERATURE, WIDTH, VibronicBand
from esml.dynamics.relaxation import Relaxation, ground_calculator, relax, relax_excited
from esml.interfaces.ase import ExcitedStateCalculator
from esml.io.geometry import METHOD
from esml.io.surroundings import surroundings_of, within
from esml.physics.solvent import Solvent
from esml.predict.charges import relaxed_solvation
from esml.predict.dipole_slopes import Expansion, dipole_expansions
from esml.predict.gradients import excitation_gradients
from esml.predict.model_files import load_model
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import Array, Multiplicity

N_STATES = 10
"""Number of states predicted at the minima; phosphorescence borrows from higher singlets."""

BROAD = 0.3
"""Width (eV) of a band whose vibrations are not known."""

HALF = 0.5
"""Square of the overlap above which a state at one minimum is a state of the other."""

SAME = 0.01
"""States closer than this (eV) have the same absorption, so it does not matter which it is."""


@dataclass(frozen=True, eq=False)
class RelaxedState:
    """An excited state at its own minimum, beside the minimum of the ground state."""

    state: str  # S1, T1, …
    relaxation: Relaxation  # how the relaxation of the excited state ended
    ground: Result  # prediction at the minimum of the ground state
    excited: Result  # prediction at the minimum of the excited state
    ground_energies: tuple[float, float]  # E₀ at the two minima, eV
    method: str  # method of E₀
    gradient: Array  # (N, 3) ∂ω/∂R at the minimum of the excited state, eV/Å
    reorganization_energy: float = 0.0  # λ of the solvent around the excited state, eV
    modes: NormalModes | None = None  # of the ground state
    excited_modes: NormalModes | None = None  # of the excited state
    expansion: DipoleExpansion | None = None  # of the transition dipole along ``modes``
    warnings: tuple[str, ...] = ()  # whether states crossed; doubts about ``expansion``

    @property
    def absorption_energy(self) -> float:
        """Vertical absorption energy at the minimum of the ground state, eV."""
        return _energy(self.ground, self.state)

    @property
    def emission_energy(self) -> float:
        """Vertical emission energy at the state's minimum, with the solvent relaxed, eV."""
        return _energy(self.excited, self.state) - 2.0 * self.reorganization_energy

    @property
    def absorption_uncertainty(self) -> float | None:
        """Stated error of the vertical absorption energy, eV; None if the model states none."""
        return _uncertainty(self.ground, self.state)

    @property
    def emission_uncertainty(self) -> float | None:
        """Stated error of ω at the state's minimum, eV, without that of the minimum itself.

        None if the model states none.
        """
        return _uncertainty(self.excited, self.state)

    @property
    def stokes_shift(self) -> float:
        """Stokes shift between the vertical energies, eV."""
        return self.absorption_energy - self.emission_energy

    @property
    def adiabatic_energy(self) -> float:
        """Energy difference of the two minima, with the solvent relaxed at each, eV."""
        vertical = self.emission_energy + self.reorganization_energy
        return vertical + self.ground_energies[1] - self.ground_energies[0]

    @property
    def zero_zero_energy(self) -> float | None:
        """The adiabatic energy with both zero-point energies, eV; None without ``frequencies``."""
        if self.modes is None or self.excited_modes is None:
            return None
        return self.adiabatic_energy + self.excited_modes.zero_point - self.modes.zero_point

    @property
    def strength(self) -> float:
        """Oscillator strength of the emission at the minimum of the state.

        It is 0 for triplets, as spin–orbit coupling is not included here.
        """
        states = self.excited.singlets
        return float(states.oscillator_strengths[_place(self.state)]) if self._singlet else 0.0

    @property
    def _singlet(self) -> bool:
        return self.state.startswith("S")

    def spectrum(
        self, fwhm: float | None = None, temperature: float = TEMPERATURE
    ) -> EmissionSpectrum:
        """Return the emission spectrum: vibronic if ``modes`` are known, else one broad line.

        Parameters
        ----------
        fwhm
            Full width of a line at half maximum, eV; by default 0.1 with vibrations, else 0.3.
        temperature
            Temperature of the vibrations, K.
        """
        if self.modes is None:
            none = NormalModes(np.zeros(0), np.zeros((0, len(self.excited.atoms), 3)))
            band = VibronicBand(
                self.emission_energy, self.strength, np.zeros(0), none, self.state, emission=True
            )
            return emission_spectrum(band, fwhm or BROAD, temperature)
        band = VibronicBand.of(
            self.emission_energy,
            self.strength,
            self.gradient,
            self.modes,
            self.state,
            emission=True,
            expansion=self.expansion,
            warnings=self.warnings,
        )
        return emission_spectrum(band, fwhm or WIDTH, temperature)

    def radiative_lifetime(self, temperature: float = TEMPERATURE) -> float:
        """Lifetime of spontaneous emission, s, from the band of ``spectrum`` (Strickler and Berg).

        In a solvent it depends on the refractive index. For triplets it is the lifetime of
        phosphorescence, averaged over the three components. It is infinite for a dark state. With
        ``expansion``, vibrations contribute to the strength.

        Parameters
        ----------
        temperature
            Temperature of the vibrations, K.
        """
        curve = self.spectrum(temperature=temperature)
        index = self.excited.solvent.refractive_index if self.excited.solvent else 1.0
        if self._singlet:
            strength = curve.band.thermal_strength(curve.temperature)
            rate = float(radiative_rate(self.emission_energy, strength, index))
        else:
            rate = index**2 / float(self.excited.spin_orbit().lifetimes[_place(self.state)])
        rate *= curve.cubed
        return 1.0 / rate if rate > 0 else float("inf")


def relaxed_state(
    model: Surrogate | None,
    atoms: Atoms,
    state: str = "S1",
    ground: Any = None,
    force: float = 0.02,
    steps: int = 300,
    solvent: Solvent | str | None = None,
    point_charges: Any = None,
    vibronic: bool = False,
    frequencies: bool = False,
    herzberg_teller: bool = False,
) -> RelaxedState:
    """Relax the ground state of ``atoms``, then an excited state, and predict both.

    Parameters
    ----------
    model
        A model from ``load_model``; the shipped one if None.
    atoms
        The molecule.
    state
        ``"S1"``, ``"T1"``, …, by energy at each geometry.
    ground
        ASE calculator of E₀, with energy and forces; GFN2-xTB of tblite if None.
    force
        Largest force on an atom (eV/Å) at which to stop.
    steps
        Largest number of steps of each relaxation.
    solvent, point_charges
        As in ``Surrogate.predict``. Point charges need a ``ground`` that includes them, too.
    vibronic
        Compute normal modes of the ground state, for the shape of the band.
    frequencies
        Also compute the modes of the excited state, for the 0-0 energy.
    herzberg_teller
        Let the transition dipole of a singlet change along the modes, to first order
        (:mod:`esml.analysis.herzberg_teller`); implies ``vibronic``.

    Returns
    -------
    The state at its minimum. ``RelaxedState.relaxation`` tells whether the minimum was reached.

    Raises
    ------
    CrossingError
        If the state comes within 0.3 eV of the ground state, or the predicted closed shell becomes
        unstable.
    StructureError, InstabilityError, SurroundingsError
        As in ``Surrogate.predict``, at the minimum of the ground state; also if there are point
        charges and ``ground`` is None.
    ValueError
        If ``state`` is not the name of a state, the ground state does not relax, or
        ``herzberg_teller`` is used for a triplet.
    """
    if herzberg_teller and not state.startswith("S"):
        raise ValueError(
            f"herzberg_teller is about singlets and the state is {state!r}: expected S1, S2, …; "
            "leave it out"
        )
    model = load_model() if model is None else model
    method = METHOD if ground is None else type(ground).__name__
    start = within(atoms, solvent, point_charges).copy()  # they carry what surrounds them
    surroundings_of(start)
    ground = ground_calculator(start, ground)
    surface = ExcitedStateCalculator(ground, state, model)
    start.calc = ground
    if not relax(start, force, steps).converged:
        raise ValueError(
            f"the ground state of {atoms.get_chemical_formula()} is not relaxed after {steps} "
            f"steps of {method}: expected forces of at most {force} eV/Å; allow more steps, or "
            "start nearer to the minimum"
        )
    before = float(start.get_potential_energy())
    at_ground = model.predict(start, N_STATES)
    there, relaxation = relax_excited(start, surface, force, steps)
    after = float(ground.get_property("energy", there))
    at_excited = model.predict(there, N_STATES)
    multiplicity, place = _multiplicity(state), _place(state)
    states = range(place + 1) if herzberg_teller else range(place, place + 1)
    slopes = excitation_gradients(model, there, states, multiplicity).gradients
    modes = None
    if vibronic or frequencies or herzberg_teller:
        modes = normal_modes(start, ground, method)
    expansion: Expansion = (None, ())
    if herzberg_teller and modes is not None:
        expansion = dipole_expansions(model, there, modes, slopes)[place]
    terms = relaxed_solvation(model, at_excited, place + 1, multiplicity)
    return RelaxedState(
        state=state,
        relaxation=relaxation,
        ground=at_ground,
        excited=at_excited,
        ground_energies=(before, after),
        method=method,
        modes=modes,
        excited_modes=normal_modes(there, surface, state) if frequencies else None,
        gradient=slopes[-1],
        reorganization_energy=float(terms.reorganization[place]),
        expansion=expansion[0],
        warnings=_crossed(state, at_ground, at_excited) + expansion[1],
    )


def _place(state: str) -> int:
    """Return the index of a state among those of its multiplicity: S1 → 0."""
    return int(state[1:]) - 1


def _multiplicity(state: str) -> Multiplicity:
    return "singlet" if state.startswith("S") else "triplet"


def _energy(result: Result, state: str) -> float:
    return float(result.states(_multiplicity(state)).energies[_place(state)])


def _uncertainty(result: Result, state: str) -> float | None:
    stated = float(result.states(_multiplicity(state)).uncertainties[_place(state)])
    return stated if np.isfinite(stated) else None


def _crossed(state: str, ground: Result, excited: Result) -> tuple[str, ...]:
    """A sentence if ``state`` at its minimum is another state at that of the ground state."""
    multiplicity, place = _multiplicity(state), _place(state)
    there, here = (each.wavefunctions(multiplicity) for each in (excited, ground))
    alike = np.abs(overlaps(there, here)[place])
    other = int(alike.argmax())
    if alike[other] ** 2 < HALF or abs(here.energies[other] - here.energies[place]) < SAME:
        return ()
    return (
        f"{state} at its minimum is {ground.states(multiplicity).labels[other]} of the "
        f"ground-state minimum (overlap {alike[other]:.2f}), which absorbs at "
        f"{here.energies[other]:.2f} eV: vertical absorption and Stokes shift belong to two states",
    )
