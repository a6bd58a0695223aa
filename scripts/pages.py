"""Pages of the documentation whose tables scripts fill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: bool = False) -> str:
    """A Markdown table; with ``right`` all but the first column to the right, as numbers stand."""
    rule = ["---", *(["---:" if right else "---"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, rule, *rows))


def fill(page: Path, blocks: dict[str, str], mark: str = "filled") -> None:
    """Put texts between ``<!-- MARK: NAME -->`` and ``<!-- end -->`` of ``page``.

    The text around them stays. SystemExit, and no change, for a block that is not there.
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
