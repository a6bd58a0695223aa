"""A direct model: excitation energies directly from the invariant features of the atoms.

It is the counterpart to the effective Hamiltonian, for comparison: the same backbone and the same
data, but no physics. Each quantity q of a molecule is predicted by attention over its atoms,

    q = Σ_a w_a v_a ,   w_a = exp(u_a) / Σ_b exp(u_b) ,

with values v and scores u computed from the scalars of atom a, so that q is intensive and can be
local. Energies above the first are sums of positive steps, so they ascend. Occupied orbital
energies, if wanted, are predicted in the same way, one by one; their v and u also depend on the
position of the orbital below the HOMO.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import pi
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from esml.model.backbones import BackboneConfig, build
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.graph import Graph
from esml.model.pairs import Pairs, species
from esml.physics.basis import OrbitalLayout

N_SINGLETS = 5


class DirectConfig(BaseModel):
    """Configuration that determines the form of a ``Direct`` model."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["direct"] = "direct"  # which configuration this is
    network: BackboneConfig = Field(default_factory=NetworkConfig, description="the backbone")
    hidden: int = Field(default=64, ge=1, le=4096, description="hidden scalars of atoms")
    levels: Literal["homo", "occupied"] = Field(
        default="homo", description="orbital energies predicted beside the gap"
    )


@dataclass(frozen=True)
class Quantities:
    """Predictions of a direct model for M molecules, or their labels; nan where there is none."""

    singlets: Tensor  # (M, 5) eV, ascending, the lowest valence singlets
    strengths: Tensor  # (M, 5) oscillator strengths of these singlets
    triplet: Tensor  # (M,) eV, the lowest valence triplet
    homo: Tensor  # (M,) eV
    gap: Tensor  # (M,) eV
    """HOMO–LUMO gap, with the LUMO of the valence basis."""
    occupied: Tensor | None = None  # (M, most) eV, all occupied levels, ascending, then nan

    def to(self, device: torch.device) -> Quantities:
        """Return the same quantities on ``device``."""
        held = {part.name: getattr(self, part.name) for part in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in held.items() if v is not None})


N_OUTPUTS = 2 * N_SINGLETS + 3


class Direct(nn.Module):
    """A graph → ``Quantities``, differentiable in positions and weights."""

    centre: Tensor

    def __init__(self, config: DirectConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DirectConfig()
        self.network = build(config.network)
        channels = config.network.channels
        self.values = nn.Sequential(
            nn.Linear(channels, config.hidden), nn.SiLU(), nn.Linear(config.hidden, N_OUTPUTS)
        )
        self.scores = nn.Sequential(
            nn.Linear(channels, config.hidden), nn.SiLU(), nn.Linear(config.hidden, N_OUTPUTS)
        )
        self.register_buffer("centre", torch.zeros(N_OUTPUTS))
        if config.levels == "occupied":
            self.occupied = OccupiedEnergies(channels, config.hidden)

    @property
    def cutoff(self) -> float:
        """Distance (Å) within which a graph must list its pairs."""
        return self.config.network.cutoff

    def forward(self, graph: Graph) -> Quantities:
        """Return the quantities of every molecule of ``graph``."""
        kinds = species(graph.numbers)
        scalars = self.network(Pairs.of(graph), kinds)[:, 0]
        pooled = pool(self.values(scalars), self.scores(scalars), graph)
        steps, strengths, levels = (self.centre + pooled).split([N_SINGLETS, N_SINGLETS, 3], 1)
        singlets = torch.cat([steps[:, :1], softplus(steps[:, 1:])], 1).cumsum(1)
        triplet, homo, gap = levels.unbind(1)
        occupied = None
        if self.config.levels == "occupied":
            occupied = self.occupied(scalars, homo, graph)
            homo = occupied.nan_to_num(-torch.inf).amax(1)
        return Quantities(singlets, softplus(strengths), triplet, homo, gap, occupied)

    def set_centre(self, labels: Quantities) -> None:
        """Set the start to the means of ``labels``, so that the network learns deviations."""
        steps = torch.diff(labels.singlets, dim=1)
        values = [
            labels.singlets[:, :1].nanmean(0),
            _inverse_softplus(steps.nanmean(0)),
            _inverse_softplus(labels.strengths.nanmean(0)),
            *(q.nanmean().view(1) for q in (labels.triplet, labels.homo, labels.gap)),
        ]
        # Quantities without a label start from zero.
        self.centre.copy_(torch.cat(values).nan_to_num(0.0).to(self.centre))
        if self.config.levels == "occupied" and labels.occupied is not None:
            self.occupied.set_centre(labels.occupied)


def pool(values: Tensor, scores: Tensor, graph: Graph) -> Tensor:
    """Return Σ_a w_a v_a (M, …) over the atoms of each molecule, w = softmax(``scores``)."""
    # Any shift of the scores cancels.
    place = graph.molecule.view(-1, *[1] * (scores.dim() - 1)).expand_as(scores)
    shape = (graph.n_molecules, *scores.shape[1:])
    highest = scores.new_full(shape, -torch.inf)
    highest = highest.scatter_reduce(0, place, scores.detach(), "amax")
    weights = (scores - highest[graph.molecule]).exp()

    def summed(x: Tensor) -> Tensor:
        return x.new_zeros(shape).index_add(0, graph.molecule, x)

    return summed(weights * values) / summed(weights)


N_COSINES = 8

N_RANK = N_COSINES + 2


class OccupiedEnergies(nn.Module):
    """Occupied orbital energies: for the j-th of o below the HOMO, ε_j = ε_HOMO + c·φ_j + q_j.

    φ_j holds cos(πk(j + ½)/o), k = 0 … 7, 1/(1 + j) and ln o. c is fitted to the labels before
    training. q_j is pooled from the atoms; v_a and u_a are functions of their scalars and of φ_j.
    """

    centre: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.atom = nn.Linear(channels, hidden)
        self.rank = nn.Linear(N_RANK, hidden, bias=False)
        self.out = nn.Linear(hidden, 2)
        self.register_buffer("centre", torch.zeros(N_RANK))

    def forward(self, scalars: Tensor, homo: Tensor, graph: Graph) -> Tensor:
        """Return occupied energies (M, most), eV, ascending, then nan; ``homo`` is (M,)."""
        counts = OrbitalLayout.build(graph.numbers, graph.molecule, graph.charges).n_occupied
        phi, there = ranks(counts, homo.dtype)
        hidden = silu(self.atom(scalars)[:, None] + self.rank(phi)[graph.molecule])
        values, scores = self.out(hidden).unbind(2)
        energies = homo[:, None] + phi @ self.centre + pool(values, scores, graph)
        ascending = torch.where(there, energies, torch.inf).sort(1).values
        return torch.where(ascending.isfinite(), ascending, torch.nan)

    def set_centre(self, labels: Tensor) -> None:
        """Fit c to occupied energies ``labels`` (M, most), ascending, then nan."""
        counts = labels.isfinite().sum(1)
        phi, there = ranks(counts, labels.dtype)
        mean = labels.nan_to_num(-torch.inf).amax(1).mean()
        below = labels.nan_to_num(-torch.inf).sort(1, descending=True).values[:, : phi.shape[1]]
        fit = torch.linalg.lstsq(phi[there], below[there][:, None] - mean, driver="gelsd")
        self.centre.copy_(fit.solution[:, 0])


def ranks(counts: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return φ (M, most, 10) of the occupied orbitals, and which of them each molecule has."""
    j = torch.arange(int(counts.max()), device=counts.device)
    size = counts[:, None].to(dtype)
    waves = pi * torch.arange(N_COSINES, device=counts.device) * ((j + 0.5) / size)[:, :, None]
    rest = torch.stack([(1.0 / (1.0 + j)).expand(len(counts), -1), size.log().expand(-1, len(j))])
    phi = torch.cat([waves.cos(), rest.movedim(0, 2)], 2)
    return phi.to(dtype), j < counts[:, None]


def _inverse_softplus(x: Tensor) -> Tensor:
    return x.clamp(min=1e-3).expm1().log()
