"""Derivatives of many sums at once.

Autograd goes back from one number. This module goes back from K numbers at once: the sums Σ w y of
outputs y with K sets of weights w. A Jacobian matrix, or its product with K vectors, needs these.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

AT_ONCE = 8
"""Number of sums in one backward pass: few enough for the cache, enough for matrix products."""


def slopes(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    """Return derivatives (K, …) of K weighted sums of ``outputs`` by each of ``inputs``.

    ``weights`` holds one tensor (K, …) for each output. One backward pass takes ``AT_ONCE`` sums.
    """
    found = [
        torch.autograd.grad(outputs, inputs, part, retain_graph=True, is_grads_batched=True)
        for part in zip(*(w.split(AT_ONCE) for w in weights), strict=True)
    ]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


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
