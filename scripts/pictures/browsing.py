"""Open pages in a browser (Chromium, Playwright), for scripts and tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
"""Path of the browser, if one is installed."""

OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
"""Options for WebGL without a graphics card."""


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium and close it afterwards; SystemExit if it is not installed."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise SystemExit("needs Chromium: expected chromium on the PATH; install that package")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


def visit(
    opened: Any,
    url: str,
    heard: Callable[[str], object],
    asked: Callable[[str], object] = str,
    ready: str = "body[data-ready=yes]",
    **context: Any,
) -> Any:
    """Open a page in the browser and wait until it is ready.

    Parameters
    ----------
    opened
        The browser.
    url
        Address of the page.
    heard
        Called with every message of its console and every error, except messages of graphics
        drivers about their speed.
    asked
        Called with every address that the page asks for.
    ready
        Selector of an element that exists when the page is ready.
    context
        Options of Playwright's ``Browser.new_context``.
    """
    page = opened.new_context(**context).new_page()
    page.set_default_timeout(600_000)  # software graphics on a busy machine
    page.on("console", lambda said: "GL Driver" in said.text or heard(said.text))
    page.on("pageerror", lambda error: heard(str(error)))
    page.on("request", lambda request: asked(request.url))
    page.goto(url, wait_until="commit")
    page.wait_for_selector(ready)
    return page


def tab(opened: Any, url: str, width: int, height: int, dark: bool = False) -> Any:
    """Open a page in the browser; SystemExit if its console has a message."""

    def heard(message: str) -> None:
        raise SystemExit(f"{url}: {message}")

    size = {"width": width, "height": height}
    return visit(opened, url, heard, viewport=size, color_scheme="dark" if dark else "light")
