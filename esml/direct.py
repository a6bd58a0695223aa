"""A direct model: excitation energies straight from the invariant features of the atoms.

The counterpart to the effective Hamiltonian, for comparison: the same backbone, the same data, no
physics behind it. Each quantity q of a molecule is read by attention over its atoms,

    q = Σ_a w_a v_a ,   w_a = exp(u_a) / Σ_b exp(u_b) ,

with values v and scores u made of the scalars of atom a, so that it is intensive and, where the
atoms say so, local. Energies above the first are sums of positive steps, so they ascend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from esml.backbone import BackboneConfig, build
from esml.graph import Graph
from esml.network import NetworkConfig, Pairs, species

N_SINGLETS = 5


class DirectConfig(BaseModel):
    """Everything that fixes the form of a ``Direct`` model."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["direct"] = "direct"
    network: BackboneConfig = Field(default_factory=NetworkConfig, description="the backbone")
    hidden: int = Field(default=64, ge=1, le=4096, description="hidden scalars of atoms")


@dataclass(frozen=True)
class Quantities:
    """What a direct model says of M molecules; also its labels, nan where there is none."""

    singlets: Tensor  # (M, 5) eV, ascending, the lowest valence singlets
    strengths: Tensor  # (M, 5) their oscillator strengths
    triplet: Tensor  # (M,) eV, the lowest valence triplet
    homo: Tensor  # (M,) eV
    gap: Tensor  # (M,) eV
    """HOMO–LUMO gap, the LUMO that of the valence basis."""


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

    @property
    def cutoff(self) -> float:
        """Å within which a graph must list its pairs."""
        return self.config.network.cutoff

    def forward(self, graph: Graph) -> Quantities:
        """The quantities of every molecule of ``graph``."""
        kinds = species(graph.numbers)
        scalars = self.network(Pairs.of(graph), kinds)[:, 0]
        scores = self.scores(scalars)
        # Softmax over the atoms of each molecule; any shift of the scores cancels.
        place = graph.molecule[:, None].expand(-1, N_OUTPUTS)
        highest = scores.new_full((graph.n_molecules, N_OUTPUTS), -torch.inf)
        highest = highest.scatter_reduce(0, place, scores.detach(), "amax")
        weights = (scores - highest[graph.molecule]).exp()

        def summed(x: Tensor) -> Tensor:
            return x.new_zeros((graph.n_molecules, N_OUTPUTS)).index_add(0, graph.molecule, x)

        pooled = summed(weights * self.values(scalars)) / summed(weights)
        steps, strengths, levels = (self.centre + pooled).split([N_SINGLETS, N_SINGLETS, 3], 1)
        singlets = torch.cat([steps[:, :1], softplus(steps[:, 1:])], 1).cumsum(1)
        triplet, homo, gap = levels.unbind(1)
        return Quantities(singlets, softplus(strengths), triplet, homo, gap)

    def set_centre(self, labels: Quantities) -> None:
        """Start from the means of ``labels``: the network learns deviations."""
        steps = torch.diff(labels.singlets, dim=1)
        values = [
            labels.singlets[:, :1].nanmean(0),
            _inverse_softplus(steps.nanmean(0)),
            _inverse_softplus(labels.strengths.nanmean(0)),
            *(q.nanmean().view(1) for q in (labels.triplet, labels.homo, labels.gap)),
        ]
        self.centre.copy_(torch.cat(values).to(self.centre))


def _inverse_softplus(x: Tensor) -> Tensor:
    return x.clamp(min=1e-3).expm1().log()
