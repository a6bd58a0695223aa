"""Journal of a run of predictions, ``OUTPUT.journal``: what has been predicted so far.

Every entry (``esml.jobs.journal``) is a *window* of structures predicted together. ``position`` is
where the next window begins in the input (the file, and the number of entries read from it);
``outcomes`` has one for each structure in the order of the input. Numbers are restored bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from esml.export.plain import from_plain, to_plain
from esml.jobs import Journal
from esml.results import Outcome

OWNER = "esml predict"


class Position(NamedTuple):
    """A position in the input: file, and number of entries read from it."""

    file: int
    entries: int


def journal_path(path: str | Path) -> Path:
    """Return the path of the journal of the run that writes ``path``."""
    path = Path(path)
    return path.with_name(path.name + ".journal")


class PredictionJournal(Journal):
    """The journal of ``output`` for one run; see ``esml.jobs.journal.Journal``."""

    def __init__(self, output: str | Path, run: dict[str, Any], restart: bool = False) -> None:
        super().__init__(journal_path(output), run, OWNER, restart)
        self.position = Position(0, 0)
        """Where the first window begins that is not in the journal."""

    def kept(self) -> Iterator[list[Outcome]]:
        """Yield the outcomes of every window from an earlier run, in order."""
        for entry in self.entries():
            self.position = Position(*entry["position"])
            yield [from_plain(outcome) for outcome in entry["outcomes"]]

    def keep(self, outcomes: Sequence[Outcome], position: Position) -> None:
        """Store the outcomes of a window; the next one begins at ``position``."""
        plain = [to_plain(outcome) for outcome in outcomes]
        self.append({"position": position, "outcomes": plain})
        self.position = position
