"""Derivatives of many sums at once.

Autograd goes back from one number. This module goes back from K numbers at once: the sums Σ w y of
outputs y with K sets of weights w. A Jacobian matrix, or its product with K vectors, needs these.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROOM = 2**18
"""Largest number of weights in one backward pass, as they should fit into the cache."""

LEAST = 8
"""Smallest number of sums in one backward pass, so that matrix products stay efficient."""


def at_once(size: int, room: int = ROOM) -> int:
    """Return how many sums one backward pass should take if each has ``size`` weights."""
    return max(LEAST, room // max(size, 1))


def slopes(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    """Return derivatives (K, …) of K weighted sums of ``outputs`` by each of ``inputs``.

    ``weights`` holds one tensor (K, …) for each output. Each backward pass takes about as many.
    """
    passes = -(-len(weights[0]) // at_once(max(x.numel() for x in outputs)))
    found = [
        torch.autograd.grad(
            outputs, inputs, part, retain_graph=True, is_grads_batched=True, allow_unused=True
        )
        for part in zip(*(w.tensor_split(passes) for w in weights), strict=True)
    ]
    return [
        x.new_zeros((len(weights[0]), *x.shape)) if parts[0] is None else torch.cat(parts)
        for x, parts in zip(inputs, zip(*found, strict=True), strict=True)
    ]


def slopes_by_row(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Return (E, d, …), derivatives of each row of ``outputs`` by the same row of ``inputs``.

    Row e of ``outputs`` (E, …) must depend on row e of ``inputs`` (E, d) alone. The backward pass
    is linear in the weights of the outputs, so its derivative with respect to them is the forward
    derivative. This takes one pass for each of the d columns, however many outputs there are.
    """
    weights = torch.zeros_like(outputs, requires_grad=True)
    with torch.enable_grad():
        (back,) = torch.autograd.grad(outputs, inputs, weights, create_graph=True)
        columns = back.sum(0).unbind()
    found = [torch.autograd.grad(column, weights, retain_graph=True)[0] for column in columns]
    return torch.stack(found, 1)
