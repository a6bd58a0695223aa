"""Show the descriptions of class fields in the source on the API pages.

An extension of griffe, which reads the source for the documentation (see mkdocs.yml).
A field's own docstring has priority; then the comment behind it, ``x: Array  # (N,) eV``; then the
argument with its description, ``text_field("…")`` or ``Field(description="…")``.
"""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import griffe


def sentence(text: str) -> str:
    """Turn ``text`` into a sentence."""
    return text and f"{text[0].upper()}{text[1:].rstrip('.')}."


def comment(lines: list[str]) -> str:
    """Return the comment on the first of the ``lines`` of a field, as a sentence."""
    return sentence(lines[0].partition("  # ")[2].strip() if lines else "")


def argument(lines: list[str]) -> str:
    """Return the description in the arguments of a field on these ``lines``, as a sentence."""
    if not lines:
        return ""
    call = getattr(ast.parse(textwrap.dedent("\n".join(lines))).body[0], "value", None)
    if not isinstance(call, ast.Call):
        return ""
    texts = [each.value for each in call.keywords if each.arg == "description"]
    if ast.unparse(call.func).endswith("_field"):
        texts += call.args[-1:]
    found = texts[0] if texts else None
    return sentence(str(found.value)) if isinstance(found, ast.Constant) else ""


class FieldComments(griffe.Extension):
    """Gives fields of classes their descriptions as docstrings."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Called for every attribute that griffe reads."""
        if attr.docstring is None and attr.parent is not None and attr.parent.is_class:
            said = comment(attr.lines) or argument(attr.lines)
            if said:
                attr.docstring = griffe.Docstring(said, parent=attr)
