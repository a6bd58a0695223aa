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

import torch
from torch import Tensor, nn

from esml.model.crystals.periodic_pairs import PeriodicPairs, periodic_pairs
from esml.physics.crystals.bloch import RealSpaceHamiltonian
from esml.physics.crystals.shells import shells_of
from esml.physics.crystals.two_centre import (
    INTEGRALS,
    N_ORBITALS,
    direction_matrices,
    equal_shared,
    two_centre_blocks,
)
from esml.typing import Array

FLAT = 0.7
"""Part of the cutoff up to which the envelope is one."""
SHELL_OF_SLOT = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""s, p or d of the nine orbitals of an atom."""


def radial_functions(distances: Tensor, cutoff: float, n: int) -> Tensor:
    """(E, n) sin(kπr/r_c)/r · √(2/r_c) for k = 1 … n, times the envelope."""
    k = torch.arange(1, n + 1).to(distances)
    waves = torch.sin(torch.pi / cutoff * k * distances[:, None]) / distances[:, None]
    x = ((distances / cutoff - FLAT) / (1.0 - FLAT)).clamp(0.0, 1.0)
    envelope = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
    result: Tensor = (2.0 / cutoff) ** 0.5 * waves * envelope[:, None]
    return result


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

    def forward(
        self, numbers: Sequence[int], cell: Array, positions: Array
    ) -> RealSpaceHamiltonian:
        """H(R) of a crystal: ``numbers`` (N,), ``cell`` (3, 3) Å and ``positions`` (N, 3) Å."""
        rows = self.rows(numbers)
        pairs = periodic_pairs(cell, positions, self.cutoff)
        basis = radial_functions(pairs.distances, self.cutoff, self.hopping.shape[-1])
        one, other = rows[pairs.first], rows[pairs.second]
        forward, backward, field = (
            torch.einsum("en,ean->ea", basis, table)
            for table in (
                self.hopping[one, other],
                self.hopping[other, one],
                self.field[one, other],
            )
        )
        hopping = two_centre_blocks(pairs.directions, forward, backward)
        part = torch.einsum(
            "ea,eaxy->exy", field * equal_shared(field), direction_matrices(pairs.directions)
        )
        onsite = torch.diag_embed(self.levels[rows][:, list(SHELL_OF_SLOT)])
        onsite = onsite.index_add(0, pairs.first, part + part.transpose(1, 2))
        return _assemble(len(rows), pairs, hopping, onsite)


def _assemble(
    n_atoms: int, pairs: PeriodicPairs, hopping: Tensor, onsite: Tensor
) -> RealSpaceHamiltonian:
    origin = torch.zeros(1, 3, dtype=torch.int64)
    images, place = torch.unique(torch.cat([origin, pairs.images]), dim=0, return_inverse=True)
    shape = (len(images), n_atoms, n_atoms, N_ORBITALS, N_ORBITALS)
    atoms = torch.arange(n_atoms)
    blocks = onsite.new_zeros(shape)
    blocks = blocks.index_put((place[0].expand(n_atoms), atoms, atoms), onsite)
    blocks = blocks.index_put((place[1:], pairs.first, pairs.second), hopping, accumulate=True)
    n = n_atoms * N_ORBITALS
    return RealSpaceHamiltonian(images, blocks.transpose(2, 3).reshape(len(images), n, n))
