"""Pages show what their commands print and draw, and the script that redraws them does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import esml

pytest.importorskip("matplotlib")

from scripts.pictures.tutorials import PAGES, quote, redraw

NAMES = [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_page_shows_an_output_and_a_picture(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r"(?:\]\(|src=\")([^\s)\"]+\.png)", text)
    assert pictures
    assert all((page.parent / name).is_file() for name in pictures)
    assert "" in re.findall(r"^```(.*)\n(?:.*\n)*?```$", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_quoted_command_is_one_that_the_page_names(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    named = " ".join("\n".join(blocks).replace("\\\n", " ").split())
    for command in re.findall(r"<!-- printed: (.+?) -->", text):
        assert command in named


def test_a_page_is_redrawn(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Before\n<!-- printed: esml --version -->\nold\n<!-- end -->\n![It](figures/cluster.png)\n"
        "![Not drawn here](other.png)\n"
    )
    redraw(page)
    block = f"```\nesml {esml.__version__}\n```"
    assert f"<!-- printed: esml --version -->\n\n{block}\n\n<!-- end -->\n![It]" in page.read_text()
    assert (tmp_path / "figures" / "cluster.png").stat().st_size > 5000
    assert not (tmp_path / "other.png").exists()


def test_an_excerpt_stays_as_long_as_it_was() -> None:
    assert quote("a\nb\nc", "```\nold\n```") == "```\na\nb\nc\n```"
    assert quote("a\nb\nc", "```\nold\nolder\n⋮\n```") == "```\na\nb\n⋮\n```"
