"""CSV tables that grow row by row and are complete files at any moment."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esml.io.files import write_whole

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a CSV file, all entries as text; none if the file does not exist."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Add ``rows`` to the CSV file ``path``, all or none, with six digits of ``value``."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(read_rows(path))
    for row in rows:
        number = row["value"]
        writer.writerow({**row, "value": number if isinstance(number, int) else f"{number:.6g}"})
    write_whole(path, content.getvalue().encode())
