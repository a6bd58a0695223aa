"""Progress of a long run: what is being done, how many of how many, how fast, time left.

A live line on standard error; where that is no terminal, as in the log of a cluster's job, a line
every minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")


class Rate(ProgressColumn):
    """How many in a second; seconds for one where it takes longer than that."""

    def render(self, task: Task) -> Text:
        """The rate of ``task``, a dash until it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("–/s")
        return Text(f"{speed:.1f}/s" if speed >= 1.0 else f"{1.0 / speed:.1f} s each")


class Lines(Progress):
    """A live line, or a line for a log every ``every`` seconds where there is no terminal."""

    def __init__(self, *columns: ProgressColumn, every: float = 60.0, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self.every = every
        self._told = time.monotonic()

    def update(self, *arguments: Any, **settings: Any) -> None:
        """As ``rich.progress.Progress.update``."""
        super().update(*arguments, **settings)
        now = time.monotonic()
        if self.disable or self.console.is_terminal or now - self._told < self.every:
            return
        self._told = now
        for task in self.tasks:
            self.console.print(_line(task), soft_wrap=True, highlight=False, markup=False)


def _line(task: Task) -> str:
    """Progress line for ``task``: "predicting molecules: 12 of 40, 1.2 s each, …"."""
    total = "" if task.total is None else f" of {task.total:,.0f}"
    parts = [f"{task.completed:,.0f}{total}", Rate().render(task).plain]
    if task.time_remaining is not None:
        parts.append(f"{TimeRemainingColumn().render(task).plain} left")
    if task.fields["remark"]:
        parts.append(task.fields["remark"])
    return f"{task.description}: {', '.join(parts)}"


def progress_bar(
    console: Console | None = None,
    enabled: bool = True,
    period: float = 60.0,
    every: float = 60.0,
) -> Progress:
    """A live line whose tasks have a description and, as ``remark``, what else there is to say.

    Parameters
    ----------
    console
        Where it is shown; standard error if None.
    enabled
        Nothing is shown, not even what is printed above the line, if false.
    period
        Seconds over which rate and time left are estimated.
    every
        Seconds between lines where there is no terminal.
    """
    return Lines(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
        console=console or Console(stderr=True, quiet=not enabled),
        disable=not enabled,
        speed_estimate_period=period,
        every=every,
    )


def tracked(
    items: Iterable[Item],
    description: str,
    total: int | None = None,
    console: Console | None = None,
) -> Iterator[Item]:
    """The ``items``, with a live line while they are gone through.

    Parameters
    ----------
    items
        What is handed on.
    description
        What is being done.
    total
        How many they are; left out, their length, if they have one.
    console
        Where the line is shown; standard error if None.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(console) as display:
        task = display.add_task(description, total=total, remark="")
        for item in items:
            yield item
            display.update(task, advance=1)
