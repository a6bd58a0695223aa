"""What the model says of a batch of molecules, and the results taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from ase import Atoms
from torch import Tensor

from esml.confidence.domain import Verdict
from esml.model.hamiltonian import Operators
from esml.physics.excitations import Excitations, InstabilityError
from esml.physics.orbitals import Orbitals
from esml.physics.response import Response
from esml.physics.solvent import Solvent
from esml.results import PROPERTIES, Result, States, name_of
from esml.typing import Array, Multiplicity
from esml.units import DEBYE


@dataclass(frozen=True)
class Solution:
    """Everything the model says of a batch of molecules, as padded tensors with gradients."""

    operators: Operators
    orbitals: Orbitals
    response: Response
    singlets: Excitations
    triplets: Excitations
    charges: Tensor  # (M, K) e
    dipole: Tensor  # (M, 3) e·bohr


@dataclass(frozen=True)
class Stated:
    """What the model says of its own predictions for a batch."""

    singlets: Tensor  # (M, S) eV, one standard deviation, nan where unknown
    triplets: Tensor  # (M, S')
    verdicts: list[Verdict]


def results(
    structures: Sequence[Atoms],
    solvents: Sequence[Solvent | None],
    solution: Solution,
    stated: Stated,
    wavefunctions: bool,
) -> list[Result | Exception]:
    """Results of the molecules of a batch, or why there is none."""
    orbitals, operators = solution.orbitals, solution.operators
    of_singlets = _states("singlet", solution.singlets, stated.singlets, orbitals, wavefunctions)
    of_triplets = _states("triplet", solution.triplets, stated.triplets, orbitals, wavefunctions)
    # As arrays of the whole batch first: an element of a tensor takes longer than one of an array.
    levels, hamiltonian, charges, dipole = map(
        _numpy, (orbitals.energies, operators.hamiltonian, solution.charges, solution.dipole)
    )
    coefficients, dipole_operator = (
        _numpy(x) if wavefunctions else None for x in (orbitals.coefficients, operators.dipole)
    )
    n_orbitals, n_occupied = orbitals.n_orbitals.tolist(), orbitals.n_occupied.tolist()
    outcomes: list[Result | Exception] = []
    stable = solution.singlets.stable.tolist(), solution.triplets.stable.tolist()
    for m, (atoms, *both) in enumerate(zip(structures, *stable, strict=True)):
        if not all(both):
            outcomes.append(_instability(atoms, *both))
            continue
        n = n_orbitals[m]
        result = Result(
            atoms=atoms.copy(),
            name=name_of(atoms),
            # Degenerate ones ascend but for their last digit.
            orbital_energies=np.maximum.accumulate(levels[m, :n]),
            n_occupied=n_occupied[m],
            hamiltonian=hamiltonian[m, :n, :n].copy(),
            charges=charges[m, : len(atoms)].copy(),
            dipole=dipole[m] * DEBYE,
            in_domain=stated.verdicts[m].in_domain,
            warnings=stated.verdicts[m].warnings,
            solvent=solvents[m],
            singlets=of_singlets[m],
            triplets=of_triplets[m],
            coefficients=None if coefficients is None else coefficients[m, :n, :n].copy(),
            dipole_operator=(
                None if dipole_operator is None else dipole_operator[m, :, :n, :n].copy()
            ),
        )
        outcomes.append(result)
    return outcomes


def _instability(atoms: Atoms, singlets: bool, triplets: bool) -> InstabilityError:
    """Of a molecule whose singlets, or if not those triplets, are not stable."""
    formula = atoms.get_chemical_formula()
    if not singlets:
        return InstabilityError(
            f"the predicted closed-shell ground state of {formula} is unstable, so it has no "
            "real excitation energies: expected a molecule near its equilibrium with a closed "
            "shell; check the structure"
        )
    return InstabilityError(
        f"a triplet of {formula} is predicted below the closed shell, which then is not "
        "the ground state: expected a closed-shell molecule near its equilibrium; check "
        "the structure"
    )


def _states(
    multiplicity: Multiplicity,
    found: Excitations,
    uncertainties: Tensor,
    orbitals: Orbitals,
    wavefunctions: bool,
) -> list[States]:
    """The states of each molecule of a batch: every property by the name it has in ``found``."""
    known = {"uncertainties": uncertainties}
    values = {
        name: _numpy(known[name] if name in known else getattr(found, name)) for name in PROPERTIES
    }
    amplitudes = {"X": _numpy(found.X), "Y": _numpy(found.Y)} if wavefunctions else {}
    n_occupied, n_orbitals = orbitals.n_occupied.tolist(), orbitals.n_orbitals.tolist()
    mask = found.mask.cpu().numpy()
    states = []
    for m, (o, n) in enumerate(zip(n_occupied, n_orbitals, strict=True)):
        exists = np.flatnonzero(mask[m])
        # Iterations leave degenerate states in any order.
        exists = exists[values["energies"][m, exists].argsort(kind="stable")]
        states.append(
            States(
                multiplicity,
                **{name: array[m, exists] for name, array in values.items()},
                **{name: array[m, exists, :o, : n - o] for name, array in amplitudes.items()},
            )
        )
    return states


def _numpy(values: Tensor) -> Array:
    array: Array = values.detach().cpu().numpy().astype(np.float64, copy=False)
    return array


def in_double(operators: Operators) -> Operators:
    """``operators`` in double precision, but for ``features``."""
    interaction = operators.interaction
    parts = {f.name: getattr(interaction, f.name).double() for f in fields(interaction)}
    return replace(
        operators,
        hamiltonian=operators.hamiltonian.double(),
        dipole=operators.dipole.double(),
        interaction=replace(interaction, **parts),
    )
