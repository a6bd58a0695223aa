"""Copies of one molecule, so that one backward pass gives the derivatives of several numbers.

Number p is computed from copy p alone, so its derivatives with respect to orbitals and interaction
are also found in that copy. A functional of two states then costs one product with the response
matrices, whatever the number of states. With a single copy, the backward pass for each number would
go through the products for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from esml.physics.basis import OrbitalLayout, valence_electrons
from esml.physics.response import Response
from esml.physics.slopes import slopes


@dataclass(frozen=True)
class Copies:
    """P copies of one molecule, together with the original tensors."""

    response: Response  # response of the P copies; its tensors are leaves of autograd
    leaves: list[Tensor]  # (P, …) these leaf tensors
    originals: list[Tensor]  # (1, …) the same tensors of the original molecule

    @classmethod
    def of(cls, response: Response, count: int) -> Copies:
        """Make ``count`` copies of the only molecule of ``response``, which has gradients."""
        leaves: list[Tensor] = []
        originals: list[Tensor] = []

        def copied(part: Any) -> Any:
            """Return copies of orbitals or interaction, detached from their history."""
            found = {f.name: getattr(part, f.name) for f in fields(part)}
            for name, x in found.items():
                found[name] = x.detach().expand(count, *x.shape[1:]) if x.dim() else x.detach()
                if x.dim() and x.requires_grad:
                    leaves.append(found[name].requires_grad_())
                    originals.append(x)
            return replace(part, **found)

        with torch.enable_grad():
            parts = copied(response.orbitals), copied(response.interaction)
            copies = Response(*parts, _repeated(response.layout, count), response.chunk)
        return cls(copies, leaves, originals)

    def slopes(self, values: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the derivatives (P, …) of ``values`` (P,) by ``inputs`` of the molecule."""
        found = torch.autograd.grad(values.sum(), self.leaves, allow_unused=True)
        pairs = [(x, w) for x, w in zip(self.originals, found, strict=True) if w is not None]
        originals, weights = zip(*pairs, strict=True)
        return slopes(originals, inputs, [w[:, None] for w in weights])


def _repeated(layout: OrbitalLayout, count: int) -> OrbitalLayout:
    """Return the layout of ``count`` copies of the molecule in ``layout``."""
    charge = valence_electrons(layout.numbers).sum() - layout.n_electrons
    molecule = torch.arange(count, device=charge.device).repeat_interleave(len(layout.numbers))
    return OrbitalLayout.build(layout.numbers.repeat(count), molecule, charge.expand(count))
