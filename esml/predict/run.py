"""Predict every structure of many files into one output; an interrupted run resumes.

    files → windows of structures → predictions → journal → output

The grouping of structures affects the last bits of single precision. It depends only on the stream
of structures (``esml.predict.batching.Batching``), so a run that resumes at the beginning of a
window gives bit for bit the same as an uninterrupted run.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from esml.export import open_writer
from esml.io.paths import count_structures
from esml.io.structures import (
    DEFAULT,
    InputError,
    ReadingOptions,
    Structure,
    makes_geometries,
    read_entries,
)
from esml.predict.batching import Batching
from esml.predict.cluster import predict_windows
from esml.predict.journal import Position, PredictionJournal
from esml.predict.model_files import content
from esml.predict.surrogate import Surrogate
from esml.predict.windows import predict_window
from esml.results import Failure, Outcome, Result

MOST_REASONS = 10
"""Number of failures whose reasons are kept."""


@dataclass
class Tally:
    """Progress of a run."""

    expected: int = 0
    """Total number of structures, as far as known."""
    resumed: int = 0
    """Number of finished structures from an earlier run."""
    predicted: int = 0
    failed: int = 0
    outside: int = 0
    """Number of predicted structures outside the domain of the model."""
    reasons: list[str] = field(default_factory=list)
    """Reasons of the first failures, with their structures."""

    @property
    def done(self) -> int:
        return self.predicted + self.failed

    def count(self, outcome: Outcome) -> None:
        if isinstance(outcome, Result):
            self.predicted += 1
            self.outside += not outcome.in_domain
            return
        self.failed += 1
        if len(self.reasons) < MOST_REASONS:
            self.reasons.append(_told(outcome))


def _told(failure: Failure) -> str:
    """The reason, preceded by source, name and index of the structure unless it contains them."""
    # Errors from readers name their file.
    if failure.source in failure.reason:
        return failure.reason
    known = not failure.name or failure.name in (Path(failure.source).stem, failure.smiles)
    name = "" if known or f"'{failure.name}'" in failure.reason else f" '{failure.name}'"
    return f"{failure.source}, structure {failure.index}{name}: {failure.reason}"


@dataclass(frozen=True)
class Window:
    """Structures that are predicted together, and reading failures in between."""

    atoms: list[Atoms]
    entries: list[Structure | Failure]
    end: Position

    def outcomes(self, found: Sequence[Outcome]) -> list[Outcome]:
        """Return all outcomes in the order of the input; ``found`` are those of ``atoms``."""
        results = iter(found)
        return [
            entry if isinstance(entry, Failure) else _placed(next(results), entry)
            for entry in self.entries
        ]


def _placed(outcome: Outcome, structure: Structure) -> Outcome:
    """``outcome`` with the name, source and index of its structure."""
    return replace(outcome, name=structure.name, source=structure.source, index=structure.index)


class Sources:
    """The structures of many files from ``start`` on, one window at a time."""

    def __init__(
        self,
        files: Sequence[Path],
        start: Position,
        batching: Batching,
        options: ReadingOptions,
    ) -> None:
        self._files = files
        self._options = options
        self._batching = batching
        self._position = start
        self._entries: list[Structure | Failure] = []
        self._counts = [
            self._own(place, count_structures(path)) for place, path in enumerate(files)
        ]

    @property
    def expected(self) -> int:
        """Total number of structures in all files, as far as known."""
        return sum(self._counts)

    def _shard(self, place: int) -> tuple[int, int]:
        """First record of file number ``place`` in this shard, and the step to the next.

        Records go to the shards in turn, and each file starts with the next shard, so that many
        files with one structure each are also distributed.
        """
        first, every = self._options.shard or (0, 1)
        return (first - place) % every, every

    def _own(self, place: int, count: int) -> int:
        """Number of the ``count`` records of file number ``place`` in this shard."""
        first, every = self._shard(place)
        return len(range(first, count, every))

    def windows(self) -> Iterator[Window]:
        """Yield all windows; the last may contain no structure."""
        stream = self._stream()
        while atoms := self._batching.read_ahead(stream):
            yield self._window(atoms)
        if self._entries:
            yield self._window([])

    def _window(self, atoms: list[Atoms]) -> Window:
        window = Window(atoms, self._entries, self._position)
        self._entries = []
        return window

    def _stream(self) -> Iterator[Atoms]:
        first, skip = self._position
        for place, path in enumerate(self._files[first:], start=first):
            n = skip
            options = replace(self._options, shard=self._shard(place))
            try:
                for entry in read_entries(path, skip, options):
                    n = n + 1 if entry.index is None else entry.index + 1
                    self._position = Position(place, n)
                    if isinstance(entry, InputError):
                        name = entry.name or path.stem
                        told = Failure(name, str(entry), str(path), n - 1, entry.smiles)
                        self._entries.append(told)
                        continue
                    self._entries.append(entry)
                    yield entry.atoms
            except InputError as error:
                # An unreadable file is reported by the shard that owns its first record.
                if n or self._shard(place)[0] == 0:
                    self._entries.append(Failure(path.stem, str(error), str(path), n))
                n += 1
            self._counts[place] = self._own(place, n)
            self._position, skip = Position(place + 1, 0), 0


def _content(files: Sequence[Path]) -> str:
    """SHA-256 of the names and the contents of ``files``."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path).encode("utf-8", "surrogateescape") + b"\0")
        try:
            # Only regular files: pipes and devices may never end.
            if path.is_file():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        except (OSError, ValueError):
            pass  # the reader will report why
    return digest.hexdigest()


def shard_text(shard: tuple[int, int]) -> str:
    """Return ``"2/8"`` for ``(1, 8)``."""
    first, every = shard
    return f"{first + 1}/{every}"


MADE_AHEAD = 16
"""Number of structures in a window if geometries must be made, which takes seconds each: a killed
run loses what it has done since the last window."""


def _short(batching: Batching) -> Batching:
    return replace(batching, window=min(batching.window, MADE_AHEAD))


def _made(files: Sequence[Path], options: ReadingOptions) -> bool:
    """Whether any of the files needs new geometries."""
    return any(makes_geometries(path, options) for path in files)


def predict_files(
    model: Surrogate,
    files: Sequence[Path],
    output: Path,
    n_states: int,
    *,
    format: str | None = None,
    dask: str | None = None,
    restart: bool = False,
    label: str = "shipped",
    options: ReadingOptions = DEFAULT,
) -> Generator[Tally, None, None]:
    """Predict ``n_states`` singlets and triplets of all structures of ``files`` into ``output``.

    Unless ``restart``, it continues an earlier run with the same files, model and states from the
    journal of ``output`` (see ``esml.predict.journal``). ``format`` is one of
    ``esml.export.FORMATS``, ``dask`` the address of a cluster, ``label`` the name of the model in
    the output, ``options`` those for reading structures. The caller must hold the lock of the
    output.

    Yields the same ``Tally`` object once at the start and after each window. If the generator is
    not exhausted, the journal stays.

    Raises ExportError and OSError if output or journal cannot be written, JournalError if the
    journal belongs to another run, and ClusterError as ``predict_windows`` does.
    """
    run = {
        "set of input files": _content(files),
        "model": content(model).fingerprint(),
        "number of states": n_states,
        "version of esml": version("esml"),
        "version of torch": str(torch.__version__),
        "geometry, charge or other option of reading": options.fingerprint(),
    }
    told: dict[str, Any] = {"model": label, "esml_version": version("esml")}
    if options.shard is not None:
        told["shard"] = shard_text(options.shard)
    tally = Tally()
    with (
        PredictionJournal(output, run, restart) as journal,
        open_writer(output, n_states, format, **told) as writer,
    ):
        for outcomes in journal.kept():
            for outcome in outcomes:
                writer.add(outcome)
                tally.count(outcome)
        tally.resumed = tally.done
        batching = _short(model.batching) if _made(files, options) else model.batching
        sources = Sources(files, journal.position, batching, options)
        tally.expected = sources.expected
        yield tally
        begun: deque[Window] = deque()

        def windows() -> Iterator[list[Atoms]]:
            for window in sources.windows():
                begun.append(window)
                yield window.atoms

        results = (
            predict_windows(model, windows(), n_states, dask)
            if dask
            else (predict_window(model, window, n_states) for window in windows())
        )
        with closing(results):
            for found in results:
                window = begun.popleft()
                outcomes = window.outcomes(found)
                journal.keep(outcomes, window.end)
                for outcome in outcomes:
                    writer.add(outcome)
                    tally.count(outcome)
                tally.expected = sources.expected
                yield tally
