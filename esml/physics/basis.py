"""The minimal orthonormal valence basis: the orbitals of each atom and their order.

Hydrogen has one s orbital; every other element has one s and three p orbitals of its valence shell.
Cores are frozen. Orbitals are ordered by atom, and on an atom as s, x, y, z, so an atom has at most
``N_SLOTS`` = 4 of them and its p orbitals rotate like a Cartesian vector.

Shape letters: N atoms of a batch, M molecules, K the most atoms of one molecule, n the most
orbitals of one molecule, E directed pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

ELEMENTS: tuple[int, ...] = (1, 6, 7, 8, 9, 16, 17, 5, 14, 15, 34, 35, 53)
"""Atomic numbers a model can know, in the order of its weights: H C N O F S Cl B Si P Se Br I.

The training data decide which of them a model does know.
"""

N_SLOTS = 4
"""Slots for orbitals on one atom: s, x, y, z."""

_GROUPS: dict[int, tuple[int, ...]] = {
    1: (1,),
    3: (5,),
    4: (6, 14),
    5: (7, 15),
    6: (8, 16, 34),
    7: (9, 17, 35, 53),
}
VALENCE_ELECTRONS: dict[int, int] = {z: n for n, group in _GROUPS.items() for z in group}
"""Electrons of the neutral atom in its valence s and p shells, by atomic number."""

_VALENCE = torch.zeros(119, dtype=torch.int64)
for _z, _n in VALENCE_ELECTRONS.items():
    _VALENCE[_z] = _n


def valence_electrons(numbers: Tensor) -> Tensor:
    """Valence electrons of the neutral atoms ``numbers`` (any shape), 0 for other elements."""
    return _VALENCE.to(numbers.device)[numbers]


def orbitals_per_atom(numbers: Tensor) -> Tensor:
    """Number of orbitals of the atoms ``numbers`` (any shape): 1 for hydrogen, 4 for others."""
    return torch.where(numbers == 1, 1, N_SLOTS)


def _starts(counts: Tensor) -> Tensor:
    """Return the index at which each run of ``counts`` starts (exclusive cumulative sum)."""
    return torch.cumsum(counts, 0) - counts


@dataclass(frozen=True)
class OrbitalLayout:
    """Places of the orbitals of a batch of molecules in padded matrices.

    Operators of the batch are dense (M, n, n), with each molecule's block in the upper left and
    zeros elsewhere. Atomic quantities are (N, ...) or padded (M, K, ...).
    """

    numbers: Tensor  # (N,) atomic numbers
    molecule: Tensor  # (N,) molecule of each atom
    atom_in_molecule: Tensor  # (N,) index of each atom inside its molecule
    n_atoms: Tensor  # (M,)
    n_orbitals: Tensor  # (M,)
    n_electrons: Tensor  # (M,) valence electrons
    n_occupied: Tensor  # (M,) doubly occupied orbitals
    slot_orbital: Tensor  # (N, 4) orbital, inside its molecule, of each slot
    slot_mask: Tensor  # (N, 4) True where the slot holds an orbital
    n_atoms_max: int  # of the largest molecule
    n_max: int  # orbitals of the largest molecule

    @classmethod
    def build(cls, numbers: Tensor, molecule: Tensor, charges: Tensor) -> OrbitalLayout:
        """Return the layout of a batch.

        Parameters
        ----------
        numbers:
            (N,) atomic numbers.
        molecule:
            (N,) molecule of each atom, ascending.
        charges:
            (M,) total charges of the molecules, e.
        """
        n_molecules = charges.shape[0]
        n_atoms = torch.bincount(molecule, minlength=n_molecules)
        atom_in_molecule = (
            torch.arange(numbers.shape[0], device=numbers.device) - _starts(n_atoms)[molecule]
        )
        counts = orbitals_per_atom(numbers)
        zeros = torch.zeros(n_molecules, dtype=torch.int64, device=numbers.device)
        n_orbitals = zeros.index_add(0, molecule, counts)
        n_electrons = zeros.index_add(0, molecule, valence_electrons(numbers)) - charges
        first = _starts(counts) - _starts(n_orbitals)[molecule]
        slots = torch.arange(N_SLOTS, device=numbers.device)
        slot_mask = slots < counts[:, None]
        return cls(
            numbers=numbers,
            molecule=molecule,
            atom_in_molecule=atom_in_molecule,
            n_atoms=n_atoms,
            n_orbitals=n_orbitals,
            n_electrons=n_electrons,
            n_occupied=n_electrons // 2,
            slot_orbital=torch.where(slot_mask, first[:, None] + slots, 0),
            slot_mask=slot_mask,
            n_atoms_max=int(n_atoms.max()),
            n_max=int(n_orbitals.max()),
        )

    @property
    def n_molecules(self) -> int:
        """Number of molecules in the batch."""
        return int(self.n_atoms.shape[0])

    @property
    def atom_mask(self) -> Tensor:
        """(M, K) True where a padded place holds an atom."""
        places = torch.arange(self.n_atoms_max, device=self.n_atoms.device)
        return places < self.n_atoms[:, None]

    @property
    def orbital_mask(self) -> Tensor:
        """(M, n) True where a padded place holds an orbital."""
        places = torch.arange(self.n_max, device=self.n_atoms.device)
        return places < self.n_orbitals[:, None]

    def to(self, device: torch.device | str) -> OrbitalLayout:
        """Return the same layout on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in values.items() if torch.is_tensor(v)}
        return replace(self, **moved)

    def pad_atoms(self, values: Tensor) -> Tensor:
        """Pad per-atom values (N, ...) to (M, K, ...), zero where there is no atom."""
        padded = values.new_zeros((self.n_molecules, self.n_atoms_max, *values.shape[1:]))
        return padded.index_put((self.molecule, self.atom_in_molecule), values)

    def assembly(self, source: Tensor, target: Tensor) -> Assembly:
        """Plan how to assemble blocks of all atoms and of pairs ``source`` → ``target`` (E,).

        Parameters
        ----------
        source, target
            (E,) atoms of each pair.
        """
        atoms = torch.arange(self.numbers.shape[0], device=self.numbers.device)
        rows = torch.cat([atoms, source])
        columns = torch.cat([atoms, target])
        keep = self.slot_mask[rows][:, :, None] & self.slot_mask[columns][:, None, :]
        chosen = keep.flatten().nonzero()[:, 0]
        row = self.molecule[rows][:, None] * self.n_max + self.slot_orbital[rows]
        place = row[:, :, None] * self.n_max + self.slot_orbital[columns][:, None, :]
        shape = self.n_molecules, self.n_max, self.n_max
        return Assembly(chosen, place.flatten()[chosen], shape)

    @cached_property
    def nuclear_charges(self) -> Tensor:
        """(M, K) charges of the cores, e: valence electrons of the neutral atoms."""
        return self.pad_atoms(valence_electrons(self.numbers))

    @cached_property
    def slot_index(self) -> Tensor:
        """(M, K, 4) orbital of each padded slot; ``n``, one past the last, for empty slots."""
        index = torch.where(self.slot_mask, self.slot_orbital, self.n_max)
        return self.pad_atoms(index - self.n_max) + self.n_max

    def gather_slots(self, coefficients: Tensor) -> Tensor:
        """Sort rows of ``coefficients`` (M, n, k) by atom and slot: (M, K, 4, k), padded by 0."""
        extended = torch.nn.functional.pad(coefficients, (0, 0, 0, 1))
        index = self.slot_index.flatten(1)[:, :, None]
        rows = torch.gather(extended, 1, index.expand(-1, -1, coefficients.shape[2]))
        return rows.view(self.n_molecules, self.n_atoms_max, N_SLOTS, coefficients.shape[2])

    @cached_property
    def orbital_atom(self) -> Tensor:
        """(M, n) atom of each orbital, counted inside its molecule; 0 in padding."""
        owner = self.numbers.new_zeros((self.n_molecules, self.n_max))
        molecule = self.molecule[:, None].expand(-1, N_SLOTS)[self.slot_mask]
        atom = self.atom_in_molecule[:, None].expand(-1, N_SLOTS)[self.slot_mask]
        return owner.index_put((molecule, self.slot_orbital[self.slot_mask]), atom)


@dataclass(frozen=True)
class Assembly:
    """Assembles padded operators of a batch from atomic blocks (``OrbitalLayout.assembly``)."""

    chosen: Tensor  # (k,) elements of the flattened blocks that belong to orbitals
    place: Tensor  # (k,) place of each in the flattened operators
    shape: tuple[int, int, int]  # (M, n, n)

    def __call__(self, onsite: Tensor, offsite: Tensor) -> Tensor:
        """Assemble operators.

        Parameters
        ----------
        onsite:
            (N, 4, 4, ...) block of each atom with itself.
        offsite:
            (E, 4, 4, ...) block of each directed pair, rows on its source, columns on its target.

        Returns
        -------
        (M, n, n, ...), zero where there is no block. Trailing dimensions are kept.
        """
        blocks = torch.cat([onsite, offsite]).flatten(0, 2)
        trailing = blocks.shape[1:]
        flat = blocks.new_zeros((self.shape[0] * self.shape[1] * self.shape[2], *trailing))
        flat = flat.index_copy(0, self.place, blocks.index_select(0, self.chosen))
        return flat.view(*self.shape, *trailing)
