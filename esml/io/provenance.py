"""A structure as it was read: the molecule, its source, and the decisions of the reader.

A predicted number holds for one charge and one geometry. The reader states them in a
``Provenance``, which stays with the atoms (``atoms.info["provenance"]``) up to tables and files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ase import Atoms

from esml.physics.point_charges import PointCharges

KEY = "provenance"
"""Key of the provenance in ``atoms.info``, a plain dictionary."""

ASSUMED = "not stated: 0 assumed"
"""``Provenance.charge_source`` of a structure without a stated charge."""

GIVEN = "as given"
"""``Provenance.charge_source`` if the user gave the charge."""

MIRROR_IMAGE = "its mirror image absorbs alike, with the opposite circular dichroism"
"""Part of ``Provenance.stereo`` where the input leaves open which of the two is meant."""

GeometryKind = Literal["xtb", "mmff", "as-is"]
GEOMETRIES: tuple[GeometryKind, ...] = ("xtb", "mmff", "as-is")
"""Allowed values of ``ReadingOptions.geometry``."""


class InputError(ValueError):
    """Raised for an input that cannot be read; the message says what is wrong and how to fix it.

    ``name``, ``smiles`` and ``index`` refer to the record of a file, if one is to blame.
    """

    name: str = ""  # name of the record
    smiles: str = ""  # its SMILES, if it has one
    index: int | None = None  # its index in the file, from 0


class SurroundingsError(ValueError):
    """Raised for impossible surroundings of a molecule; the message is one sentence."""


def too_large(n_atoms: int, most: int | None) -> InputError | None:
    """Return an error if ``n_atoms`` exceeds ``most``; None if not, or without a limit."""
    if most is None or n_atoms <= most:
        return None
    return InputError(
        f"the molecule has {n_atoms:,} atoms: expected at most {most:,}; give a smaller one"
    )


@dataclass(frozen=True)
class ReadingOptions:
    """Options for reading structures. Raises ``InputError`` for an unknown geometry.

    Parameters
    ----------
    geometry
        ``"xtb"``: relax with GFN2-xTB; ``"mmff"``: with the force field MMFF94; ``"as-is"``: use
        only coordinates of the input. ``None``: GFN2-xTB for SMILES and 2D drawings, else as is.
    charge
        Total charge, which overrides that of the input.
    largest_fragment
        Keep only the largest of several molecules in a SMILES or drawing.
    smiles_column
        Name, or number from 1, of the SMILES column of a table; detected if ``None``.
    ignore_cell
        Treat a periodic structure as an isolated molecule.
    solvent
        Name of the solvent, which overrides that of the input (``esml.io.surroundings.solvents``).
    solvent_column
        Name, or number from 1, of the solvent column in a table of SMILES; the column headed
        ``solvent`` if ``None``.
    point_charges
        Point charges around each structure, in the frame of its coordinates; none if ``None``.
    shard
        ``(i, n)``: read only every n-th record of a file, starting at record i (0 ≤ i < n).
    elements
        Atomic numbers that the model supports; any if empty.
    processes
        Number of processes that build geometries for a list of SMILES; one per core if ``None``.
    most_atoms
        Largest number of atoms, hydrogens included; no limit if ``None``.
    """

    geometry: GeometryKind | None = None
    charge: int | None = None
    largest_fragment: bool = False
    smiles_column: str | None = None
    ignore_cell: bool = False
    solvent: str | None = None
    solvent_column: str | None = None
    point_charges: PointCharges | None = None
    shard: tuple[int, int] | None = None
    elements: tuple[int, ...] = ()
    processes: int | None = None
    most_atoms: int | None = None

    def fingerprint(self) -> dict[str, Any]:
        """Return the options that affect the structures, for JSON; defaults are left out."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.point_charges is not None:
            given["point_charges"] = self.point_charges.digest()
        kept = {k: v for k, v in given.items() if k != "processes" and v not in (None, ())}
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in kept.items() if v is not False
        }

    def __post_init__(self) -> None:
        if self.geometry is not None and self.geometry not in GEOMETRIES:
            raise InputError(
                f"the geometry is {self.geometry!r}: expected one of {', '.join(GEOMETRIES)}; "
                "choose one"
            )


@dataclass(frozen=True)
class Provenance:
    """What was read, and what the reader decided where the input left it open; else empty."""

    charge: int | None = None
    """Total charge, if the input states one."""
    charge_source: str = ""
    """Where the charge is from, or that it was assumed."""
    geometry: str = ""
    """Where the coordinates are from."""
    smiles: str = ""
    """SMILES from which they were made, as given."""
    stereo: str = ""
    """Which stereoisomer was chosen, if the input leaves it open."""
    fragments: str = ""
    """How several molecules in one input were handled."""
    notes: tuple[str, ...] = ()
    """Other data left out, read in an unusual way, or worth checking; one sentence each."""

    @classmethod
    def of(cls, atoms: Atoms) -> Provenance:
        """Return the provenance of ``atoms``; an empty one if they have none."""
        kept: Any = atoms.info.get(KEY)
        return cls.from_dict(kept) if isinstance(kept, dict) else cls()

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Provenance:
        """Make one from ``as_dict``; unknown keys are ignored."""
        known = {f.name: kept[f.name] for f in fields(cls) if f.name in kept}
        known["notes"] = tuple(str(note) for note in known.get("notes") or ())
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON, without empty entries."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if value not in (None, "", ())
        }

    def remarks(self) -> tuple[str, ...]:
        """Return what the user should know apart from charge and geometry."""
        return tuple(text for text in (self.stereo, self.fragments, *self.notes) if text)


@dataclass(frozen=True)
class Structure:
    """A molecule and its source."""

    atoms: Atoms  # the molecule
    name: str  # its name
    source: str
    """The file, or the SMILES."""
    index: int
    """Index among the structures of the file, from 0."""
    provenance: Provenance = field(default_factory=Provenance)  # what was decided on reading


@dataclass(frozen=True)
class Failure:
    """A structure that could not be read, computed or predicted, and why."""

    name: str
    """Name of the molecule, or its formula."""
    reason: str
    """Why, in one sentence."""
    source: str = ""
    """File or SMILES of the structure."""
    index: int = 0
    """Index among the structures of its source."""
    smiles: str = ""
    """SMILES of the geometry, or from which it should have been made."""

    @classmethod
    def of(cls, atoms: Atoms, reason: str) -> Failure:
        """Make one for ``atoms``, named by their name or, without one, their formula.

        Parameters
        ----------
        atoms
            Structure that could not be predicted.
        reason
            Why, in a sentence.
        """
        return cls(name_of(atoms), reason, smiles=Provenance.of(atoms).smiles)


def name_of(atoms: Atoms) -> str:
    """Return ``atoms.info["name"]`` or, without one, the formula."""
    return str(atoms.info.get("name", "")) or str(atoms.get_chemical_formula())


def restore(atoms: Atoms, kept: dict[str, Any]) -> None:
    """Give ``atoms`` the provenance from ``Provenance.as_dict``; none if it is empty."""
    if kept:
        atoms.info[KEY] = Provenance.from_dict(kept).as_dict()


def structure(
    atoms: Atoms, name: str, source: str, index: int, provenance: Provenance
) -> Structure:
    """Make a ``Structure`` whose atoms carry their provenance and, if known, their charge."""
    if provenance.charge is not None:
        atoms.info["charge"] = provenance.charge
    atoms.info[KEY] = provenance.as_dict()
    return Structure(atoms, name, source, index, provenance)
