"""Read PDB, MOL2 and Turbomole files: tables of atoms with fixed columns.

Each reader takes the text of a file and yields its molecules, with an ``InputError`` for each
damaged one; the others are still read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr

from esml.io.formats.xyz import molecule, number
from esml.io.provenance import InputError


@dataclass(frozen=True)
class Table:
    """A molecule of a file: its atoms, name, charge and its source, and remarks."""

    atoms: Atoms
    name: str = ""
    charge: int | None = None
    charge_source: str = ""
    notes: tuple[str, ...] = ()


# --- PDB ------------------------------------------------------------------------------------------


@dataclass
class _Model:
    """Data collected from the lines of a PDB model."""

    symbols: list[str] = field(default_factory=list)
    coordinates: list[list[float]] = field(default_factory=list)
    charge: int = 0
    charged: int = 0
    left_out: int = 0


def read_pdb(text: str) -> Iterator[Table | InputError]:
    """Yield the models of a PDB file.

    Among alternate locations, the first one with the highest occupancy is used. Columns 79–80 give
    the formal charges. The cell is ignored, because the atoms are read as one isolated molecule.
    """
    cell = next((line for line in text.split("\n") if line.startswith("CRYST1")), None)
    title = next((line[10:].strip() for line in text.split("\n") if line.startswith("TITLE")), "")
    for rows in _models(text):
        try:
            model = _pdb_model(rows)
            atoms, remarks = molecule(model.symbols, model.coordinates)
        except ValueError as error:
            yield InputError(f"{error}: expected ATOM and HETATM records of the PDB; fix the file")
            continue
        notes = list(remarks)
        if model.left_out:
            notes.append(
                f"{model.left_out} alternate locations of atoms are left out, those of highest "
                "occupancy kept"
            )
        if cell is not None:
            notes.append("the cell of the file (CRYST1) is left out: one isolated molecule")
        source = "columns 79–80 of the file" if model.charged else ""
        charge = model.charge if model.charged else None
        yield Table(atoms, title, charge, source, tuple(notes))


def _models(text: str) -> Iterator[list[str]]:
    """Yield the ATOM and HETATM lines of each model."""
    rows: list[str] = []
    for line in text.split("\n"):
        if line.startswith("ENDMDL") and rows:
            yield rows
            rows = []
        elif line.startswith(("ATOM", "HETATM")):
            rows.append(line)
    if rows:
        yield rows


def _pdb_model(rows: list[str]) -> _Model:
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for row in rows:
        if row[16:17].strip():
            key, rival = _place(row), (_occupancy(row), row[16])
            if key not in best or rival[0] > best[key][0]:
                best[key] = rival
    model = _Model()
    for row in rows:
        location = row[16:17].strip()
        if location and best[_place(row)][1] != location:
            model.left_out += 1
            continue
        model.symbols.append(_pdb_element(row))
        try:
            model.coordinates.append([float(row[k : k + 8]) for k in (30, 38, 46)])
        except ValueError as error:
            raise ValueError(f"'{row.strip()[:60]}' has no coordinates in columns 31–54") from error
        if charge := row[78:80].strip():
            model.charge += _formal_charge(charge)
            model.charged += 1
    return model


def _place(row: str) -> tuple[str, str]:
    """Residue and name of an atom, which its alternate locations share."""
    return row[21:27], row[12:16]


def _occupancy(row: str) -> float:
    try:
        return float(row[54:60])
    except ValueError:
        return 1.0


def _pdb_element(row: str) -> str:
    """The element in columns 77–78 or, without these, from the name of the atom."""
    stated = row[76:78].strip()
    if stated.isalpha():
        return stated
    # Right-aligned by element: " CA " is a carbon atom, "CA  " calcium.
    name = row[12:16].lstrip("0123456789")
    two = name[:2].strip().capitalize()
    if len(two) == 2 and row[12].isalpha() and two in atomic_numbers and row[13].isalpha():
        # Four-letter names of hydrogens and carbons start in the same column.
        return two if len(row[12:16].strip()) < 4 else two[0]
    return name.strip()[:1]


def _formal_charge(text: str) -> int:
    """Convert ``1+``, ``+1``, ``2-``, ``-`` to a number. Raises ValueError."""
    match = re.fullmatch(r"(\d?)([+-])(\d?)|(\d)", text)
    if not match:
        raise ValueError(f"'{text}' in columns 79–80 is not a charge such as 1+")
    if match[4]:
        return int(match[4])
    return int(f"{match[2]}{match[1] or match[3] or 1}")


# --- MOL2 -----------------------------------------------------------------------------------------


def read_mol2(text: str) -> Iterator[Table | InputError]:
    """Yield the molecules of a MOL2 file; their charge is the sum of any atomic charges."""
    for block in text.split("@<TRIPOS>MOLECULE")[1:]:
        lines = block.lstrip("\n").split("\n")
        name = lines[0].strip()
        try:
            yield _mol2(block, name)
        except (ValueError, IndexError) as error:
            yield InputError(
                f"molecule '{name}' cannot be read ({error}): expected a section @<TRIPOS>ATOM of "
                "'id name x y z type'; fix the file"
            )


def _mol2(block: str, name: str) -> Table:
    sections = re.split(r"^@<TRIPOS>(\w+).*$", block, flags=re.MULTILINE)
    table = dict(zip(sections[1::2], sections[2::2], strict=True))
    if "ATOM" not in table:
        raise ValueError("it has no atoms")
    symbols, coordinates, charges = [], [], []
    for line in table["ATOM"].strip().split("\n"):
        words = line.split()
        symbols.append(words[5].split(".")[0])
        coordinates.append([number(word) for word in words[2:5]])
        charges.append(float(words[8]) if len(words) > 8 else 0.0)
    atoms, notes = molecule(symbols, coordinates)
    if "NO_CHARGES" in sections[0] or not any(charges):
        return Table(atoms, name, notes=notes)
    total = sum(charges)
    if abs(total - round(total)) > 0.1:
        raise ValueError(f"its atomic charges sum to {total:.2f} e, no whole number")
    return Table(atoms, name, round(total), "sum of the atomic charges of the file", notes)


# --- Turbomole ------------------------------------------------------------------------------------

_CHARGES = {"$eht": r"\$eht.*\bcharge=", "$chrg": r"\$chrg\b"}
"""Lines that state the total charge: Turbomole's and xtb's."""

_UNPAIRED = {"uhf": r"\$uhf\b"}
"""xtb's line for the number of unpaired electrons."""


def read_coord(text: str) -> Iterator[Table | InputError]:
    """Yield the molecule of a Turbomole file: ``$coord`` in bohr, ``$coord angs`` in Å."""
    match = re.search(r"^\s*\$coord\b(.*)$\n((?:(?!^\s*\$).*\n?)*)", text, flags=re.MULTILINE)
    if not match:
        raise InputError("it has no section $coord: expected 'x y z symbol' behind it; fix it")
    unit = match[1].lower()
    if "frac" in unit:
        raise InputError(
            "its coordinates are fractions of a cell: expected those of a molecule in bohr or, "
            "behind '$coord angs', Å; write them so"
        )
    scale = 1.0 if "ang" in unit else Bohr
    rows = [line.split() for line in match[2].split("\n") if line.strip()]
    try:
        coordinates = [[scale * number(word) for word in row[:3]] for row in rows]
        atoms, notes = molecule([row[3] for row in rows], coordinates)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"its section $coord cannot be read ({error}): expected 'x y z symbol'; fix it"
        ) from error
    atoms.info |= _stated(text, _UNPAIRED)
    charges = _stated(text, _CHARGES)
    if len(set(charges.values())) > 1:
        shown = " and ".join(f"{value:+d} in {name}" for name, value in charges.items())
        raise InputError(f"it states the charges {shown}: expected one; delete the wrong one")
    if charges:
        name, charge = next(iter(charges.items()))
        yield Table(atoms, "", charge, f"{name} of the file", notes)
    else:
        yield Table(atoms, notes=notes)


def _stated(text: str, patterns: dict[str, str]) -> dict[str, int]:
    """The whole numbers that the lines of a Turbomole file state, by the names of ``patterns``."""
    found = {}
    for name, pattern in patterns.items():
        match = re.search(rf"^\s*{pattern}\s*([+-]?\d+)\b", text, flags=re.MULTILINE)
        if match:
            found[name] = int(match[1])
    return found
