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

    Cells that are no positive number, and single maxima outside 100 to 3000 nm, are rows without a
    measured maximum.

    Raises
    ------
    InputError
        If the file cannot be read, or has no column of absorption maxima or one in which most are
        not between 100 and 3000 nm.
    """
    path = Path(path)
    rows = table_rows(read_table(path, "a table of SMILES, solvent and λmax"))
    headings = rows[0][1] if rows else []
    column = _column(path, headings)
    unit = stated_unit(headings[column]) or unit_by_word(headings[column]) or NM
    solvents = find_solvents(headings)
    wavelengths = [_wavelength(_cell(cells, column), unit) for _, cells in rows[1:]]
    _check_unit(path, wavelengths, unit)
    return [
        MeasuredMaximum(
            wavelength if SHORTEST <= wavelength <= LONGEST else math.nan,
            "" if solvents is None else _cell(cells, solvents),
        )
        for wavelength, (_, cells) in zip(wavelengths, rows[1:], strict=True)
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


def _wavelength(cell: str, unit: LightUnit) -> float:
    """λmax in nm; nan if the cell is no positive number."""
    try:
        value = float(cell if "." in cell else cell.replace(",", "."))
    except ValueError:
        return math.nan
    return unit.to_nm(value) if 0.0 < value < math.inf else math.nan


def _check_unit(path: Path, wavelengths: list[float], unit: LightUnit) -> None:
    """Raise InputError if most maxima are outside what light can be: they have another unit."""
    known = [value for value in wavelengths if not math.isnan(value)]
    outside = [value for value in known if not SHORTEST <= value <= LONGEST]
    if 2 * len(outside) > len(known):
        raise InputError(
            f"'{path}' has maxima such as {outside[0]:.4g} nm, read in {unit.name}: expected "
            f"{SHORTEST:g} to {LONGEST:g} nm; name their unit in the heading, such as 'lambda_max "
            "(nm)' or 'abs max (eV)'"
        )
