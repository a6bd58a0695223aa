"""Derivatives of many sums at once.

Autograd goes back from one number. Here are K of them, the sums Σ w y of outputs y with K sets of
weights w, as a Jacobian matrix or its product with K vectors asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

AT_ONCE = 8
"""Sums of one backward pass: few enough for the cache, enough to fill matrix products."""


def slopes(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    """(K, …) derivatives of K sums of ``outputs`` with respect to each of ``inputs``.

    ``weights`` are K for each output, (K, …); ``AT_ONCE`` sums go back in one pass.
    """
    found = [
        torch.autograd.grad(outputs, inputs, part, retain_graph=True, is_grads_batched=True)
        for part in zip(*(w.split(AT_ONCE) for w in weights), strict=True)
    ]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def slopes_by_row(outputs: Tensor, inputs: Tensor) -> Tensor:
    """(E, d, …) derivatives of each row of ``outputs`` (E, …) by the same row of ``inputs`` (E, d).

    Other rows have no part in it. The way back is linear in the weights of the outputs, so that its
    derivative by them is the way forward: one pass for each of the d columns, however many outputs.
    """
    weights = torch.zeros_like(outputs, requires_grad=True)
    with torch.enable_grad():
        (back,) = torch.autograd.grad(outputs, inputs, weights, create_graph=True)
        columns = back.sum(0).unbind()
    found = [torch.autograd.grad(column, weights, retain_graph=True)[0] for column in columns]
    return torch.stack(found, 1)
