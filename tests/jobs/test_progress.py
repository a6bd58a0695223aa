"""The live line of a long run."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from rich.console import Console
from rich.progress import Progress

from esml.jobs import progress_bar, tracked


def shown(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as captured:
        console.print(progress.get_renderable())
    return captured.get()


@pytest.mark.parametrize(("seconds", "rate"), [(2.0, "5.0/s"), (100.0, "10.0 s each")])
def test_it_says_what_how_many_how_fast_and_what_failed(seconds: float, rate: str) -> None:
    now = [0.0]
    progress = progress_bar(Console(file=io.StringIO(), width=160), period=1e6)
    progress.get_time = lambda: now[0]
    task = progress.add_task("predicting molecules", total=50, remark="")
    assert "–/s" in shown(progress)
    for k in range(11):
        now[0] = 0.1 * k * seconds
        progress.update(task, completed=k, remark=f"{k // 5} failed" if k >= 5 else "")
    line = shown(progress)
    assert line.startswith("predicting molecules")
    assert "10/50" in line
    assert rate in line
    assert "2 failed" in line
    left = int(4 * seconds)  # forty of the fifty are left
    assert f"left 0:{left // 60:02d}:{left % 60:02d}" in line


def test_a_log_gets_a_line_now_and_then() -> None:
    """Where there is no terminal; a terminal has the live line alone."""
    logs = {}
    for terminal in (False, True):
        file = io.StringIO()
        console = Console(file=file, width=160, force_terminal=terminal)
        with progress_bar(console, every=0.0) as progress:
            task = progress.add_task("predicting molecules", remark="")
            progress.update(task, completed=3, total=1000, remark="1 failed")
        logs[terminal] = file.getvalue()
    assert "predicting molecules: 3 of 1,000, –/s, 1 failed\n" in logs[False]
    assert "3 of 1,000" not in logs[True]
    with progress_bar(Console(file=(quiet := io.StringIO())), enabled=False, every=0.0) as progress:
        progress.update(progress.add_task("training", remark=""), completed=3, total=4)
    assert not quiet.getvalue()


@pytest.mark.parametrize(
    ("items", "total", "counted"),
    [([1, 2, 3], None, "3/3"), (iter([1, 2, 3]), 3, "3/3"), (iter([1, 2, 3]), None, "3/?")],
)
def test_what_is_gone_through_is_handed_on_and_counted(
    items: Iterable[int], total: int | None, counted: str
) -> None:
    file = io.StringIO()
    found = list(tracked(items, "looking at molecules", total, Console(file=file, width=160)))
    assert found == [1, 2, 3]
    assert "looking at molecules" in file.getvalue()
    assert counted in file.getvalue()
