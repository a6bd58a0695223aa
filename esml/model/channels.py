"""Linear maps and norms of atomic features (N, 9, C) that keep their symmetry under rotation."""

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

    def __init__(self, channels: int, floor: float) -> None:
        super().__init__()
        self.scalar = nn.LayerNorm(channels)
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        s, v, t = decompose(x)
        return torch.cat([self.scalar(s), bounded(v, self.floor), bounded(t, self.floor)], 1)


def bounded(x: Tensor, floor: float) -> Tensor:
    """Return x / √(floor + mean over channels of |x|²), at most of unit size and smooth at 0.

    A vector may vanish by symmetry, as on the carbon atom of CO₂, and grow with the displacement
    from the symmetric geometry. Each layer makes it grow faster by 1/√floor. A floor of 1 leaves
    the growth as it is, so that rounding errors are not amplified.
    """
    return x * torch.rsqrt(floor + x.square().sum(1, keepdim=True).mean(2, keepdim=True))
