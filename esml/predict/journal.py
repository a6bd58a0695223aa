"""What a run has predicted so far, kept so that a killed one can go on: ``OUTPUT.journal``.

The first line is a JSON object that says of which run it is: what of another run cannot be gone on
with. Every further line is a *window*, the structures predicted together: the CRC-32 of what
follows, a space, and a JSON object with ``position`` (the file of the input, and the number of
entries read from it, where the next window begins) and ``outcomes``, one for each structure or
failure in the order of the input. Numbers are written so that they come back bit for bit.

A line is on the disk before the next window begins. What a kill, a full disk or damage has left of
one is not whole by its checksum; it is cut off, with whatever follows, and predicted again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from esml.export.plain import from_plain, to_plain
from esml.export.writer import ExportError
from esml.results import Outcome

FORMAT = "esml-journal"
VERSION = 1

_START = f'{{"format": "{FORMAT}"'.encode()


class Position(NamedTuple):
    """A place in the input."""

    file: int
    entries: int


def journal_path(path: str | Path) -> Path:
    """The journal of the run that writes ``path``."""
    path = Path(path)
    return path.with_name(path.name + ".journal")


class Journal:
    """The journal of ``output`` for one run; a context manager.

    ``run`` is what must be the same to go on (JSON), with a word for people as the key. ``kept``
    gives what an earlier run left, ``append`` adds to it. The file is removed when the block ends
    without an exception, or with nothing kept.

    Raises ExportError for a journal of another run, or a file that is none, unless ``restart`` asks
    to do without; OSError where it cannot be read or written.
    """

    def __init__(self, output: str | Path, run: dict[str, Any], restart: bool = False) -> None:
        self.path = journal_path(output)
        self.position = Position(0, 0)
        """Where the first window that is not kept begins."""
        head = {"format": FORMAT, "version": VERSION, **run}
        line = json.dumps(head).encode() + b"\n"
        self._start = len(line)
        self._n_windows = 0
        there = b""
        if not restart and self.path.exists():
            with self.path.open("rb") as file:
                there = file.readline(2**20)
        if there.endswith(b"\n"):
            self._compare(there, head)
        elif there[: len(_START)] != _START[: len(there)]:  # else a head that was cut short
            self._refuse_foreign()
        # Without a buffer, nothing is left to be written when a full disk has refused it.
        self._file = self.path.open("ab", buffering=0)
        if not there.endswith(b"\n"):
            self._file.truncate(0)
            self._write(line)

    def _refuse_foreign(self) -> None:
        raise ExportError(
            f"'{self.path}' is no journal of esml predict: expected one, or no such file; remove "
            "it or choose another output"
        )

    def _compare(self, there: bytes, head: dict[str, Any]) -> None:
        """Refuse to go on with what is of another run."""
        try:
            found = json.loads(there) if there.startswith(_START) else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._refuse_foreign()
            return
        others = [key for key in head if found.get(key) != head[key]]
        if others:
            raise ExportError(
                f"'{self.path}' keeps predictions of another run, with a different "
                f"{' and '.join(others)}: expected the same to go on; give it again, choose "
                "another output, or begin anew with --restart"
            )
        self._start = len(there)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None or not self._n_windows:
            self.path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def kept(self) -> Iterator[list[Outcome]]:
        """The outcomes of every whole window there is, in order; to be gone through before the
        first ``append``."""
        end = self._start
        with self.path.open("rb") as file:
            file.seek(end)
            for line in file:
                window = _window(line)
                if window is None:
                    break
                end += len(line)
                self._n_windows += 1
                self.position, outcomes = window
                yield outcomes
        self._file.truncate(end)

    def append(self, outcomes: Sequence[Outcome], position: Position) -> None:
        """Keep the outcomes of a window; the next one begins at ``position``."""
        window = {"position": position, "outcomes": [to_plain(outcome) for outcome in outcomes]}
        text = json.dumps(window).encode()
        self._write(_checksum(text) + b" " + text + b"\n")
        self._n_windows += 1
        self.position = position


def _checksum(text: bytes) -> bytes:
    return f"{zlib.crc32(text):08x}".encode()


def _window(line: bytes) -> tuple[Position, list[Outcome]] | None:
    """What a line keeps; None if it is not whole."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != _checksum(text):
        return None
    try:
        window = json.loads(text)
        return Position(*window["position"]), [from_plain(entry) for entry in window["outcomes"]]
    except (KeyError, TypeError, ValueError):
        return None
