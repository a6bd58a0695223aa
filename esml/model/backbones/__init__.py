"""The networks that a model can be built on, chosen by configuration.

A backbone maps the pairs of a graph and the elements of its atoms to atomic features (N, 9, C): one
row of scalars, three of vectors, five of traceless symmetric tensors. The heads that read the
features, for a Hamiltonian or a direct model, work with any backbone.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from esml.model.backbones.equivariant import Network, NetworkConfig
from esml.model.backbones.transformer import Transformer, TransformerConfig


def _kind(config: Any) -> str:
    """Return the kind that a configuration names; older models, without a choice, name none."""
    kind = config.get("kind", "equivariant") if isinstance(config, dict) else config.kind
    return f"<{kind}>"


BackboneConfig = Annotated[
    Annotated[NetworkConfig, Tag("<equivariant>")]
    | Annotated[TransformerConfig, Tag("<transformer>")],
    Discriminator(_kind),
]
"""Configuration of a backbone. ``kind`` says which; the path of a validation error shows <kind>."""


def build(config: NetworkConfig | TransformerConfig) -> Network | Transformer:
    """Build the untrained backbone of ``config``."""
    if isinstance(config, TransformerConfig):
        return Transformer(config)
    return Network(config)
