"""What is trained: parts that all pairs, an element or a pair share, summed into tables.

Radial functions are whitened, those of hopping by their covariance near the nearest neighbours and
those of the crystal field in metals nearer still (``field_decay``), so that a step of one size
means the same for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from esml.model.crystals import CrystalModel, Neighbourhood, Tables
from esml.model.crystals.crystal_model import congruent
from esml.physics.crystals import CongruentHamiltonian
from esml.training.crystals.two_centre_fit import TableParts, tables, whitening_of

HOPPING_DECAY = 2.0
"""Å, of the weights of pairs by which hopping is whitened."""
SMALLEST = 1e-5
"""Of the largest covariance; smaller ones count as so large."""
STIFFNESS = (0.02, 0.1, 1.0)
"""What holds the shared part, those of elements, and those of pairs to where they began."""
SEED = 1e-5
"""Where the exponent begins: at zero nothing would move it."""


class TrainedTables(nn.Module):
    """Parts of the tables of Z elements in whitened radial functions.

    Parameters
    ----------
    start:
        The fit of H(R) from which training starts.
    nears:
        The training crystals.
    seed:
        Of the first exponent.
    field_decay:
        Å; decay of the weights of pairs by which the crystal field is whitened.
    """

    def __init__(
        self,
        start: TableParts,
        nears: Sequence[Neighbourhood],
        seed: int = 0,
        field_decay: float = 0.4,
    ) -> None:
        super().__init__()
        self.Z = len(start.levels)
        self.register_buffer("wide", whitening_of(nears, HOPPING_DECAY, SMALLEST))
        self.register_buffer("close", whitening_of(nears, field_decay, SMALLEST))
        self.levels = nn.Parameter(start.levels.clone())
        self.share = self.charges = None
        if start.ions is not None:
            share, charges = start.ions
            self.share = nn.Parameter(share.clone())
            self.charges = nn.Parameter(charges @ torch.linalg.inv(self.wide).T)
        self.hopping = nn.Parameter(start.hopping @ torch.linalg.inv(self.wide).T)
        self.field = nn.Parameter(start.field @ torch.linalg.inv(self.close).T)
        generator = torch.Generator().manual_seed(seed)
        exponent = torch.zeros_like(start.hopping)
        exponent[0] = SEED * torch.randn(
            exponent.shape[1:], generator=generator, dtype=exponent.dtype
        )
        self.exponent = nn.Parameter(exponent)
        for name in ("hopping", "field", "exponent"):
            self.register_buffer(f"first_{name}", getattr(self, name).detach().clone())
        stiffness = [STIFFNESS[0]] + [STIFFNESS[1]] * 2 * self.Z + [STIFFNESS[2]] * self.Z**2
        self.register_buffer("stiffness", torch.tensor(stiffness, dtype=torch.float64))

    wide: Tensor
    close: Tensor
    stiffness: Tensor

    def tables(self) -> tuple[Tables, Tensor]:
        """Tables of H, and that of X."""
        hopping = tables(self.hopping @ self.wide.T, self.Z)
        field = tables(self.field @ self.close.T, self.Z)
        exponent = tables(self.exponent @ self.wide.T, self.Z)
        charges = None if self.charges is None else self.charges @ self.wide.T
        return Tables(self.levels, hopping, field, self.share, charges), exponent

    def hamiltonians(self, nears: Sequence[Neighbourhood]) -> list[CongruentHamiltonian]:
        """Those of crystals."""
        found, exponent = self.tables()
        return [congruent(found, exponent, near) for near in nears]

    def distance(self) -> Tensor:
        """How far the parts are from where they began, the stiffer the more it counts."""
        moved = [
            (getattr(self, name) - getattr(self, f"first_{name}")).square().sum((1, 2))
            for name in ("hopping", "field", "exponent")
        ]
        return (self.stiffness * torch.stack(moved).sum(0)).sum()

    @torch.no_grad()
    def write(self, model: CrystalModel) -> None:
        """Put the tables into ``model``."""
        found, exponent = self.tables()
        if found.share is not None and found.charges is not None:
            model.two_centre.share.copy_(found.share)
            model.two_centre.charges.copy_(found.charges)
        model.two_centre.levels.copy_(found.levels)
        model.two_centre.hopping.copy_(found.hopping)
        model.two_centre.field.copy_(found.field)
        model.exponent.copy_(exponent)
