"""Progress of a long run: current task, number done and total, speed, time left.

It is a live line on standard error, or a line every minute if that is not a terminal, as in the log
of a cluster job.
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
    """Column with the number per second, or seconds for each if one takes longer."""

    def render(self, task: Task) -> Text:
        """Return the rate of ``task``, a dash until it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("–/s")
        return Text(f"{speed:.1f}/s" if speed >= 1.0 else f"{1.0 / speed:.1f} s each")


class Lines(Progress):
    """A live line, or without a terminal a line for the log every ``every`` seconds."""

    def __init__(self, *columns: ProgressColumn, every: float = 60.0, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self.every = every
        self._told = time.monotonic()

    def update(self, *arguments: Any, **settings: Any) -> None:
        """Update a task as ``rich.progress.Progress.update`` does."""
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
    """Make a live line for tasks with a description and an additional ``remark``.

    Parameters
    ----------
    console
        Where it is shown; standard error if None.
    enabled
        If false, nothing is shown, not even text printed above the line.
    period
        Seconds over which rate and time left are estimated.
    every
        Seconds between lines if there is no terminal.
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
    """Yield the ``items`` and show a live line meanwhile.

    Parameters
    ----------
    items
        The items.
    description
        What is being done.
    total
        Number of items; by default their length, if they have one.
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
