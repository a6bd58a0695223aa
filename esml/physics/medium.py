"""What surrounds the molecules of a batch: solvents, point charges, fields, or nothing.

Shape letters: M molecules, K the most atoms of one molecule. Energies in eV, lengths in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.basis import N_SLOTS, OrbitalLayout
from esml.physics.point_charges import SPREAD, PointCharges, potentials
from esml.physics.solvent import Solvent, born_radii, cavity_radii, reaction_field
from esml.units import BOHR


@dataclass(frozen=True)
class ReactionField:
    """The solvent's potential on an atom for a unit charge on another, (M, K, K) eV."""

    static: Tensor  # the solvent is in equilibrium with the charge
    optical: Tensor  # only the solvent's electrons follow


@dataclass(frozen=True)
class Sites:
    """The point charges around one molecule as tensors, in double precision."""

    charges: Tensor  # (L,) e
    positions: Tensor  # (L, 3) Å; may require gradients
    width: float  # Å


@dataclass(frozen=True)
class Medium:
    """The surroundings of each molecule of a batch."""

    solvents: tuple[Solvent | None, ...]  # None: vacuum
    sites: tuple[Sites | None, ...]  # None: no point charges
    field: Tensor | None = None  # (M, 3) uniform electric field, V/Å; may require gradients
    shifts: Tensor | None = None  # (M, K) change of all levels of an atom, eV; likewise

    @classmethod
    def of(
        cls, solvents: Sequence[Solvent | None], charges: Sequence[PointCharges | None] = ()
    ) -> Medium | None:
        """Return the medium of molecules in ``solvents`` or among ``charges``, or None.

        Give one entry of ``charges`` for each entry of ``solvents``, or leave ``charges`` out. The
        result is None if no molecule has a solvent or charges.
        """
        found = tuple(None if each is None else _sites(each) for each in charges)
        if all(each is None for each in (*solvents, *found)):
            return None
        return cls(tuple(solvents), found or (None,) * len(solvents))

    def reaction_field(self, separation: Tensor, layout: OrbitalLayout) -> ReactionField | None:
        """Return the reaction field of atoms ``separation`` (M, K, K) Å apart; None in vacuum."""
        if all(s is None for s in self.solvents):
            return None
        numbers = layout.pad_atoms(layout.numbers)
        acidity = torch.tensor([0.0 if s is None else s.acidity for s in self.solvents])
        radii = cavity_radii(numbers, acidity).to(separation)
        effective = born_radii(separation, radii, layout.atom_mask)
        static = [1.0 if s is None else s.epsilon for s in self.solvents]
        optical = [1.0 if s is None else s.optical for s in self.solvents]
        return ReactionField(
            *(
                reaction_field(
                    separation, effective, layout.atom_mask, separation.new_tensor(values)
                )
                for values in (static, optical)
            )
        )

    def potential(
        self, positions: Tensor, dipole: Tensor, sp_dipole: Tensor, layout: OrbitalLayout
    ) -> Tensor | None:
        """Return the operator w of all but the solvent, (M, n, n) eV; None if there is nothing.

        Parameters
        ----------
        positions:
            (N, 3) positions of the atoms, Å.
        dipole:
            (M, 3, n, n) ⟨μ|r|ν⟩, bohr, δ_μν R_A included.
        sp_dipole:
            (N,) ⟨s|x|p_x⟩ of the atoms, bohr; gives ⟨r²⟩ of their p orbitals.
        """
        parts = [self._of_charges(positions, dipole, sp_dipole, layout)]
        if self.field is not None:
            parts.append(BOHR * (self.field[:, :, None, None] * dipole).sum(1))
        if self.shifts is not None:
            at_orbitals = self.shifts.to(dipole).gather(1, layout.orbital_atom)
            parts.append(torch.diag_embed(at_orbitals * layout.orbital_mask))
        given = [part for part in parts if part is not None]
        return sum(given[1:], given[0]) if given else None

    def _of_charges(
        self, positions: Tensor, dipole: Tensor, sp_dipole: Tensor, layout: OrbitalLayout
    ) -> Tensor | None:
        """Return the operator of the point charges alone."""
        if all(each is None for each in self.sites):
            return None
        # In double precision: the potentials of thousands of charges nearly cancel.
        places = positions.double()
        phi, field = places.new_zeros(len(places)), torch.zeros_like(places)
        gradient = places.new_zeros(len(places), 3, 3)
        starts = (layout.n_atoms.cumsum(0) - layout.n_atoms).tolist()
        found = []
        for start, n, sites in zip(starts, layout.n_atoms.tolist(), self.sites, strict=True):
            own = slice(start, start + n)
            if sites is None:
                found.append((phi[own], field[own], gradient[own]))
                continue
            charges, x = (t.to(places.device) for t in (sites.charges, sites.positions))
            found.append(potentials(places[own], charges, x, sites.width))
        phi, field, gradient = (torch.cat(each).to(positions) for each in zip(*found, strict=True))
        blocks = phi.new_zeros(len(phi), N_SLOTS, N_SLOTS)
        blocks[:, 1:, 1:] = -(SPREAD / 5.0 * sp_dipole**2 * BOHR**2)[:, None, None] * gradient
        blocks = blocks - torch.diag_embed(phi[:, None].expand(-1, N_SLOTS))
        none = layout.numbers.new_zeros(0)
        onsite = layout.assembly(none, none)(blocks, blocks[:0])
        owner = layout.orbital_atom[:, :, None].expand(-1, -1, 3)
        at_orbitals, centres = (
            layout.pad_atoms(x).gather(1, owner).mT for x in (field, positions / BOHR)
        )
        about_centres = dipole - torch.diag_embed(centres * layout.orbital_mask[:, None, :])
        mean = 0.5 * BOHR * (at_orbitals[:, :, :, None] + at_orbitals[:, :, None, :])
        return onsite + (mean * about_centres).sum(1)


def _sites(charges: PointCharges) -> Sites:
    # torch.tensor copies: callers that want derivatives make these tensors leaves.
    return Sites(torch.tensor(charges.charges), torch.tensor(charges.positions), charges.width)
