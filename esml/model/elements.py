"""Which tensors of a model have an entry for each element, and where those of new ones begin.

Rows of such a tensor are in the order of ``ELEMENTS``. A model knows the elements of its training
data; rows of the others are of no use until it is trained on them.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from esml.physics.basis import ELEMENTS

_BY_ELEMENT = {
    "baseline": 1,
    "element_couplings": 1,
    "embedding.weight": 1,
    "source.weight": 1,
    "target.weight": 1,
    "amplitude": 2,
    "log_decay": 2,
    "neighbour.weight": 1,
    "centre.weight": 1,
    "start.weight": 1,
    "domain.means": 1,
    "domain.environment_counts": 1,
    "domain.bonding_counts": 1,
    "domain.typical": 1,
    "domain.pairs": 2,
    "domain.triples": 3,
}
"""Ends of the names of tensors with an entry for each element, and how many dimensions have one."""

LIKE = {5: 6, 14: 6, 15: 7, 34: 16, 35: 17, 53: 17}
"""Of each element that came later, the earlier one it resembles most."""


def element_dimensions(name: str) -> int:
    """How many leading dimensions of the tensor ``name`` of a model file run over elements."""
    for end, count in _BY_ELEMENT.items():
        if name == end or name.endswith("." + end):
            return count
    return 0


def with_new_elements(state: dict[str, Tensor], known: Collection[int]) -> dict[str, Tensor]:
    """Weights in which elements not ``known`` have the rows of the one they resemble (``LIKE``)."""
    source = torch.tensor([ELEMENTS.index(z if z in known else LIKE.get(z, z)) for z in ELEMENTS])
    found = {}
    for name, tensor in state.items():
        for dimension in range(element_dimensions(name)):
            tensor = tensor.index_select(dimension, source)
        found[name] = tensor
    return found
