"""A Hamiltonian of crystals from tables: levels, a crystal field, and hopping.

    ⟨i0|H|jR⟩ = two-centre block of V(r; Z_i, Z_j)                    (``esml.physics.crystals``)
    ⟨i0|H|i0⟩ = levels(Z_i) + Σ_jR [ A + Aᵀ ] ,  A the part l ≤ l' of a block of K(r; Z_i, Z_j)

with ten integrals V and K for each ordered pair of elements, as functions of the distance

    V_a(r) = Σ_n c_an sin(nπr/r_c)/r · s(r) ,      s from 1 at 0.7 r_c smoothly to 0 at r_c .

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
from esml.physics.crystals.bloch import RealSpaceHamiltonian
from esml.physics.crystals.pair_blocks import PairHamiltonian
from esml.physics.crystals.shells import shells_of
from esml.physics.crystals.two_centre import INTEGRALS, blocks_from, equal_shared
from esml.typing import Array

SHELL_OF_SLOT = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""s, p or d of the nine orbitals of an atom."""


@dataclass(frozen=True)
class Tables:
    """What fixes a Hamiltonian of Z elements."""

    levels: Tensor  # (Z, 3) eV, s p d
    hopping: Tensor  # (Z, Z, 10, n_radial) V
    field: Tensor  # (Z, Z, 10, n_radial) K

    def hamiltonian(self, near: Neighbourhood) -> PairHamiltonian:
        """That of a crystal."""
        forward, backward = near.integrals(self.hopping), near.integrals(self.hopping, back=True)
        field = near.integrals(self.field)
        part = torch.einsum("ea,eaxy->exy", field * equal_shared(field), near.matrices)
        onsite = torch.diag_embed(self.levels[near.rows][:, list(SHELL_OF_SLOT)])
        onsite = onsite.index_add(0, near.pairs.first, part + part.transpose(1, 2))
        return near.hamiltonian(blocks_from(near.matrices, forward, backward), onsite)


class TwoCentreModel(nn.Module):
    """Tables of levels and integrals for crystals of transition metals.

    Parameters
    ----------
    elements:
        Atomic numbers it knows; they carry s, p and d.
    cutoff:
        Å.
    n_radial:
        Functions of the distance for each integral.

    Raises
    ------
    ValueError
        For an element without s, p and d here.
    """

    def __init__(self, elements: Sequence[int], cutoff: float = 6.6, n_radial: int = 8) -> None:
        super().__init__()
        small = [z for z in elements if shells_of(z) != ("s", "p", "d")]
        if small:
            raise ValueError(
                f"atomic number {small[0]} carries no s, p and d: expected transition metals; "
                "leave it out"
            )
        self.elements = tuple(elements)
        self.cutoff = cutoff
        Z = len(self.elements)
        self.levels = nn.Parameter(torch.zeros(Z, 3, dtype=torch.float64))  # eV
        shape = (Z, Z, len(INTEGRALS), n_radial)
        self.hopping = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.field = nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """(N,) row of each atom's element in the tables; ValueError for one it does not know."""
        unknown = sorted(set(numbers) - set(self.elements))
        if unknown:
            raise ValueError(
                f"atomic number {unknown[0]} is not one of {self.elements}: expected elements that "
                "the tables were fitted to; leave the crystal out"
            )
        return torch.tensor([self.elements.index(z) for z in numbers])

    @property
    def tables(self) -> Tables:
        """The parameters."""
        return Tables(self.levels, self.hopping, self.field)

    def neighbourhood(self, numbers: Sequence[int], cell: Array, positions: Array) -> Neighbourhood:
        """What the tables need to know of a crystal; arguments as in ``forward``."""
        n_radial = self.hopping.shape[-1]
        return Neighbourhood.of(self.rows(numbers), cell, positions, self.cutoff, n_radial)

    def forward(
        self, numbers: Sequence[int], cell: Array, positions: Array
    ) -> RealSpaceHamiltonian:
        """H(R) of a crystal: ``numbers`` (N,), ``cell`` (3, 3) Å and ``positions`` (N, 3) Å."""
        near = self.neighbourhood(numbers, cell, positions)
        return self.tables.hamiltonian(near).real_space()
