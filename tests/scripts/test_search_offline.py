"""Search of the documentation works on pages that are opened from a disk, without a network."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from browser import needed, opened

pytest.importorskip("material")
pytest.importorskip("playwright")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from playwright.sync_api import TimeoutError

pytestmark = needed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pages with the theme, scripts and styles of the documentation."""
    folder = tmp_path_factory.mktemp("docs")
    for part in ("javascripts", "stylesheets"):
        shutil.copytree(ROOT / "docs" / part, folder / "docs" / part)
    for name in ("index.md", "light.md", "glossary.md"):
        shutil.copy(ROOT / "docs" / name, folder / "docs")
    (folder / "docs" / "figures").mkdir()
    for name in ("azobenzene.png", "vibronic.png", "herzberg_teller.png"):
        shutil.copy(ROOT / "docs" / "figures" / name, folder / "docs" / "figures")
    config = load_config(
        str(ROOT / "mkdocs.yml"),
        docs_dir=str(folder / "docs"),
        site_dir=str(folder / "site"),
        strict=False,  # links to the other pages lead nowhere
    )
    config.nav = None
    build(config)
    return folder / "site"


def test_words_are_found_and_lead_to_their_page(site: Path) -> None:
    found = ".md-search-result__link"
    page = (site / "index.html").as_uri()
    visible = {"width": 1300, "height": 800}  # the field is folded away on a phone
    options = {"ready": "input.md-search__input", "offline": True, "viewport": visible}
    with opened(page, **options) as (tab, messages, asked):
        for _ in range(10):  # what is typed before the index is there is not looked for
            tab.fill("input.md-search__input", "")
            tab.locator("input.md-search__input").press_sequentially("surface hopping")
            with suppress(TimeoutError):
                tab.wait_for_selector(found, timeout=3000)
                break
        tab.locator(found).first.click()
        tab.wait_for_url("**/light.html*")
        assert messages == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
