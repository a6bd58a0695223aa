"""What the classes of reference records are made of."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from esml.typing import Array


def text_field(doc: str) -> Any:
    """A field of text."""
    return field(default="", metadata={"kind": "text", "doc": doc})


def array_field(dtype: str, ndim: int, doc: str, step: float | None = None) -> Any:
    """A field of arrays; with ``step`` stored as whole multiples of it, off by step/2 at most."""
    meta = {"kind": "array", "dtype": dtype, "ndim": ndim, "doc": doc, "step": step}
    return field(metadata=meta)


class StoredRecord:
    """What the classes of records share: a name and a version for their files, and some fields.

    Their fields are made by ``array_field`` and ``text_field``.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    numbers: Array
    name: str
    key: str
    split: str
    level: str
