"""Read measured absorption spectra from tables: CSV, TSV and exports of spectrometers.

A table has one column of light (wavelength in nm, energy in eV or wavenumber in cm⁻¹) and one of
absorbance or molar absorption coefficient. They are identified by headings or else by the size of
the numbers. The spectrum keeps what was recognized, and how.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from esml.io.provenance import InputError
from esml.io.text import read_table
from esml.typing import Array, same
from esml.units import HC

Quantity = Literal["absorbance", "molar absorption coefficient"]
Light = Literal["nm", "eV", "cm-1"]

FEWEST = 5
"""Least number of points of a spectrum."""

_LIGHTS: dict[Light, str] = {
    "nm": r"\bnm\b|_nm\b|wave ?_?length|λ|lambda|nanomet",
    "eV": r"\bev\b|_ev\b|energy",
    "cm-1": r"wave ?_?number|cm-1|cm\^-1|cm⁻¹|1/cm|kayser",
}
_COEFFICIENT = r"\beps|ε|molar|\bmol\b|l[ ._/]?mol|m-1|m\^-1|m⁻¹|extinction|absorptivity"
_ABSORBANCE = r"\babs\b|absorb|absorption|optical density|\bod\b|\ba\b|\ba\.?u"
_LOGARITHM = r"\blog|\blg\b"

LARGEST_ABSORBANCE = 20.0
"""Without a heading, larger numbers are molar absorption coefficients: no spectrometer measures an
absorbance above ten."""


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredSpectrum:
    """A measured absorption spectrum."""

    energies: Array  # (P,) eV, ascending
    values: Array  # (P,) absorbance, or ε in L mol⁻¹ cm⁻¹
    quantity: Quantity  # which of the two ``values`` are
    source: str  # the file it was read from
    notes: tuple[str, ...]  # what was recognized, and from what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeasuredSpectrum) and same(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        low, high = self.wavelengths[-1], self.wavelengths[0]
        return f"MeasuredSpectrum({self.quantity}, {low:.0f} to {high:.0f} nm, '{self.source}')"

    @property
    def wavelengths(self) -> Array:
        """(P,) nm, descending."""
        wavelengths: Array = HC / self.energies
        return wavelengths


@dataclass(frozen=True)
class _Table:
    headings: list[str]
    rows: Array  # (P, columns)
    passed_over: int


def read_measured(path: str | Path) -> MeasuredSpectrum:
    """Read the measured spectrum of a table.

    Raises
    ------
    InputError
        If the file cannot be read, contains fewer than five points, or neither headings nor sizes
        identify its columns.
    """
    path = Path(path)
    table = _parse(read_table(path, "a table of a measured spectrum"))
    if table is None or len(table.rows) < FEWEST:
        raise InputError(
            f"'{path}' holds no measured spectrum: expected at least {FEWEST} lines of two "
            "numbers, wavelength (nm) or energy (eV) and absorbance or ε; fix the table"
        )
    light_column, value_column = _columns(table.headings)
    light, values = table.rows[:, light_column], table.rows[:, value_column]
    notes = []
    if table.passed_over:
        notes.append(f"{table.passed_over} lines that are not numeric were skipped")
    if table.rows.shape[1] > 2:
        notes.append(f"columns {light_column + 1} and {value_column + 1} of {table.rows.shape[1]}")
    unit, why = _light(_heading(table.headings, light_column), light, path)
    notes.append(f"light in {unit} ({why})")
    quantity, values, why = _quantity(_heading(table.headings, value_column), values)
    notes.append(f"{quantity} ({why})")
    energies, values = _ascending(_energies(light, unit, path), values)
    if len(energies) < len(light):
        notes.append("values of the same light were averaged")
    if not values.max() > 0:
        raise InputError(
            f"'{path}' has no value above zero: expected absorbance or ε; check its columns"
        )
    return MeasuredSpectrum(energies, values, quantity, str(path), tuple(notes))


def _number(cell: str, comma: bool) -> float | None:
    try:
        value = float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _parse(text: str) -> _Table | None:
    """Headings and numbers for the delimiter that gives most rows; None without rows."""
    best: _Table | None = None
    for delimiter in (";", "\t", ",", None):
        found = _split(text, delimiter)
        if found is not None and (best is None or len(found.rows) > len(best.rows)):
            best = found
    return best


def _split(text: str, delimiter: str | None) -> _Table | None:
    headings: list[str] = []
    rows: list[list[float]] = []
    passed_over = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        cells = [cell.strip().strip('"') for cell in line.strip("\ufeff").split(delimiter)]
        while cells and not cells[-1]:
            cells.pop()
        numbers = [_number(cell, comma=delimiter != ",") for cell in cells]
        known = [number for number in numbers if number is not None]
        width = len(rows[0]) if rows else max(2, len(cells))
        if len(known) == len(cells) == width:
            rows.append(known)
        elif rows:
            passed_over += 1
        elif len(cells) >= 2:
            headings = [cell.lstrip("# ") for cell in cells]
    if not rows:
        return None
    if len(headings) != len(rows[0]):
        headings = []
    return _Table(headings, np.array(rows), passed_over)


def _heading(headings: list[str], column: int) -> str:
    return headings[column] if headings else ""


def _matches(pattern: str, heading: str) -> bool:
    return re.search(pattern, heading, re.IGNORECASE) is not None


def _columns(headings: list[str]) -> tuple[int, int]:
    """Indices of the columns of light and value: by headings, else the first two."""
    values = [
        k
        for k, text in enumerate(headings)
        if _matches(_COEFFICIENT, text) or _matches(_ABSORBANCE, text)
    ]
    lights = [
        k
        for k, text in enumerate(headings)
        if k not in values and any(_matches(pattern, text) for pattern in _LIGHTS.values())
    ]
    light = lights[0] if lights else 0
    others = [k for k in values if k != light]
    return light, others[0] if others else (1 if light == 0 else 0)


def _light(heading: str, light: Array, path: Path) -> tuple[Light, str]:
    """Unit of the column of light, and how it was recognized."""
    for unit, pattern in _LIGHTS.items():
        if _matches(pattern, heading):
            return unit, f"its heading is '{heading}'"
    middle = float(np.median(light))
    for unit, low, high in (("eV", 0.3, 50.0), ("nm", 100.0, 3300.0), ("cm-1", 3300.0, 1e6)):
        if low <= middle < high:
            return unit, f"no heading says so; {middle:g} is the middle"
    raise InputError(
        f"'{path}' has light around {middle:g}: expected wavelengths in nm, energies in eV or "
        "wavenumbers in cm-1; name the unit in the first line"
    )


def _quantity(heading: str, values: Array) -> tuple[Quantity, Array, str]:
    """The quantity, and its values, converted if they are logarithms."""
    if _matches(_COEFFICIENT, heading):
        if _matches(_LOGARITHM, heading):
            return "molar absorption coefficient", 10.0**values, f"its heading is '{heading}'"
        return "molar absorption coefficient", values, f"its heading is '{heading}'"
    if _matches(_ABSORBANCE, heading):
        return "absorbance", values, f"its heading is '{heading}'"
    if values.max() > LARGEST_ABSORBANCE:
        why = f"no heading says so; values reach {values.max():g}"
        return "molar absorption coefficient", values, why
    return "absorbance", values, "no heading says so; values are small"


def _energies(light: Array, unit: Light, path: Path) -> Array:
    if not (light > 0).all():
        raise InputError(
            f"'{path}' has light of {light.min():g} {unit}: expected positive numbers; fix the "
            "table"
        )
    if unit == "eV":
        return light
    return HC / light if unit == "nm" else HC * 1e-7 * light


def _ascending(energies: Array, values: Array) -> tuple[Array, Array]:
    """Sort by energy, and average values at the same energy."""
    unique, place, count = np.unique(energies, return_inverse=True, return_counts=True)
    return unique, np.bincount(place, values) / count
