"""Parse the table of a measured spectrum: headings and columns of numbers.

The delimiter and the meaning of commas follow from the text: decimal commas where commas do not
separate columns, in quotes, or where every number of a table was cut in two by them.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from esml.io.measured.light_units import stated_unit, unit_by_word
from esml.io.provenance import InputError
from esml.typing import Array

_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
"""A number whose commas may separate thousands."""

_WHOLE = re.compile(r"[-+]?\d+")

_HEADING_WORDS = re.compile(r"(?:\([^)]*\)|\[[^\]]*\]|\S)+")
"""Words of a heading between spaces; a bracket belongs to the word before it."""


@dataclass(frozen=True)
class SpectrumTable:
    """Headings and numbers of a table."""

    headings: list[str]  # as many as columns, or none
    title: str  # the line of headings, whether or not they fit the columns
    rows: Array  # (P, columns)
    passed_over: int  # number of lines below the first row that are not numeric
    notes: tuple[str, ...] = ()  # what was assumed about commas


@dataclass(frozen=True)
class _Cells:
    headings: list[str]
    title: str
    rows: list[list[str]]
    passed_over: int


def parse_table(text: str, path: Path) -> SpectrumTable | None:
    """Return headings and numbers for the delimiter that gives most rows; None without rows.

    Raises
    ------
    InputError
        If headings of a spectrum do not fit the columns.
    """
    best, used = None, None
    for delimiter in (";", "\t", ",", None):
        found = _split(text, delimiter)
        if found is not None and (best is None or len(found.rows) > len(best.rows)):
            best, used = found, delimiter
    if best is None:
        return None
    notes = []
    if used == "," and _is_cut(best):
        best = replace(best, rows=[_joined(row) for row in best.rows])
        notes.append("columns were joined in pairs, because commas are decimal")
    headings = _fitting(best, used, path)
    comma, note = _comma(best.rows)
    if note:
        notes.append(note)
    try:
        rows = np.array([[float(cell.replace(",", comma)) for cell in row] for row in best.rows])
    except ValueError as error:
        raise InputError(
            f"'{path}' has commas that separate thousands in some numbers and decimals in others: "
            "expected one meaning; fix the numbers"
        ) from error
    return SpectrumTable(headings, best.title, rows, best.passed_over, tuple(notes))


def _is_number(cell: str) -> bool:
    if _GROUPED.fullmatch(cell):
        return True
    try:
        return bool(np.isfinite(float(cell.replace(",", "."))))
    except ValueError:
        return False


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        cells = line.split()
    else:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        except csv.Error:  # a cell longer than the reader takes
            cells = line.split(delimiter)
    cells = [cell.strip().strip('"').strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _split(text: str, delimiter: str | None) -> _Cells | None:
    headings: list[str] = []
    title = ""
    rows: list[list[str]] = []
    passed_over = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        line = line.strip("\ufeff")
        cells = _cells(line, delimiter)
        width = len(rows[0]) if rows else max(2, len(cells))
        if len(cells) == width and all(_is_number(cell) for cell in cells):
            rows.append(cells)
        elif rows:
            passed_over += 1
        elif len(cells) >= 2:
            title = line.strip()
            headings = [cell.lstrip("# ") for cell in cells]
    return _Cells(headings, title, rows, passed_over) if rows else None


def _is_cut(cells: _Cells) -> bool:
    """Whether decimal commas cut every number in two: whole numbers only, in too many columns."""
    width = len(cells.rows[0])
    if width % 2 or width < 4 or len(cells.headings) not in (0, width // 2):
        return False
    whole = all(_WHOLE.fullmatch(cell) for row in cells.rows for cell in row)
    decimals = [row[k] for row in cells.rows for k in range(1, width, 2)]
    return whole and (bool(cells.headings) or any(re.match(r"0\d", cell) for cell in decimals))


def _joined(row: list[str]) -> list[str]:
    return [f"{row[k]},{row[k + 1]}" for k in range(0, len(row), 2)]


def _fitting(cells: _Cells, delimiter: str | None, path: Path) -> list[str]:
    """The headings if they fit the columns, else none. Raises InputError."""
    width = len(cells.rows[0])
    headings = cells.headings
    if delimiter is None and len(headings) != width:
        joined = re.sub(r"\s+(?=[(\[])", "", cells.title.lstrip("# "))
        headings = _HEADING_WORDS.findall(joined)
    if len(headings) > width:
        last = [stated_unit(text) or unit_by_word(text) for text in headings[width:]]
        return headings[:width] if delimiter is not None and not any(last) else []
    if len(headings) == width:
        return headings
    if delimiter == "," and any(stated_unit(text) or unit_by_word(text) for text in headings):
        raise InputError(
            f"'{path}' has {width} columns below {len(headings)} headings: expected a heading for "
            "each column, and no decimal commas where commas separate the columns; fix the table"
        )
    return []


def _comma(rows: list[list[str]]) -> tuple[str, str]:
    """What to replace commas in numbers by, and a note if they could mean something else."""
    with_comma = [cell for row in rows for cell in row if "," in cell]
    if not with_comma or not all(_GROUPED.fullmatch(cell) for cell in with_comma):
        return ".", ""
    longest = max(with_comma, key=len)
    points = any("." in cell for row in rows for cell in row)
    if points or any(cell.count(",") > 1 for cell in with_comma):
        return "", f"commas separate thousands: '{longest}' is {float(longest.replace(',', '')):g}"
    return ".", f"commas are decimal: '{longest}' is {float(longest.replace(',', '.')):g}"
