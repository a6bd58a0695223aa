"""Linear maps and norms of atomic features (N, 9, C) that respect how each kind turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from esml.model.tensors import decompose


class Mix(nn.Module):
    """Linear maps among channels, one for each kind of feature: (N, 9, C) → (N, 9, C')."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.scalar = nn.Linear(channels, out)
        self.vector = nn.Linear(channels, out, bias=False)
        self.tensor = nn.Linear(channels, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        s, v, t = decompose(x)
        return torch.cat([self.scalar(s), self.vector(v), self.tensor(t)], 1)


class Normalize(nn.Module):
    """Layer norm of scalars, ``bounded`` vectors and tensors."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scalar = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        s, v, t = decompose(x)
        return torch.cat([self.scalar(s), bounded(v), bounded(t)], 1)


_FLOOR = 0.01


def bounded(x: Tensor) -> Tensor:
    """x / √(floor + mean over channels of |x|²): of unit size unless x is small, and smooth at 0.

    The floor keeps what vanishes by symmetry from being blown up with its rounding errors.
    """
    return x * torch.rsqrt(_FLOOR + x.square().sum(1, keepdim=True).mean(2, keepdim=True))
