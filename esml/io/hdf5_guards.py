"""Checks of what an HDF5 file declares, before memory is allocated or HDF5 follows its links."""

from __future__ import annotations

import math
import re
from pathlib import Path

import h5py

MOST_BYTES = 1100
"""Largest ratio of unpacked to stored bytes that is accepted; gzip reaches 1032."""


def check_heaps(path: Path) -> None:
    """Raise ValueError for a file in which HDF5 would search for texts forever.

    Texts are stored in heaps: "GCOL", version, size, then objects of index (2 bytes), references
    (2), 4 unused bytes and size (8), each followed by its content, padded to 8 bytes. HDF5 trusts
    these sizes to go from one object to the next; a size of zero for free space (index 0, whose
    size includes its header) makes it loop forever.
    """
    content = path.read_bytes()
    # Versions 0 and 1 of the superblock store the length of sizes elsewhere than 2 and 3.
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
    """The number of bytes that the datasets of one file may still unpack to."""

    def __init__(self, path: Path) -> None:
        self._left = MOST_BYTES * path.stat().st_size

    def spend(self, name: str, n_bytes: int) -> None:
        """Count ``n_bytes``; raise ValueError if a file declares more than it can hold."""
        self._left -= n_bytes
        if self._left < 0:
            raise ValueError(f"{name} declares more than a file of this size can hold")


def bounded(parent: h5py.Group, key: str, budget: Budget) -> h5py.Dataset:
    """Return the dataset ``key``, unread; raise ValueError if it declares too much.

    Only data inside this file are accepted: HDF5 can also point into other files.
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
