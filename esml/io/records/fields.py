"""Fields of the classes of reference records."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from esml.typing import Array


def text_field(doc: str) -> Any:
    """Make a text field."""
    return field(default="", metadata={"kind": "text", "doc": doc})


def array_field(dtype: str, ndim: int, doc: str, step: float | None = None) -> Any:
    """Make an array field; ``step`` stores integer multiples of it, with errors up to step/2."""
    meta = {"kind": "array", "dtype": dtype, "ndim": ndim, "doc": doc, "step": step}
    return field(metadata=meta)


class StoredRecord:
    """Base class of records: a format and a version of their files, and some fields.

    Fields are made by ``array_field`` and ``text_field``.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    numbers: Array
    name: str
    key: str
    split: str
    level: str
