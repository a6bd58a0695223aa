"""Equivariant message passing: a graph → scalar, vector and tensor features of its atoms.

Features are Cartesian with true parity, ``(N, 9, C)`` in one array: row 0 scalars, rows 1–3
vectors, rows 4–8 traceless symmetric tensors in the basis of ``esml.model.tensors``. A message from
a neighbour with features s, v, t along the unit vector r̂ is

    scalar   w₁ s + w₂ v·r̂ + w₃ r̂·T r̂
    vector   w₄ v + w₅ T r̂ + r̂ (w₆ s + w₇ v·r̂)
    tensor   w₈ t + {r̂ ⊗ (w₉ v + r̂ w₁₀ s)}

({} is the traceless symmetric part) with radial weights w(R) that depend on both elements and go
to zero, with two continuous derivatives, at the cutoff. Atoms then mix the messages with products
of their own features. Every function is smooth, and so are potential energy curves.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import silu

from esml.model.channels import Mix, Normalize, bounded
from esml.model.pairs import CHUNK, Pairs, Radial
from esml.model.tensors import (
    decompose,
    dot,
    switch,
    tensor_tensor,
    tensor_vector,
    vector_vector,
)
from esml.physics.basis import ELEMENTS


class NetworkConfig(BaseModel):
    """Size and reach of the message-passing network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["equivariant"] = "equivariant"  # which configuration this is
    channels: int = Field(default=64, ge=1, le=1024, description="features of each kind on an atom")
    layers: int = Field(default=3, ge=1, le=32, description="rounds of message passing")
    cutoff: float = Field(default=5.0, gt=0, description="reach of one message, Å")
    radial: int = Field(default=8, ge=1, le=256, description="Bessel functions of the distance")
    radial_hidden: int = Field(
        default=32, ge=1, le=1024, description="hidden width of the radial weights"
    )
    neighbours: float = Field(default=12.0, gt=0, description="typical neighbours, normalizes sums")
    floor: float = Field(
        default=1.0, gt=0, description="mean square below which vectors and tensors are small"
    )


class Message(nn.Module):
    """Sum over neighbours of the messages of the module's docstring, (N, 9, C).

    ``first`` is for features that hold scalars only: the paths from vectors and tensors go.
    """

    def __init__(self, config: NetworkConfig, first: bool) -> None:
        super().__init__()
        self.first = first
        self.paths = 3 if first else 10
        self.norm = config.neighbours**-0.5
        self.mix: nn.Module = (
            nn.Linear(config.channels, config.channels)
            if first
            else Mix(config.channels, config.channels)
        )
        self.radial = Radial(config.radial, config.radial_hidden, config.cutoff)
        self.weights = nn.Linear(config.radial_hidden, self.paths * config.channels)

    def forward(self, x: Tensor, pairs: Pairs, envelope: Tensor, kinds: Tensor) -> Tensor:
        x = self.mix(x[:, :1] if self.first else x)
        summed = x.new_zeros((kinds.shape[0], 9, x.shape[2]))
        for part, fade in zip(pairs.chunks(), envelope.split(CHUNK), strict=True):
            summed.index_add_(0, part.target, self._messages(x, part, fade, kinds))
        return summed

    def _messages(self, x: Tensor, pairs: Pairs, envelope: Tensor, kinds: Tensor) -> Tensor:
        """(E, 9, C) messages of mixed features ``x``."""
        fade = envelope[:, None]
        # The envelope also multiplies the bias, so that every weight vanishes at the cutoff.
        hidden = torch.cat([silu(self.radial(pairs, kinds)) * (self.norm * fade), fade], 1)
        matrix = torch.cat([self.weights.weight, self.weights.bias[:, None]], 1)
        w = (hidden @ matrix.T).unflatten(1, (self.paths, -1))
        x = x[pairs.source]
        unit = pairs.unit[:, :, None]
        if self.first:
            scalar, along, twice = (w * x).split(1, 1)
            vector = unit * along
            tensor = (pairs.operator.transpose(1, 2) @ unit) * twice
        else:
            s, v, t = decompose(x)
            # One batched product gives v·r̂, T r̂ and r̂·T r̂: rows of (E, 5, C).
            found = pairs.contractions @ x[:, 1:]
            v_along, turned, t_along = found[:, :1], found[:, 1:4], found[:, 4:]
            w1, w2, w3, w4, w5, w6, w7, w8, w9, w10 = w.split(1, 1)
            scalar = torch.addcmul(torch.addcmul(w1 * s, w2, v_along), w3, t_along)
            vector = torch.addcmul(w4 * v, w5, turned)
            vector = torch.addcmul(vector, unit, torch.addcmul(w6 * s, w7, v_along))
            tensor = torch.addcmul(w9 * v, unit, w10 * s)
            tensor = torch.addcmul(pairs.operator.transpose(1, 2) @ tensor, w8, t)
        return torch.cat([scalar, vector, tensor], 1)


class Update(nn.Module):
    """Mix the messages to an atom with products of its features; residual.

    s += f, v += g₁ v' + g₂ T a, t += g₃ t' + g₄ {a ⊗ b} + g₅ {T U}, where primes and letters are
    linear mixtures and f, g functions of all invariants.
    """

    def __init__(self, channels: int, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.normalize = Normalize(channels, floor)
        self.mix = Mix(2 * channels, 3 * channels)
        self.hidden = nn.Linear(5 * channels, 2 * channels)
        self.gates = nn.Linear(2 * channels, 6 * channels)
        # Open gates: vectors and tensors start as large as scalars.
        with torch.no_grad():
            self.gates.bias[channels:].add_(1.0)

    def forward(self, x: Tensor, message: Tensor) -> Tensor:
        arrived = torch.cat([bounded(m, self.floor) for m in decompose(message)], 1)
        both = torch.cat([self.normalize(x), arrived], 2)
        s, v, t = decompose(self.mix(both))
        v0, a, b = v.chunk(3, 2)
        t0, c, d = t.chunk(3, 2)
        invariants = torch.cat([s[:, 0], dot(a, b), dot(c, d)], 1)
        f, *gates = self.gates(silu(self.hidden(invariants))).chunk(6, 1)
        g1, g2, g3, g4, g5 = (g[:, None] for g in gates)
        vector = g1 * v0 + g2 * tensor_vector(c, a)
        tensor = g3 * t0 + g4 * vector_vector(a, b) + g5 * tensor_tensor(c, d)
        return x + torch.cat([f[:, None], vector, tensor], 1)


class Network(nn.Module):
    """Features of all atoms of a graph.

    The total charge is not an input: features of a molecule depend on what is within the summed
    reach of the layers and on nothing else, so distant fragments do not affect each other.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(len(ELEMENTS), config.channels)
        self.messages = nn.ModuleList(
            Message(config, first=layer == 0) for layer in range(config.layers)
        )
        self.updates = nn.ModuleList(
            Update(config.channels, config.floor) for _ in range(config.layers)
        )
        self.normalize = Normalize(config.channels, config.floor)

    def forward(self, pairs: Pairs, kinds: Tensor) -> Tensor:
        """(N, 9, C) features of atoms of ``kinds`` (N,) (see ``species``) joined by ``pairs``."""
        near = pairs.within(self.config.cutoff)
        envelope = switch(near.distance, 0.0, self.config.cutoff)
        x = nn.functional.pad(self.embedding(kinds)[:, None], (0, 0, 0, 8))
        for message, update in zip(self.messages, self.updates, strict=True):
            x = update(x, message(x, near, envelope, kinds))
        normalized: Tensor = self.normalize(x)
        return normalized
