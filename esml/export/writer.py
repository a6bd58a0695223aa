"""What every writer of predictions has in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[Any]


class ExportError(ValueError):
    """A predictions file that cannot be written or read."""


class SingletStates(Protocol):
    """What a writer needs of singlet states; see ``Prediction``."""

    @property
    def energies(self) -> Any: ...
    @property
    def uncertainties(self) -> Any: ...
    @property
    def oscillator_strengths(self) -> Any: ...
    @property
    def transition_dipoles(self) -> Any: ...


class TripletStates(Protocol):
    """What a writer needs of triplet states; see ``Prediction``."""

    @property
    def energies(self) -> Any: ...
    @property
    def uncertainties(self) -> Any: ...


class Prediction(Protocol):
    """What a writer needs of a result; arrays are anything ``numpy.asarray`` takes."""

    @property
    def orbital_energies(self) -> Any: ...
    @property
    def n_occupied(self) -> int: ...
    @property
    def charges(self) -> Any: ...
    @property
    def dipole(self) -> Any: ...
    @property
    def singlets(self) -> SingletStates: ...
    @property
    def triplets(self) -> TripletStates: ...
    @property
    def in_domain(self) -> bool: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class Writer(Protocol):
    """Takes predictions one after the other; a context manager.

    What is written grows under the name ``part_path(path)`` and gets its own name when the block
    ends without an exception.
    """

    path: Path
    n_results: int
    n_failures: int

    def __enter__(self) -> Writer: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def add(
        self, result: Prediction, atoms: Atoms, *, name: str, source: str = "", index: int = 0
    ) -> None: ...
    def add_failure(self, name: str, reason: str, *, source: str = "", index: int = 0) -> None: ...


def part_path(path: str | Path) -> Path:
    """Where the file of ``path`` grows until it is complete."""
    path = Path(path)
    return path.with_name(path.name + ".part")


def cannot_write(path: Path, error: OSError) -> ExportError:
    """The error to raise where the part file of ``path`` cannot be created."""
    return ExportError(
        f"cannot write '{part_path(path)}': {error}; expected a directory that exists "
        "and may be written to"
    )


class TextWriter(ABC):
    """A ``Writer`` of text: a head, a piece for each molecule, an end.

    Raises ``ExportError`` when the file cannot be created.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.n_results = 0
        self.n_failures = 0
        try:
            # Pieces bring their own line ends.
            self._file = part_path(self.path).open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Writer:
        self._file.write(self.head())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._file.write(self.end())
        if kind is None:
            os.replace(part_path(self.path), self.path)

    def add(
        self, result: Prediction, atoms: Atoms, *, name: str, source: str = "", index: int = 0
    ) -> None:
        """Append the prediction ``result`` for ``atoms``, structure ``index`` of ``source``."""
        self._file.write(self.piece(result, atoms, name, source, index))
        self.n_results += 1

    def add_failure(self, name: str, reason: str, *, source: str = "", index: int = 0) -> None:
        """Record that there is no prediction for ``name``, structure ``index`` of ``source``."""
        self._file.write(self.failure(name, reason, source, index))
        self.n_failures += 1

    def head(self) -> str:
        """What stands before the first molecule."""
        return ""

    def end(self) -> str:
        """What stands after the last."""
        return ""

    @abstractmethod
    def piece(
        self, result: Prediction, atoms: Atoms, name: str, source: str, index: int
    ) -> str: ...

    @abstractmethod
    def failure(self, name: str, reason: str, source: str, index: int) -> str: ...


def frontier(result: Prediction) -> tuple[float, float]:
    """Energies of the highest occupied and the lowest virtual orbital, eV, nan for none."""
    energies = np.asarray(result.orbital_energies, dtype=np.float64)
    n = int(result.n_occupied)
    homo = float(energies[n - 1]) if n else float("nan")
    return homo, float(energies[n]) if n < len(energies) else float("nan")
