"""A Hamiltonian of crystals from tables: levels, a crystal field, and hopping.

    ⟨i0|H|jR⟩ = two-centre block of V(r; Z_i, Z_j)                    (``esml.physics.crystals``)
    ⟨i0|H|i0⟩ = levels(Z_i) + Σ_jR [ A + Aᵀ ] ,  A the part l ≤ l' of a block of K(r; Z_i, Z_j)

with ten integrals V and K for each ordered pair of elements, as functions of the distance

    V_a(r) = Σ_n c_an sin(nπr/r_c)/r · s(r) ,      s from 1 at 0.7 r_c smoothly to 0 at r_c .

Integrals are ten for s, p and d, four for s and p. In crystals of ions all levels of an atom move
by −φ_i besides, φ the electrostatic potential (``esml.physics.crystals.ewald``) of effective
charges: a share κ of the formal ones, as electrons screen them, and what pairs of atoms exchange.
Ions may be polarizable: their dipoles are part of φ, with fixed polarizabilities.
Tables may tell free anions from bound ones: the levels of S²⁻ and of a sulfur of PS4³⁻ are 2 eV
apart, and so is what their neighbours do to them.

The crystal field is of two centres too: it splits and moves the levels of an atom as its neighbours
stand, up to l = 4 on d shells, without any quantity that depends on three atoms. Energies count
from the Fermi level of the crystals that the tables were fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from esml.model.crystals.neighbourhood import Neighbourhood
from esml.model.crystals.periodic_pairs import PeriodicPairs, periodic_pairs
from esml.physics.crystals.bloch import RealSpaceHamiltonian
from esml.physics.crystals.pair_blocks import PairHamiltonian
from esml.physics.crystals.shells import n_orbitals_of, shells_of
from esml.physics.crystals.two_centre import PLACES, blocks_from, equal_shared
from esml.typing import Array

BONDED = 2.7
"""Å; sulfur as near to phosphorus is bonded to it (P–S bonds have 2.1 Å, the next P 3.5 Å)."""
PHOSPHORUS = 15
SHELL_OF_SLOT = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""s, p or d of the nine orbitals of an atom."""


@dataclass(frozen=True)
class Tables:
    """What fixes a Hamiltonian; Z rows are elements, then free anions with tables of their own."""

    levels: Tensor  # (Z, 3) eV, s p d; without d (Z, 2)
    hopping: Tensor  # (Z, Z, A, n_radial) V
    field: Tensor  # (Z, Z, A, n_radial) K
    share: Tensor | None = None  # () κ of ``Neighbourhood.charges``; None in metals
    charges: Tensor | None = None  # (Z, Z, n_radial) t of the same, e

    def hamiltonian(self, near: Neighbourhood) -> PairHamiltonian:
        """That of a crystal."""
        forward, backward = near.integrals(self.hopping), near.integrals(self.hopping, back=True)
        field = near.integrals(self.field)
        part = torch.einsum("ea,eaxy->exy", field * equal_shared(field), near.matrices)
        slots = list(SHELL_OF_SLOT[: near.matrices.shape[-1]])
        levels = self.levels[near.rows][:, slots]
        if self.share is not None and self.charges is not None and near.coulomb is not None:
            levels = levels - (near.coulomb @ near.charges(self.share, self.charges))[:, None]
        onsite = torch.diag_embed(levels)
        onsite = onsite.index_add(0, near.pairs.first, part + part.transpose(1, 2))
        return near.hamiltonian(blocks_from(near.matrices, forward, backward), onsite)


class TwoCentreModel(nn.Module):
    """Tables of levels and integrals.

    Parameters
    ----------
    elements:
        Atomic numbers it knows, all with s, p and d or all with s and p.
    cutoff:
        Å.
    n_radial:
        Functions of the distance for each integral.
    ionic:
        Whether atoms exchange charges, whose potential moves levels.
    anions:
        Elements whose free ions, without phosphorus within 2.7 Å, have rows of their own.
    polarizabilities:
        Å³, of elements, then free anions; none: rigid ions.

    Raises
    ------
    ValueError
        For elements of which some have d and some have not, and for other numbers of
        polarizabilities than rows.
    """

    def __init__(
        self,
        elements: Sequence[int],
        cutoff: float = 6.6,
        n_radial: int = 8,
        ionic: bool = False,
        anions: Sequence[int] = (),
        polarizabilities: Sequence[float] = (),
    ) -> None:
        super().__init__()
        counts = {n_orbitals_of(z) for z in elements}
        if len(counts) != 1:
            raise ValueError(
                f"atomic numbers {list(elements)} have s, p and d, or s and p only: expected all "
                "of one kind; leave the others out"
            )
        self.elements = tuple(elements)
        self.anions = tuple(anions)
        self.cutoff = cutoff
        self.n_orbitals = counts.pop()
        Z, n_integrals = self.n_rows, len(PLACES[self.n_orbitals])
        n_shells = len(shells_of(self.elements[0]))
        self.levels = nn.Parameter(torch.zeros(Z, n_shells, dtype=torch.float64))  # eV
        shape = (Z, Z, n_integrals, n_radial)
        self.hopping = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.field = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.ionic = ionic
        self.polarizabilities = tuple(polarizabilities)
        if polarizabilities and len(polarizabilities) != Z:
            raise ValueError(
                f"there are {len(polarizabilities)} polarizabilities: expected {Z}, of the "
                "elements, then of free anions; give each"
            )
        if ionic:
            self.share = nn.Parameter(torch.zeros((), dtype=torch.float64))
            self.charges = nn.Parameter(torch.zeros(Z, Z, n_radial, dtype=torch.float64))

    @property
    def n_rows(self) -> int:
        """Z, of the tables: elements, then free anions."""
        return len(self.elements) + len(self.anions)

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """(N,) row of each atom's element in the tables; ValueError for one it does not know."""
        unknown = sorted(set(numbers) - set(self.elements))
        if unknown:
            raise ValueError(
                f"atomic number {unknown[0]} is not one of {self.elements}: expected elements that "
                "the tables were fitted to; leave the crystal out"
            )
        return torch.tensor([self.elements.index(z) for z in numbers])

    def _with_free_anions(self, rows: Tensor, numbers: Tensor, pairs: PeriodicPairs) -> Tensor:
        """``rows`` with those of free anions."""
        near = (numbers[pairs.second] == PHOSPHORUS) & (pairs.distances < BONDED)
        n_bonds = torch.zeros_like(numbers).index_add(0, pairs.first, near.to(numbers))
        free = n_bonds == 0
        for place, number in enumerate(self.anions):
            rows = torch.where(free & (numbers == number), len(self.elements) + place, rows)
        return rows

    @property
    def tables(self) -> Tables:
        """The parameters."""
        ions = (self.share, self.charges) if self.ionic else ()
        return Tables(self.levels, self.hopping, self.field, *ions)

    def neighbourhood(self, numbers: Sequence[int], cell: Array, positions: Array) -> Neighbourhood:
        """What the tables need to know of a crystal; arguments as in ``forward``.

        Parameters
        ----------
        numbers, cell, positions
            Those of ``forward``.
        """
        pairs = periodic_pairs(cell, positions, self.cutoff)
        rows = self._with_free_anions(self.rows(numbers), torch.tensor(numbers), pairs)
        return Neighbourhood.of(
            numbers,
            rows,
            pairs,
            cell,
            positions,
            self.cutoff,
            self.hopping.shape[-1],
            self.n_orbitals,
            self.ionic,
            self.polarizabilities,
        )

    def forward(
        self, numbers: Sequence[int], cell: Array, positions: Array
    ) -> RealSpaceHamiltonian:
        """Return H(R) of a crystal.

        Parameters
        ----------
        numbers
            (N,) atomic numbers.
        cell
            (3, 3) lattice vectors in rows, Å.
        positions
            (N, 3) Å.
        """
        near = self.neighbourhood(numbers, cell, positions)
        return self.tables.hamiltonian(near).real_space()
