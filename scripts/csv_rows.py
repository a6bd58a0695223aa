"""Tables that grow row by row: CSV files that are whole at any moment."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esml.io.files import write_whole

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Rows of a CSV, all entries text; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Add ``rows`` to the CSV ``path``, all or none; their ``value`` to six digits."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(read_rows(path))
    for row in rows:
        number = row["value"]
        writer.writerow({**row, "value": number if isinstance(number, int) else f"{number:.6g}"})
    write_whole(path, content.getvalue().encode())
