"""Does SQLite keep the outcomes of a run better than an appended line? Prints a table.

    python -m scripts.speed.journal

The entries are like those of real runs: windows of 256 predictions, records of one molecule, and
notes of a failure. Every entry is on disk before the next one starts; "wal normal" guarantees this
after a kill only, not after a power cut.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from esml.jobs import append_line, decode, encode

CASES = {"256 predictions": (768_000, 60), "a record": (40_000, 300), "a note": (300, 500)}
"""Number of characters of an entry, and of entries to write."""


def with_lines(folder: Path, texts: Sequence[str]) -> tuple[float, int]:
    """Append lines to a file; return seconds per entry and bytes in total."""
    path = folder / "lines"
    start = time.perf_counter()
    for text in texts:
        append_line(path, {"text": text})
    seconds = (time.perf_counter() - start) / len(texts)
    with path.open("rb") as file:
        assert [entry["text"] for line in file if (entry := decode(line))] == list(texts)
    return seconds, path.stat().st_size


def with_sqlite(folder: Path, texts: Sequence[str], mode: str, sync: str) -> tuple[float, int]:
    """Do the same with an SQLite table of outcomes and their checksums."""
    path = folder / f"{mode}-{sync}.db"
    database = sqlite3.connect(path)
    database.execute(f"pragma journal_mode={mode}")
    database.execute(f"pragma synchronous={sync}")
    database.execute("create table outcomes(place integer primary key, crc integer, entry blob)")
    database.commit()
    start = time.perf_counter()
    for text in texts:
        entry = encode({"text": text})
        database.execute(
            "insert into outcomes(crc, entry) values(?, ?)", (zlib.crc32(entry), entry)
        )
        database.commit()
    seconds = (time.perf_counter() - start) / len(texts)
    n_bytes = sum(file.stat().st_size for file in folder.glob(path.name + "*"))
    database.close()
    return seconds, n_bytes


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rng = random.Random(0)
    print(f"{'entry':>16} {'how':>12} {'ms':>8} {'MB':>8}")
    for name, (size, number) in CASES.items():
        texts = [rng.randbytes(size // 2).hex() for _ in range(number)]
        with tempfile.TemporaryDirectory(dir=".") as scratch:
            folder = Path(scratch)
            rows = {"line": with_lines(folder, texts)}
            for mode, sync in (("wal", "full"), ("wal", "normal"), ("delete", "full")):
                rows[f"{mode} {sync}"] = with_sqlite(folder, texts, mode, sync)
        for how, (seconds, n_bytes) in rows.items():
            print(f"{name:>16} {how:>12} {1e3 * seconds:8.2f} {n_bytes / 1e6:8.2f}")


if __name__ == "__main__":
    main()
