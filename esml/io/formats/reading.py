"""Read the records of a file: atoms, molecules that need a geometry, or errors.

Only errors that end the reading of a file are raised; for a damaged record among others the record
is the error.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from esml.io.formats.atom_tables import Table, read_coord, read_mol2, read_pdb
from esml.io.formats.kinds import Kind, ase_format
from esml.io.formats.programs import read_calculation, read_gaussian_input, read_orca_input
from esml.io.formats.rdkit_files import read_sdf
from esml.io.formats.smiles_lists import read_rows
from esml.io.formats.xyz import read_xyz
from esml.io.geometry import Request
from esml.io.provenance import InputError, ReadingOptions
from esml.io.structure_checks import StructureError, molecular_charge
from esml.io.structure_checks.crystals import check_ordered
from esml.io.text import read_text


@dataclass(frozen=True)
class Item:
    """A record of a file: atoms, a molecule that needs a geometry, or an error."""

    index: int
    name: str
    content: Table | Request | InputError
    notes: tuple[str, ...] = ()
    """Remarks on a geometry that must be made."""
    fatal: bool = False
    """Whether reading stopped here."""
    solvent: str = ""
    """The solvent stated in the file."""
    smiles: str = ""
    """The SMILES that needs a geometry."""


def items_of(path: Path, kind: Kind, skip: int, options: ReadingOptions) -> Iterator[Item]:
    """Yield the records of a file of this kind after the first ``skip``. Raises InputError."""
    if kind == "smiles":
        return _smiles_items(path, skip, options)
    if kind == "sdf":
        return _sdf_items(path, skip, options)
    return _coordinate_items(path, kind, skip, options)


def _smiles_items(path: Path, skip: int, options: ReadingOptions) -> Iterator[Item]:
    rows = read_rows(path, options.smiles_column, options.solvent_column)
    for index, row in enumerate(rows[skip:], start=skip):
        if row.smiles:
            request = {"smiles": row.smiles}
            yield Item(index, row.name, request, solvent=row.solvent, smiles=row.smiles)
        else:
            error = InputError(
                f"line {row.line} of '{path}' has no SMILES: expected one in its column; fix the "
                "line or remove it"
            )
            yield Item(index, row.name, error)


def _sdf_items(path: Path, skip: int, options: ReadingOptions) -> Iterator[Item]:
    new = options.geometry in ("xtb", "mmff")
    index = -1
    try:
        for index, record in enumerate(read_sdf(path, new, options.largest_fragment)):
            if index < skip:
                continue
            name = path.stem
            if isinstance(record, InputError):
                yield Item(index, name, record)
                continue
            name = record.name or name
            if isinstance(record, Table):
                yield _coordinates(record, index, name, options)
            elif options.geometry == "as-is":
                error = InputError(
                    f"'{name}' of '{path}': {record.note}, which has no geometry to be taken as it "
                    "is: expected --geometry xtb or mmff; choose one"
                )
                yield Item(index, name, error)
            else:
                request = {"mol": record.mol, "name": name}
                yield Item(index, name, request, (record.note,))
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, index + 1, error) from error
    if index < 0:
        raise _empty(path)


READERS: dict[str, Callable[[str], Iterator[Table | InputError]]] = {
    "pdb": read_pdb,
    "mol2": read_mol2,
    "coord": read_coord,
    "gaussian": read_gaussian_input,
}
"""Readers of whole texts, by kind."""


def _coordinate_items(path: Path, kind: Kind, skip: int, options: ReadingOptions) -> Iterator[Item]:
    """Yield the records of a file with coordinates."""
    index = 0
    try:
        with warnings.catch_warnings():
            # Readers warn about fields that do not belong to the geometry.
            warnings.simplefilter("ignore")
            for found in _tables(path, kind):
                if index >= skip:
                    if isinstance(found, InputError):
                        error = InputError(f"in '{path}', {found}")
                        yield Item(index, path.stem, error)
                    else:
                        name = found.name or str(found.atoms.info.get("name", path.stem))
                        yield _coordinates(found, index, name, options)
                index += 1
    except InputError as error:
        named = str(path) in str(error)
        raise error if named else InputError(f"cannot read '{path}': {error}") from error
    # Readers of a hundred formats can raise any exception.
    except Exception as error:
        raise _unreadable(path, index, error) from error
    if index == 0:
        raise _empty(path)


def _tables(path: Path, kind: Kind) -> Iterator[Table | InputError]:
    if kind == "xyz":
        for atoms, source, notes in read_xyz(path):
            yield Table(atoms, charge_source=source, notes=notes)
    elif kind == "orca":
        yield from read_orca_input(read_text(path), path.parent)
    elif kind == "calculation":
        yield read_calculation(path).table
    elif kind in READERS:
        yield from READERS[kind](read_text(path))
    else:
        yield from map(_ordered, _through_ase(path))


def _through_ase(path: Path) -> Iterator[Atoms]:
    if path.suffix != ".db":
        yield from ase.io.iread(
            str(path), index=":", format=ase_format(path), do_not_split_by_at_sign=True
        )
        return
    # ASE's reader does not return the names of the rows.
    for row in ase.db.connect(str(path)).select():
        atoms = row.toatoms()
        atoms.info |= {key: row[key] for key in ("name", "charge") if key in row}
        yield atoms


def _ordered(atoms: Atoms) -> Table | InputError:
    """Return the atoms, or the reason why they are no single structure."""
    try:
        check_ordered(atoms)
    except StructureError as error:
        return InputError(str(error))
    return Table(atoms)


def _empty(path: Path) -> InputError:
    return InputError(f"'{path}' holds no structure: expected at least one; check the file")


def _unreadable(path: Path, index: int, error: Exception) -> InputError:
    where = f" beyond its structure {index}" if index else ""
    return InputError(
        f"cannot read '{path}'{where} ({_reason(error)}): expected whole structures in the "
        "format of its name; fix it or write it as .xyz"
    )


def _reason(error: Exception) -> str:
    """What went wrong inside a reader, on one line."""
    if isinstance(error, UnknownFileTypeError):
        return "ASE does not know the format"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"{error.args[0]!r} is not an element or entry of the format"
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _coordinates(table: Table, index: int, name: str, options: ReadingOptions) -> Item:
    """A record with coordinates, which is relaxed later if the user requests it."""
    if options.geometry == "mmff":
        error = InputError(
            f"'{name}' has a geometry, which MMFF94 is not asked to change: expected --geometry "
            "as-is or xtb; choose one"
        )
        return Item(index, name, error)
    if options.geometry != "xtb":
        return Item(index, name, table)
    try:
        charge = options.charge if options.charge is not None else table.charge
        request = {
            "numbers": table.atoms.numbers.tolist(),
            "positions": np.asarray(table.atoms.positions).tolist(),
            "charge": molecular_charge(table.atoms) if charge is None else charge,
        }
    except StructureError as error:
        return Item(index, name, InputError(str(error)))
    return Item(index, name, request, table.notes)
