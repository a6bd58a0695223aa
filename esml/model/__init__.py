"""The network: from structures to the effective Hamiltonian.

``build_graph`` turns structures into a ``Graph``, and ``EffectiveHamiltonian`` predicts the
``Operators`` of a graph. ``from_config`` builds an untrained model.

graph        structures as one graph of atoms and directed pairs
pairs        pairs of atoms, their geometry, and radial features
parts        parts of a molecule that do not touch
backbones    the networks that a model can be built on
channels     linear maps and norms of atomic features
tensors      vectors and symmetric tensors, and their products
blocks       from features to blocks of the Hamiltonian and the dipole operator
local        features and pieces of blocks, and derivatives of many sums of them
baselines    values for each element, from which an untrained Hamiltonian starts
mean_field   exchange and the potential of the atomic charges
hamiltonian  the effective Hamiltonian, dipole operator and interaction of a graph
direct       energies without a Hamiltonian, for comparison
elements     which tensors have an entry for each element
checkpoint   model files
crystals     Hamiltonians of crystals
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
