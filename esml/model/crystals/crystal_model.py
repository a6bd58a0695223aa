"""The Hamiltonian of crystals that is trained and shipped.

    H'(k) = W(k) H(k) W(k) + λ ,      W = 1 + X + X²/2

H and X are Bloch sums of two centres from tables (``two_centre_model``): H hopping, levels and
crystal field, X what non-orthogonality and third atoms add. λ shifts the d levels of each atom
until its d population is the usual one of its element (``esml.physics.crystals.neutral_shifts``);
that is the mean field of a metal, and is looked for when a crystal is predicted. Insulators
(``insulating``) have no λ: there the charges of ions move levels by their electrostatic potential.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from esml.model.crystals.neighbourhood import Neighbourhood
from esml.model.crystals.two_centre_model import Tables, TwoCentreModel
from esml.physics.crystals.congruence import CongruentHamiltonian
from esml.physics.crystals.two_centre import blocks_from
from esml.typing import Array


class CrystalConfig(BaseModel):
    """Everything that fixes the form of a ``CrystalModel``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["crystals"] = "crystals"  # which configuration this is
    elements: tuple[int, ...] = Field(description="atomic numbers it knows", max_length=100)
    cutoff: float = Field(default=6.6, gt=1.0, le=20.0, description="Å, of hopping and field")
    n_radial: int = Field(default=8, ge=1, le=64, description="functions of the distance")
    smearing: float = Field(default=0.272114, gt=0.0, description="eV, of the reference")
    population_error: float = Field(
        default=0.02, gt=0.0, description="e; how far d populations may be from their element's"
    )
    shift_error: float = Field(
        default=0.1, ge=0.0, description="eV; expected shift of d levels; 0: none is looked for"
    )
    insulating: bool = Field(
        default=False, description="ions instead of metal atoms; energies from the valence band top"
    )
    anions: tuple[int, ...] = Field(
        default=(),
        max_length=100,
        description="elements whose free ions, not bonded to phosphorus, have tables of their own",
    )
    polarizabilities: tuple[Annotated[float, Field(ge=0.0, le=20.0)], ...] = Field(
        default=(), max_length=200, description="Å³, of elements, then free anions; none: rigid"
    )


def congruent(tables: Tables, exponent: Tensor, near: Neighbourhood) -> CongruentHamiltonian:
    """W H W of a crystal; ``exponent`` (Z, Z, A, n_radial) is the table of X, no unit."""
    forward, backward = near.integrals(exponent), near.integrals(exponent, back=True)
    blocks = blocks_from(near.matrices, forward, backward)
    x = near.hamiltonian(blocks, blocks.new_zeros(len(near.rows), *blocks.shape[1:]))
    return CongruentHamiltonian(tables.hamiltonian(near), x)


class CrystalModel(nn.Module):
    """Tables for crystals of metals or of ions. Call it for the W H W of a crystal.

    Parameters
    ----------
    config:
        Its form.
    """

    def __init__(self, config: CrystalConfig) -> None:
        super().__init__()
        self.config = config
        self.two_centre = TwoCentreModel(
            config.elements,
            config.cutoff,
            config.n_radial,
            config.insulating,
            config.anions,
            config.polarizabilities,
        )
        self.exponent = nn.Parameter(torch.zeros_like(self.two_centre.hopping))
        d_populations = torch.zeros(len(config.elements), dtype=torch.float64)
        self.register_buffer("d_populations", d_populations)  # (Z,) e, usual ones

    d_populations: Tensor  # (Z,) usual d electrons of the elements, e

    def neighbourhood(self, numbers: Sequence[int], cell: Array, positions: Array) -> Neighbourhood:
        """What the tables need to know of a crystal; arguments as in ``forward``.

        Parameters
        ----------
        numbers, cell, positions
            Those of ``forward``.
        """
        return self.two_centre.neighbourhood(numbers, cell, positions)

    def forward(
        self, numbers: Sequence[int], cell: Array, positions: Array
    ) -> CongruentHamiltonian:
        """Return W H W of a crystal.

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
        return congruent(self.two_centre.tables, self.exponent, near)


def crystal_model(config: dict[str, Any]) -> CrystalModel:
    """An untrained model of a stored configuration. Raises ValueError if it is invalid."""
    return CrystalModel(CrystalConfig.model_validate(config))
