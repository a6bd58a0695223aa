"""Relaxation on the surface of the ground state, or of an excited one.

A single-determinant ground state does not describe crossings between S0 and an excited state, and ω
is meaningless close to them: a relaxation that gets there stops (``CrossingError``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.optimize import BFGS

from esml.interfaces.ase import ExcitedStateCalculator
from esml.io.geometry import METHOD, model_hessian, xtb_calculator
from esml.io.structure_checks import StructureError, molecular_charge
from esml.io.surroundings import surroundings_of
from esml.io.surroundings.point_charges import PointChargesError
from esml.physics.excitations import InstabilityError

CROSSING = 0.3
"""Excitation energy (eV) below which a state has reached a crossing, within the model's error."""

SHAKE = 0.02
"""Standard deviation (Å) of reproducible displacements that break symmetry.

They let a relaxation leave symmetric points that are not minima.
"""

STEP = 0.1
"""Longest step of an atom (Å); shorter than for the ground state, because excited surfaces are more
curved."""


class CrossingError(ValueError):
    """The excited state reached the ground state; the relaxation stopped at ``atoms``."""

    def __init__(self, message: str, atoms: Atoms, steps: int) -> None:
        super().__init__(message)
        self.atoms = atoms
        self.steps = steps


@dataclass(frozen=True)
class Relaxation:
    """How a relaxation ended."""

    converged: bool  # whether forces fell below the limit
    steps: int  # steps of the optimizer
    force: float  # largest remaining force on an atom, eV/Å


def ground_calculator(atoms: Atoms, ground: Any) -> Any:
    """Return the calculator of E₀: ``ground``, or if None, GFN2-xTB of tblite.

    Raises
    ------
    PointChargesError
        If GFN2-xTB would leave out point charges around ``atoms``.
    InputError
        Without tblite.
    """
    if ground is not None:
        return ground
    if surroundings_of(atoms).point_charges is not None:
        raise PointChargesError(
            f"{atoms.get_chemical_formula()} is among point charges, which {METHOD} of tblite "
            "cannot include in the energy and forces of the ground state: expected an ASE "
            "calculator that does; give it as ground= of esml.dynamics in Python, or leave the "
            "charges out"
        )
    return xtb_calculator(molecular_charge(atoms))


def relax_excited(
    start: Atoms, surface: ExcitedStateCalculator, force: float, steps: int
) -> tuple[Atoms, Relaxation]:
    """Return the minimum of ``surface`` reached from ``start``.

    It has the same orientation, unless point charges fix where it is.
    """
    moved = start.copy()
    moved.rattle(SHAKE, seed=0)
    moved.calc = surface
    last, taken = moved.positions.copy(), 0
    try:
        with BFGS(moved, logfile=None, maxstep=STEP) as optimizer:
            optimizer.H0 = model_hessian(moved.numbers, moved.positions)
            for _ in optimizer.irun(fmax=force, steps=steps):
                taken, last = optimizer.nsteps, moved.positions.copy()
                found = float(surface.results["excitation_energy"])
                if found < CROSSING:
                    raise _NearCrossingError(
                        f"{surface.state} lies {found:.2f} eV above the ground state"
                    )
    except (_NearCrossingError, InstabilityError, StructureError) as error:
        moved.positions = last
        moved.calc = None
        why = str(error)
        if isinstance(error, InstabilityError):
            why = "the predicted closed shell is no longer stable"
        elif isinstance(error, StructureError):
            why = "the molecule has fallen apart"
        raise CrossingError(
            f"{surface.state} of {start.get_chemical_formula()} has no minimum that could be "
            f"reached: after {taken} steps {why}; it returns to the ground state without light, "
            "or its geometry is beyond the model: choose another state",
            moved,
            taken,
        ) from error
    relaxation = Relaxation(_largest(moved) < force, taken, _largest(moved))
    moved.calc = None
    if surroundings_of(start).point_charges is None:
        minimize_rotation_and_translation(start, moved)
    return moved, relaxation


class _NearCrossingError(Exception):
    """A relaxation must stop, for the reason in the message."""


def relax(atoms: Atoms, force: float, steps: int) -> Relaxation:
    """Relax ``atoms`` in place."""
    with BFGS(atoms, logfile=None) as optimizer:
        optimizer.H0 = model_hessian(atoms.numbers, atoms.positions)
        converged = bool(optimizer.run(fmax=force, steps=steps))
    return Relaxation(converged, optimizer.nsteps, _largest(atoms))


def _largest(atoms: Atoms) -> float:
    """Return the largest force on an atom, eV/Å."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())
