"""The minimal orthonormal valence basis: which orbitals an atom carries and where they stand.

Hydrogen carries one s orbital, every other element one s and three p orbitals of its valence
shell; cores are frozen. Orbitals run atom by atom, within an atom s, x, y, z, so an atom has at
most ``N_SLOTS`` = 4 of them and its p orbitals turn like a Cartesian vector.

Shape letters: N atoms of a batch, M molecules, K the most atoms of one molecule, n the most
orbitals of one molecule, E directed pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

ELEMENTS: tuple[int, ...] = (1, 6, 7, 8, 9, 16, 17)
"""Atomic numbers the package supports: H C N O F S Cl."""

N_SLOTS = 4
"""Places for orbitals on one atom: s, x, y, z."""

VALENCE_ELECTRONS: dict[int, int] = {1: 1, 6: 4, 7: 5, 8: 6, 9: 7, 16: 6, 17: 7}

_VALENCE = torch.zeros(119, dtype=torch.int64)
for _z, _n in VALENCE_ELECTRONS.items():
    _VALENCE[_z] = _n


def valence_electrons(numbers: Tensor) -> Tensor:
    """Valence electrons of the neutral atoms ``numbers`` (any shape), 0 for other elements."""
    return _VALENCE.to(numbers.device)[numbers]


def orbitals_per_atom(numbers: Tensor) -> Tensor:
    """Orbitals on the atoms ``numbers`` (any shape): 1 for hydrogen, 4 for all others."""
    return torch.where(numbers == 1, 1, N_SLOTS)


def _starts(counts: Tensor) -> Tensor:
    """Exclusive cumulative sum: where each run of ``counts`` begins."""
    return torch.cumsum(counts, 0) - counts


@dataclass(frozen=True)
class OrbitalLayout:
    """Where the orbitals of a batch of molecules stand in padded matrices.

    Operators of the batch are dense (M, n, n) with each molecule's own block in the upper left and
    zeros elsewhere; per-atom quantities are (N, ...) or padded (M, K, ...).
    """

    numbers: Tensor  # (N,) atomic numbers
    molecule: Tensor  # (N,) molecule of each atom
    atom_in_molecule: Tensor  # (N,) index of each atom inside its molecule
    n_atoms: Tensor  # (M,)
    n_orbitals: Tensor  # (M,)
    n_electrons: Tensor  # (M,) valence electrons
    n_occupied: Tensor  # (M,) doubly occupied orbitals
    slot_orbital: Tensor  # (N, 4) orbital, inside its molecule, of each slot
    slot_mask: Tensor  # (N, 4) whether the slot holds an orbital
    n_atoms_max: int
    n_max: int

    @classmethod
    def build(cls, numbers: Tensor, molecule: Tensor, charges: Tensor) -> OrbitalLayout:
        """Lay out the atoms ``numbers`` (N,) of ``molecule`` (N,), ascending.

        ``charges`` (M,) are the molecules' total charges.
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
        return int(self.n_atoms.shape[0])

    @property
    def atom_mask(self) -> Tensor:
        """(M, K) whether a padded place holds an atom."""
        places = torch.arange(self.n_atoms_max, device=self.n_atoms.device)
        return places < self.n_atoms[:, None]

    @property
    def orbital_mask(self) -> Tensor:
        """(M, n) whether a padded place holds an orbital."""
        places = torch.arange(self.n_max, device=self.n_atoms.device)
        return places < self.n_orbitals[:, None]

    def to(self, device: torch.device | str) -> OrbitalLayout:
        """The same layout on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in values.items() if torch.is_tensor(v)}
        return replace(self, **moved)

    def pad_atoms(self, values: Tensor) -> Tensor:
        """Per-atom values (N, ...) as (M, K, ...), zero where there is no atom."""
        padded = values.new_zeros((self.n_molecules, self.n_atoms_max, *values.shape[1:]))
        return padded.index_put((self.molecule, self.atom_in_molecule), values)

    def assembly(self, source: Tensor, target: Tensor) -> Assembly:
        """Where the blocks of all atoms, and of pairs ``source`` (E,) to ``target`` (E,), go."""
        atoms = torch.arange(self.numbers.shape[0], device=self.numbers.device)
        rows = torch.cat([atoms, source])
        columns = torch.cat([atoms, target])
        keep = self.slot_mask[rows][:, :, None] & self.slot_mask[columns][:, None, :]
        chosen = keep.flatten().nonzero()[:, 0]
        row = self.molecule[rows][:, None] * self.n_max + self.slot_orbital[rows]
        place = row[:, :, None] * self.n_max + self.slot_orbital[columns][:, None, :]
        shape = self.n_molecules, self.n_max, self.n_max
        return Assembly(chosen, place.flatten()[chosen], shape)

    def slot_index(self) -> Tensor:
        """(M, K, 4) orbital of each padded slot; empty slots point at ``n``, one past the last."""
        index = torch.where(self.slot_mask, self.slot_orbital, self.n_max)
        return self.pad_atoms(index - self.n_max) + self.n_max

    def gather_slots(self, coefficients: Tensor) -> Tensor:
        """Rows of ``coefficients`` (M, n, k) by atom and slot: (M, K, 4, k), zero in padding."""
        extended = torch.nn.functional.pad(coefficients, (0, 0, 0, 1))
        index = self.slot_index().flatten(1)[:, :, None]
        rows = torch.gather(extended, 1, index.expand(-1, -1, coefficients.shape[2]))
        return rows.view(self.n_molecules, self.n_atoms_max, N_SLOTS, coefficients.shape[2])

    def orbital_atom(self) -> Tensor:
        """(M, n) atom, inside its molecule, that carries each orbital; 0 in padding."""
        owner = self.numbers.new_zeros((self.n_molecules, self.n_max))
        molecule = self.molecule[:, None].expand(-1, N_SLOTS)[self.slot_mask]
        atom = self.atom_in_molecule[:, None].expand(-1, N_SLOTS)[self.slot_mask]
        return owner.index_put((molecule, self.slot_orbital[self.slot_mask]), atom)


@dataclass(frozen=True)
class Assembly:
    """How atomic blocks make up the padded operators of a batch (``OrbitalLayout.assembly``)."""

    chosen: Tensor  # (k,) those of the 16 elements of each block that orbitals carry
    place: Tensor  # (k,) of each in the operators, flattened
    shape: tuple[int, int, int]  # (M, n, n)

    def __call__(self, onsite: Tensor, offsite: Tensor) -> Tensor:
        """Operators (M, n, n, ...), zero where nothing stands.

        ``onsite`` (N, 4, 4, ...) holds the block of each atom with itself, ``offsite``
        (E, 4, 4, ...) that of each directed pair, rows on its source and columns on its target.
        Trailing dimensions (a Cartesian component, say) are kept.
        """
        blocks = torch.cat([onsite, offsite]).flatten(0, 2)
        trailing = blocks.shape[1:]
        flat = blocks.new_zeros((self.shape[0] * self.shape[1] * self.shape[2], *trailing))
        flat = flat.index_copy(0, self.place, blocks.index_select(0, self.chosen))
        return flat.view(*self.shape, *trailing)
