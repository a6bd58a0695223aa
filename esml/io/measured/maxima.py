"""Read lists of measured absorption maxima: one row with SMILES, solvent and λmax each.

Headings identify the columns, and the unit of the maxima: nm if they state none. Columns of
emission, of absorbance and of ε are passed over. ``esml.io.read_entries`` reads the molecules of
the same table, row by row.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from esml.io.formats.smiles_lists import find_solvents, table_rows
from esml.io.measured.light_units import EMISSION, NM, LightUnit, stated_unit, unit_by_word
from esml.io.provenance import InputError
from esml.io.text import read_table
from esml.units import HC

SHORTEST = 100.0
"""Shortest plausible λmax, nm; a smaller number has another unit or meaning."""

LONGEST = 3000.0
"""Longest plausible λmax, nm."""

_MAXIMUM = re.compile(r"abs.*max|max.*abs|lambda|λ|max.*nm|^nm$", re.IGNORECASE)
_OF_LIGHT = re.compile(r"abs|max|peak|wave ?length|wave ?number|excitation energy", re.IGNORECASE)
"""Words that make a heading with a unit one of maxima."""
_ABSORPTION = re.compile(r"abs", re.IGNORECASE)
_OTHER = re.compile(
    r"fwhm|width|lifetime|stokes|shift|yield|onset|edge|cut.?off|(?<![a-z])(eps|log|lg|od)|ε|ϵ|"
    r"absorbance|absorptivity|extinction|coefficient|intensity|oscillator|strength|error|"
    r"uncertain|(?<![a-z])(sd|std)(?![a-z])",
    re.IGNORECASE,
)
"""Headings of other quantities beside a maximum."""


@dataclass(frozen=True)
class MeasuredMaximum:
    """A measured λmax, and its solvent as named in the table."""

    wavelength: float
    """nm; nan if the table has none."""
    solvent: str
    """Name of the solvent in the table, or empty."""

    @property
    def energy(self) -> float:
        """eV"""
        return HC / self.wavelength


def read_maxima(path: str | Path) -> list[MeasuredMaximum]:
    """Return the measured maxima of all rows of a table (CSV or TSV) with headings.

    Cells without a digit, and numbers that are not positive, are rows without a measured maximum.

    Raises
    ------
    InputError
        If the file cannot be read, has no column of absorption maxima, or one that is no number or
        not between 100 and 3000 nm.
    """
    path = Path(path)
    rows = table_rows(read_table(path, "a table of SMILES, solvent and λmax"))
    headings = rows[0][1] if rows else []
    column = _column(path, headings)
    unit = stated_unit(headings[column]) or unit_by_word(headings[column]) or NM
    solvents = find_solvents(headings)
    return [
        MeasuredMaximum(
            _wavelength(path, line, _cell(cells, column), unit),
            "" if solvents is None else _cell(cells, solvents),
        )
        for line, cells in rows[1:]
    ]


def _column(path: Path, headings: list[str]) -> int:
    """Index of the column of maxima: of absorption and with a unit, if there are several."""
    titles = [heading.replace("_", " ") for heading in headings]
    found = [k for k, title in enumerate(titles) if _is_of_light(title)]
    passed_over = [k for k in found if EMISSION.search(titles[k]) or _OTHER.search(titles[k])]
    maxima = [k for k in found if k not in passed_over]
    if not maxima:
        named = ", ".join(f"'{headings[k]}'" for k in passed_over)
        beside = f" ({named} {'is' if len(passed_over) == 1 else 'are'} of another quantity)"
        raise InputError(
            f"'{path}' has no column of absorption maxima{beside if named else ''}: expected a "
            "heading such as 'lambda_max (nm)' beside those of SMILES and solvent; name it in the "
            "first line"
        )
    return min(
        maxima,
        key=lambda k: (not _ABSORPTION.search(titles[k]), stated_unit(titles[k]) is None, k),
    )


def _is_of_light(title: str) -> bool:
    stated = stated_unit(title) is not None and _OF_LIGHT.search(title) is not None
    return stated or _MAXIMUM.search(title) is not None


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def _wavelength(path: Path, line: int, cell: str, unit: LightUnit) -> float:
    """λmax in nm; nan if the cell has none. Raises InputError."""
    if not any(c.isdigit() for c in cell):
        return math.nan
    try:
        value = float(cell if "." in cell else cell.replace(",", "."))
    except ValueError as error:
        raise InputError(
            f"line {line} of '{path}' has the maximum '{cell}': expected one number in "
            f"{unit.name}; fix the cell or empty it"
        ) from error
    if value <= 0.0:
        return math.nan
    wavelength = HC / (value * unit.factor) if unit.of_energy else value * unit.factor
    if not SHORTEST <= wavelength <= LONGEST:
        shown = f"{value:g} {unit.name}" + ("" if unit == NM else f", that is {wavelength:g} nm")
        raise InputError(
            f"line {line} of '{path}' has a maximum of {shown}: expected {SHORTEST:g} to "
            f"{LONGEST:g} nm; fix it, or name its unit in the heading, such as 'lambda_max (nm)' "
            "or 'abs max (eV)'"
        )
    return wavelength
