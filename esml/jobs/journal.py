"""Journal of what a run has done so far, written to disk at once so that a killed run can continue.

A journal is JSON Lines: every line is one object whose first member, ``crc``, is the CRC-32 of the
object without it. A line is on the disk when ``append`` returns. The checksum reveals lines that a
kill, a full disk or damage has left incomplete; they are ignored.

Why not SQLite: ``python -m scripts.speed.journal`` compares the two. A window of 256 predictions
(0.8 MB) takes 37 ms as a line and 66 ms as a commit in SQLite's write-ahead mode, and the files are
a tenth larger. SQLite is faster only if a power cut may lose the last entries. Its pages have no
checksums, so entries would need them there, too; and its write-ahead mode needs shared memory,
which the network file systems of clusters do not provide.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Entry = dict[str, Any]

_CRC = b'{"crc": "%08x", '


class JournalError(ValueError):
    """Raised for a journal of another run, or a file that is not a journal."""


def encode(entry: Entry) -> bytes:
    """Return the line for ``entry``, which must not be empty."""
    text = json.dumps(entry).encode()
    return _CRC % zlib.crc32(text) + text[1:] + b"\n"


def decode(line: bytes) -> Entry | None:
    """Return the entry of a line; None if the line is incomplete or damaged."""
    n = len(_CRC % 0)
    text = b"{" + line[n:-1]
    if not line.endswith(b"\n") or line[:n] != _CRC % zlib.crc32(text):
        return None
    found = json.loads(text)
    return found if isinstance(found, dict) else None


def append_line(path: Path, entry: Entry) -> None:
    """Append an entry to a file of lines.

    If a killed run has left an incomplete line at the end, the entry starts on a new one.

    Parameters
    ----------
    path
        The file; created if it does not exist.
    entry
        The entry.
    """
    line = encode(entry)
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        _write(file, line)


def _write(file: Any, line: bytes) -> None:
    # Unbuffered, so that nothing is left to write after a full disk has refused it.
    left = memoryview(line)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())


class Journal:
    """The journal at ``path`` of one run; a context manager.

    Read all ``entries`` before the first ``append``.

    Parameters
    ----------
    path
        The file; created if it does not exist.
    run
        Settings that must agree to continue, by a name for messages; stored in the first line.
    owner
        Name of the program, for messages: ``"esml predict"``.
    restart
        Discard the entries of an earlier run.

    Raises
    ------
    JournalError
        If the file is a journal of another run, or not a journal.
    OSError
        If it cannot be read or written.
    """

    def __init__(self, path: Path, run: Entry, owner: str, restart: bool = False) -> None:
        self.path = path
        self.n_entries = 0
        self._owner = owner
        head = {"journal of": owner, **run}
        line = encode(head)
        there = b""
        if not restart and path.exists():
            with path.open("rb") as file:
                there = file.readline(2**20)
        if there.endswith(b"\n"):
            self._compare(decode(there), head)
        elif there != line[: len(there)]:  # otherwise the first line was cut short
            self._refuse_foreign()
        self._start = len(there) if there.endswith(b"\n") else len(line)
        self._file = path.open("ab", buffering=0)
        if not there.endswith(b"\n"):
            self._file.truncate(0)
            _write(self._file, line)

    def _refuse_foreign(self) -> None:
        raise JournalError(
            f"'{self.path}' is not a journal of {self._owner}: expected one, or no such file; "
            "delete it or choose another output"
        )

    def _compare(self, found: Entry | None, head: Entry) -> None:
        if found is None or found.get("journal of") != self._owner:
            self._refuse_foreign()
            return
        others = [key for key in head if found.get(key) != head[key]]
        if others:
            raise JournalError(
                f"'{self.path}' keeps what another run has done, with a different "
                f"{' and '.join(others)}: expected the same settings to continue; use them, "
                "choose another output, or restart, which discards it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the journal; remove it if the run is complete or nothing was kept."""
        self._file.close()
        if error_type is None or not self.n_entries:
            self.path.unlink(missing_ok=True)

    def entries(self) -> Iterator[Entry]:
        """Yield all entries before the first incomplete line; drop that line and what follows."""
        end = self._start
        with self.path.open("rb") as file:
            file.seek(end)
            for line in file:
                entry = decode(line)
                if entry is None:
                    break
                end += len(line)
                self.n_entries += 1
                yield entry
        self._file.truncate(end)

    def append(self, entry: Entry) -> None:
        """Append ``entry``; it is on the disk when this returns."""
        _write(self._file, encode(entry))
        self.n_entries += 1
