"""ASE calculators: the model's properties by name, and excited-state surfaces.

The model predicts orbitals, charges, a dipole moment and excited states, but no total energy of the
ground state and hence no forces: ``SurrogateCalculator`` refuses ``energy`` and ``forces`` with a
message. ``ExcitedStateCalculator`` adds the excitation energy to the energy of a ground-state
calculator, which gives the surface of an excited state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)

from esml.io.structure_checks import molecular_charge
from esml.io.surroundings import as_point_charges, surroundings_of, within
from esml.physics.point_charges import PointCharges
from esml.physics.solvent import Solvent
from esml.predict.gradients import excitation_gradients
from esml.predict.model_files import load_model
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import MULTIPLICITIES, Multiplicity
from esml.units import BOHR, DEBYE

NEEDS_ENERGY = ("energy", "free_energy", "energies", "forces", "stress", "stresses")
GRADIENTS: dict[str, Multiplicity] = {f"{each}_gradients": each for each in MULTIPLICITIES}


class _InfoAware(Calculator):
    """A calculator that, unlike ASE's, notices changes of charge and surroundings."""

    _point_charges: PointCharges | None = None

    @property
    def point_charges(self) -> PointCharges | None:
        """Point charges around the molecule; setting new ones discards all results."""
        return self._point_charges

    @point_charges.setter
    def point_charges(self, given: Any) -> None:
        self._point_charges = as_point_charges(given)
        self.reset()  # type: ignore[no-untyped-call]

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what changed by more than ``tol`` since the last ``atoms``; charges count, too."""
        changes: list[str] = list(super().check_state(atoms, tol))  # type: ignore[no-untyped-call]
        if self.atoms is not None and not changes:
            before, now = (
                (molecular_charge(each), surroundings_of(each)) for each in (self.atoms, atoms)
            )
            changes = [] if before == now else ["initial_charges"]
        return changes


class SurrogateCalculator(_InfoAware):
    """ASE calculator whose properties are esml's predictions for a molecule.

        atoms.calc = SurrogateCalculator()
        atoms.get_dipole_moment()                          # e·Å, as usual in ASE
        atoms.calc.get_property("singlet_energies", atoms) # eV
        atoms.calc.result                                  # the whole esml.Result

    | property | shape | unit and meaning |
    |---|---|---|
    | ``dipole`` | (3,) | e·Å |
    | ``charges`` | (N,) | e |
    | ``orbital_energies`` | (n,) | eV, ascending; valence orbitals |
    | ``homo``, ``lumo``, ``gap`` | number | eV |
    | ``singlet_energies`` | (n_states,) | eV, ascending |
    | ``singlet_uncertainties`` | (n_states,) | eV, one standard deviation |
    | ``oscillator_strengths`` | (n_states,) | of the singlets |
    | ``transition_dipoles`` | (n_states, 3) | e·Å, sign arbitrary, of the singlets |
    | ``triplet_energies`` | (n_states,) | eV, ascending |
    | ``triplet_uncertainties`` | (n_states,) | eV |
    | ``singlet_gradients`` | (n_states, N, 3) | eV/Å, of the excitation energies |
    | ``triplet_gradients`` | (n_states, N, 3) | eV/Å |

    ``solvent`` and ``point_charges`` are those of ``Surrogate.predict``; set the attribute
    ``point_charges`` again when the charges move. The total charge is ``atoms.info["charge"]`` or
    the sum of the initial charges. ``energy``, ``forces`` and ``stress`` raise
    PropertyNotImplementedError, because the model has no total energy. Structures that cannot be
    treated raise the same errors as in ``Surrogate.predict``.
    """

    implemented_properties = [  # noqa: RUF012 (ASE's own declaration)
        "dipole",
        "charges",
        "orbital_energies",
        "homo",
        "lumo",
        "gap",
        "singlet_energies",
        "singlet_uncertainties",
        "oscillator_strengths",
        "transition_dipoles",
        "triplet_energies",
        "triplet_uncertainties",
        *GRADIENTS,
    ]

    result: Result | None = None
    """Prediction for the last structure that was calculated."""

    def __init__(
        self,
        model: Surrogate | None = None,
        n_states: int = 10,
        solvent: Solvent | str | None = None,
        point_charges: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.model = load_model() if model is None else model
        self.n_states = n_states
        self.solvent, self.point_charges = solvent, point_charges

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return the property ``name`` of ``atoms``; see the class for names and units.

        Parameters
        ----------
        name
            Name of the property.
        atoms
            Structure; the last one if None.
        allow_calculation
            Whether to predict what is not known yet; else return None.
        """
        if name in NEEDS_ENERGY:
            raise PropertyNotImplementedError(
                f"esml predicts no {name}: its model has orbitals and excitation energies but no "
                "total energy of the ground state; use a ground-state calculator, or "
                "ExcitedStateCalculator(ground, 'S1') for an excited state's energy and forces"
            )
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(
                f"esml predicts no property {name!r}: expected one of "
                f"{', '.join(self.implemented_properties)}"
            )
        return super().get_property(name, atoms, allow_calculation)  # type: ignore[no-untyped-call]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("dipole",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill ``results`` with all cheap properties, and with gradients only if asked for.

        Parameters
        ----------
        atoms
            Structure; the last one if None.
        properties
            Names of the properties that are wanted.
        system_changes
            What ASE found changed since the last call.
        """
        super().calculate(atoms, list(properties), list(system_changes))  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        if "dipole" not in self.results:
            self.result = found = self.model.predict(
                within(self.atoms, self.solvent, self.point_charges), self.n_states
            )
            singlets, triplets = found.singlets, found.triplets
            self.results.update(
                dipole=found.dipole / DEBYE * BOHR,
                charges=found.charges,
                orbital_energies=found.orbital_energies,
                homo=found.homo,
                lumo=found.lumo,
                gap=found.gap,
                singlet_energies=singlets.energies,
                singlet_uncertainties=singlets.uncertainties,
                oscillator_strengths=singlets.oscillator_strengths,
                transition_dipoles=singlets.transition_dipoles * BOHR,
                triplet_energies=triplets.energies,
                triplet_uncertainties=triplets.uncertainties,
            )
        for name, multiplicity in GRADIENTS.items():
            if name in properties:
                states = range(len(self.results[f"{multiplicity}_energies"]))
                placed = within(self.atoms, self.solvent, self.point_charges)
                found_gradients = excitation_gradients(self.model, placed, states, multiplicity)
                self.results[name] = found_gradients.gradients


class ExcitedStateCalculator(_InfoAware):
    """Surface of an excited state: a ground-state calculator plus an excitation energy.

        E = E₀ + ω ,   F = F₀ − ∂ω/∂R

        atoms.calc = ExcitedStateCalculator(TBLite(method="GFN2-xTB"), "S1")
        BFGS(atoms).run(fmax=0.05)         # the relaxed S1 geometry
        atoms.calc.results["excitation_energy"]  # there: the vertical emission energy, eV

    ``ground`` is any ASE calculator with energy and forces, of the same molecule and charge.
    With a ``solvent`` or ``point_charges`` (see ``Surrogate.predict``) the ground-state calculator
    must include them, too. Results among point charges also contain ``charge_forces`` (L, 3), the
    contribution of the excitation to the forces on the charges.
    ``state`` is "S1", "T1", "S2", …, counted by energy at each geometry, so the surface has a kink
    where states cross. Results contain ``energy``, ``forces`` and ``excitation_energy`` (eV, eV/Å).
    Raises ValueError if ``state`` is not the name of a state.
    """

    implemented_properties = ["energy", "forces", "excitation_energy"]  # noqa: RUF012

    def __init__(
        self,
        ground: Any,
        state: str = "S1",
        model: Surrogate | None = None,
        solvent: Solvent | str | None = None,
        point_charges: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        named = re.fullmatch(r"([ST])([1-9][0-9]*)", state)
        if named is None:
            raise ValueError(f"state is {state!r}: expected a name such as 'S1' or 'T1'")
        self.ground = ground
        self.model = load_model() if model is None else model
        self.state = state
        self.solvent, self.point_charges = solvent, point_charges
        self._multiplicity: Multiplicity = "singlet" if named[1] == "S" else "triplet"
        self._index = int(named[2]) - 1

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill ``results`` with energy, forces and the excitation energy.

        Parameters
        ----------
        atoms
            Structure; the last one if None.
        properties
            Names of the properties that are wanted.
        system_changes
            What ASE found changed since the last call.
        """
        super().calculate(atoms, list(properties), list(system_changes))  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        placed = within(self.atoms, self.solvent, self.point_charges)
        found = excitation_gradients(self.model, placed, self._index, self._multiplicity)
        excitation = float(found.energies[0])
        self.results = {
            "energy": self.ground.get_property("energy", self.atoms) + excitation,
            "forces": self.ground.get_property("forces", self.atoms) - found.gradients[0],
            "excitation_energy": excitation,
        }
        if found.charge_gradients is not None:
            self.results["charge_forces"] = -found.charge_gradients[0]
