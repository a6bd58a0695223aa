"""Equations of the documentation: LaTeX in a block ``math`` becomes MathML, which browsers draw.

A hook of MkDocs (``hooks`` in mkdocs.yml). Nothing is loaded from elsewhere, and GitHub draws the
same blocks.
"""

from __future__ import annotations

from typing import Any


def mathml(source: str, *_: Any, **__: Any) -> str:
    """The equation ``source`` as a block of MathML; called as a formatter of SuperFences."""
    from latex2mathml.converter import convert

    return f'<div class="equation">{convert(source, display="block")}</div>'


def on_config(config: Any) -> Any:
    """Let ``mathml`` write blocks of ``math``."""
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fence = {"name": "math", "class": "math", "format": mathml}
    fences.setdefault("custom_fences", []).append(fence)
    return config
