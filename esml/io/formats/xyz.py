"""Read xyz files of every dialect: plain, extended, QM9's, with numbers for symbols or isotopes.

A frame is the number of atoms on a line, a comment, and a line ``symbol x y z …`` for each atom;
empty lines between frames are skipped. In plain frames further columns are ignored, and the comment
may state charge and spin: ``charge=1``, ``Charge: 2-``, ``total_charge=2 total_spin=1``, or only
``2 1`` (charge and multiplicity). Frames with ``Properties=`` or ``Lattice=`` in the comment are
extended xyz and are read by ASE.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.data import atomic_masses_iupac2016, atomic_numbers, chemical_symbols
from ase.io.extxyz import key_val_str_to_dict

from esml.io.provenance import InputError
from esml.io.structure_checks.charge_and_spin import (
    CHARGE_KEYS,
    MULTIPLICITY_KEYS,
    SPIN_KEYS,
    charge_and_multiplicity,
    signed_number,
    stating,
)
from esml.io.text import lines

MOST_ATOMS = 1_000_000
"""Largest number of atoms a structure may declare: more than any model here can treat."""

MOST_COLUMNS = 1000
"""Largest number of columns an extended xyz file may declare."""

ISOTOPES = {"D": 2.014, "T": 3.016}
"""Symbols of hydrogen isotopes and their masses (amu)."""

_COUNT = re.compile(r"\s*([+-]?\d{1,99})\s*")
_EXTENDED = re.compile(r"\b(Properties|Lattice)\s*=", re.IGNORECASE)
_KEYS = "|".join((*CHARGE_KEYS[:-1], *MULTIPLICITY_KEYS, *SPIN_KEYS[:-1]))
_WORDS = re.compile(
    rf"\b((?i:{_KEYS})|uhf|[qQ](?=\s*[:=]))\b[\"']?(\s*[:=]\s*|\s+)([+\-−]?\d[^\s,;)\]}}\"']*)"
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*(?:,\d+|\d)(?:[eEdD][+-]?\d+)?")
_QM9_TRAILER = 3
"""Number of lines after the atoms in QM9's files: frequencies, SMILES, InChI."""


def element(symbol: str) -> tuple[int, float | None]:
    """Return atomic number, and isotope mass, of ``C``, ``cl``, ``6``, ``C12``, ``D`` or ``T``.

    Raises ValueError for anything that is not an element.
    """
    if symbol.isdigit():
        if 0 < int(symbol) < len(chemical_symbols):
            return int(symbol), None
        raise ValueError(f"'{symbol}' is not an element")
    letters = symbol.rstrip("0123456789").capitalize()
    if letters in ISOTOPES:
        return 1, ISOTOPES[letters]
    if letters not in atomic_numbers or letters == "X":
        raise ValueError(f"'{symbol}' is not an element")
    return atomic_numbers[letters], None


def number(text: str) -> float:
    """Read a decimal number, also with exponents of Fortran (``1.0D-3``) or QM9 (``1.0*^-3``).

    Raises ValueError.
    """
    return float(text.replace("*^", "e").replace("D", "e").replace("d", "e"))


def molecule(symbols: list[str], coordinates: list[list[float]]) -> tuple[Atoms, tuple[str, ...]]:
    """Return the atoms of ``symbols`` at ``coordinates`` (Å), and remarks on them.

    Raises ValueError for a symbol that is not an element.
    """
    elements = [element(symbol) for symbol in symbols]
    atoms = Atoms([z for z, _ in elements], coordinates)
    heavy = [k for k, (_, mass) in enumerate(elements) if mass is not None]
    if not heavy:
        return atoms, ()
    masses = atomic_masses_iupac2016[atoms.numbers]
    for k in heavy:
        masses[k] = elements[k][1]
    atoms.set_masses(masses)
    return atoms, (f"{len(heavy)} isotopes of hydrogen (D, T) are read as hydrogen",)


def read_xyz(path: Path) -> Iterator[tuple[Atoms, str, tuple[str, ...]]]:
    """Yield the frames of an xyz file: atoms, source of their charge ("" if none), and remarks.

    Raises InputError where the file is no longer valid, after the frames before.
    """
    stream = _Numbered(lines(path))
    index = 0
    while (count := _next_count(stream, path, index)) is not None:
        comment = stream.next()
        if comment is None:
            raise _broken(path, index, f"it ends behind the number of atoms {count}")
        _check_columns(comment, path)
        rows = []
        for k in range(count):
            row = stream.next()
            if row is None or not row.strip():
                raise _broken(path, index, f"Frame has {k} atoms, expected {count}")
            rows.append(row)
        try:
            if _EXTENDED.search(comment):
                yield _extended(count, comment, rows)
            else:
                yield _plain(comment, rows)
        except (ValueError, KeyError, IndexError, ase.io.extxyz.XYZError) as error:
            raise _broken(path, index, _reason(error)) from error
        if comment.startswith("gdb "):
            stream.skip(_QM9_TRAILER)
        index += 1


def count_xyz(path: Path) -> int:
    """Return the number of frames, from their numbers of atoms; 0 if it is not an xyz file."""
    stream, frames = _Numbered(lines(path)), 0
    while (line := stream.next()) is not None:
        match = _COUNT.fullmatch(line)
        if not match:
            if line.strip():
                return frames
            continue
        comment = stream.next() or ""
        stream.skip(int(match[1]) + _QM9_TRAILER * comment.startswith("gdb "))
        frames += 1
    return frames


class _Numbered:
    """Iterator over lines that knows the number of the last one."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self.place = 0

    def next(self) -> str | None:
        line = next(self._source, None)
        self.place += line is not None
        return line

    def skip(self, n: int) -> None:
        for _ in range(n):
            if self.next() is None:
                return


def _next_count(stream: _Numbered, path: Path, index: int) -> int | None:
    """Number of atoms of the next frame; None at the end of the file."""
    while (line := stream.next()) is not None:
        if not line.strip():
            continue
        match = _COUNT.fullmatch(line)
        if not match:
            shown = line.strip()[:40]
            raise _broken(
                path, index, f"line {stream.place} is '{shown}' where a number of atoms belongs"
            )
        count = int(match[1])
        if not 0 <= count <= MOST_ATOMS:
            raise InputError(
                f"'{path}' declares {count} atoms in a structure: expected 0 to {MOST_ATOMS}; fix "
                "the file"
            )
        return count
    return None


def _check_columns(comment: str, path: Path) -> None:
    """Refuse absurd numbers of columns: ASE allocates memory for whatever is declared."""
    properties = re.search(r'Properties="?([^\s"]+)', comment)
    widths = re.findall(r":(\d{1,99})", properties[1]) if properties else []
    total = sum(int(width) for width in widths)
    if total > MOST_COLUMNS:
        raise InputError(
            f"'{path}' declares {total} columns in a structure: expected 0 to {MOST_COLUMNS}; fix "
            "the file"
        )


def _plain(comment: str, rows: list[str]) -> tuple[Atoms, str, tuple[str, ...]]:
    symbols, coordinates, n_commas = [], [], 0
    for row in rows:
        words, commas = _columns(row)
        n_commas += commas
        if len(words) < 4:
            raise ValueError(f"'{row.strip()}' is not a symbol with three coordinates")
        symbols.append(words[0])
        coordinates.append([number(word) for word in words[1:4]])
    atoms, remarks = molecule(symbols, coordinates)
    if n_commas:
        remarks = (*remarks, "commas in its coordinates are read as decimal points (0,5 as 0.5)")
    atoms.info, source = _comment(comment)
    return atoms, source, remarks


def _columns(row: str) -> tuple[list[str], bool]:
    """The words of a row, and whether its numbers have decimal commas.

    Three words ``1,5`` or ``0`` behind the symbol do; other commas stand between the columns.
    """
    if "," not in row:
        return row.split(), False
    words = [word.rstrip(",") for word in row.split()]
    numbers = words[1:4]
    whole = len(numbers) == 3 and all(_DECIMAL_COMMA.fullmatch(word) for word in numbers)
    if whole and any("," in word for word in numbers):
        return [words[0], *(word.replace(",", ".") for word in numbers)], True
    return row.replace(",", " ").split(), False


def _comment(comment: str) -> tuple[dict[str, Any], str]:
    """The keys and values of a comment, and which of it states the charge."""
    if two := charge_and_multiplicity(comment):
        found = {"charge": two[0], "multiplicity": two[1]}
        return found, f"comment '{comment.strip()}' (charge and multiplicity)"
    info: dict[str, Any] = {}
    if "=" in comment:
        try:
            parsed = key_val_str_to_dict(comment)
        except (ValueError, KeyError, IndexError):
            parsed = {}
        info = {key: value for key, value in parsed.items() if value is not True}
    _add_words(info, comment)
    return info, charge_source(info)


def _add_words(info: dict[str, Any], comment: str) -> None:
    """Add charge and spin that a comment states in words: ``charge: 2-``, ``CHARGE -2``.

    Raises ValueError for ``charge=`` and the like with something that is not a number.
    """
    for key in stating(info, (*CHARGE_KEYS, *MULTIPLICITY_KEYS, *SPIN_KEYS)):
        if isinstance(info[key], bool):
            del info[key]  # the word alone, which states nothing
    for key, between, value in _WORDS.findall(comment):
        try:
            found = signed_number(value)
        except ValueError:
            if between.isspace():
                continue  # prose
            raise ValueError(
                f"'{key}{between}{value}' of its comment is no number such as -1, 1- or 1+"
            ) from None
        if isinstance(info.get(key, ""), str):
            info[key] = found


def charge_source(info: dict[str, Any]) -> str:
    """Return which key of ``info`` states the charge; "" if none."""
    return next((f"{key}= of the file" for key in stating(info, CHARGE_KEYS)), "")


def _extended(count: int, comment: str, rows: list[str]) -> tuple[Atoms, str, tuple[str, ...]]:
    n_isotopes = 0
    first = "Properties" not in comment or bool(re.search(r'Properties="?species:', comment))
    for k, row in enumerate(rows):
        words = row.split(maxsplit=1)
        if first and len(words) == 2 and (words[0].isdigit() or words[0] in ISOTOPES):
            z, mass = element(words[0])
            n_isotopes += mass is not None
            rows[k] = f"{chemical_symbols[z]} {words[1]}"
    text = "\n".join([str(count), comment, *rows]) + "\n"
    atoms = ase.io.read(io.StringIO(text), format="extxyz")
    assert isinstance(atoms, Atoms)
    _add_words(atoms.info, comment)
    isotopes = f"{n_isotopes} isotopes of hydrogen (D, T) are read as hydrogen"
    return atoms, charge_source(atoms.info), (isotopes,) if n_isotopes else ()


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"{error.args[0]!r} is not an element or entry of the format"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _broken(path: Path, index: int, reason: str) -> InputError:
    where = f" beyond its structure {index}" if index else ""
    return InputError(
        f"cannot read '{path}'{where} ({reason}): expected frames of a number of atoms, a comment "
        "and 'symbol x y z' for each atom; fix the file"
    )
