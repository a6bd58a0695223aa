"""Checks of crystals, with messages on what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list

from esml.io.structure_checks.charge_and_spin import StructureError, stated_charge
from esml.typing import Array

CLOSEST = 1.2
"""Å; atoms closer than this count as an error in the input …"""
CLOSEST_REDUCED = 0.65
"""… and so do those closer than this fraction of the sum of their covalent radii, which is at
least 0.78 in the crystals of data/alloys and data/electrolytes."""
LEAST_VOLUME = 1.0
"""Å³; a cell with less volume does not span three dimensions."""
SHIPPED = {"solids": (24, 25, 26, 27, 28, 29), "electrolytes": (3, 15, 16, 17)}
"""Names of the shipped models of crystals, and the atomic numbers they know."""
SAME_PLACE = 0.01
"""Å; atoms this near to the image of others under a translation count as repeated by it."""
WHOLE = 0.999
"""Sites occupied less than this are partly empty; refinements round 1 no further."""


def check_ordered(atoms: Atoms) -> None:
    """Refuse a structure read from a file whose sites are shared or partly empty.

    ASE keeps one whole atom on such a site and tells the shares in ``atoms.info["occupancy"]``.
    Raises StructureError.
    """
    occupancy = atoms.info.get("occupancy")
    if not isinstance(occupancy, Mapping):
        return
    for site, shares in occupancy.items():
        if len(shares) > 1 or sum(shares.values()) < WHOLE:
            held = " and ".join(f"{element} {share:g}" for element, share in shares.items())
            raise StructureError(
                f"site {site} holds {held} where one whole atom is expected: the structure is "
                "disordered; write an ordered cell or supercell, which has one element on every "
                "site, and choose that"
            )


def check_crystal(atoms: Atoms, elements: Sequence[int]) -> None:
    """Refuse anything but a crystal of ``elements`` (atomic numbers).

    Raises StructureError for an empty structure, one that is not periodic in three directions,
    coordinates that are not finite, a charge of the cell, other elements, and atoms closer than
    1.2 Å or 0.65 times the sum of their covalent radii. Atoms are counted from 0, as ASE does.
    """
    if len(atoms) == 0:
        raise StructureError(
            "the structure has no atoms where at least one is expected: check the file it was "
            "read from"
        )
    if not atoms.pbc.all() or not abs(atoms.cell.volume) > LEAST_VOLUME:
        raise StructureError(
            f"{atoms.symbols} has no cell periodic in three directions where a bulk crystal is "
            "expected: give lattice vectors and call atoms.set_pbc(True), or load a model of "
            "molecules"
        )
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise StructureError(
            f"a coordinate of {atoms.symbols} is not a finite number where Å are expected: mend "
            "the input"
        )
    stated = stated_charge(atoms.info)
    if stated is not None and stated[1] != 0.0:
        raise StructureError(
            f"atoms.info[{stated[0]!r}] is {stated[1]:+g} where a neutral cell is expected: the "
            "model has no charged crystals; delete it if it is no charge, or complete the cell"
        )
    _check_elements(atoms, elements)
    _check_apart(atoms)


def is_primitive(atoms: Atoms) -> bool:
    """Return whether no translation within the cell maps the crystal onto itself.

    Atoms of the rarest element tell which translations there can be.
    """
    numbers, places = atoms.numbers, atoms.get_scaled_positions()
    kinds, counts = np.unique(numbers, return_counts=True)
    rarest = places[numbers == kinds[counts.argmin()]]
    return not any(_repeats(atoms, shift) for shift in rarest[1:] - rarest[0])


def _repeats(atoms: Atoms, shift: Array) -> bool:
    """Whether every atom, moved by ``shift`` (fractions of the cell), meets one of its element."""
    places = atoms.get_scaled_positions()
    for number in np.unique(atoms.numbers):
        own = places[atoms.numbers == number]
        apart = own[:, None] + shift - own
        distances = np.linalg.norm((apart - apart.round()) @ atoms.cell.array, axis=-1)
        if (distances.min(1) > SAME_PLACE).any():
            return False
    return True


def model_knowing(numbers: Collection[int]) -> str | None:
    """Return the name of the shipped model of crystals that knows all ``numbers``, if any."""
    return next((name for name, known in SHIPPED.items() if set(known) >= set(numbers)), None)


def _check_elements(atoms: Atoms, elements: Sequence[int]) -> None:
    """Refuse elements other than ``elements``; say which shipped model knows all, if any does."""
    numbers: list[int] = atoms.numbers.tolist()
    index = next((i for i, number in enumerate(numbers) if number not in elements), None)
    if index is None:
        return
    able = model_knowing(numbers)
    if able:
        advice = f"load the model {able!r}, which knows {_symbols(SHIPPED[able])}"
    else:
        every = {number for known in SHIPPED.values() for number in known}
        strange = sorted(set(numbers) - every)
        unknown = _symbols(strange) if strange else f"{_symbols(sorted(set(numbers)))} together"
        models = "; ".join(f"{name!r}: {_symbols(known)}" for name, known in SHIPPED.items())
        advice = f"no shipped model knows {unknown} ({models}), so leave the structure out"
    raise StructureError(
        f"{chemical_symbols[numbers[index]]} (atom {index}) is not an element of this model: "
        f"expected crystals of {_symbols(elements)}; {advice}"
    )


def _symbols(numbers: Sequence[int]) -> str:
    symbols = [chemical_symbols[z] for z in numbers]
    return " and ".join(filter(None, [", ".join(symbols[:-1]), symbols[-1]]))


def _check_apart(atoms: Atoms) -> None:
    radii = CLOSEST_REDUCED * covalent_radii[atoms.numbers]
    reach = max(CLOSEST, 2.0 * float(radii.max()))
    first, second, distances = neighbor_list("ijd", atoms, reach)
    least = np.maximum(CLOSEST, radii[first] + radii[second])
    close = np.flatnonzero(distances < least)
    if len(close):
        k = close[0]
        i, j = first[k], second[k]
        raise StructureError(
            f"{atoms.symbols[i]} (atom {i}) and {atoms.symbols[j]} (atom {j}) are "
            f"{distances[k]:.2f} Å apart where at least {least[k]:.2f} Å are expected in a "
            "crystal: give coordinates and lattice vectors in Å"
        )
