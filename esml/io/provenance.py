"""A structure as it was read: the molecule, where it came from, and what was decided on the way.

Whoever reads a number wants to know for which charge and which geometry it holds. A reader says so
in a ``Provenance``; it travels with the atoms (``atoms.info["provenance"]``) to tables and files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ase import Atoms

from esml.physics.point_charges import PointCharges

KEY = "provenance"
"""Where ``atoms.info`` keeps the provenance, as a plain dictionary."""

ASSUMED = "not stated: 0 assumed"
"""``Provenance.charge_source`` of a structure that says nothing of its charge."""

GIVEN = "as given"
"""``Provenance.charge_source`` where the user gave the charge."""

GeometryKind = Literal["xtb", "mmff", "as-is"]
GEOMETRIES: tuple[GeometryKind, ...] = ("xtb", "mmff", "as-is")
"""What ``ReadingOptions.geometry`` may be."""


class InputError(ValueError):
    """An input that cannot be read; the message says what was wrong and how to fix it.

    ``name``, ``smiles`` and ``index`` are those of the record of a file that is meant, if one is.
    """

    name: str = ""  # of the record
    smiles: str = ""  # of the record, if it has one
    index: int | None = None  # its place in the file, from 0


class SurroundingsError(ValueError):
    """Surroundings of a molecule that make no sense, said in one sentence."""


def too_large(n_atoms: int, most: int | None) -> InputError | None:
    """What is wrong with more than ``most`` atoms, if there is a limit."""
    if most is None or n_atoms <= most:
        return None
    return InputError(
        f"the molecule has {n_atoms:,} atoms: expected at most {most:,}; give a smaller one"
    )


@dataclass(frozen=True)
class ReadingOptions:
    """What a user may ask of readers. Raises ``InputError`` for what is no such option.

    Parameters
    ----------
    geometry
        ``"xtb"``: relax with GFN2-xTB; ``"mmff"``: with the force field MMFF94; ``"as-is"``: only
        coordinates the input has. ``None``: GFN2-xTB for SMILES and 2D drawings, else as it is.
    charge
        Total charge in place of what the input states.
    largest_fragment
        Keep the largest of several molecules of a SMILES or drawing.
    smiles_column
        Name, or number from 1, of the column of SMILES in a table; found if ``None``.
    ignore_cell
        Treat a periodic structure as an isolated molecule.
    solvent
        Name of the solvent in place of what the input states (``esml.io.surroundings.solvents``).
    solvent_column
        Name, or number from 1, of the column of solvents in a table of SMILES; the one headed
        ``solvent`` if ``None``.
    point_charges
        Point charges around each structure, in the frame of its coordinates; none if ``None``.
    shard
        ``(i, n)``: every n-th record of a file alone, from record i on (0 ≤ i < n).
    elements
        Atomic numbers that the model knows; any if empty.
    processes
        Processes that build geometries of a list of SMILES; one for each core if ``None``.
    most_atoms
        Atoms of a molecule, hydrogens included; larger ones are refused. Any number if ``None``.
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
        """Options that decide the structures read, as JSON-serializable data; defaults left out."""
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
    """What was read, and what was decided where the input left it open; empty where nothing was."""

    charge: int | None = None
    """Total charge, where the input states one."""
    charge_source: str = ""
    """What states it, or that nothing does."""
    geometry: str = ""
    """Where the coordinates come from."""
    smiles: str = ""
    """The SMILES they were made from, as it was given."""
    stereo: str = ""
    """Which stereoisomer was taken, where the input leaves it open."""
    fragments: str = ""
    """What was done with several molecules."""
    notes: tuple[str, ...] = ()
    """What else was left out, read in an unusual way, or is worth a look; one sentence each."""

    @classmethod
    def of(cls, atoms: Atoms) -> Provenance:
        """That of ``atoms``; an empty one if they carry none."""
        kept: Any = atoms.info.get(KEY)
        return cls.from_dict(kept) if isinstance(kept, dict) else cls()

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Provenance:
        """The inverse of ``as_dict``; further keys are ignored."""
        known = {f.name: kept[f.name] for f in fields(cls) if f.name in kept}
        known["notes"] = tuple(str(note) for note in known.get("notes") or ())
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold, without what is empty."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if value not in (None, "", ())
        }

    def remarks(self) -> tuple[str, ...]:
        """What a person should know, in addition to charge and geometry."""
        return tuple(text for text in (self.stereo, self.fragments, *self.notes) if text)


@dataclass(frozen=True)
class Structure:
    """A molecule and where it came from."""

    atoms: Atoms  # the molecule
    name: str  # what it is called
    source: str
    """The file, or the SMILES."""
    index: int
    """Place among the structures of the file, from 0."""
    provenance: Provenance = field(default_factory=Provenance)  # what was decided on reading


@dataclass(frozen=True)
class Failure:
    """A structure that could not be read, computed or predicted, and why."""

    name: str
    """Name of the molecule, or its formula."""
    reason: str
    """A sentence."""
    source: str = ""
    """File or SMILES the structure is from."""
    index: int = 0
    """Place among the structures of its source."""
    smiles: str = ""
    """SMILES from which the geometry was made, or was to be made."""

    @classmethod
    def of(cls, atoms: Atoms, reason: str) -> Failure:
        """That of ``atoms``, under its name or, if it has none, its formula."""
        return cls(name_of(atoms), reason, smiles=Provenance.of(atoms).smiles)


def name_of(atoms: Atoms) -> str:
    """``atoms.info["name"]`` or, where there is none, the formula."""
    return str(atoms.info.get("name", "")) or str(atoms.get_chemical_formula())


def restore(atoms: Atoms, kept: dict[str, Any]) -> None:
    """Give ``atoms`` the provenance that ``Provenance.as_dict`` made; none if that is empty."""
    if kept:
        atoms.info[KEY] = Provenance.from_dict(kept).as_dict()


def structure(
    atoms: Atoms, name: str, source: str, index: int, provenance: Provenance
) -> Structure:
    """A ``Structure`` whose atoms carry their provenance, and their charge where it is known."""
    if provenance.charge is not None:
        atoms.info["charge"] = provenance.charge
    atoms.info[KEY] = provenance.as_dict()
    return Structure(atoms, name, source, index, provenance)
