"""Group the structures that are solved together: windows of a stream, batches of similar size."""

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


@dataclass(frozen=True)
class Wanted:
    """The requested states; see ``Surrogate.predict``. Raises ValueError for impossible numbers."""

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


def physical_memory() -> int | None:
    """Return the memory of this machine in bytes, or None if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def n_orbitals(atoms: Atoms) -> int:
    """Return the number of orbitals of ``atoms`` in the minimal basis."""
    return int(orbitals_per_atom(torch.from_numpy(atoms.numbers)).sum())


@dataclass(frozen=True)
class Batching:
    """How structures are read ahead and grouped, and how large a molecule may be.

    The grouping affects the last bits of single precision.

    Parameters
    ----------
    window
        Number of structures read ahead, sorted by size into batches, and returned in order.
    window_numbers
        Largest number of elements in all Hamiltonians of a window: limits how many large
        structures are read ahead.
    batch_singles
        Largest number of single excitations in a batch: the iterations then fit the processor
        caches, and memory is bounded (about 10 kB for each excitation).
    bytes_per_pair
        Approximate memory that a large molecule needs per pair of orbitals (docs/speed.md).
    memory
        Memory a molecule may need, bytes; that of this machine if None.
    """

    window: int = 256
    window_numbers: int = 2**24
    batch_singles: int = 2**13
    bytes_per_pair: int = 1300
    memory: int | None = None

    def read_ahead(self, stream: Iterator[Atoms]) -> list[Atoms]:
        """Return the next window of ``stream``; empty at its end."""
        window: list[Atoms] = []
        numbers = 0
        for atoms in islice(stream, self.window):
            window.append(atoms)
            numbers += n_orbitals(atoms) ** 2
            if numbers > self.window_numbers:
                break
        return window

    def batches(self, sizes: dict[int, int]) -> Iterator[list[int]]:
        """Group structures by number of orbitals, for little padding and bounded batches.

        ``sizes`` holds the number of orbitals of each structure; batches are lists of its keys.
        """
        batch: list[int] = []
        for index in sorted(sizes, key=lambda i: sizes[i]):
            # A molecule with n orbitals has about (n/2)² single excitations; the last has most.
            singles = (len(batch) + 1) * (sizes[index] / 2) ** 2
            if batch and (
                singles > self.batch_singles or sizes[index] > 1.15 * sizes[batch[0]] + 2
            ):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def check_size(self, atoms: Atoms) -> None:
        """Raise StructureError for a molecule that needs more memory than is available."""
        needed = self.bytes_per_pair * n_orbitals(atoms) ** 2
        there = physical_memory() if self.memory is None else self.memory
        if there is not None and needed > there:
            raise StructureError(
                f"{len(atoms)} atoms need about {needed / 2**30:.0f} GiB of memory where at most "
                f"the {there / 2**30:.0f} GiB of this machine are expected: predict parts of the "
                "structure or choose a larger machine"
            )
