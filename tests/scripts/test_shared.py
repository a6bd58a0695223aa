"""What scripts share: measuring, tables that grow, pages that are filled."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from scripts import measuring
from scripts.csv_rows import add_rows, read_rows
from scripts.pages import fill, table


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_processor_time_counts_work_and_not_waiting() -> None:
    assert measuring.timed(lambda: time.sleep(0.2))["wall_s"] >= 0.2
    assert measuring.fine(lambda: time.sleep(0.05), 2) < 0.02
    found = measuring.side_by_side({"one": lambda: busy(0.02), "two": lambda: busy(0.06)}, 2)
    assert 0.02 <= found["one"] < found["two"]


def test_peak_memory_stays_when_memory_is_given_back() -> None:
    block = np.ones(2**27)
    held = measuring.memory()
    del block
    assert held > 2**27 * 8 / 2**20
    assert measuring.memory() < held - 900
    assert measuring.peak_memory() > held - 1  # the kernel counts in steps


def test_a_process_of_its_own_gives_its_last_line_or_a_reason(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('{"cpu_s": 1.5}')
    (tmp_path / "broken.json").write_text("{")
    run = measuring.in_own_process
    found = run("json.tool", "--compact", str(tmp_path / "found.json"), most_s=60)
    assert found == {"cpu_s": 1.5}
    failed = run("json.tool", str(tmp_path / "broken.json"), most_s=60)
    assert "property name" in failed["outcome"]
    endless = run("timeit", "-n", "1", "-s", "import time", "time.sleep(60)", most_s=0.5)
    assert endless["outcome"].startswith("not done within")


def test_rows_are_added_to_a_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    assert read_rows(path) == []
    add_rows(path, [{"name": "a", "value": 1 / 3}], ("name", "value"))
    add_rows(path, [{"name": "b", "value": 7}], ("name", "value"))
    assert path.read_text() == "name,value\na,0.333333\nb,7\n"
    assert read_rows(path)[1] == {"name": "b", "value": "7"}
    with pytest.raises(ValueError, match="other"):
        add_rows(path, [{"name": "c", "value": 1, "other": 2}], ("name", "value"))
    assert len(read_rows(path)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_page_is_filled_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    before = (
        "# Title\n<!-- filled: one -->\nold\n<!-- end -->\nkept\n"
        "<!-- other: two -->\n<!-- end -->\n"
    )
    page.write_text(before)
    with pytest.raises(SystemExit, match="no single block '<!-- filled: two -->'"):
        fill(page, {"one": "new", "two": "new"})
    assert page.read_text() == before
    text = table(("", "n"), [("a", 1)], right=True)
    assert text == "|  | n |\n| --- | ---: |\n| a | 1 |"
    fill(page, {"one": r"a\1 new"})
    fill(page, {"two": text}, "other")
    assert page.read_text() == (
        "# Title\n<!-- filled: one -->\n\na\\1 new\n\n<!-- end -->\nkept\n"
        f"<!-- other: two -->\n\n{text}\n\n<!-- end -->\n"
    )
