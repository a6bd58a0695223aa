"""Read structures: geometry files of all kinds, drawings, SMILES and lists of SMILES.

    file → reader (esml.io.formats) → atoms, drawings and SMILES → geometries → structures

Errors of an input are reported in one sentence, as an ``InputError``; decisions of the reader go
to the ``Provenance`` of the structure. Every record gives one or the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase import Atoms

from esml.io.formats import Item, Table, items_of, kind_of
from esml.io.formats.rdkit_files import mol_formula, record_of
from esml.io.geometry import Built, Request, Settings, build, build_many, parse_smiles
from esml.io.paths import check_file, check_given, count_structures
from esml.io.provenance import (
    ASSUMED,
    GIVEN,
    InputError,
    Provenance,
    ReadingOptions,
    Structure,
    structure,
    too_large,
)
from esml.io.structure_checks import StructureError, molecular_charge
from esml.io.structure_checks.cells import join_torn
from esml.io.structure_checks.charge_and_spin import CHARGE_KEYS, stated_charge, stating

__all__ = [
    "DEFAULT",
    "InputError",
    "Provenance",
    "ReadingOptions",
    "Structure",
    "conformers",
    "from_rdkit",
    "from_smiles",
    "from_table",
    "makes_geometries",
    "read_entries",
    "read_structure",
    "read_structures",
]

DEFAULT = ReadingOptions()

SMALLEST_CELL = 3.0
"""Å³ per atom; a smaller cell is meaningless (crystals have 5 or more)."""


# --- single structures ----------------------------------------------------------------------------


def from_smiles(
    smiles: str,
    options: ReadingOptions = DEFAULT,
    make: Callable[[Request, Settings], list[Built]] = build,
) -> Structure:
    """Make the geometry of a molecule from its SMILES.

    ``atoms.info["charge"]`` holds the total formal charge. Needs RDKit, and tblite for GFN2-xTB.

    Parameters
    ----------
    smiles
        The molecule.
    options
        How the geometry is made; relaxed with GFN2-xTB by default.
    make
        Function that builds it; by default in a process that is reused for later molecules.

    Returns
    -------
    The structure; its provenance says how the geometry was made.

    Raises
    ------
    InputError
        If the text is not a SMILES, or the molecule cannot be embedded.
    """
    check_given(smiles)
    _check_frame(smiles, options)
    settings = _settings(options)
    parse_smiles(smiles)  # fail before starting a process: no RDKit, or no SMILES
    found = make({"smiles": smiles}, settings)[0]
    return _from_built(found, smiles, smiles, 0, options, smiles)


def from_rdkit(mol: Any, options: ReadingOptions = DEFAULT) -> Structure:
    """Return the molecule of an RDKit ``Mol``, with its conformer or, without one, a new geometry.

    Raises ``InputError`` for a conformer without hydrogens, or if embedding fails.
    """
    found = record_of(mol, options.geometry in ("xtb", "mmff"), options.largest_fragment)
    if isinstance(found, InputError):
        raise found
    name = found.name or str(mol_formula(mol))
    if isinstance(found, Table):
        return from_table(replace(found, name=name), "RDKit", options)
    made = build({"mol": found.mol, "name": name}, _settings(options))[0]
    return _noted(_from_built(made, name, "RDKit", 0, options), (found.note,))


def from_table(table: Table, source: str, options: ReadingOptions = DEFAULT) -> Structure:
    """Return a molecule with coordinates from an object of another program, ``source``."""
    finished = _finished(Item(0, table.name, table), Path(source), options)
    if isinstance(finished, InputError):
        raise finished
    return finished


def conformers(
    smiles: str, n: int, options: ReadingOptions = DEFAULT
) -> list[tuple[Structure, float]]:
    """Return conformers of a molecule with their Boltzmann weights at 298.15 K.

    Parameters
    ----------
    smiles
        The molecule.
    n
        Largest number of conformers.
    options
        How geometries are made.

    Returns
    -------
    Structures and weights; the weights add up to 1.

    Raises
    ------
    InputError
        As in ``from_smiles``, and if ``n`` is below 1.
    """
    if n < 1:
        raise InputError(f"the number of conformers is {n}: expected at least 1; choose one")
    settings = replace(_settings(options), conformers=100)
    parse_smiles(smiles)
    found = build({"smiles": smiles, "n": n}, settings)
    return [
        (_from_built(built, smiles, smiles, k, options, smiles), built.weight)
        for k, built in enumerate(found)
    ]


def read_structure(
    path: str | Path, index: int | None = None, options: ReadingOptions = DEFAULT
) -> Structure:
    """Read one structure of a file.

    Parameters
    ----------
    path
        The file.
    index
        Counted from 0, or from the end if negative. None reads the last structure, as ASE does:
        in an optimization, the relaxed geometry.
    options
        How the file is read.

    Returns
    -------
    The structure.

    Raises
    ------
    InputError
        If the file cannot be read or has no such structure.
    """
    path, wanted = Path(path), -1 if index is None else index
    check_file(path)
    if kind_of(path) in ("smiles", "sdf"):
        return _record(path, wanted, options)
    last: deque[Structure] = deque(maxlen=max(-wanted, 1))
    count = 0
    for found in read_structures(path, options):
        if found.index == wanted:
            return found
        last.append(found)
        count += 1
    if wanted < 0 and len(last) == -wanted:
        return last[0]
    raise _no_such(path, wanted, count)


def _record(path: Path, wanted: int, options: ReadingOptions) -> Structure:
    """Read one record of a list without making geometries for the others."""
    count = count_structures(path)
    place = wanted if wanted >= 0 else count + wanted
    if count and not 0 <= place < count:
        raise _no_such(path, wanted, count)
    with closing(read_entries(path, max(place, 0), options)) as entries:
        entry = next(entries)
    if isinstance(entry, InputError):
        raise entry
    return entry


def _no_such(path: Path, wanted: int, count: int) -> InputError:
    return InputError(
        f"no structure {wanted} in '{path}': it holds {count}, so the index runs from {-count} to "
        f"{count - 1}"
    )


# --- all structures of a file ---------------------------------------------------------------------


def read_structures(path: str | Path, options: ReadingOptions = DEFAULT) -> Iterator[Structure]:
    """Yield all structures of a file, one at a time.

    A structure is named by the file (``atoms.info["name"]``, the title of a record, the second
    column of a list), or else by the file's stem.

    Parameters
    ----------
    path
        The file.
    options
        How the file is read.

    Yields
    ------
    The structures, in the order of the file.

    Raises
    ------
    InputError
        If reading fails, after the structures before the damaged one.
    """
    for entry in read_entries(path, 0, options):
        if isinstance(entry, InputError):
            raise entry
        yield entry


def read_entries(
    path: str | Path, skip: int = 0, options: ReadingOptions = DEFAULT
) -> Generator[Structure | InputError, None, None]:
    """Yield all structures of a file after the first ``skip``; for a bad record, its error.

    Otherwise as ``read_structures``.
    """
    path = Path(path)
    check_file(path)
    items = items_of(path, kind_of(path), skip, options)
    if options.shard is not None:
        first, every = options.shard
        items = (item for item in items if item.index % every == first)
    if makes_geometries(path, options):
        yield from _through_workers(items, path, options)
        return
    for item in items:
        yield _finished(item, path, options)


def makes_geometries(path: Path, options: ReadingOptions = DEFAULT) -> bool:
    """Return whether structures of a file may need a new geometry, which takes seconds each."""
    return kind_of(path) in ("smiles", "sdf") or options.geometry == "xtb"


def _through_workers(
    items: Iterator[Item], path: Path, options: ReadingOptions
) -> Iterator[Structure | InputError]:
    """Yield records in order, and make the geometries that are missing."""
    begun: deque[Item] = deque()

    def contents() -> Iterator[Table | Request | InputError]:
        try:
            for item in items:
                begun.append(item)
                yield item.content
        except InputError as error:
            # It is reported when its turn comes.
            begun.append(Item(0, error.name, error, fatal=True))
            yield error

    with closing(build_many(contents(), _settings(options), options.processes)) as made:
        for outcome in made:
            item = begun.popleft()
            if item.fatal and isinstance(outcome, InputError):
                raise outcome
            if isinstance(outcome, list):
                where = item.name, str(path), item.index
                found = _from_built(outcome[0], *where, options, item.smiles)
                _surround(found.atoms, options, item.solvent)
                yield _noted(found, item.notes)
            elif isinstance(outcome, Table | InputError):
                yield _finished(replace(item, content=outcome), path, options)


def _noted(found: Structure, notes: tuple[str, ...]) -> Structure:
    more = replace(found.provenance, notes=(*notes, *found.provenance.notes))
    return structure(found.atoms, found.name, found.source, found.index, more)


def _settings(options: ReadingOptions) -> Settings:
    if options.geometry == "as-is":
        raise InputError(
            "a SMILES or a drawing has no geometry to be taken as it is: expected --geometry xtb "
            "or mmff; choose one or give a geometry file"
        )
    return Settings(
        geometry=options.geometry or "xtb",
        largest_fragment=options.largest_fragment,
        elements=options.elements,
        most_atoms=options.most_atoms,
    )


# --- what was decided -----------------------------------------------------------------------------


def _finished(item: Item, path: Path, options: ReadingOptions) -> Structure | InputError:
    """The structure of a record with coordinates, or the error from reading it."""
    table = item.content
    if isinstance(table, Table):
        table = too_large(len(table.atoms), options.most_atoms) or table
    if not isinstance(table, Table):
        assert isinstance(table, InputError)
        table.name, table.smiles, table.index = item.name, item.smiles, item.index
        return table
    atoms, notes = table.atoms, table.notes
    _surround(atoms, options)
    if atoms.pbc.any():
        volume = abs(float(atoms.cell.volume))
        if options.ignore_cell:
            notes = (*notes, "the cell is left out, as asked: one isolated molecule")
            if options.point_charges is None and (moved := join_torn(atoms)):
                notes = (*notes, f"{moved} atoms are moved by the cell, which tore molecules")
        elif volume < SMALLEST_CELL * len(atoms):
            notes = (*notes, "the cell is too small to mean anything and is left out")
        if len(notes) > len(table.notes):
            atoms.set_pbc(False)
            atoms.set_cell(None)
    charge, source = _charge(table, options)
    provenance = Provenance(charge, source, "as in the input", notes=notes)
    return structure(atoms, item.name, str(path), item.index, provenance)


def _surround(atoms: Atoms, options: ReadingOptions, stated: str = "") -> None:
    """Give ``atoms`` the solvent of ``options``, else the one ``stated``, and the point charges."""
    given = {"solvent": options.solvent or stated, "point_charges": options.point_charges}
    atoms.info.update({key: value for key, value in given.items() if value})


def _charge(table: Table, options: ReadingOptions) -> tuple[int | None, str]:
    """Total charge of a record and its source; None if the stated value is not a charge."""
    if options.charge is not None:
        for key in stating(table.atoms.info, CHARGE_KEYS):
            del table.atoms.info[key]
        return options.charge, GIVEN
    if table.charge is not None:
        return table.charge, table.charge_source
    try:
        stated = stated_charge(table.atoms.info)
        charge = molecular_charge(table.atoms)
    except StructureError:
        return None, ""  # the check of structures reports it
    if stated is not None:
        return charge, table.charge_source or f"{stated[0]} of the file"
    if "initial_charges" in table.atoms.arrays:
        return charge, "sum of the atomic charges of the file"
    return charge, ASSUMED


def _check_frame(name: str, options: ReadingOptions) -> None:
    if options.point_charges is not None:
        raise InputError(
            f"point charges are given around {name}, whose geometry is made here: expected "
            "coordinates in their frame; give a geometry file and leave --geometry out"
        )


def _from_built(
    built: Built, name: str, source: str, index: int, options: ReadingOptions, smiles: str = ""
) -> Structure:
    _check_frame(name, options)
    charge, stated = built.charge, "formal charges of the SMILES or drawing"
    if options.charge is not None and options.charge != charge:
        charge, stated = (
            options.charge,
            f"{GIVEN}, where the formal charges sum to {built.charge:+d}",
        )
    provenance = Provenance(
        charge, stated, built.geometry, smiles, built.stereo, built.fragments, built.notes
    )
    _surround(built.atoms, options)
    return structure(built.atoms, name, source, index, provenance)
