"""Read text files: UTF-8 or Latin-1, with or without a byte-order mark, compressed or not.

Files in UTF-16 are known by their byte-order mark, which Windows writes.

Lines are returned without their ends (``\\n`` or ``\\r\\n``).
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

from ase.io.formats import open_with_compression

from esml.io.provenance import InputError

LONGEST_LINE = 2**20
"""Longest line, bytes; longer ones are split."""

LONGEST_RECORD = 2**26
"""Largest text that is read whole, bytes."""

COMPRESSED = (".gz", ".bz2", ".xz")

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte-order marks of UTF-16."""

_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that occur in no text of the supported encodings."""


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, ignoring that of a compression: ``A.XYZ.gz`` → .xyz."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def decode(line: bytes) -> str:
    """Decode as UTF-16 if its mark stands first, as UTF-8, else as Latin-1, which accepts any byte.

    Raises ValueError for bytes that are not text.
    """
    if line.startswith(UTF_16):
        try:
            line = line.decode("utf-16").encode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError("it is not text") from error
    if _NO_TEXT.search(line):
        raise ValueError("it is not text")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file. Raises ValueError if it is not text, and OSError."""
    with open_with_compression(str(path), "rb") as file:
        start = file.read(2)
        file.seek(0)
        if start in UTF_16:
            yield from _wide_lines(io.TextIOWrapper(file, "utf-16"))
            return
        first = True
        while line := file.readline(LONGEST_LINE):
            text = decode(line).rstrip("\r\n")
            yield text.removeprefix("\ufeff") if first else text
            first = False


def _wide_lines(file: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file in UTF-16. Raises ValueError if it is not text."""
    try:
        while line := file.readline(LONGEST_LINE):
            yield decode(line.encode("utf-8")).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error


def read_text(path: Path) -> str:
    """The whole of a text file with ``\\n`` between lines.

    Raises InputError if it is too large to be read whole, ValueError if it is not text, OSError.
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
    """Call ``read_text``; if it fails, raise an InputError that says what was ``expected``."""
    try:
        return read_text(path)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise InputError(
            f"cannot read '{path}' ({reason}): expected {expected}; check the path"
        ) from error


def head(path: Path, size: int = 2**16) -> str:
    """Return the beginning of a file as text; empty if it is not text or cannot be read."""
    try:
        with open_with_compression(str(path), "rb") as file:
            return decode(file.read(size)).removeprefix("\ufeff")
    # A damaged compressed file raises any error of its decompressor.
    except Exception:
        return ""
