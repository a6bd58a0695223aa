"""Paths of structure files: whether they can be read, and how many structures they hold."""

from __future__ import annotations

import stat
from pathlib import Path

import ase.db

from esml.io.formats import SUFFIXES, kind_of
from esml.io.formats.kinds import IN_CAPITALS
from esml.io.formats.rdkit_files import records
from esml.io.formats.smiles_lists import count_rows
from esml.io.formats.xyz import count_xyz
from esml.io.provenance import InputError


def check_file(path: Path) -> None:
    """Raise ``InputError`` unless ``path`` is a file that is not empty."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"no file '{path}': expected a geometry file, check the path") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be reached ({getattr(error, 'strerror', None) or error}): expected a "
            "geometry file that may be read; check the path and its permissions"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(
            f"'{path}' is a directory: expected a geometry file such as molecule.xyz; name one"
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"'{path}' is not a regular file: expected a geometry file; save its content as one"
        )
    if status.st_size == 0:
        raise InputError(f"'{path}' is empty: expected at least one structure; check the file")


def check_given(text: str) -> None:
    """Raise ``InputError`` if ``text``, a path or a SMILES, is empty."""
    if not text.strip():
        raise InputError(
            "no structure is given: expected the path of a geometry file or a SMILES; give one"
        )


def looks_like_file(text: str) -> bool:
    """Return whether ``text`` is a path: it exists, or ends like the name of a geometry file."""
    if not text.strip():
        return False  # Path("") is the current directory
    path = Path(text)
    suffix = path.suffix.lstrip(".")
    try:
        known = suffix in SUFFIXES if suffix == suffix.lower() else suffix.lower() in IN_CAPITALS
        return known or path.exists()
    except OSError:  # a SMILES longer than a file name may be
        return False


def count_structures(path: str | Path) -> int:
    """Return the number of structures in a file, or 1 if counting is slow; 0 if unreadable."""
    path = Path(path)
    try:
        check_file(path)
        if path.suffix == ".db":
            return int(ase.db.connect(str(path)).count())
        kind = kind_of(path)
        if kind == "smiles":
            return count_rows(path)
        if kind == "xyz":
            return count_xyz(path)
        if kind == "sdf":
            return sum(1 for _ in records(path))
        return 1
    # A damaged database raises any error of its backend.
    except Exception:
        return 0
