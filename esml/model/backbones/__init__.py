"""The networks a model can be built on, chosen by configuration.

A backbone maps the pairs of a graph and the elements of its atoms to features (N, 9, C) of the
atoms: a row of scalars, three of vectors, five of traceless symmetric tensors. The heads that read
the features, the Hamiltonian's or the direct model's, work with any backbone.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from esml.model.backbones.equivariant import Network, NetworkConfig
from esml.model.backbones.transformer import Transformer, TransformerConfig


def _kind(config: Any) -> str:
    """The kind a configuration names; older models, which had no choice, name none."""
    kind = config.get("kind", "equivariant") if isinstance(config, dict) else config.kind
    return f"<{kind}>"


BackboneConfig = Annotated[
    Annotated[NetworkConfig, Tag("<equivariant>")]
    | Annotated[TransformerConfig, Tag("<transformer>")],
    Discriminator(_kind),
]
"""Either configuration, told apart by ``kind``, which a validation error's path shows as <kind>."""


def build(config: NetworkConfig | TransformerConfig) -> Network | Transformer:
    """The untrained backbone of ``config``."""
    if isinstance(config, TransformerConfig):
        return Transformer(config)
    return Network(config)
