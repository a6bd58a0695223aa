"""The minimal orthonormal valence basis of crystals: shells of each element and their order.

Main-group elements such as lithium, phosphorus and sulfur have valence s and p shells, transition
metals s, p and d. Semicore shells (1s of Li, 3s and 3p of Cr to Ni) are frozen. Orbitals are
ordered by atom, and on an atom as s, then p as x, y, z, then d as xy, yz, z², xz, x²−y².
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Shell = Literal["s", "p", "d"]
"""A valence shell of an atom."""

SIZES: dict[Shell, int] = {"s": 1, "p": 3, "d": 5}
"""Number of orbitals of a shell."""

_SP: tuple[Shell, ...] = ("s", "p")
_SPD: tuple[Shell, ...] = ("s", "p", "d")

SHELLS: dict[int, tuple[Shell, ...]] = dict.fromkeys((3, 7, 13, 14, 15, 16, 17), _SP) | (
    dict.fromkeys((24, 25, 26, 27, 28, 29), _SPD)
)
"""Valence shells by atomic number: Li N Al Si P S Cl, and Cr Mn Fe Co Ni Cu."""

VALENCE_ELECTRONS: dict[int, int] = {
    3: 1,
    7: 5,
    13: 3,
    14: 4,
    15: 5,
    16: 6,
    17: 7,
    24: 6,
    25: 7,
    26: 8,
    27: 9,
    28: 10,
    29: 11,
}
"""Number of electrons of the neutral atom in these shells, by atomic number."""


OXIDATION_NUMBERS: dict[int, int] = {3: 1, 7: -3, 13: 3, 14: 4, 16: -2, 17: -1}
"""Usual charges of ions, by atomic number. Phosphorus is not listed, because its charge follows
from the other atoms of a cell: +5 in Li3PS4, −3 in Li3P."""


def net_formal_charge(numbers: Sequence[int]) -> int:
    """Return the sum of formal charges, e, with P +5 beside sulfur and −3 else; 0 for metals.

    Examples
    --------
    >>> net_formal_charge([3, 3, 3, 15, 16, 16, 16, 16]), net_formal_charge([3, 16])
    (0, -1)
    """
    known = OXIDATION_NUMBERS | {15: 5 if 16 in numbers else -3}
    return sum(known[z] for z in numbers) if known.keys() >= set(numbers) else 0


def formal_charges(numbers: Sequence[int]) -> list[float]:
    """Return the charge of each atom as an ion, e; unlisted elements share the rest equally.

    Examples
    --------
    >>> formal_charges([3, 3, 3, 15, 16, 16, 16, 16])
    [1.0, 1.0, 1.0, 5.0, -2.0, -2.0, -2.0, -2.0]
    """
    others = [z for z in numbers if z not in OXIDATION_NUMBERS]
    rest = -sum(OXIDATION_NUMBERS.get(z, 0) for z in numbers)
    share = rest / len(others) if others else 0.0
    return [float(OXIDATION_NUMBERS.get(z, share)) for z in numbers]


def shells_of(number: int) -> tuple[Shell, ...]:
    """Return the valence shells of an element, in the order of its orbitals.

    Raises
    ------
    ValueError
        If the element is not in ``SHELLS``.
    """
    if number not in SHELLS:
        known = ", ".join(map(str, sorted(SHELLS)))
        raise ValueError(
            f"atomic number {number} has no valence shells for crystals: expected one of {known}; "
            "leave the structure out"
        )
    return SHELLS[number]


def n_orbitals_of(number: int) -> int:
    """Return the number of orbitals of an atom: 4 with s and p, 9 with s, p and d."""
    return sum(SIZES[shell] for shell in shells_of(number))


def atom_of_orbital(numbers: Sequence[int]) -> Tensor:
    """Return the atom of each orbital, (n,), of a cell with atoms ``numbers``."""
    counts = [n_orbitals_of(z) for z in numbers]
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def orbitals_of(numbers: Sequence[int], shell: Shell) -> list[Tensor]:
    """Return the orbitals of one shell, for each atom.

    Parameters
    ----------
    numbers
        Atomic numbers.
    shell
        ``"s"``, ``"p"`` or ``"d"``.

    Returns
    -------
    For each atom, the indices of these orbitals in the cell; empty if it has no such shell.

    Examples
    --------
    >>> [places.tolist() for places in orbitals_of([3, 3], "p")]
    [[1, 2, 3], [5, 6, 7]]
    """
    found = []
    start = 0
    for number in numbers:
        own = torch.zeros(0, dtype=torch.int64)
        for each in shells_of(number):
            if each == shell:
                own = torch.arange(start, start + SIZES[each])
            start += SIZES[each]
        found.append(own)
    return found
