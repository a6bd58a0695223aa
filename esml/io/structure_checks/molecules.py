"""Checks of molecules, with messages on what is wrong.

Structures are refused here, on input, with a sentence that says what is wrong, what was expected
and how to fix it; later code does not check again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial import cKDTree

from esml.io.structure_checks.charge_and_spin import StructureError, check_shell, molecular_charge
from esml.io.structure_checks.crystals import model_knowing
from esml.io.structure_checks.plausibility import implausible
from esml.physics.basis import ELEMENTS

__all__ = ["StructureError", "check_structure", "molecular_charge"]

FARTHEST = 1000.0  # Å; single-precision coordinates are exact to 6e-5 Å there


CLOSEST = 0.3
"""Å; atoms closer than this count as an error in the input."""


def _name(atoms: Atoms, index: int) -> str:
    return f"{atoms.symbols[index]} (atom {index})"


def other_model(number: int) -> str:
    """Return a hint if the shipped model supports an element that an older one does not."""
    return "choose the shipped model (no --model), or " if number in ELEMENTS else ""


def check_structure(
    atoms: Atoms, elements: Sequence[int] = ELEMENTS, charge: int | None = None
) -> None:
    """Refuse a structure that the model cannot treat.

    Parameters
    ----------
    atoms
        The structure. Messages count its atoms from 0, as ASE does.
    elements
        Atomic numbers that the model supports.
    charge
        Total charge, which overrides that of ``atoms`` (see ``molecular_charge``).

    Raises
    ------
    StructureError
        For an empty or periodic structure, coordinates that are not finite or beyond 1000 Å, other
        elements, atoms closer than 0.3 Å, implausible coordinates (see ``plausibility``), an open
        shell, and a closed one without a virtual orbital.
    """
    if len(atoms) == 0:
        raise StructureError(
            "the structure has no atoms where at least one is expected: check the file it was "
            "read from"
        )
    if atoms.pbc.any():
        able = model_knowing(atoms.numbers.tolist()) if atoms.pbc.all() else None
        crystal = f", or take esml.load_model({able!r}) if it is a crystal" if able else ""
        raise StructureError(
            "the structure is periodic where an isolated molecule is expected: call "
            f"atoms.set_pbc(False) if the cell is only a box around it{crystal}"
        )
    positions = atoms.positions
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size:
        raise StructureError(
            f"the position of {_name(atoms, int(bad[0]))} is {positions[bad[0]].tolist()} where "
            "finite coordinates in Å are expected: fix the input"
        )
    far = np.flatnonzero((np.abs(positions) > FARTHEST).any(axis=1))
    if far.size:
        raise StructureError(
            f"the position of {_name(atoms, int(far[0]))} is {positions[far[0]].tolist()} where at "
            f"most {FARTHEST:.0f} Å from the origin are expected, beyond which single precision is "
            "too coarse: move the molecule to the origin, and give coordinates in Å"
        )
    numbers = atoms.numbers.tolist()
    if unknown := set(numbers).difference(elements):
        index = next(k for k, number in enumerate(numbers) if number in unknown)
        supported = " ".join(chemical_symbols[z] for z in elements)
        raise StructureError(
            f"{_name(atoms, index)} is of an element the model does not know; it knows "
            f"{supported}: {other_model(numbers[index])}remove or replace the atom"
        )
    close = cKDTree(positions).query_pairs(CLOSEST, output_type="ndarray")
    if len(close):
        i, j = (int(k) for k in close[np.lexsort((close[:, 1], close[:, 0]))[0]])
        distance = float(np.linalg.norm(positions[i] - positions[j]))
        raise StructureError(
            f"{_name(atoms, i)} and {_name(atoms, j)} are {distance:.3f} Å apart where at least "
            f"{CLOSEST} Å is expected: look for a doubled atom or coordinates not in Å"
        )
    charge = molecular_charge(atoms) if charge is None else charge
    if reason := implausible(atoms, charge):
        raise StructureError(reason)
    check_shell(atoms, charge)
