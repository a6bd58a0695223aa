"""Text files as people have them: UTF-8 or Latin-1, with or without a byte-order mark, compressed.

Lines come without their ends, whatever those are (``\\n``, ``\\r\\n``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ase.io.formats import open_with_compression

from esml.io.provenance import InputError

LONGEST_LINE = 2**20
"""Bytes of a line that are looked at."""

LONGEST_RECORD = 2**26
"""Bytes of a text that is read whole."""

COMPRESSED = (".gz", ".bz2", ".xz")


_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that no text has in any encoding looked for here."""


def suffix_of(path: Path) -> str:
    """End of a file's name in small letters, without that of a compression: ``A.XYZ.gz`` → .xyz."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def decode(line: bytes) -> str:
    """Decode as UTF-8, else as Latin-1, which accepts any byte.

    Raises ValueError for bytes no text has.
    """
    if _NO_TEXT.search(line):
        raise ValueError("it is not text")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def lines(path: Path) -> Iterator[str]:
    """Lines of a file, one at a time. Raises ValueError for what is no text, OSError."""
    with open_with_compression(str(path), "rb") as file:
        first = True
        while line := file.readline(LONGEST_LINE):
            text = decode(line).rstrip("\r\n")
            yield text.removeprefix("\ufeff") if first else text
            first = False


def read_text(path: Path) -> str:
    """The whole of a text file with ``\\n`` between lines.

    Raises InputError for one too large to be read whole, ValueError for what is no text, OSError.
    """
    with open_with_compression(str(path), "rb") as file:
        content = file.read(LONGEST_RECORD + 1)
    if len(content) > LONGEST_RECORD:
        raise InputError(
            f"'{path}' is larger than {LONGEST_RECORD >> 20} MiB where a text of one or a few "
            "structures is expected; split it"
        )
    text = decode(content).removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_table(path: Path, expected: str) -> str:
    """``read_text``, with an InputError that says what was ``expected`` where it cannot be read."""
    try:
        return read_text(path)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise InputError(
            f"cannot read '{path}' ({reason}): expected {expected}; check the path"
        ) from error


def head(path: Path, size: int = 2**16) -> str:
    """The beginning of a file as text; empty where it is none or cannot be read."""
    try:
        with open_with_compression(str(path), "rb") as file:
            return decode(file.read(size)).removeprefix("\ufeff")
    # A damaged compressed file raises what its decompressor does.
    except Exception:
        return ""
