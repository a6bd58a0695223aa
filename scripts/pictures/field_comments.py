"""Fields of classes on the API pages: the comment behind a field says there what it is.

An extension of griffe, which reads the source for the documentation (``extensions`` in mkdocs.yml).
A field with a docstring of its own keeps that.
"""

from __future__ import annotations

from typing import Any

import griffe


def comment(lines: list[str]) -> str:
    """What stands behind ``#`` on the first of the ``lines`` of a field, as a sentence."""
    said = lines[0].partition("  # ")[2].strip() if lines else ""
    return said and f"{said[0].upper()}{said[1:].rstrip('.')}."


class FieldComments(griffe.Extension):
    """Gives fields of classes their comments as docstrings."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Called for every attribute that griffe reads."""
        if attr.docstring is None and attr.parent is not None and attr.parent.is_class:
            said = comment(attr.lines)
            if said:
                attr.docstring = griffe.Docstring(said, parent=attr)
