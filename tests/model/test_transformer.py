"""The unconstrained backbone: what is exact in it, and what is only nearly so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from esml.model.backbones.equivariant import Network, NetworkConfig
from esml.model.backbones.transformer import (
    Transformer,
    TransformerConfig,
    random_rotations,
    rotate_features,
)
from esml.model.graph import build_graph
from esml.model.pairs import Pairs, species

CONFIG = TransformerConfig(channels=8, width=16, heads=2, cutoff=4.0)


def features(network: torch.nn.Module, structures: list[Atoms]) -> torch.Tensor:
    graph = build_graph(structures, 5.0, torch.float64)
    with torch.no_grad():
        found: torch.Tensor = network(Pairs.of(graph), species(graph.numbers))
        return found


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG).double().eval()


@pytest.fixture
def ethanol() -> Atoms:
    atoms: Atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def test_shape_and_batch(transformer: Transformer, ethanol: Atoms) -> None:
    other = molecule("CH3CONH2")
    together = features(transformer, [ethanol, other])
    assert together.shape == (len(ethanol) + len(other), 9, 8)
    assert torch.allclose(together[: len(ethanol)], features(transformer, [ethanol]), atol=1e-12)


def test_permutation_and_translation_are_exact(transformer: Transformer, ethanol: Atoms) -> None:
    x = features(transformer, [ethanol])
    order = np.random.default_rng(0).permutation(len(ethanol))
    moved = ethanol[order]
    moved.positions += [1.0, -2.0, 3.0]
    assert torch.allclose(features(transformer, [moved]), x[torch.from_numpy(order)], atol=1e-10)


def test_neighbours_come_and_go_smoothly(transformer: Transformer) -> None:
    def at(distance: float) -> torch.Tensor:
        atoms = molecule("H2O") + Atoms("FH", [[0.0, 0.0, distance], [0.0, 0.0, distance + 0.92]])
        return features(transformer, [atoms])[:3]

    reach = molecule("H2O").positions[0, 2] + CONFIG.cutoff
    inside, outside = at(reach - 1e-4), at(reach + 1e-4)
    assert (inside - outside).abs().max() < 1e-6


def test_turned_features_are_those_of_a_turned_molecule(ethanol: Atoms) -> None:
    # An equivariant network is the truth for what the rows of features mean.
    torch.manual_seed(0)
    network = Network(NetworkConfig(channels=8)).double().eval()
    for rotation in random_rotations(4, torch.Generator().manual_seed(2)).double():
        turned = ethanol.copy()
        turned.positions = ethanol.positions @ rotation.numpy().T
        expected = rotate_features(features(network, [ethanol]), rotation)
        assert torch.allclose(features(network, [turned]), expected, atol=1e-6)


def test_rotations_are_orthogonal_and_of_both_kinds() -> None:
    matrices = random_rotations(64, torch.Generator().manual_seed(0))
    assert torch.allclose(matrices @ matrices.mT, torch.eye(3).expand(64, 3, 3), atol=1e-5)
    determinants = torch.linalg.det(matrices)
    assert 16 < int((determinants > 0).sum()) < 48


def test_averaging_lowers_the_error_of_symmetry(ethanol: Atoms) -> None:
    rotation = random_rotations(1, torch.Generator().manual_seed(3))[0].double()
    turned = ethanol.copy()
    turned.positions = ethanol.positions @ rotation.numpy().T

    def error(count: int) -> float:
        torch.manual_seed(0)
        network = Transformer(CONFIG.model_copy(update={"rotations": count})).double().eval()
        expected = rotate_features(features(network, [ethanol]), rotation)
        return float((features(network, [turned]) - expected).square().mean().sqrt())

    single, averaged = error(1), error(32)
    assert single > 1e-3
    assert averaged < 0.5 * single


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of the number of heads"):
        TransformerConfig(width=10, heads=4)


def test_slopes_of_many_sums(transformer: Transformer, ethanol: Atoms) -> None:
    graph = build_graph([ethanol], 5.0, torch.float64)
    kinds = species(graph.numbers)
    weights = torch.randn(3, len(ethanol), 9, CONFIG.channels, dtype=torch.float64)
    _, back = transformer.pullback(Pairs.of(graph), kinds)
    found = back(weights)
    graph.positions.requires_grad_()
    summed = torch.einsum("kncf,ncf->k", weights, transformer(Pairs.of(graph), kinds))
    for slope, each in zip(found, summed, strict=True):
        (expected,) = torch.autograd.grad(each, graph.positions, retain_graph=True)
        assert torch.allclose(slope, expected, atol=1e-10)
