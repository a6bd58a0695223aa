"""The prediction for a batch of molecules, and the results made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from torch import Tensor

from esml.confidence.domain import Verdict
from esml.io.provenance import Provenance
from esml.io.surroundings import Surroundings
from esml.model.hamiltonian import Operators
from esml.physics.excitations import Excitations, InstabilityError
from esml.physics.orbitals import Orbitals
from esml.physics.response import Response
from esml.results import PROPERTIES, Result, States, name_of
from esml.typing import Array, Multiplicity
from esml.units import DEBYE


@dataclass(frozen=True)
class Solution:
    """The prediction for a batch of molecules, as padded tensors with gradients."""

    operators: Operators
    orbitals: Orbitals
    response: Response
    singlets: Excitations
    triplets: Excitations
    charges: Tensor  # (M, K) e
    dipole: Tensor  # (M, 3) e·bohr

    def states(self, multiplicity: Multiplicity) -> Excitations:
        """Return the states of one multiplicity."""
        return self.singlets if multiplicity == "singlet" else self.triplets


@dataclass(frozen=True)
class Stated:
    """Expected errors and domain verdicts for a batch."""

    singlets: Tensor  # (M, S) eV, one standard deviation, nan where unknown
    triplets: Tensor  # (M, S')
    verdicts: list[Verdict]


def results(
    structures: Sequence[Atoms],
    around: Sequence[Surroundings],
    solution: Solution,
    stated: Stated,
    wavefunctions: bool,
) -> list[Result | Exception]:
    """Return the result of each molecule of a batch, or the error why there is none."""
    orbitals, operators = solution.orbitals, solution.operators
    of_singlets = _states("singlet", solution.singlets, stated.singlets, orbitals, wavefunctions)
    of_triplets = _states("triplet", solution.triplets, stated.triplets, orbitals, wavefunctions)
    # Convert the whole batch to arrays first: indexing tensors is slower.
    levels, hamiltonian, charges, dipole = map(
        _numpy, (orbitals.energies, operators.hamiltonian, solution.charges, solution.dipole)
    )
    coefficients, dipole_operator = (
        _numpy(x) if wavefunctions else None for x in (orbitals.coefficients, operators.dipole)
    )
    n_orbitals, n_occupied = orbitals.n_orbitals.tolist(), orbitals.n_occupied.tolist()
    outcomes: list[Result | Exception] = []
    doubtful, given = doubts(solution), answered(solution)
    for m, atoms in enumerate(structures):
        if not given[m]:
            outcomes.append(refusal(atoms, solution, m))
            continue
        n = n_orbitals[m]
        result = Result(
            atoms=atoms.copy(),
            name=name_of(atoms),
            # Degenerate orbital energies ascend except in their last digit.
            orbital_energies=np.maximum.accumulate(levels[m, :n]),
            n_occupied=n_occupied[m],
            hamiltonian=hamiltonian[m, :n, :n].copy(),
            charges=charges[m, : len(atoms)].copy(),
            dipole=dipole[m] * DEBYE,
            # The closed shell of every training molecule is a minimum.
            in_domain=stated.verdicts[m].in_domain and not doubtful[m],
            warnings=(*doubtful[m], *stated.verdicts[m].warnings, *_too_near(around[m])),
            solvent=around[m].solvent,
            point_charges=around[m].point_charges,
            singlets=of_singlets[m],
            triplets=of_triplets[m],
            coefficients=None if coefficients is None else coefficients[m, :n, :n].copy(),
            dipole_operator=(
                None if dipole_operator is None else dipole_operator[m, :, :n, :n].copy()
            ),
        )
        outcomes.append(result)
    return outcomes


def _too_near(around: Surroundings) -> list[str]:
    """A warning if a point charge is too near to an atom."""
    charges = around.point_charges
    if charges is None or around.nearest >= 2.0 * charges.width:
        return []
    return [
        f"a point charge is {around.nearest:.2f} Å from an atom, nearer than a hydrogen bond: its "
        "potential is damped, and the errors are larger than stated"
    ]


def doubts(solution: Solution) -> list[list[str]]:
    """Return warnings by molecule, if its closed shell may not be a minimum, within the error."""
    singlets, triplets = solution.singlets, solution.triplets
    found: list[list[str]] = [[] for _ in range(len(singlets.given))]
    for m in (singlets.doubtful | triplets.doubtful).nonzero()[:, 0].tolist():
        if bool(singlets.doubtful[m]):
            found[m].append(
                "the predicted closed shell is not quite a minimum (lowest curvature "
                f"{-float(singlets.instability[m]):.2f} eV): its singlets are given in the "
                "Tamm–Dancoff approximation, with larger errors than stated"
            )
        if bool(triplets.doubtful[m]):
            found[m].append(
                f"a triplet is predicted {float(triplets.instability[m]):.2f} eV below the closed "
                "shell, less than the error of such a gap: triplets have larger errors than "
                "stated, singlets are not affected"
            )
    return found


def in_order(states: Excitations, m: int = 0) -> Tensor:
    """Return the places of the states of molecule ``m`` by ascending energy.

    Iterations leave degenerate states in any order.
    """
    exists = states.mask[m].nonzero().squeeze(1)
    return exists[states.energies[m, exists].argsort(stable=True)]


def answered(solution: Solution) -> list[bool]:
    """Return for each molecule of the batch whether it has an answer or is refused."""
    given: list[bool] = (solution.singlets.given & solution.triplets.given).tolist()
    return [there and m not in solution.operators.unsettled for m, there in enumerate(given)]


def check_answered(atoms: Atoms, solution: Solution) -> None:
    """Raise InstabilityError if any of a batch of copies of ``atoms`` has no answer."""
    for m, there in enumerate(answered(solution)):
        if not there:
            raise refusal(atoms, solution, m)


def refusal(atoms: Atoms, solution: Solution, m: int) -> InstabilityError:
    """Return the error why molecule ``m`` of the batch, ``atoms``, has no states."""
    formula, singlets = atoms.get_chemical_formula(), solution.singlets
    if m in solution.operators.unsettled:
        return InstabilityError(
            f"the predicted closed-shell ground state of {formula} is unstable: parts of it that "
            "do not touch take electrons from each other, as an empty level of one lies below an "
            "occupied one of another; expected parts with closed shells of their own: predict them "
            "one by one, or ions in a solvent"
        )
    if not bool(singlets.given[m]):
        mending = "check the structure"
        if "MMFF94" in Provenance.of(atoms).geometry:
            mending = "relax it with GFN2-xTB in place of MMFF94 (--geometry xtb)"
        return InstabilityError(
            f"the predicted closed-shell ground state of {formula} is unstable, far from a minimum "
            f"(lowest curvature {-float(singlets.instability[m]):.2f} eV), so it has no real "
            "excitation energies: expected a molecule near its equilibrium with a closed shell; "
            f"{mending}"
        )
    return InstabilityError(
        f"a triplet of {formula} is predicted {float(solution.triplets.instability[m]):.2f} eV "
        "below the closed shell, which then is not the ground state: expected a closed-shell "
        "molecule near its equilibrium; check the structure"
    )


def _states(
    multiplicity: Multiplicity,
    found: Excitations,
    uncertainties: Tensor,
    orbitals: Orbitals,
    wavefunctions: bool,
) -> list[States]:
    """The states of each molecule of a batch, with properties by their names in ``found``."""
    known = {"uncertainties": uncertainties}
    values = {
        name: _numpy(known[name] if name in known else getattr(found, name))
        for name, how in PROPERTIES.items()
        if not how.optional
    }
    amplitudes = {"X": _numpy(found.X), "Y": _numpy(found.Y)} if wavefunctions else {}
    n_occupied, n_orbitals = orbitals.n_occupied.tolist(), orbitals.n_orbitals.tolist()
    states = []
    for m, (o, n) in enumerate(zip(n_occupied, n_orbitals, strict=True)):
        exists = in_order(found, m).cpu().numpy()
        states.append(
            States.of(
                multiplicity,
                {name: array[m, exists] for name, array in values.items()},
                **{name: array[m, exists, :o, : n - o] for name, array in amplitudes.items()},
            )
        )
    return states


def _numpy(values: Tensor) -> Array:
    array: Array = values.detach().cpu().numpy().astype(np.float64, copy=False)
    return array
