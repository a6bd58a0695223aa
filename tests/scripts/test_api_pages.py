"""The API pages say what the fields of results are."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip("griffe")

import griffe

from esml.results import Failure, Result, States
from scripts.pictures.field_comments import comment

ROOT = Path(__file__).parents[2]


def described(module: str, name: str) -> dict[str, str]:
    """Docstrings of the attributes of a class, as the documentation shows them."""
    extensions = griffe.load_extensions(str(ROOT / "scripts" / "pictures" / "field_comments.py"))
    found = griffe.load(module, extensions=extensions, search_paths=[str(ROOT)])[name]
    return {
        key: attribute.docstring.value
        for key, attribute in found.attributes.items()
        if attribute.docstring is not None
    }


@pytest.mark.parametrize(
    ("kind", "home"), [(Result, "result"), (Failure, "result"), (States, "states")]
)
def test_every_field_of_a_result_is_described(kind: type, home: str) -> None:
    said = described(f"esml.results.{home}", kind.__name__)
    for field in fields(kind):
        assert said.get(field.name, "").endswith("."), field.name


def test_a_comment_describes_a_field() -> None:
    said = described("esml.analysis.bonding", "Bonding")
    assert said["orders"] == "(N, N) Wiberg indices, zero on the diagonal."
    assert comment(["x: int = 0"]) == ""
    assert comment(["    x: int = 0  # whether so"]) == "Whether so."
