"""Base classes of all writers of predictions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from esml.results import Failure, Outcome, Result


class ExportError(ValueError):
    """Raised for a predictions file that cannot be written or read."""


class Writer(ABC):
    """Writes results and failures one after the other; a context manager.

    The file grows under the name ``part_path(path)`` and is renamed to ``path`` when the block ends
    without an exception.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.n_results = 0
        self.n_failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(error_type is None)
        if error_type is None:
            os.replace(part_path(self.path), self.path)

    @abstractmethod
    def add(self, outcome: Outcome) -> None:
        """Append a result or a failure."""

    @abstractmethod
    def _close(self, complete: bool) -> None:
        """Close the part file; ``complete`` if the block ended without an exception."""


def part_path(path: str | Path) -> Path:
    """Return the name under which the file at ``path`` grows until it is complete."""
    path = Path(path)
    return path.with_name(path.name + ".part")


def cannot_write(path: Path, error: OSError) -> ExportError:
    """Return the error to raise if the part file of ``path`` cannot be created."""
    return ExportError(
        f"cannot write '{part_path(path)}': {error}; expected a directory that exists "
        "and may be written to"
    )


class TextWriter(Writer):
    """A ``Writer`` of text: a head, a piece for each molecule, an end.

    Raises ``ExportError`` if the file cannot be created.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        try:
            # Pieces include their own line ends.
            self._file = part_path(self.path).open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Self:
        self._file.write(self.head())
        return self

    def _close(self, complete: bool) -> None:
        with self._file:
            if complete:
                self._file.write(self.end())

    def add(self, outcome: Outcome) -> None:
        """Append a result, or a failure if the format has a place for it."""
        if isinstance(outcome, Failure):
            self._file.write(self.failure(outcome))
            self.n_failures += 1
        else:
            self._file.write(self.piece(outcome))
            self.n_results += 1

    def head(self) -> str:
        """Return the text before the first molecule."""
        return ""

    def end(self) -> str:
        """Return the text after the last molecule."""
        return ""

    @abstractmethod
    def piece(self, result: Result) -> str:
        """Return the text for a result."""

    @abstractmethod
    def failure(self, failure: Failure) -> str:
        """Return the text for a failure."""
