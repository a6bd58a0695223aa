"""The journal of a run of predictions, ``OUTPUT.journal``: what has been predicted so far.

Every entry (``esml.jobs.journal``) is a *window*, the structures predicted together: ``position``,
where in the input the next window begins (the file, and the number of entries read from it), and
``outcomes``, one for each structure in the order of the input. Numbers come back bit for bit.
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
    """A place in the input."""

    file: int
    entries: int


def journal_path(path: str | Path) -> Path:
    """The journal of the run that writes ``path``."""
    path = Path(path)
    return path.with_name(path.name + ".journal")


class PredictionJournal(Journal):
    """The journal of ``output`` for one run; see ``esml.jobs.journal.Journal``."""

    def __init__(self, output: str | Path, run: dict[str, Any], restart: bool = False) -> None:
        super().__init__(journal_path(output), run, OWNER, restart)
        self.position = Position(0, 0)
        """Where the first window that is not kept begins."""

    def kept(self) -> Iterator[list[Outcome]]:
        """The outcomes of every window that an earlier run has kept, in order."""
        for entry in self.entries():
            self.position = Position(*entry["position"])
            yield [from_plain(outcome) for outcome in entry["outcomes"]]

    def keep(self, outcomes: Sequence[Outcome], position: Position) -> None:
        """Keep the outcomes of a window; the next one begins at ``position``."""
        plain = [to_plain(outcome) for outcome in outcomes]
        self.append({"position": position, "outcomes": plain})
        self.position = position
