"""Copies of one molecule, so that one backward pass gives the derivatives of several numbers.

Number p is computed from copy p alone, so its derivatives with respect to orbitals and interaction
are also found in that copy. A functional of two states then costs one product with the response
matrices, whatever the number of states. With a single copy, the backward pass for each number would
go through the products for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.kernel import Kernel
from esml.physics.response import Response
from esml.typing import Multiplicity


@dataclass(frozen=True)
class Copies:
    """P copies of one molecule, together with the original tensors."""

    response: Response  # response of the P copies; its tensors are leaves of autograd
    leaves: list[Tensor]  # (P, …) these leaf tensors
    originals: list[Tensor]  # (1, …) the same tensors of the original molecule

    @classmethod
    def of(cls, response: Response, count: int, multiplicity: Multiplicity) -> Copies:
        """Make ``count`` copies of the only molecule of ``response``, which has gradients.

        They share its masks and layout, and serve for states of one ``multiplicity``.
        """
        made, leaves, originals = copy(response), [], []

        def copied(x: Tensor) -> Tensor:
            leaf = x.detach().expand(count, *x.shape[1:]).requires_grad_()
            leaves.append(leaf)
            originals.append(x)
            return leaf

        for name in ("occupied", "virtual", "fock_occupied", "fock_virtual"):
            setattr(made, name, copied(getattr(response, name)))
        kernel = response.kernel
        made.kernel = Kernel(
            **{
                name: {**part, multiplicity: copied(part[multiplicity])}
                for name, part in (
                    ("minus_exchange", kernel.minus_exchange),
                    ("monopoles", kernel.monopoles),
                    ("blocks", kernel.blocks),
                )
            },
            row=kernel.row.expand(count, -1, -1),
            column=kernel.column.expand(count, -1, -1),
        )
        return cls(made, leaves, originals)

    def slopes(self, values: Tensor) -> Sequence[Tensor]:
        """Return the derivatives (P, …) of ``values`` (P,) by each of the ``originals``."""
        return torch.autograd.grad(values.sum(), self.leaves, materialize_grads=True)
