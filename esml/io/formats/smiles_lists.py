"""Read lists and tables of SMILES: ``.smi``, ``.smiles``, ``.txt``, ``.csv``, ``.tsv``.

A list has a SMILES and optionally a name on every line. A table has columns; the SMILES column is
given by its heading or by the user, or else is the one in which RDKit can read most entries. Each
unreadable line gives an ``InputError`` with its number.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from esml.io.provenance import InputError
from esml.io.text import read_text, suffix_of

LISTS = (".smi", ".smiles")
"""Suffixes of lists."""

TABLES = (".csv", ".tsv", ".tab")
"""Suffixes of tables."""

EITHER = (".txt",)
"""Suffixes of files that may be either, or something else."""

LOOKED_AT = 50
"""Number of rows read to find the SMILES column."""

_HEADING = re.compile(r"smiles", re.IGNORECASE)
_SOLVENT = re.compile(r"(?<![a-z])(solvents?|medium)(?![a-z])", re.IGNORECASE)
_OF_SOLVENT = re.compile(
    r"epsilon|ε|dielectric|permittivity|polar|refract|index|class|type|acid|basic|ratio|volume|"
    r"fraction|viscosity|density|temperature|number|shift|effect",
    re.IGNORECASE,
)
"""Headings of columns that hold properties of the solvent, not its name."""
_NAMES = re.compile(r"^(name|names|id|title|compound|molecule|label|cid|cas)$", re.IGNORECASE)


@dataclass(frozen=True)
class SmilesLine:
    """A SMILES of a list and its name; both empty if the line has none."""

    smiles: str
    name: str
    line: int
    """Number of the line, from 1."""
    solvent: str = ""
    """Entry in the solvent column; empty without one."""


def read_rows(
    path: Path, column: str | None = None, solvent_column: str | None = None
) -> list[SmilesLine]:
    """Return all SMILES of a list or table; empty cells have an empty ``smiles``.

    ``column`` and ``solvent_column`` are the heading of a column, or its number from 1. By default
    they are detected, the solvent column by ``find_solvents``. Raises InputError.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"cannot read '{path}' ({_reason(error)}): expected a SMILES on every line; fix the "
            "file"
        ) from error
    lines = _lines(text)
    if not lines:
        raise InputError(
            f"'{path}' holds no structure: expected a SMILES on every line; check the file"
        )
    wanted = column is not None or solvent_column is not None
    table = suffix_of(path) in TABLES or wanted or _is_table(lines)
    return _table(path, text, column, solvent_column) if table else _list(lines)


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "reading it is not permitted"
    return str(error).split("\n")[0] or type(error).__name__


def _is_table(lines: list[tuple[int, str]]) -> bool:
    """Whether the first line is a heading of several columns."""
    first = lines[0][1]
    return bool(_HEADING.search(first)) and len(table_rows(first)[0][1]) > 1


def _list(lines: list[tuple[int, str]]) -> list[SmilesLine]:
    rows = []
    for place, (k, line) in enumerate(lines):
        smiles, *rest = line.split(maxsplit=1)
        if place == 0 and _HEADING.fullmatch(smiles):
            continue
        name = rest[0].strip() if rest else smiles
        rows.append(SmilesLine(smiles, name, k))
    return rows


# --- tables ---------------------------------------------------------------------------------------


def table_rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a table: the number of the first line of each, from 1, and its cells.

    Empty lines are left out. A cell in quotes may contain delimiters and line breaks; the latter
    become spaces. Of the usual delimiters in the first row, the one that gives most cells is taken.
    """
    first = next((line for line in text.split("\n") if line.strip()), "")
    found = [_split(text, delimiter) for delimiter in "\t,;" if delimiter in first]
    if not found:
        return [(k, line.split()) for k, line in _lines(text)]
    return max(found, key=_typical_width)


def _typical_width(rows: list[tuple[int, list[str]]]) -> int:
    """Median number of cells of the first rows below the heading, at most that of the heading."""
    widths = [len(cells) for _, cells in rows[: LOOKED_AT + 1]]
    below = sorted(widths[1:] or widths)
    return min(widths[0], below[len(below) // 2])


def _lines(text: str) -> list[tuple[int, str]]:
    return [(k, line) for k, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _split(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows for this delimiter; line by line if a quote is not closed."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, start = [], 1
    try:
        for cells in reader:
            if "".join(cells).strip() or (len(cells) > 1 and delimiter != "\t"):
                rows.append((start, [re.sub(r"\s*\n\s*", " ", cell.strip()) for cell in cells]))
            start = reader.line_num + 1
    except csv.Error:
        return [(k, _cells(line, delimiter)) for k, line in _lines(text)]
    return rows


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter))
    except csv.Error:  # a cell longer than the reader takes
        cells = line.split(delimiter)
    return [cell.strip() for cell in cells]


def _table(path: Path, text: str, wanted: str | None, solvents: str | None) -> list[SmilesLine]:
    rows = table_rows(text)
    heading = rows[0][1]
    place, has_heading = _column(path, rows, wanted)
    names = [k for k, title in enumerate(heading) if _NAMES.match(title)] if has_heading else []
    if not has_heading and len(heading) == 2:
        names = [1 - place]
    solvent = _solvent_column(path, heading, solvents, has_heading)
    found = []
    for k, cells in rows[has_heading:]:
        smiles = cells[place] if place < len(cells) else ""
        name = cells[names[0]] if names and names[0] < len(cells) else ""
        medium = cells[solvent] if solvent is not None and solvent < len(cells) else ""
        found.append(SmilesLine(smiles, name or smiles or f"line {k}", k, medium))
    if not found:
        raise InputError(
            f"'{path}' holds no structure: expected rows below its heading; check the file"
        )
    return found


def _solvent_column(
    path: Path, heading: list[str], wanted: str | None, has_heading: bool
) -> int | None:
    """Index of the solvent column; None if there is none and none was requested."""
    if wanted is not None:
        return _named(path, heading, wanted, "--solvent-column")
    return find_solvents(heading) if has_heading else None


def find_solvents(heading: list[str]) -> int | None:
    """Index of the column that names solvents, by its heading; None if there is none.

    ``solvent`` and ``solvent_smiles`` come before longer headings such as ``Solvent name``.
    """
    exact = [k for k, title in enumerate(heading) if title.lower() in ("solvent", "solvent_smiles")]
    titles = [title.replace("_", " ") for title in heading]
    other = [
        k
        for k, title in enumerate(titles)
        if _SOLVENT.search(title) and not _OF_SOLVENT.search(title)
    ]
    return next(iter(exact + other), None)


def _named(path: Path, heading: list[str], wanted: str, option: str) -> int:
    """Index of the column that a user gives by heading or number. Raises InputError."""
    titles = [title.lower() for title in heading]
    if wanted.lower() in titles:
        return titles.index(wanted.lower())
    if wanted.isdigit() and 1 <= int(wanted) <= len(heading):
        return int(wanted) - 1
    raise InputError(
        f"'{path}' has no column '{wanted}': it has {', '.join(heading)}, expected one of these or "
        f"a number from 1 to {len(heading)}; choose one with {option}"
    )


def _column(path: Path, rows: list[tuple[int, list[str]]], wanted: str | None) -> tuple[int, bool]:
    """Index of the SMILES column, and whether the first row is a heading."""
    heading = rows[0][1]
    titles = [title.lower() for title in heading]
    shown = ", ".join(heading)
    if wanted is not None:
        place = _named(path, heading, wanted, "--smiles-column")
        return place, wanted.lower() in titles or not _readable(heading[place])
    named = [
        k for k, title in enumerate(titles) if _HEADING.search(title) and "solvent" not in title
    ]
    exact = [k for k in named if titles[k] == "smiles"]
    if len(exact or named) == 1:
        return (exact or named)[0], True
    if named:
        candidates = ", ".join(heading[k] for k in named)
        raise InputError(
            f"'{path}' has several columns of SMILES ({candidates}) where one is expected: choose "
            "one with --smiles-column"
        )
    body = [cells for _, cells in rows[1 : LOOKED_AT + 1]] or [heading]
    shares = [
        sum(k < len(cells) and _readable(cells[k]) for cells in body) / len(body)
        for k in range(len(heading))
    ]
    best = max(range(len(shares)), key=lambda k: shares[k])
    if shares[best] < 0.5:
        raise InputError(
            f"'{path}' has no column in which most cells are SMILES: it has {shown}, expected one; "
            "choose it with --smiles-column"
        )
    return best, not _readable(heading[best])


def _readable(text: str) -> bool:
    """Whether ``text`` is a SMILES with several atoms or brackets, and not a number."""
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise InputError(
            'finding the column of SMILES needs RDKit: pip install "esml[smiles]"'
        ) from error
    if not text or re.fullmatch(r"[-+.\d eE]+", text):
        return False
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text) is not None


def looks_like_list(path: Path, text: str) -> bool:
    """Return whether a text file that starts with ``text`` contains SMILES."""
    lines = [line for line in text.split("\n")[:LOOKED_AT] if line.strip()]
    if not lines:
        return False
    if _HEADING.search(lines[0]):
        return True
    # The last line may be incomplete.
    sample = lines[:-1] or lines
    first = [re.split(r"[\s,;]", line.strip(), maxsplit=1)[0] for line in sample]
    return sum(_readable(word) for word in first) >= 0.5 * len(first)


def count_rows(path: Path) -> int:
    """Return the number of SMILES, judged by rows. Raises OSError, ValueError, InputError."""
    text = read_text(path)
    lines = [line for _, line in _lines(text)]
    if not lines:
        return 0
    count = len(table_rows(text)) if suffix_of(path) in TABLES else len(lines)
    heading = bool(_HEADING.search(lines[0])) and not lines[0].strip().startswith("[")
    return count - heading
