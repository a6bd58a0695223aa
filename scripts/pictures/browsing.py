"""A browser to look at pages with, for scripts and tests: Chromium, Playwright."""

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
"""A WebGL that needs no graphics card."""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, closed afterwards; SystemExit where there is none."""
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
    """A page of the browser, when it is ready.

    Parameters
    ----------
    opened
        The browser.
    url
        Address of the page.
    heard
        Called with every message of its console and every error, but for what drivers of graphics
        cards say of their speed.
    asked
        Called with every address that the page asks for.
    ready
        Selector of an element that is there when the page is ready.
    context
        As ``Browser.new_context`` of Playwright has it.
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
    """A page of the browser, ready; SystemExit where its console has a message."""

    def heard(message: str) -> None:
        raise SystemExit(f"{url}: {message}")

    size = {"width": width, "height": height}
    return visit(opened, url, heard, viewport=size, color_scheme="dark" if dark else "light")
