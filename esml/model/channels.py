"""Linear maps and norms of atomic features (N, 9, C) that keep their symmetry under rotation.

Their ``back`` turns weights of their outputs into weights of their inputs, as a backward pass of
autograd does, but for K sums of all atoms at once. Such weights are (C, N, d, K): with channels
first and sums last, one matrix product serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from esml.model.tensors import decompose
from esml.physics.slopes import slopes


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

    def back(self, of_scalars: Tensor, of_vectors: Tensor, of_tensors: Tensor) -> list[Tensor]:
        """Return weights of scalars, vectors and tensors from those of the mixed ones."""
        return [
            linear_back(linear, weights)
            for linear, weights in (
                (self.scalar, of_scalars),
                (self.vector, of_vectors),
                (self.tensor, of_tensors),
            )
        ]


class Normalize(nn.Module):
    """Layer norm of scalars, ``bounded`` vectors and tensors."""

    def __init__(self, channels: int, floor: float) -> None:
        super().__init__()
        self.scalar = nn.LayerNorm(channels)
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        s, v, t = decompose(x)
        return torch.cat([self.scalar(s), bounded(v, self.floor), bounded(t, self.floor)], 1)

    def back(self, x: Tensor, of_scalars: Tensor, of_vectors: Tensor, of_tensors: Tensor) -> Tensor:
        """Return weights (C, N, 9, K) of ``x`` from those of its normalized parts."""
        s, v, t = decompose(x)
        return torch.cat(
            [
                _layer_norm_back(self.scalar, s, of_scalars),
                bounded_back(v, self.floor, of_vectors),
                bounded_back(t, self.floor, of_tensors),
            ],
            2,
        )


def bounded(x: Tensor, floor: float) -> Tensor:
    """Return x / √(floor + mean over channels of |x|²), at most of unit size and smooth at 0.

    A vector may vanish by symmetry, as on the carbon atom of CO₂, and grow with the displacement
    from the symmetric geometry. Each layer makes it grow faster by 1/√floor. A floor of 1 leaves
    the growth as it is, so that rounding errors are not amplified.
    """
    return x * torch.rsqrt(floor + x.square().sum(1, keepdim=True).mean(2, keepdim=True))


def bounded_back(x: Tensor, floor: float, weights: Tensor) -> Tensor:
    """Return weights of ``x`` (N, d, C) from ``weights`` (C, N, d, K) of ``bounded``."""
    scale = torch.rsqrt(floor + x.square().sum(1).mean(1))[:, None, None]
    last = _channels_first(x)
    along = (last * weights).sum((0, 2), keepdim=True) / len(last)
    return scale * weights - scale**3 * last * along


def _layer_norm_back(norm: nn.LayerNorm, x: Tensor, weights: Tensor) -> Tensor:
    """Return weights of ``x`` (N, 1, C) from ``weights`` (C, N, 1, K) of ``norm``."""
    centred = x - x.mean(2, keepdim=True)
    scale = torch.rsqrt(centred.square().mean(2, keepdim=True) + norm.eps)
    unit, weights = _channels_first(centred * scale), norm.weight[:, None, None, None] * weights
    along = (unit * weights).mean(0, keepdim=True)
    return _channels_first(scale) * (weights - weights.mean(0, keepdim=True) - unit * along)


def _channels_first(x: Tensor) -> Tensor:
    """Return ``x`` (N, d, C) as (C, N, d, 1)."""
    return x.permute(2, 0, 1)[..., None]


def linear_back(linear: nn.Linear, weights: Tensor) -> Tensor:
    """Return weights (C, …) of the inputs of ``linear`` from ``weights`` (C', …) of its outputs."""
    found: Tensor = (linear.weight.T @ weights.flatten(1)).unflatten(1, weights.shape[1:])
    return found


@dataclass(frozen=True)
class Channelwise:
    """Derivatives of a function that treats each channel of each atom by itself."""

    jacobian: Tensor  # (C, N, d, e) of its e output rows by its d input rows
    sizes: list[int]  # rows of each input

    @classmethod
    def of(cls, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Channelwise:
        """Return those of a ``function`` of ``inputs``, (N, d, C) each, to (N, e, C)."""
        sizes = [x.shape[1] for x in inputs]
        with torch.enable_grad():
            joined = torch.cat(list(inputs), 1).detach().requires_grad_()
            outputs = function(*joined.split(sizes, 1))
            each_row = torch.eye(outputs.shape[1]).to(outputs)[:, None, :, None]
            (found,) = slopes([outputs], [joined], [each_row.expand(-1, *outputs.shape)])
        return cls(found.permute(3, 1, 2, 0).contiguous(), sizes)

    def back(self, weights: Tensor) -> tuple[Tensor, ...]:
        """Return weights (C, N, d, K) of each input from ``weights`` (C, N, e, K)."""
        found: tuple[Tensor, ...] = (self.jacobian @ weights).split(self.sizes, 2)
        return found
