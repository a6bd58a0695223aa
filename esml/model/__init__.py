"""The network: from structures to the effective Hamiltonian.

``EffectiveHamiltonian`` gives the ``Operators`` of a ``Graph``, which ``build_graph`` makes of
structures; ``from_config`` builds an untrained one. ``Direct`` predicts excitations without a
Hamiltonian, for comparison. ``esml.model.checkpoint`` keeps models in files (``Checkpoint``,
``CheckpointError``); the networks themselves are in ``esml.model.backbones``.
"""

from __future__ import annotations

from esml.model.backbones.equivariant import NetworkConfig
from esml.model.backbones.transformer import TransformerConfig
from esml.model.checkpoint import Checkpoint, CheckpointError
from esml.model.direct import Direct, DirectConfig
from esml.model.graph import Graph, build_graph, join
from esml.model.hamiltonian import (
    EffectiveHamiltonian,
    HamiltonianConfig,
    Operators,
    from_config,
)

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Direct",
    "DirectConfig",
    "EffectiveHamiltonian",
    "Graph",
    "HamiltonianConfig",
    "NetworkConfig",
    "Operators",
    "TransformerConfig",
    "build_graph",
    "from_config",
    "join",
]
