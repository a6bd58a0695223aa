"""Derivatives of many sums of features and pieces of blocks, against autograd."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from esml.model.backbones.equivariant import NetworkConfig
from esml.model.graph import build_graph
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.model.local import FEW, Local
from esml.model.pairs import Pairs, species

NETWORK = NetworkConfig(channels=5, layers=2, cutoff=4.0, radial=4, radial_hidden=8)
CONFIG = HamiltonianConfig(network=NETWORK, hidden=6, pair_channels=4)


@pytest.fixture(scope="module")
def model() -> EffectiveHamiltonian:
    torch.manual_seed(2)
    made = EffectiveHamiltonian(CONFIG).double()
    for weights in made.parameters():  # many are zero before training
        torch.nn.init.normal_(weights, std=0.3)
    return made


@pytest.fixture(scope="module")
def atoms() -> Atoms:
    """Pyridine: with more pairs than are treated at once."""
    made: Atoms = molecule("C5H5N")
    made.rattle(0.05, seed=1)
    return made


# In vacuum nothing depends on the dipole operator: then 26 pieces of a pair count, else 65.
@pytest.mark.parametrize("dipole", [False, True])
@pytest.mark.parametrize("n_sums", [3, 70])
def test_slopes_are_those_of_autograd(
    model: EffectiveHamiltonian, atoms: Atoms, n_sums: int, dipole: bool
) -> None:
    graph = build_graph([atoms], CONFIG.cutoff, torch.float64)
    assert len(graph.edge_source) % FEW
    local = model.local(graph)
    generator = torch.Generator().manual_seed(n_sums)
    weights = [
        torch.randn(n_sums, *leaf.shape, dtype=torch.float64, generator=generator)
        for leaf in local.leaves
    ]
    if not dipole:
        weights[2].zero_()
        weights[5].zero_()
    found = local.slopes(weights)
    graph.positions.requires_grad_()
    again = whole(model, Pairs.of(graph), species(graph.numbers))
    for k in range(0, n_sums, 9):
        parts = [(w[k] * x).sum() for w, x in zip(weights, again, strict=True)]
        (expected,) = torch.autograd.grad(parts, graph.positions, retain_graph=True)
        torch.testing.assert_close(found[k], expected, rtol=1e-10, atol=1e-10)
        assert expected.abs().max() > 1e-3


def whole(model: EffectiveHamiltonian, pairs: Pairs, kinds: torch.Tensor) -> list[torch.Tensor]:
    """The same features and pieces, with their history."""
    x = model.network(pairs, kinds)
    pieces = model.blocks.pieces(x, pairs, kinds)
    return [x, *pieces.onsite, *pieces.between]


def test_operators_of_the_local_part_are_those_of_the_graph(
    model: EffectiveHamiltonian, atoms: Atoms
) -> None:
    graph = build_graph([atoms], CONFIG.cutoff, torch.float64)
    local = model.local(graph)
    assert isinstance(local, Local)
    with torch.no_grad():
        one, other = model(graph), model(graph, local=local)
    torch.testing.assert_close(one.hamiltonian, other.hamiltonian, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.dipole, other.dipole, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        one.interaction.relaxation, other.interaction.relaxation, rtol=0, atol=1e-12
    )
