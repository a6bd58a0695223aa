"""The structures of a file that are averaged: whether they are one molecule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from esml.typing import Array

if TYPE_CHECKING:
    from ase import Atoms

    from esml.io.structures import ReadingOptions, Structure

BONDED = 1.2
"""Atoms at this fraction of the sum of their covalent radii or less are bonded …"""

BROKEN = 1.6
"""… and from this on clearly not; a thermal vibration does not lead from one to the other."""

MOST_NAMED = 5
"""Largest number of structures that a warning lists."""


@dataclass
class Frames:
    """The structures of ``path`` in order, which should be geometries of one molecule.

    Iterate over it for the atoms. Raises InputError if the elements, their order or the charge are
    not those of the first structure.
    """

    path: Path
    options: ReadingOptions
    first: Structure | None = None
    """The first structure, once it has been read."""
    rebonded: list[int] = field(default_factory=list)
    """Structures read so far with bonds that the first has not, or the reverse."""
    example: str = ""
    """A bond that differs in the first of them."""

    def __iter__(self) -> Iterator[Atoms]:
        from esml.io.structures import read_structures

        for structure in read_structures(self.path, self.options):
            if self.first is None:
                self.first, self._lengths = structure, reduced_distances(structure.atoms)
            else:
                self._compare(self.first, structure)
            yield structure.atoms

    def _compare(self, first: Structure, other: Structure) -> None:
        from esml.io.structure_checks import molecular_charge
        from esml.io.structures import InputError

        formulas = [s.atoms.get_chemical_formula() for s in (first, other)]
        if formulas[0] != formulas[1]:
            raise InputError(
                f"'{self.path}' holds different molecules ({', '.join(sorted(formulas))}): "
                "expected one molecule in many geometries; take esml predict for a set"
            )
        which = f"structures {first.index} and {other.index} of '{self.path}'"
        if first.atoms.numbers.tolist() != other.atoms.numbers.tolist():
            raise InputError(
                f"{which} have their elements in different order: expected one molecule in many "
                "geometries, whose atoms keep their order; take esml predict for a set"
            )
        charges = [molecular_charge(s.atoms) for s in (first, other)]
        if charges[0] != charges[1]:
            raise InputError(
                f"{which} have the charges {charges[0]:d} and {charges[1]:d}: expected one "
                "molecule in many geometries; take esml predict for a set, or give all the same "
                "--charge"
            )
        if bond := changed_bond(first.atoms, self._lengths, reduced_distances(other.atoms)):
            self.example = self.example or bond
            self.rebonded.append(other.index)

    def doubt(self) -> str:
        """Say which structures may be other molecules; empty if none."""
        if not self.rebonded or self.first is None:
            return ""
        named = ", ".join(map(str, self.rebonded[:MOST_NAMED]))
        more = len(self.rebonded) - MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        who, have = ("structures", "have") if len(self.rebonded) > 1 else ("structure", "has")
        return (
            f"{who} {named} of '{self.path}' {have} other bonds than structure "
            f"{self.first.index} ({self.example}): this is the mean of different molecules, "
            "unless they react into one another; take esml predict for a set"
        )


def reduced_distances(atoms: Atoms) -> Array:
    """Return distances (N, N) over the sums of covalent radii."""
    from ase.data import covalent_radii
    from scipy.spatial.distance import cdist

    radii = covalent_radii[atoms.numbers]
    found: Array = cdist(atoms.positions, atoms.positions) / (radii[:, None] + radii)
    return found


def changed_bond(atoms: Atoms, before: Array, after: Array) -> str:
    """Describe a bond that is in one of two geometries and clearly not in the other."""
    import numpy as np

    broken = (before <= BONDED) & (after >= BROKEN)
    formed = (before >= BROKEN) & (after <= BONDED)
    pairs = np.argwhere(np.triu(broken | formed, 1))
    if not len(pairs):
        return ""
    i, j = (int(k) for k in pairs[0])
    bond = f"{atoms.symbols[i]}{i}–{atoms.symbols[j]}{j}"
    return f"{bond} is {'broken' if broken[i, j] else 'formed'}"
