"""Tensors of a model that have an entry for each element, and start values for new elements.

Rows of such a tensor are in the order of ``ELEMENTS``. A model knows the elements of its training
data; rows of other elements are meaningless until the model is trained on them.
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
"""Endings of the names of tensors over elements, and how many dimensions run over elements."""

LIKE = {5: 6, 14: 6, 15: 7, 34: 16, 35: 17, 53: 17}
"""For each element added later, the earlier element that it resembles most."""


def element_dimensions(name: str) -> int:
    """Return how many leading dimensions of the tensor ``name`` in a model file are elements."""
    for end, count in _BY_ELEMENT.items():
        if name == end or name.endswith("." + end):
            return count
    return 0


def with_new_elements(state: dict[str, Tensor], known: Collection[int]) -> dict[str, Tensor]:
    """Give elements that are not ``known`` the weights of a similar element (``LIKE``)."""
    source = torch.tensor([ELEMENTS.index(z if z in known else LIKE.get(z, z)) for z in ELEMENTS])
    found = {}
    for name, tensor in state.items():
        for dimension in range(element_dimensions(name)):
            tensor = tensor.index_select(dimension, source)
        found[name] = tensor
    return found
