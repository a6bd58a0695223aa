"""A browser for the tests of pages, where there is one: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

# A WebGL that needs no graphics card.
OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]

needed = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: no chromium on the PATH")


@contextmanager
def opened(url: str, **context: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """A page of the browser, its console messages, and the addresses it asked for.

    What drivers of graphics cards say of their speed is left out of the messages.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(300_000)  # software graphics on a busy machine
        messages: list[str] = []
        asked: list[str] = []
        page.on("console", lambda m: "GL Driver" in m.text or messages.append(m.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url, wait_until="commit")
        page.wait_for_selector("body[data-ready=yes]")
        yield page, messages, asked
        browser.close()
