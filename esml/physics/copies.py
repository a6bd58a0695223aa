"""A molecule several times over, so that one way back gives the slopes of several numbers.

Number p is made in copy p alone, and so are its derivatives by orbitals and interaction. A
functional of two states then costs one product with the response matrices, whatever the number of
states; in one copy each way back would pass all products.
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
    """Some copies of one molecule, and what they are copies of."""

    response: Response  # of P molecules, its tensors leaves of autograd
    leaves: list[Tensor]  # (P, …) those tensors
    originals: list[Tensor]  # (1, …) those of the molecule

    @classmethod
    def of(cls, response: Response, count: int) -> Copies:
        """``count`` copies of the only molecule of ``response``, which has gradients."""
        leaves: list[Tensor] = []
        originals: list[Tensor] = []

        def copied(part: Any) -> Any:
            """Orbitals or interaction, cut off from what they came from."""
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
        """(P, …) derivatives of ``values`` (P,) with respect to ``inputs`` of the molecule."""
        found = torch.autograd.grad(values.sum(), self.leaves, allow_unused=True)
        pairs = [(x, w) for x, w in zip(self.originals, found, strict=True) if w is not None]
        originals, weights = zip(*pairs, strict=True)
        return slopes(originals, inputs, [w[:, None] for w in weights])


def _repeated(layout: OrbitalLayout, count: int) -> OrbitalLayout:
    """``count`` molecules with the ``layout`` of one."""
    charge = valence_electrons(layout.numbers).sum() - layout.n_electrons
    molecule = torch.arange(count, device=charge.device).repeat_interleave(len(layout.numbers))
    return OrbitalLayout.build(layout.numbers.repeat(count), molecule, charge.expand(count))
