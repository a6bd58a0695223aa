"""Tables of others, and files that keep results between runs, a JSON object in each line."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

Entry = dict[str, Any]


def opened(path: Path) -> TextIO:
    """Open a text file for reading; gzipped if its name ends in ``.gz``."""
    opener = gzip.open if path.suffix == ".gz" else open
    return cast(TextIO, opener(path, "rt", encoding="utf-8", newline=""))


def rows_of(table: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file, by column."""
    with opened(table) as file:
        yield from csv.DictReader(file)


def lines_of(store: Path) -> Iterator[Entry]:
    """Yield the entries of a store, except those that a killed run left incomplete."""
    if not store.exists():
        return
    with opened(store) as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def add_line(store: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry to a store that is not gzipped."""
    with store.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
