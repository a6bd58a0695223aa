"""Read outputs of ORCA: the last geometry, and excited states with their multiplicities.

TDDFT and CIS list singlets and triplets under separate headings, and the strengths of all in one
table, which only ORCA 6 sorts by energy. States and strengths are matched by their wavenumbers,
which both give to 0.1 cm⁻¹. For other methods that table is used, if it lists multiplicities.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ase.units import invcm

from esml.io.formats.atom_tables import Table
from esml.io.formats.programs.calculation import CalculatedState, Calculation
from esml.io.formats.xyz import molecule
from esml.io.provenance import InputError
from esml.io.text import read_text

_GEOMETRY = re.compile(r"^CARTESIAN COORDINATES \(ANGSTROEM\)\s*\n-+\n", re.MULTILINE)
_ATOM = re.compile(r"\s*(\S+)((?:\s+-?\d+\.\d+){3})\s*")
_KEYWORDS = re.compile(r"^\|\s*\d+>\s*!\s*(.+?)\s*$", re.MULTILINE)
_BEGINNING = re.compile(r"^\s*ORCA (?:TD-DFT/TDA|TD-DFT|CIS) CALCULATION\s*$", re.MULTILINE)
_LISTED = re.compile(
    r"^(TD-DFT/TDA|TD-DFT|CIS)[- ]EXCITED STATES(?: \((SINGLETS|TRIPLETS)\))?"
    r"|^STATE\s+\d+:.*?(\S+) cm\*\*-1",
    re.MULTILINE,
)
# Without the anchor, the heading of spin–orbit coupled states would match, too.
_SPECTRUM = re.compile(r"^ *ABSORPTION SPECTRUM VIA TRANSITION ELECTRIC DIPOLE MOMENTS", re.M)
_ROW = re.compile(
    r"\s*(?:\d+-\S+\s+->\s+\d+-(?P<mult>\d+)\S*\s+\S+|\d+)\s+(?P<wavenumber>[\d.]+)\s+[\d.]+\s+"
    r"(?:(?P<strength>-?[\d.]+(?:[eE][-+]\d+)?)\s|spin forbidden \(mult=(?P<forbidden>\d+)\))"
)
"""``0-1A -> 1-1A eV cm⁻¹ nm f``, before ORCA 6 ``1 cm⁻¹ nm f``."""
_LINES_OF_HEADING = 5

WAVENUMBER = 0.2
"""Largest difference (cm⁻¹) of the same state in the two tables."""


def read_orca(path: Path) -> Calculation:
    """Read the last geometry of an output of ORCA, with charge, multiplicity and excited states.

    Raises InputError if the output has no geometry, or ends inside the last one.
    """
    text = read_text(path)
    geometries = list(_GEOMETRY.finditer(text))
    if not geometries:
        raise InputError(
            f"'{path}', an output of ORCA, holds no geometry: expected 'CARTESIAN COORDINATES "
            "(ANGSTROEM)'; write its geometry as .xyz"
        )
    symbols, coordinates = _geometry(text[geometries[-1].end() :], path)
    atoms, notes = molecule(symbols, coordinates)
    if len(geometries) > 1:
        notes = (*notes, f"the last of {len(geometries)} geometries of the output")
    if multiplicity := re.findall(r"^\s*Multiplicity\s+Mult\s+\.+\s+(\d+)", text, re.MULTILINE):
        atoms.info["multiplicity"] = int(multiplicity[-1])
    charges = re.findall(r"^\s*Total Charge\s+Charge\s+\.+\s+(-?\d+)", text, re.MULTILINE)
    charge = int(charges[-1]) if charges else None
    source = "output of ORCA" if charges else ""
    method, states = _states(text)
    keywords = " ".join(_KEYWORDS.findall(text)) or "calculation"
    level = f"{keywords}{', ' if method else ''}{method} (ORCA)"
    table = Table(atoms, path.stem, charge, source, notes)
    ended = "ORCA TERMINATED NORMALLY" in text
    return Calculation(level, table, states, _frontier(text), ended)


def _geometry(text: str, path: Path) -> tuple[list[str], list[list[float]]]:
    """Symbols and coordinates (Å) up to the next empty line."""
    symbols: list[str] = []
    coordinates: list[list[float]] = []
    for line in text.split("\n"):
        if not line.strip():
            return symbols, coordinates
        match = _ATOM.fullmatch(line)
        if not match:
            break
        symbols.append(match[1])
        coordinates.append([float(word) for word in match[2].split()])
    raise InputError(
        f"'{path}', an output of ORCA, breaks off inside a geometry or has ghost atoms or point "
        "charges in it: expected 'symbol x y z' for each atom; write its geometry as .xyz"
    )


def _frontier(text: str) -> tuple[float, float] | None:
    """HOMO and LUMO (eV) of the last table of orbitals; None for open shells."""
    tables = re.findall(r"^ORBITAL ENERGIES\n-+\n\s*NO.*\n((?:\s*\d+ .*\n)+)", text, re.MULTILINE)
    rows = [line.split() for line in tables[-1].strip().split("\n")] if tables else []
    occupied = [row for row in rows if float(row[1]) == 2.0]
    empty = [row for row in rows if float(row[1]) == 0.0]
    if not occupied or not empty or len(occupied) + len(empty) < len(rows):
        return None
    return float(occupied[-1][3]), float(empty[0][3])


# --- excited states -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A row of the table of the spectrum."""

    wavenumber: float
    multiplicity: int | None
    strength: float | None


def _states(text: str) -> tuple[str, list[CalculatedState]]:
    """Method and states of the last excited-state calculation; empty if there is none."""
    beginnings = list(_BEGINNING.finditer(text))
    last = text[beginnings[-1].start() :] if beginnings else text
    lines = _spectrum(last)
    bright = [line for line in lines if line.multiplicity in (None, 1)]
    method, multiplicity, states = "", None, []
    for match in _LISTED.finditer(last):
        if match[1]:
            method = "TDA" if match[1] == "TD-DFT/TDA" else match[1]
            multiplicity = {"SINGLETS": 1, "TRIPLETS": 3}.get(match[2])
            continue
        wavenumber = float(match[3])
        near = (line for line in bright if abs(line.wavenumber - wavenumber) < WAVENUMBER)
        line = next(near, None) if multiplicity == 1 else None
        if line is not None:
            bright.remove(line)  # degenerate states have one each
        strength = line.strength if line is not None else None
        states.append(CalculatedState(wavenumber * invcm, multiplicity, strength))
    if states:
        return method, states
    return "", [
        CalculatedState(line.wavenumber * invcm, line.multiplicity, line.strength) for line in lines
    ]


def _spectrum(text: str) -> list[_Line]:
    """Rows of the last table of the spectrum."""
    tables = list(_SPECTRUM.finditer(text))
    if not tables:
        return []
    found = []
    for line in text[tables[-1].start() :].split("\n")[_LINES_OF_HEADING:]:
        row = _ROW.match(line)
        if not row:
            break
        multiplicity = row["mult"] or row["forbidden"]
        found.append(
            _Line(
                float(row["wavenumber"]),
                int(multiplicity) if multiplicity else None,
                float(row["strength"]) if row["strength"] else None,
            )
        )
    return found
