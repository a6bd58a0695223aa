"""Every equation of the documentation becomes MathML that says what the LaTeX says."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("latex2mathml")

from scripts.pictures.equations import mathml

DOCS = Path(__file__).parent.parent / "docs"
EQUATIONS = [
    pytest.param(source, id=f"{page.stem}-{k}")
    for page in sorted(DOCS.rglob("*.md"))
    for k, source in enumerate(re.findall(r"^```math\n(.*?)^```", page.read_text(), re.M | re.S))
]


@pytest.mark.parametrize("source", EQUATIONS)
def test_it_is_drawn(source: str) -> None:
    tree = ElementTree.fromstring(mathml(source))
    written = "".join(tree.itertext())
    # What the converter does not know it leaves as it stands.
    assert "\\" not in written
    assert "&" not in written
    for letter in re.findall(r"(?<![\\a-zA-Z])[A-Za-z](?![a-zA-Z])", source):
        assert letter in written
    lines = source.count(r"\\") + 1
    rows = [each for each in tree.iter() if each.tag.endswith("mtr")]
    assert len(rows) == (lines if lines > 1 else 0)


def test_there_are_some() -> None:
    assert len(EQUATIONS) > 8
