"""Surroundings of a molecule, stored in ``atoms.info`` from readers to the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ase import Atoms

from esml.io.provenance import SurroundingsError
from esml.io.surroundings.point_charges import PointChargesError, as_point_charges, check_apart
from esml.io.surroundings.solvent_names import as_solvent
from esml.physics.point_charges import PointCharges
from esml.physics.solvent import Solvent

SOLVENT, POINT_CHARGES = "solvent", "point_charges"
"""Keys of ``atoms.info``."""

__all__ = ["Surroundings", "SurroundingsError", "each_within", "surroundings_of", "within"]


@dataclass(frozen=True)
class Surroundings:
    """A solvent, point charges, or neither."""

    solvent: Solvent | None = None  # None: vacuum
    point_charges: PointCharges | None = None
    nearest: float = float("inf")  # Å from a point charge to an atom


def surroundings_of(atoms: Atoms) -> Surroundings:
    """Return the solvent and the point charges in ``atoms.info``.

    Raises
    ------
    SurroundingsError
        As in ``as_solvent``, ``as_point_charges`` and ``check_apart``, or if both are given.
    """
    solvent = as_solvent(atoms.info.get(SOLVENT))
    stated = atoms.info.get(POINT_CHARGES)
    if isinstance(stated, str):  # No file makes us read another one.
        raise PointChargesError(
            f"atoms.info['point_charges'] is the text {stated[:50]!r}: expected "
            "esml.PointCharges(charges, positions); read the file with esml.io.as_point_charges"
        )
    charges = as_point_charges(stated)
    if charges is None:
        return Surroundings(solvent)
    if solvent is not None:
        raise PointChargesError(
            f"{atoms.get_chemical_formula()} is given point charges and the solvent "
            f"{solvent.label}, which would fill the same space: expected one of them; leave one out"
        )
    return Surroundings(None, charges, check_apart(atoms, charges))


def within(atoms: Atoms, solvent: Any = None, point_charges: Any = None) -> Atoms:
    """Return a copy of ``atoms`` in a solvent or among point charges, if not None.

    Raises
    ------
    PointChargesError
        As in ``as_point_charges``.
    """
    given = {SOLVENT: solvent, POINT_CHARGES: as_point_charges(point_charges)}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return atoms
    placed: Atoms = atoms.copy()
    placed.info.update(given)
    return placed


def each_within(
    structures: Iterable[Atoms],
    solvent: Solvent | str | Iterable[Solvent | str | None] | None = None,
    point_charges: Iterable[Any] | None = None,
) -> Iterator[Atoms]:
    """Yield ``structures`` in one ``solvent`` or each in its own, and among their point charges.

    Raises
    ------
    SurroundingsError
        If the common solvent is unknown (``as_solvent``), or there are not as many solvents or
        point charges as structures.
    """
    found: Iterable[Atoms] = structures
    if solvent is None or isinstance(solvent, Solvent | str):
        as_solvent(solvent)
        found = (within(atoms, solvent) for atoms in found)
    else:
        found = _paired(found, solvent, SOLVENT)
    if isinstance(point_charges, PointCharges | str):
        raise PointChargesError(
            "point charges are given once for many structures: expected those of each; give a list"
        )
    return iter(found if point_charges is None else _paired(found, point_charges, POINT_CHARGES))


def _paired(structures: Iterable[Atoms], given: Iterable[Any], key: str) -> Iterator[Atoms]:
    left = iter(given)
    number = 0
    for atoms in structures:
        for value in islice(left, 1):
            yield within(atoms, **{key: value})
            break
        else:
            raise _unequal(number, key)
        number += 1
    if any(True for _ in left):
        raise _unequal(number, "structures")


def _unequal(number: int, what: str) -> SurroundingsError:
    return SurroundingsError(
        f"there are only {number} {what.replace('_', ' ')}: expected as many as structures, None "
        "where there is nothing; give one for each, or one solvent for all"
    )
