"""What a long run shows while it works: what is done, how many of how many, how fast, what is left.

A live line on standard error; nothing where that is no terminal, so that logs stay short.
"""

from __future__ import annotations

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


class Rate(ProgressColumn):
    """How many in a second; seconds for one where it takes longer than that."""

    def render(self, task: Task) -> Text:
        """The rate of ``task``, a dash until it is known."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("–/s")
        return Text(f"{speed:.1f}/s" if speed >= 1.0 else f"{1.0 / speed:.1f} s each")


def progress_bar(
    console: Console | None = None, enabled: bool = True, period: float = 60.0
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
    """
    return Progress(
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
    )
