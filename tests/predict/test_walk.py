"""A prediction goes once through the modules that CONTRIBUTING lists, in that order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ase.build import molecule

import esml

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| \d \| `(\S+)\.py` \| `(\S+)` \|", re.MULTILINE)


def walk() -> list[tuple[str, str]]:
    """Modules and functions of the table."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [(f"esml.{path.replace('/', '.')}", name) for path, name in ROW.findall(text)]


@contextmanager
def traced(steps: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Calls of these functions, as they come."""
    seen: list[tuple[str, str]] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        call = (frame.f_globals.get("__name__", ""), frame.f_code.co_qualname)
        if event == "call" and call in steps:
            seen.append(call)

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def test_a_prediction_goes_once_through_eight_modules() -> None:
    steps = walk()
    assert len(steps) == len({module for module, _ in steps}) <= 8
    model = esml.load_model()
    with traced(steps) as seen:
        model.predict(molecule("H2CO"), n_states=3).spectrum()
    assert seen == steps
