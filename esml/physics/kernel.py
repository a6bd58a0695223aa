"""The two-electron part of the response: the field of a transition density.

The integrals are those of :class:`esml.physics.interaction.Interaction`, written for densities
D (n, n): each atom's multipoles of D couple to those of all atoms (monopoles) or of the same atom
(dipoles, quadrupoles), and exchange multiplies D element by element with −γ^J (−γ^T in triplets).

Shape letters: M molecules, S densities, n basis functions, H atoms with p orbitals. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.basis import N_SLOTS, OrbitalLayout
from esml.physics.interaction import Interaction
from esml.typing import Multiplicity


@dataclass(frozen=True)
class Kernel:
    """The field of a transition density: the two-electron part of the response.

    The field is the coupling of the density's atomic multipoles, minus γ^J∘D (γ^T in triplets),
    minus the one-centre exchange of its atomic blocks. The n basis functions may be in any order.
    """

    minus_exchange: dict[Multiplicity, Tensor]  # (M, n, n) −γ^J or −γ^T of the functions' atoms
    monopoles: dict[Multiplicity, Tensor]  # (M, n, n) diagonal of the density → of the field
    blocks: dict[Multiplicity, Tensor]  # (M, H, 16, 16) block of the density → of the field
    row: Tensor  # (M, H, 16) basis function of the row of each element of those blocks
    column: Tensor  # (M, H, 16) basis function of its column

    @classmethod
    def of(cls, interaction: Interaction, layout: OrbitalLayout) -> Kernel:
        """Return the kernel of an ``interaction`` in the basis ``layout``."""
        atom = layout.orbital_atom
        molecule = torch.arange(layout.n_molecules, device=atom.device)[:, None]
        pair = molecule[:, :, None], atom[:, :, None], atom[:, None, :]
        local = torch.diag_embed(interaction.triplet_monopole)
        # Only the H atoms with p orbitals have one-centre terms beyond the monopole.
        slot = layout.slot_index
        heavy = slot[:, :, -1] < layout.n_max
        order = heavy.logical_not().long().argsort(dim=1, stable=True)[:, : int(heavy.sum(1).max())]
        filled = heavy.gather(1, order)[:, :, None, None]
        slot = slot.gather(1, order[:, :, None].expand(-1, -1, N_SLOTS))
        rows, columns = torch.broadcast_tensors(slot[:, :, :, None], slot[:, :, None, :])
        row, column = (torch.where(filled, x, 0).flatten(2) for x in (rows, columns))
        exchange = interaction.exchange_blocks()
        coupled: dict[Multiplicity, Tensor] = {
            "singlet": interaction.singlet_blocks(),
            "triplet": interaction.triplet_blocks(),
        }
        return cls(
            minus_exchange={
                "singlet": -interaction.exchange[pair],
                "triplet": -interaction.triplet_exchange[pair],
            },
            monopoles={"singlet": 2.0 * interaction.coulomb[pair], "triplet": 2.0 * local[pair]},
            blocks={
                name: torch.where(filled, (2.0 * block - exchange)[molecule, order], 0.0)
                for name, block in coupled.items()
            },
            row=row,
            column=column,
        )

    @property
    def requires_grad(self) -> bool:
        """Whether fields carry gradients with respect to the interaction."""
        tensors = *self.minus_exchange.values(), *self.monopoles.values(), *self.blocks.values()
        return any(x.requires_grad for x in tensors)

    def select(self, molecules: Tensor) -> Kernel:
        """Return the kernel of some ``molecules`` of the batch, by index."""
        return Kernel(
            {name: x[molecules] for name, x in self.minus_exchange.items()},
            {name: x[molecules] for name, x in self.monopoles.items()},
            {name: x[molecules] for name, x in self.blocks.items()},
            self.row[molecules],
            self.column[molecules],
        )

    def in_order(self, order: Tensor) -> Kernel:
        """Return the kernel for basis functions in another ``order`` (n,)."""
        place = order.argsort()
        return Kernel(
            {name: x[:, order][:, :, order] for name, x in self.minus_exchange.items()},
            {name: x[:, order][:, :, order] for name, x in self.monopoles.items()},
            self.blocks,
            place[self.row],
            place[self.column],
        )

    def field(self, density: Tensor, coupling: Multiplicity, in_place: bool) -> Tensor:
        """Return the field of a transition density.

        Parameters
        ----------
        density:
            (M, n, S, n), contiguous.
        coupling:
            Multiplicity of the states.
        in_place:
            Overwrite the density with the field. This saves memory but rules out gradients.

        Returns
        -------
        (M, n, S, n), eV.
        """
        of_diagonal = density.diagonal(dim1=1, dim2=3) @ self.monopoles[coupling]
        n_states, n = density.shape[2:]
        state = torch.arange(0, n_states * n, n, device=density.device)[:, None]
        place = (self.row * (n_states * n) + self.column)[:, :, None] + state
        place = place.flatten(1)
        on_atoms = density.flatten(1).gather(1, place)
        on_atoms = on_atoms.view(*self.row.shape[:2], n_states, N_SLOTS**2)
        onsite = (on_atoms @ self.blocks[coupling]).flatten(1)
        exchange = self.minus_exchange[coupling][:, :, None]
        field = density.mul_(exchange) if in_place else density * exchange
        field.diagonal(dim1=1, dim2=3).add_(of_diagonal)
        field.view(len(field), -1).scatter_add_(1, place, onsite)
        return field
