"""Read lists of measured absorption maxima: one row with SMILES, solvent and λmax each.

Headings identify the columns. ``esml.io.read_entries`` reads the molecules of the same table, row
by row.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from esml.io.provenance import InputError
from esml.io.text import read_table
from esml.units import HC

_MAXIMUM = re.compile(r"abs.*max|max.*abs|lambda|λ|(?<!em)max.*nm|^nm$", re.IGNORECASE)
_EMISSION = re.compile(r"emi|fluor|fwhm|lifetime", re.IGNORECASE)
_SOLVENT = re.compile(r"solvent|medium", re.IGNORECASE)


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

    Raises
    ------
    InputError
        If the file cannot be read, or has no column of maxima in nm.
    """
    path = Path(path)
    text = read_table(path, "a table of SMILES, solvent and λmax")
    lines = [line for line in text.split("\n") if line.strip()]
    first = lines[0] if lines else ""
    delimiter = max(",;\t", key=first.count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    headings = [cell.strip() for cell in rows[0]] if rows else []
    maxima = [k for k, text in enumerate(headings) if _MAXIMUM.search(text)]
    maxima = [k for k in maxima if not _EMISSION.search(headings[k])]
    if not maxima:
        raise InputError(
            f"'{path}' has no column of absorption maxima: expected a heading such as 'lambda_max "
            "(nm)' beside those of SMILES and solvent; name it in the first line"
        )
    solvents = [k for k, text in enumerate(headings) if _SOLVENT.search(text)]
    return [
        MeasuredMaximum(_wavelength(row, maxima[0]), _cell(row, solvents[0]) if solvents else "")
        for row in rows[1:]
    ]


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def _wavelength(row: list[str], column: int) -> float:
    try:
        value = float(_cell(row, column))
    except ValueError:
        return math.nan
    return value if value > 0.0 else math.nan
