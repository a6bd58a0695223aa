"""What an HDF5 file declares of itself, checked before room is made for it or HDF5 follows it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import h5py

MOST_BYTES = 1100
"""Most bytes a file may unfold to, for each of its own: gzip reaches 1032."""


def check_heaps(path: Path) -> None:
    """Refuse, with a ValueError, a file whose texts HDF5 would look for without end.

    Texts lie in heaps: "GCOL", version, size, then objects of index (2 bytes), references (2), 4
    bytes of nothing and size (8), each followed by its content, padded to 8 bytes. HDF5 goes from
    one to the next by these sizes and trusts them; one of nothing (index 0, free space, counts its
    own header) makes it stand still for ever.
    """
    content = path.read_bytes()
    # Version 0 and 1 of the superblock say how long sizes are in other places than 2 and 3 do.
    sizes = content[9:11] if content[8:9] in (b"\x02", b"\x03") else content[13:15]
    if content[:8] == b"\x89HDF\r\n\x1a\n" and sizes != b"\x08\x08":
        raise ValueError("its sizes are not of 8 bytes")
    for match in re.finditer(rb"GCOL\x01", content):
        place = match.start() + 16
        end = match.start() + int.from_bytes(content[place - 8 : place], "little")
        if end > len(content):
            raise ValueError("a heap of texts ends behind the file")
        while place + 16 <= end:
            index = int.from_bytes(content[place : place + 2], "little")
            size = int.from_bytes(content[place + 8 : place + 16], "little")
            step = 16 + -(-size // 8) * 8 if index else size
            if step < 16 or place + step > end:
                raise ValueError("a heap of texts is at odds with itself")
            place += step


class Budget:
    """The bytes the datasets of one file may still unfold to."""

    def __init__(self, path: Path) -> None:
        self._left = MOST_BYTES * path.stat().st_size

    def spend(self, name: str, n_bytes: int) -> None:
        """Raises ValueError where a file promises more than it can hold."""
        self._left -= n_bytes
        if self._left < 0:
            raise ValueError(f"{name} declares more than a file of this size can hold")


def bounded(parent: h5py.Group, key: str, budget: Budget) -> h5py.Dataset:
    """The dataset ``key``, before anything of it is read; ValueError where it asks too much.

    Only data inside this very file are taken: HDF5 can point into any other one.
    """
    name = f"{parent.name}/{key}".strip("/")
    if not isinstance(parent.get(key, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link to elsewhere")
    found = parent[key]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is not a dataset")
    if found.external or found.is_virtual:
        raise ValueError(f"{name} lies in another file")
    budget.spend(name, found.size * found.dtype.itemsize)
    if found.chunks:
        budget.spend(name, math.prod(found.chunks) * found.dtype.itemsize)
    return found
