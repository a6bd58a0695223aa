"""Directed pairs of atoms, their geometry, and radial features of their distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import starmap
from math import pi, sqrt

import torch
from torch import Tensor, nn

from esml.model.graph import Graph
from esml.model.tensors import tensor_operator
from esml.physics.basis import ELEMENTS

_SPECIES = torch.full((119,), -1, dtype=torch.int64)


_SPECIES[list(ELEMENTS)] = torch.arange(len(ELEMENTS))


def species(numbers: Tensor) -> Tensor:
    """Return the indices of atomic ``numbers`` (N,) in ``ELEMENTS``; ValueError for others."""
    index = _SPECIES.to(numbers.device)[numbers]
    if bool((index < 0).any()):
        unknown = sorted(set(numbers[index < 0].tolist()))
        raise ValueError(f"atomic numbers {unknown} are not among the supported {list(ELEMENTS)}")
    return index


CHUNK = 512
"""Number of pairs treated at a time: their data fit into the cache, and without gradients, memory
does not grow with the number of pairs."""


@dataclass(frozen=True)
class Pairs:
    """Directed pairs of atoms with their geometry, which all layers and heads share."""

    source: Tensor  # (E,) first atom of each pair
    target: Tensor  # (E,) second atom of each pair
    distance: Tensor  # (E,) Å
    unit: Tensor  # (E, 3) from source to target
    operator: Tensor  # (E, 3, 5) esml.model.tensors.tensor_operator of unit
    contractions: Tensor  # (E, 5, 8) maps v, t (8 rows) to v·r̂, T r̂, r̂·T r̂ (1 + 3 + 1 rows)

    @classmethod
    def of(cls, graph: Graph) -> Pairs:
        """Return all pairs of ``graph``."""
        return cls.apart(graph.edge_source, graph.edge_target, graph.vectors())

    @classmethod
    def apart(cls, source: Tensor, target: Tensor, vectors: Tensor) -> Pairs:
        """Return pairs with ``vectors`` (E, 3), Å, from ``source`` to ``target`` (E,)."""
        distance = torch.linalg.vector_norm(vectors, dim=1)
        unit = vectors / distance[:, None]
        operator = tensor_operator(unit)
        along = unit[:, None, :]
        contractions = torch.cat(
            [
                nn.functional.pad(along, (0, 5)),
                nn.functional.pad(operator, (3, 0)),
                nn.functional.pad(along @ operator, (3, 0)),
            ],
            1,
        )
        return cls(source, target, distance, unit, operator, contractions)

    def leaves(self) -> tuple[Pairs, Tensor]:
        """Return these pairs with each vector (E, 3) a leaf of autograd, and these vectors."""
        with torch.enable_grad():
            vectors = (self.distance[:, None] * self.unit).detach().requires_grad_()
            return Pairs.apart(self.source, self.target, vectors), vectors

    def within(self, cutoff: float) -> Pairs:
        """Return only the pairs closer than ``cutoff``."""
        keep = torch.nonzero(self.distance.detach() < cutoff)[:, 0]
        if keep.shape[0] == self.distance.shape[0]:
            return self
        return Pairs(
            self.source[keep],
            self.target[keep],
            self.distance[keep],
            self.unit[keep],
            self.operator[keep],
            self.contractions[keep],
        )

    def slopes(self, of_vectors: Tensor, n_atoms: int) -> Tensor:
        """Return derivatives (K, N, 3) by positions from those by vectors (K, E, 3) of pairs."""
        found = of_vectors.new_zeros((len(of_vectors), n_atoms, 3))
        found.index_add_(1, self.target, of_vectors)
        return found.index_add_(1, self.source, of_vectors, alpha=-1)

    def chunks(self, size: int = CHUNK) -> Iterator[Pairs]:
        """Yield all pairs in order, ``size`` at a time."""
        columns = (getattr(self, f.name).split(size) for f in fields(self))
        return starmap(Pairs, zip(*columns, strict=True))


class Bessel(nn.Module):
    """b_n(R) = √(2/c) sin(nπR/c) / R for n = 1 … ``count``, distances (E,) → (E, count)."""

    frequencies: Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.scale = sqrt(2 / cutoff)
        self.register_buffer(
            "frequencies", pi / cutoff * torch.arange(1, count + 1), persistent=False
        )

    def forward(self, distance: Tensor) -> Tensor:
        r = distance[:, None]
        return self.scale * torch.sin(self.frequencies * r) / r


class Radial(nn.Module):
    """Hidden features of a pair's distance and two elements, (E, hidden)."""

    def __init__(self, radial: int, hidden: int, cutoff: float) -> None:
        super().__init__()
        self.bessel = Bessel(radial, cutoff)
        self.linear = nn.Linear(radial, hidden)
        self.source = nn.Embedding(len(ELEMENTS), hidden)
        self.target = nn.Embedding(len(ELEMENTS), hidden)

    def forward(self, pairs: Pairs, kinds: Tensor) -> Tensor:
        hidden: Tensor = self.linear(self.bessel(pairs.distance))
        source, target = self.source.weight[kinds], self.target.weight[kinds]
        return hidden + source[pairs.source] + target[pairs.target]
