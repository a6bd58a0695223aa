"""Fill tables of the documentation from scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: bool = False) -> str:
    """Make a Markdown table; ``right`` aligns all columns but the first to the right."""
    rule = ["---", *(["---:" if right else "---"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, rule, *rows))


def fill(page: Path, blocks: dict[str, str], mark: str = "filled") -> None:
    """Put texts between ``<!-- MARK: NAME -->`` and ``<!-- end -->`` of ``page``.

    The text around them stays. Raises SystemExit, and changes nothing, if a block is missing.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in blocks.items():
        found = list(
            re.finditer(rf"<!-- {mark}: {re.escape(name)} -->\n(.*?)<!-- end -->", text, re.DOTALL)
        )
        if len(found) != 1:
            raise SystemExit(f"{page} has no single block '<!-- {mark}: {name} -->'")
        begin, end = found[0].span(1)
        text = f"{text[:begin]}\n{content}\n\n{text[end:]}"
    page.write_text(text, encoding="utf-8")
