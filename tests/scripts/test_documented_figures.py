"""The commands whose output is in the documentation."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from scripts import ROOT
from scripts.figures import FIGURES, Figures, compute, wanted


@pytest.mark.parametrize("name", FIGURES)
def test_each_command_exists_and_is_named_on_its_page(name: str) -> None:
    figures = FIGURES[name]
    assert importlib.util.find_spec(figures.module) is not None
    page = (ROOT / "docs" / f"{figures.page}.md").read_text(encoding="utf-8")
    assert f"python -m {figures.module}" in page
    for word in figures.words(Path("run"), Path("table")):
        assert not word.startswith("data/") or (ROOT / word).exists()


def test_without_a_table_what_needs_one_is_left_out() -> None:
    assert set(FIGURES) - set(wanted(None, None)) == {"measured_maxima", "emission"}
    assert wanted(None, Path("table.csv.gz")) == list(FIGURES)
    assert wanted(["emission", "dyes"], None) == ["dyes"]


def test_output_is_kept_and_not_computed_again(tmp_path: Path) -> None:
    zen = Figures("model", "this")
    assert compute("zen", zen, tmp_path, None).endswith("for docs/model.md")
    assert "Beautiful is better than ugly." in (tmp_path / "zen.txt").read_text()
    (tmp_path / "zen.txt").write_text("kept")
    assert compute("zen", zen, tmp_path, None) == "zen: there already"
    assert (tmp_path / "zen.txt").read_text() == "kept"


def test_what_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    broken = Figures("model", "scripts.nothing", "{run} {table}")
    for _ in range(2):
        said = compute("broken", broken, tmp_path, Path("a.csv"))
        assert said == f"broken: failed, see {tmp_path / 'broken.failed.txt'}"
    assert "scripts.nothing" in (tmp_path / "broken.failed.txt").read_text()
    assert not (tmp_path / "broken.txt").exists()
