"""Total charge and spin stated by structures.

Programs write them to ``atoms.info`` under many names. All usual ones are read; if two of them
disagree, it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from esml.physics.basis import N_SLOTS, VALENCE_ELECTRONS

CHARGE_KEYS = (
    "charge",
    "total_charge",
    "tot_charge",
    "net_charge",
    "molecular_charge",
    "formal_charge",
    "chg",
    "q",
)
"""Keys of ``atoms.info`` for the total charge, in small or capital letters."""

MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity", "mult")
"""Keys of ``atoms.info`` for the multiplicity 2S + 1, in small or capital letters."""

SPIN_KEYS = ("spin", "total_spin", "uhf")
"""Keys under which some programs write the multiplicity, others the number of unpaired electrons.
With an even number of electrons, both 0 and 1 can only mean a singlet."""

LARGEST_MOMENT = 0.5
"""Bohr magnetons; initial magnetic moments up to this, of an atom or all, state no open shell."""

_TWO_NUMBERS = re.compile(r"\s*([+-]?\d|\d[+-])(?:\s*,\s*|\s+)([1-9])\s*")
_SIGN_LAST = re.compile(r"(\d+)([+-])")


class StructureError(ValueError):
    """Raised for a structure the model cannot treat; the message is one sentence for the user."""


def signed_number(text: str) -> float:
    """Read a number whose sign may follow it, as chemists write charges: ``2-`` is −2.

    Raises ValueError.
    """
    text = text.strip().replace("−", "-")
    match = _SIGN_LAST.fullmatch(text)
    return float(match[2] + match[1] if match else text)


def _number(value: Any, name: str) -> float:
    try:
        if isinstance(value, bool):  # a word without a value in the comment of a file
            raise TypeError
        return signed_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        raise StructureError(
            f"atoms.info[{name!r}] is {value!r} where a number is expected: set it to one or "
            "delete it"
        ) from None


def stating(info: Mapping[str, Any], keys: tuple[str, ...]) -> list[str]:
    """Return which keys of ``info`` are among ``keys``, in small or capital letters, and set.

    ``UHF`` in capitals is no ``uhf``: it names a method.
    """
    found = {key: key.lower() for key in info if isinstance(key, str) and key != "UHF"}
    kept = [key for key, small in found.items() if small in keys and info[key] is not None]
    return sorted(kept, key=lambda key: keys.index(found[key]))


def _stated(info: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, float] | None:
    found = [(key, _number(info[key], key)) for key in stating(info, keys)]
    for key, value in found[1:]:
        if value != found[0][1]:
            raise StructureError(
                f"atoms.info[{found[0][0]!r}] is {found[0][1]:g} and atoms.info[{key!r}] is "
                f"{value:g} where one value is expected: delete the wrong one"
            )
    return found[0] if found else None


def stated_charge(info: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return key and value of the total charge in ``info``; None if it states none.

    Raises StructureError if the value is not a number or keys disagree.
    """
    return _stated(info, CHARGE_KEYS)


def check_shell(atoms: Atoms, charge: int) -> None:
    """Raise StructureError unless ``atoms`` with ``charge`` are a closed shell that can be excited.

    The number of valence electrons must be even and leave a valence orbital empty, and the
    structure must not state unpaired electrons.
    """
    valence = sum(VALENCE_ELECTRONS[int(z)] for z in atoms.numbers)
    capacity = 2 * sum(1 if z == 1 else N_SLOTS for z in atoms.numbers)
    electrons = valence - charge
    what = f"{atoms.symbols!s} with charge {charge:+d} has {electrons} valence electrons"
    fix = "set atoms.info['charge'] to the total charge"
    if not 0 < electrons <= capacity:
        raise StructureError(f"{what} where 1 to {capacity} are expected: {fix}")
    if electrons == capacity:
        raise StructureError(
            f"{what}, which fill all its valence orbitals, where an empty one is expected: there "
            "is no virtual orbital and so no valence excited state; look for another method, or "
            f"{fix} if it is another"
        )
    if electrons % 2:
        raise StructureError(
            f"{what}, an odd number, where a closed shell is expected: open shells (radicals) "
            f"cannot be treated, {fix} or complete the structure with the missing atom"
        )
    _check_stated_spin(atoms)


def _check_stated_spin(atoms: Atoms) -> None:
    """Refuse an open shell stated by spin, multiplicity or initial magnetic moments."""
    spin = _stated(atoms.info, SPIN_KEYS)
    multiplicity = _stated(atoms.info, MULTIPLICITY_KEYS)
    moments = np.abs(atoms.arrays.get("initial_magmoms", np.zeros(1)))
    moment = abs(float(np.sum(atoms.arrays.get("initial_magmoms", 0.0))))
    if spin is not None and spin[1] not in (0.0, 1.0):
        shown = f"atoms.info[{spin[0]!r}] = {spin[1]:g}"
    elif multiplicity is not None and multiplicity[1] != 1:
        shown = f"atoms.info[{multiplicity[0]!r}] = {multiplicity[1]:g}"
    elif moment > LARGEST_MOMENT:
        shown = f"initial magnetic moments summing to {moment:g}"
    elif moments.max(initial=0.0) > LARGEST_MOMENT:
        shown = f"initial magnetic moments of {moments.max():g} that cancel (an open-shell singlet)"
    else:
        return
    raise StructureError(
        f"the structure has {shown} where a closed shell is expected: open shells cannot be "
        "treated, remove it if the ground state is a singlet"
    )


def charge_and_multiplicity(comment: str) -> tuple[int, int] | None:
    """Return charge and multiplicity of a comment with nothing else: ``"2 1"``, ``"-2,1"``."""
    match = _TWO_NUMBERS.fullmatch(comment.replace("−", "-"))
    return (int(signed_number(match[1])), int(match[2])) if match else None


def molecular_charge(atoms: Atoms) -> int:
    """Return the total charge in ``atoms.info``, else the sum of the initial charges.

    ``atoms.info`` may have it under any of ``CHARGE_KEYS``. Raises StructureError if it is not an
    integer, or if two keys disagree.
    """
    stated = stated_charge(atoms.info)
    value = stated[1] if stated else _initial_charge(atoms)
    if not np.isfinite(value) or abs(value - round(value)) > 0.01:
        raise StructureError(
            f"the total charge is {value:g} e where a whole number is expected: "
            "set atoms.info['charge'] to it"
        )
    return round(value)


def _initial_charge(atoms: Atoms) -> float:
    # Partial charges of a neutral molecule rarely sum to zero exactly.
    total = float(np.sum(atoms.arrays.get("initial_charges", 0.0)))
    return float(round(total)) if abs(total - round(total)) < 0.1 else total
