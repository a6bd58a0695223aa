"""A browser for the tests of pages, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("fastapi")  # of the server that can be looked at

from scripts.pictures.browsing import CHROMIUM, browser, visit

needed = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: no chromium on the PATH")


@contextmanager
def opened(url: str, **options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """A page of the browser, its console messages, and the addresses it asked for.

    ``options`` are those of ``scripts.pictures.browsing.visit``.
    """
    pytest.importorskip("playwright.sync_api")
    messages: list[str] = []
    asked: list[str] = []
    with browser() as chromium:
        yield visit(chromium, url, messages.append, asked.append, **options), messages, asked
