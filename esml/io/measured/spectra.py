"""Read measured absorption spectra from tables: CSV, TSV and exports of spectrometers.

A table has one column of light (wavelength, energy or wavenumber) and one of absorbance,
transmittance or molar absorption coefficient. They are identified by headings or else by the size
of the numbers. The spectrum keeps what was recognized, and how. Transmittance becomes absorbance.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esml.io.measured.light_units import EV, NM, PER_CM, LightUnit, stated_unit, unit_by_word
from esml.io.measured.spectrum_quantities import (
    Kind,
    Quantity,
    check_absorption,
    kind_of_column,
    quantity_of,
)
from esml.io.measured.spectrum_tables import parse_table
from esml.io.provenance import InputError
from esml.io.text import read_table
from esml.typing import Array, same
from esml.units import HC

FEWEST = 5
"""Least number of points of a spectrum."""

SHORTEST, LONGEST = 25.0, 4200.0
"""Range in nm of the middle of a plausible spectrum, 0.3 to 50 eV; outside it the unit is wrong."""


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


def read_measured(path: str | Path) -> MeasuredSpectrum:
    """Read the measured spectrum of a table.

    Raises
    ------
    InputError
        If the file cannot be read, contains fewer than five points, if neither headings nor sizes
        identify its columns, or if they are of another quantity than absorption.
    """
    path = Path(path)
    table = parse_table(read_table(path, "a table of a measured spectrum"), path)
    if table is None or len(table.rows) < FEWEST:
        raise InputError(
            f"'{path}' holds no measured spectrum: expected at least {FEWEST} lines of two "
            "numbers, wavelength (nm) or energy (eV) and absorbance or ε; fix the table"
        )
    kinds = [kind_of_column(heading) for heading in table.headings]
    if not kinds and kind_of_column(table.title) in ("other", "transmittance"):
        raise InputError(
            f"'{path}' has the headings '{table.title}', which do not fit its columns: expected a "
            "heading for each column, because they decide what its numbers mean; fix them"
        )
    light_column, value_column = _columns(kinds)
    light, values = table.rows[:, light_column], table.rows[:, value_column]
    notes = list(table.notes)
    if table.passed_over:
        notes.append(f"{table.passed_over} lines that are not numeric were skipped")
    if table.rows.shape[1] > 2:
        notes.append(f"columns {light_column + 1} and {value_column + 1} of {table.rows.shape[1]}")
    of_light = _heading(table.headings, light_column)
    check_absorption(of_light, path)
    unit, why = _light(of_light, light, path)
    notes.append(f"light in {unit.name} ({why})")
    quantity, values, why = quantity_of(_heading(table.headings, value_column), values, path)
    notes.append(f"{quantity} ({why})")
    energies, values = _ascending(unit.to_ev(light), values)
    if len(energies) < len(light):
        notes.append("values of the same light were averaged")
    if not values.max() > 0:
        raise InputError(
            f"'{path}' has no value above zero: expected absorbance or ε; check its columns"
        )
    return MeasuredSpectrum(energies, values, quantity, str(path), tuple(notes))


def _heading(headings: list[str], column: int) -> str:
    return headings[column] if headings else ""


def _columns(kinds: list[Kind]) -> tuple[int, int]:
    """Indices of the columns of light and value: by their kinds, else the first two."""
    light = kinds.index("light") if "light" in kinds else 0
    others = [k for k in range(len(kinds)) if k != light]
    preferred: tuple[Kind, ...] = ("value", "transmittance", "background", "unknown", "other")
    for kind in preferred:
        for k in others:
            if kinds[k] == kind:
                return light, k
    return light, (others or [1 - min(light, 1)])[0]


def _light(heading: str, light: Array, path: Path) -> tuple[LightUnit, str]:
    """Unit of the column of light, and how it was recognized. Raises InputError."""
    unit, why = stated_unit(heading) or unit_by_word(heading), f"its heading is '{heading}'"
    middle = float(np.median(light))
    if unit is None:
        why = f"no heading says so; {middle:g} is the middle"
        sizes = ((EV, 0.3, 50.0), (NM, 100.0, 3300.0), (PER_CM, 3300.0, 1e6))
        unit = next((unit for unit, low, high in sizes if low <= middle < high), None)
    if unit is None:
        raise InputError(
            f"'{path}' has light around {middle:g}: expected wavelengths in nm, energies in eV or "
            "wavenumbers in cm-1; name the unit in the first line"
        )
    if not (light > 0).all():
        raise InputError(
            f"'{path}' has light of {light.min():g} {unit.name}: expected positive numbers; fix "
            "the table"
        )
    wavelength = unit.to_nm(middle)
    if not SHORTEST <= wavelength <= LONGEST:
        raise InputError(
            f"'{path}' has light around {middle:g} under the heading '{heading}', that is "
            f"{wavelength:g} nm: expected {SHORTEST:g} to {LONGEST:g} nm; correct the unit in the "
            "heading"
        )
    return unit, why


def _ascending(energies: Array, values: Array) -> tuple[Array, Array]:
    """Sort by energy, and average values at the same energy."""
    unique, place, count = np.unique(energies, return_inverse=True, return_counts=True)
    return unique, np.bincount(place, values) / count
