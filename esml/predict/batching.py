"""Which structures are solved together: windows of a stream, batches of like size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from numbers import Integral

import torch
from ase import Atoms

from esml.io.structure_checks import StructureError
from esml.physics.basis import orbitals_per_atom

WINDOW = 256
"""Structures read ahead, sorted by size into batches, and handed out again in order."""


READ_AHEAD = 2**24
"""Most numbers in all Hamiltonians of those structures: fewer large ones are read ahead."""


BATCH_SINGLES = 2**13
"""Most single excitations of one batch: what iterations hold fits the caches of a processor, and
memory is bounded (at about 10 kB for each)."""


MEMORY = 1300
"""Bytes that a large molecule needs for each pair of its orbitals, about (docs/speed.md)."""


@dataclass(frozen=True)
class Wanted:
    """The states asked for; see ``Surrogate.predict``. Raises ValueError for impossible numbers."""

    n_states: int
    n_triplets: int | None = None
    energy_window: float | None = None

    def __post_init__(self) -> None:
        for name in ("n_states", "n_triplets"):
            number = getattr(self, name)
            if number is None:
                continue
            if not isinstance(number, Integral):
                raise ValueError(f"{name} is {number!r}: expected a whole number; give one")
            if number < 1:
                raise ValueError(f"{name} is {number}: expected at least 1; ask for more states")
        if self.energy_window is not None and not self.energy_window > 0:
            raise ValueError(
                f"energy_window is {self.energy_window}: expected an energy in eV above 0; give "
                "one or leave it out"
            )


def check_size(atoms: Atoms) -> None:
    """Refuse a molecule for which the memory of this machine cannot do."""
    needed = MEMORY * n_orbitals(atoms) ** 2
    there = physical_memory()
    if there is not None and needed > there:
        raise StructureError(
            f"{len(atoms)} atoms need about {needed / 2**30:.0f} GiB of memory where at most the "
            f"{there / 2**30:.0f} GiB of this machine are expected: predict parts of the structure "
            "or choose a larger machine"
        )


def physical_memory() -> int | None:
    """Bytes of memory of this machine, where it tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def n_orbitals(atoms: Atoms) -> int:
    return int(orbitals_per_atom(torch.from_numpy(atoms.numbers)).sum())


def read_ahead(stream: Iterator[Atoms]) -> list[Atoms]:
    """The next structures of ``stream``, as many as ``WINDOW`` and ``READ_AHEAD`` allow."""
    window: list[Atoms] = []
    numbers = 0
    for atoms in islice(stream, WINDOW):
        window.append(atoms)
        numbers += n_orbitals(atoms) ** 2
        if numbers > READ_AHEAD:
            break
    return window


def batches(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Group structures by size, so that padding is little and batches are bounded."""
    batch: list[int] = []
    for index in sorted(sizes, key=lambda i: sizes[i]):
        # A molecule of n orbitals has about (n/2)² single excitations; the last one the most.
        singles = (len(batch) + 1) * (sizes[index] / 2) ** 2
        if batch and (singles > BATCH_SINGLES or sizes[index] > 1.15 * sizes[batch[0]] + 2):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
