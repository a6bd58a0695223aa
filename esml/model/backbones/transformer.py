"""An unconstrained backbone: a transformer over the displacement vectors of an atom's neighbours.

The design follows the Point Edge Transformer (S. N. Pozdnyakov and M. Ceriotti, *Smooth, exact
rotational symmetrization for deep learning on point clouds*, NeurIPS 2023). Every directed pair is
a token made of its bare displacement vector and elements. The tokens of one atom attend to each
other, and between rounds each pair passes its token to the reversed pair. Attention is weighted
with a switch, so that neighbours enter and leave smoothly.

Nothing here is equivariant by construction. The heads *treat* the rows of the output as scalars,
vectors and tensors; the network learns this from randomly rotated data, but never exactly. If
``rotations`` is above 1, predictions are averaged over that many orientations, after rotating the
rows back: this reduces the error of symmetry and costs that many times more. Symmetry under
permutations of atoms and translations is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from esml.model.pairs import Pairs
from esml.model.tensors import QUADRUPOLE, decompose, switch
from esml.physics.basis import ELEMENTS
from esml.physics.slopes import slopes


class TransformerConfig(BaseModel):
    """Size and cutoff of the transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["transformer"] = "transformer"  # which configuration this is
    channels: int = Field(
        default=64, ge=1, le=1024, description="features of each kind for the heads"
    )
    width: int = Field(default=128, ge=1, le=4096, description="length of a token")
    heads: int = Field(default=4, ge=1, le=64, description="attention heads")
    layers: int = Field(default=2, ge=1, le=32, description="rounds of exchange between atoms")
    attention_layers: int = Field(
        default=2, ge=1, le=32, description="attention layers in each round"
    )
    cutoff: float = Field(default=5.0, gt=0, description="range of one round, Å")
    radial: int = Field(
        default=8, ge=1, le=256, description="Bessel functions of the distance in the heads"
    )
    rotations: int = Field(
        default=1, ge=1, le=1024, description="orientations averaged at prediction time"
    )

    @model_validator(mode="after")
    def _check_heads(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(
                f"width ({self.width}) must be a multiple of the number of heads ({self.heads})"
            )
        return self


class Attention(nn.Module):
    """Self-attention among the tokens (N, K, W) of each atom, weighted with an envelope (N, K)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)

    def forward(self, tokens: Tensor, log_envelope: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.projection(self.before(tokens)).chunk(3, 2)
        )
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=log_envelope[:, None, None, :]
        )
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        update: Tensor = self.contract(silu(self.expand(self.between(tokens))))
        return tokens + update


class Round(nn.Module):
    """One round of attention among tokens, made from the features of pairs and their geometry."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.geometry = nn.Linear(4, width)
        self.neighbour = nn.Embedding(len(ELEMENTS), width)
        self.merge = nn.Linear(2 * width, width)
        self.centre = nn.Embedding(len(ELEMENTS), width)
        self.attention = nn.ModuleList(
            Attention(width, config.heads) for _ in range(config.attention_layers)
        )

    def forward(
        self, held: Tensor, geometry: Tensor, pairs: Pairs, kinds: Tensor, slots: Slots
    ) -> tuple[Tensor, Tensor]:
        """Return the tokens of the atoms (N, W) and of the pairs (E, W)."""
        new = silu(self.geometry(geometry)) + self.neighbour(kinds[pairs.target])
        tokens = slots.spread(self.merge(torch.cat([new, held], 1)))
        tokens = torch.cat([self.centre(kinds)[:, None], tokens], 1)
        for layer in self.attention:
            tokens = layer(tokens, slots.log_envelope)
        return tokens[:, 0], slots.collect(tokens[:, 1:])


class Slots:
    """Maps between pairs (E, …) and padded slots (N, K, …) for the pairs of each atom."""

    def __init__(self, pairs: Pairs, n_atoms: int, envelope: Tensor) -> None:
        counts = torch.bincount(pairs.source, minlength=n_atoms)
        # Pairs are sorted by source.
        first = counts.cumsum(0) - counts
        place = torch.arange(len(pairs.source), device=counts.device) - first[pairs.source]
        self._width = int(counts.max()) if len(pairs.source) else 0
        self._index = pairs.source * self._width + place
        self._n_atoms = n_atoms
        weights = self.spread(envelope[:, None])[:, :, 0]
        # The atom's own token always takes part; empty slots never do (their log is of zero).
        self.log_envelope = pad(weights, (1, 0), value=1.0).clamp(min=1e-12).log()

    def spread(self, values: Tensor) -> Tensor:
        flat = values.new_zeros((self._n_atoms * self._width, values.shape[1]))
        return flat.index_copy(0, self._index, values).view(self._n_atoms, self._width, -1)

    def collect(self, values: Tensor) -> Tensor:
        return values.flatten(0, 1)[self._index]


class Transformer(nn.Module):
    """Features (N, 9, C) of all atoms of a graph, treated as scalars, vectors and tensors."""

    orientations: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.rounds = nn.ModuleList(Round(config) for _ in range(config.layers))
        self.start = nn.Embedding(len(ELEMENTS), config.width)
        self.readout = nn.ModuleList(
            nn.Linear(2 * config.width, 9 * config.channels) for _ in range(config.layers)
        )
        self.normalize = nn.LayerNorm(config.channels)
        generator = torch.Generator().manual_seed(0)
        self.register_buffer(
            "orientations", random_rotations(config.rotations, generator), persistent=False
        )

    def forward(self, pairs: Pairs, kinds: Tensor) -> Tensor:
        """Return features (N, 9, C) of atoms of ``kinds`` (N,) and ``pairs``."""
        near = pairs.within(self.config.cutoff)
        if self.training or self.config.rotations == 1:
            return self._oriented(near, kinds, near.unit)
        turned = [
            rotate_features(self._oriented(near, kinds, near.unit @ rotation.T), rotation.T)
            for rotation in self.orientations
        ]
        return torch.stack(turned).mean(0)

    def pullback(self, pairs: Pairs, kinds: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return the features, and a function that finds derivatives of many sums of them.

        The sums have weights (K, N, 9, C); their derivatives by positions are (K, N, 3).
        """
        apart, vectors = pairs.leaves()
        with torch.enable_grad():
            features = self(apart, kinds)

        def back(weights: Tensor) -> Tensor:
            return pairs.slopes(slopes([features], [vectors], [weights])[0], len(kinds))

        return features.detach(), back

    def _oriented(self, pairs: Pairs, kinds: Tensor, unit: Tensor) -> Tensor:
        envelope = switch(pairs.distance, 0.0, self.config.cutoff)
        slots = Slots(pairs, len(kinds), envelope)
        vectors = unit * pairs.distance[:, None]
        geometry = torch.cat([vectors, pairs.distance[:, None]], 1)
        # Pairs are sorted by source, then target: sorting by target first gives reversed pairs.
        reverse = torch.argsort(pairs.target * len(kinds) + pairs.source)
        held = self.start(kinds)[pairs.target]
        total: Tensor = pairs.distance.new_zeros(())
        for layer, readout in zip(self.rounds, self.readout, strict=True):
            atoms, out = layer(held, geometry, pairs, kinds, slots)
            summed = atoms.new_zeros(atoms.shape).index_add(
                0, pairs.source, out * envelope[:, None]
            )
            total = total + readout(torch.cat([atoms, summed], 1))
            held = held + out[reverse]
        x = total.unflatten(1, (9, -1))
        s, v, t = decompose(x)
        return torch.cat([self.normalize(s), v, t], 1)


def random_rotations(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return ``count`` orthogonal 3×3 matrices, uniform over rotations and reflections (Haar)."""
    normal = torch.randn((count, 3, 3), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    result: Tensor = (q * torch.diagonal(r, dim1=1, dim2=2).sign()[:, None]).float()
    return result


def rotate_features(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate features (N, 9, C) by the orthogonal matrix ``rotation`` (3, 3)."""
    basis = QUADRUPOLE.to(x)
    turned = torch.einsum("mkl,ka,lb,nab->mn", basis, rotation, rotation, basis)
    s, v, t = decompose(x)
    return torch.cat([s, rotation @ v, turned @ t], 1)
