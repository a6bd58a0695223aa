"""Equivariant message passing: a graph → scalar, vector and tensor features of its atoms.

Features are Cartesian with true parity, ``(N, 9, C)`` in one array: row 0 holds scalars, rows 1–3
vectors, rows 4–8 traceless symmetric tensors in the basis of ``esml.model.tensors``. A message from
a neighbour with features s, v, t along the unit vector r̂ is

    scalar   w₁ s + w₂ v·r̂ + w₃ r̂·T r̂
    vector   w₄ v + w₅ T r̂ + r̂ (w₆ s + w₇ v·r̂)
    tensor   w₈ t + {r̂ ⊗ (w₉ v + r̂ w₁₀ s)}

({} is the traceless symmetric part), with radial weights w(R) that depend on both elements and go
to zero at the cutoff with two continuous derivatives. Atoms then mix the messages with products of
their own features. Every function is smooth, and so are potential energy curves.

``Network.slopes`` finds derivatives of many sums of features at once. A message m is linear in the
features x that are sent, separately for each channel,

    m_pc = Σ_q A_pqc x_qc ,   A_pqc = Σ_k T_pk w_k(c) δ_q,row(k) .

T(r̂) is the same for all channels and layers. Each of its 30 columns k stands for one row of the
features that one of the ten paths reads. A and ∂m/∂r = Σ_k (∂T_k/∂r w_k + T_k r̂ dw_k/dR) x_row(k)
are computed once. Two matrix products then replace one backward pass of autograd for each sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad, silu

from esml.model.channels import Mix, Normalize, bounded
from esml.model.graph import Graph
from esml.model.pairs import CHUNK, Pairs, Radial, species
from esml.model.tensors import (
    decompose,
    dot,
    switch,
    tensor_tensor,
    tensor_vector,
    vector_vector,
)
from esml.physics.basis import ELEMENTS
from esml.physics.slopes import slopes, slopes_by_row


class NetworkConfig(BaseModel):
    """Size and cutoff of the message-passing network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["equivariant"] = "equivariant"  # which configuration this is
    channels: int = Field(default=64, ge=1, le=1024, description="features of each kind on an atom")
    layers: int = Field(default=3, ge=1, le=32, description="rounds of message passing")
    cutoff: float = Field(default=5.0, gt=0, description="range of one message, Å")
    radial: int = Field(default=8, ge=1, le=256, description="Bessel functions of the distance")
    radial_hidden: int = Field(
        default=32, ge=1, le=1024, description="hidden width of the radial weights"
    )
    neighbours: float = Field(
        default=12.0, gt=0, description="typical number of neighbours, scales sums"
    )
    floor: float = Field(
        default=1.0, gt=0, description="mean square below which vectors and tensors are small"
    )


_S, _V, _T = (0,), (1, 2, 3), (4, 5, 6, 7, 8)
_READ = (_S, _V, _T, _V, _T, _S, _V, _T, _V, _S)
"""Rows of the features that each path of a message reads, in the order w₁ to w₁₀."""

_PATH = [path for path, rows in enumerate(_READ) for _ in rows]
_ROW = [row for rows in _READ for row in rows]


def _message(x: Tensor, w: Tensor, pairs: Pairs) -> Tensor:
    """Return messages (E, 9, C) from features ``x`` (E, 9, C) of sources and w, (E, 10, C)."""
    s, v, t = decompose(x)
    unit = pairs.unit[:, :, None]
    # One batched product gives v·r̂, T r̂ and r̂·T r̂: rows of (E, 5, C).
    found = pairs.contractions @ x[:, 1:]
    v_along, turned, t_along = found.split((1, 3, 1), 1)
    w1, w2, w3, w4, w5, w6, w7, w8, w9, w10 = w.split(1, 1)
    scalar = torch.addcmul(torch.addcmul(w1 * s, w2, v_along), w3, t_along)
    vector = torch.addcmul(w4 * v, w5, turned)
    vector = torch.addcmul(vector, unit, torch.addcmul(w6 * s, w7, v_along))
    tensor = torch.addcmul(w9 * v, unit, w10 * s)
    tensor = torch.addcmul(pairs.operator.transpose(1, 2) @ tensor, w8, t)
    return torch.cat([scalar, vector, tensor], 1)


def _message_of_scalars(x: Tensor, w: Tensor, pairs: Pairs) -> Tensor:
    """Return messages (E, 9, C) from scalars ``x`` (E, 1, C) and w₁, w₆, w₁₀ = ``w`` (E, 3, C)."""
    scalar, along, twice = (w * x).split(1, 1)
    unit = pairs.unit[:, :, None]
    tensor = (pairs.operator.transpose(1, 2) @ unit) * twice
    return torch.cat([scalar, unit * along, tensor], 1)


@dataclass(frozen=True)
class AngularParts:
    """T of the module's docstring, its derivative, and the row and path of each column."""

    values: Tensor  # (E, 9, P) T
    slopes: Tensor  # (E, 3, 9, P) derivatives of T by the vector of the pair, 1/Å
    row: Tensor  # (P,) row of the features that each column reads
    path: Tensor  # (P,) path of each column

    @classmethod
    def of(cls, pairs: Pairs) -> AngularParts:
        """Return T of all ``pairs``, as messages from unit features with unit weights."""
        path, row = (torch.tensor(x, device=pairs.unit.device) for x in (_PATH, _ROW))
        features, weights = (one_hot(x).T[None].to(pairs.unit) for x in (row, path))
        with torch.enable_grad():
            vectors = (pairs.distance[:, None] * pairs.unit).detach().requires_grad_()
            again = Pairs.apart(pairs.source, pairs.target, vectors)
            values = _message(features.expand(len(vectors), -1, -1), weights, again)
        return cls(values.detach(), slopes_by_row(values, vectors), row, path)

    def of_scalars(self) -> AngularParts:
        """Return only the columns that read scalars, with paths counted from 0."""
        kept = self.row == 0
        path = torch.arange(int(kept.sum()), device=kept.device)
        return AngularParts(self.values[..., kept], self.slopes[..., kept], self.row[kept], path)


class Message(nn.Module):
    """Sum over neighbours of the messages of the module's docstring, (N, 9, C).

    If ``first``, features hold scalars only, and the paths from vectors and tensors are left out.
    """

    def __init__(self, config: NetworkConfig, first: bool) -> None:
        super().__init__()
        self.first = first
        self.paths = 3 if first else 10
        self.cutoff = config.cutoff
        self.norm = config.neighbours**-0.5
        self.mix: nn.Module = (
            nn.Linear(config.channels, config.channels)
            if first
            else Mix(config.channels, config.channels)
        )
        self.radial = Radial(config.radial, config.radial_hidden, config.cutoff)
        self.weights = nn.Linear(config.radial_hidden, self.paths * config.channels)

    def forward(self, x: Tensor, pairs: Pairs, envelope: Tensor, kinds: Tensor) -> Tensor:
        x = self._mixed(x)
        summed = x.new_zeros((kinds.shape[0], 9, x.shape[2]))
        message = _message_of_scalars if self.first else _message
        for part, fade in zip(pairs.chunks(), envelope.split(CHUNK), strict=True):
            found = message(x[part.source], self._weights(part, fade, kinds), part)
            summed.index_add_(0, part.target, found)
        return summed

    def _mixed(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x[:, :1] if self.first else x)
        return mixed

    def _weights(self, pairs: Pairs, envelope: Tensor, kinds: Tensor) -> Tensor:
        """Return the radial weights w(R), (E, paths, C)."""
        fade = envelope[:, None]
        # The envelope also multiplies the bias, so that every weight vanishes at the cutoff.
        hidden = torch.cat([silu(self.radial(pairs, kinds)) * (self.norm * fade), fade], 1)
        matrix = torch.cat([self.weights.weight, self.weights.bias[:, None]], 1)
        weights: Tensor = (hidden @ matrix.T).unflatten(1, (self.paths, -1))
        return weights

    def slopes(
        self, x: Tensor, pairs: Pairs, kinds: Tensor, angular: AngularParts, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return derivatives of K sums of the messages to the atoms.

        Parameters
        ----------
        x
            (N, 9, C) features.
        pairs
            Pairs of the graph, sorted by source.
        kinds
            (N,) elements of the atoms, as ``species`` numbers them.
        angular
            T for these pairs.
        weights
            (K, N, 9, C) weights of the sums.

        Returns
        -------
        Derivatives with respect to features (K, N, 9, C) and to the vectors of pairs (K, E, 3).
        """
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            mixed = self._mixed(x)
        at_pairs, along_pairs = self._jacobians(mixed.detach(), pairs, kinds, angular)
        weights = weights.permute(1, 2, 3, 0).contiguous()
        of_mixed, of_vectors = [], []
        counts = torch.bincount(pairs.source, minlength=len(x)).tolist()
        for target, a, b in zip(
            pairs.target.split(counts),
            at_pairs.split(counts),
            along_pairs.split(counts),
            strict=True,
        ):
            there = weights[target]  # (neighbours, 9, C, K)
            of_vectors.append(b @ there.flatten(1, 2))
            by_channel = there.flatten(0, 1).transpose(0, 1)
            of_mixed.append(a.permute(3, 2, 0, 1).flatten(2) @ by_channel)
        sums = torch.stack(of_mixed).permute(3, 0, 2, 1)
        return slopes([mixed], [x], [sums])[0], torch.cat(of_vectors).permute(2, 0, 1)

    def _jacobians(
        self, mixed: Tensor, pairs: Pairs, kinds: Tensor, angular: AngularParts
    ) -> tuple[Tensor, Tensor]:
        """Return A (E, 9, rows, C) and ∂m/∂r (E, 3, 9 C) of ``mixed`` features (N, rows, C)."""
        with torch.enable_grad():
            distance = pairs.distance.detach()[:, None].requires_grad_()
            envelope = switch(distance[:, 0], 0.0, self.cutoff)
            w = self._weights(replace(pairs, distance=distance[:, 0]), envelope, kinds)
        change = slopes_by_row(w, distance)[:, 0]
        with torch.no_grad():
            table = angular.values
            by_path = table.new_zeros((*table.shape[:2], mixed.shape[1], self.paths))
            by_path[:, :, angular.row, angular.path] = table
            at_pairs = by_path.flatten(1, 2) @ w
            sent = mixed[pairs.source][:, angular.row]
            columns = torch.cat([w[:, angular.path] * sent, change[:, angular.path] * sent], 1)
            radial = pairs.unit[:, :, None, None] * table[:, None]
            along_pairs = torch.cat([angular.slopes, radial], 3).flatten(1, 2) @ columns
        channels = mixed.shape[2]
        return at_pairs.view(len(w), 9, -1, channels), along_pairs.view(len(w), 3, 9 * channels)


class Update(nn.Module):
    """Residual update of an atom's features by the messages and by products of features.

    s += f, v += g₁ v' + g₂ T a, t += g₃ t' + g₄ {a ⊗ b} + g₅ {T U}, where v', t', a, b, T and U are
    linear mixtures of channels, and f and g are functions of all invariants.
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
    """Network that computes features of all atoms of a graph.

    The total charge is not an input: features of an atom depend only on atoms within the cutoff
    times the number of layers, so distant fragments do not affect each other.
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
        """Return features (N, 9, C) of atoms of ``kinds`` (N,) (see ``species``) and ``pairs``."""
        near = pairs.within(self.config.cutoff)
        envelope = switch(near.distance, 0.0, self.config.cutoff)
        x = self._start(kinds)
        for message, update in zip(self.messages, self.updates, strict=True):
            x = update(x, message(x, near, envelope, kinds))
        normalized: Tensor = self.normalize(x)
        return normalized

    def _start(self, kinds: Tensor) -> Tensor:
        return pad(self.embedding(kinds)[:, None], (0, 0, 0, 8))

    def slopes(self, graph: Graph, weights: Tensor) -> Tensor:
        """Return derivatives (K, N, 3) of K sums of the features of ``graph`` by positions.

        The sums have ``weights`` (K, N, 9, C). Autograd finds the same, but takes much longer.
        """
        kinds = species(graph.numbers)
        with torch.no_grad():
            near = Pairs.of(graph).within(self.config.cutoff)
            envelope = switch(near.distance, 0.0, self.config.cutoff)
            angular = AngularParts.of(near)
            held = [self._start(kinds)]
            arrived = []
            for message, update in zip(self.messages, self.updates, strict=True):
                arrived.append(message(held[-1], near, envelope, kinds))
                held.append(update(held[-1], arrived[-1]))
        (weights,) = _back(self.normalize, held[-1:], weights)
        of_vectors = torch.zeros_like(near.unit).expand(len(weights), -1, -1)
        for message, update, x, m in reversed(
            list(zip(self.messages, self.updates, held, arrived, strict=False))
        ):
            weights, of_messages = _back(update, [x, m], weights)
            parts = angular.of_scalars() if message.first else angular
            through, vectors = message.slopes(x, near, kinds, parts, of_messages)
            weights, of_vectors = weights + through, of_vectors + vectors
        of_positions = of_vectors.new_zeros((len(weights), len(kinds), 3))
        of_positions.index_add_(1, near.target, of_vectors)
        return of_positions.index_add_(1, near.source, of_vectors, alpha=-1)


def _back(function: nn.Module, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Return ``slopes`` of the output of ``function`` with respect to its ``inputs``."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in inputs]
        return slopes([function(*leaves)], leaves, [weights])
