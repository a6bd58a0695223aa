"""Tensor products and the message-passing network."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from pydantic import ValidationError
from torch import Tensor

from esml.model.backbones.equivariant import ROOM, Network, NetworkConfig
from esml.model.graph import Graph, build_graph
from esml.model.pairs import Pairs, species
from esml.model.tensors import (
    QUADRUPOLE,
    decompose,
    dot,
    matrices,
    switch,
    tensor_operator,
    tensor_tensor,
    tensor_vector,
    vector_vector,
)
from esml.physics.slopes import at_once

CONFIG = NetworkConfig(channels=6, layers=3, cutoff=4.0, radial=4, radial_hidden=8)


def rotation(inversion: bool = False) -> Tensor:
    q, _ = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    )
    q = q * torch.linalg.det(q)
    values: Tensor = -q if inversion else q
    return values


def tensor_rotation(q: Tensor) -> Tensor:
    """(5, 5) how the components of a tensor turn with its matrix, T → q T qᵀ."""
    return torch.einsum("mkl,ka,lb,nab->mn", QUADRUPOLE, q, q, QUADRUPOLE)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return Network(CONFIG).double()


def features(network: Network, graph: Graph) -> Tensor:
    result: Tensor = network(Pairs.of(graph), species(graph.numbers))
    return result


def distorted(name: str, seed: int = 0) -> Atoms:
    atoms: Atoms = molecule(name)
    atoms.rattle(0.1, seed=seed)
    return atoms


def graph_of(*structures: Atoms) -> Graph:
    return build_graph(structures, CONFIG.cutoff, dtype=torch.float64)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def test_quadrupole_basis_is_orthonormal_traceless_symmetric() -> None:
    overlap = torch.einsum("mkl,nkl->mn", QUADRUPOLE, QUADRUPOLE)
    torch.testing.assert_close(overlap, torch.eye(5, dtype=torch.float64))
    assert QUADRUPOLE.diagonal(dim1=1, dim2=2).sum(1).abs().max() < 1e-15
    assert torch.equal(QUADRUPOLE, QUADRUPOLE.mT)


def traceless(matrix: Tensor) -> Tensor:
    symmetric = 0.5 * (matrix + matrix.mT)
    trace = symmetric.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return symmetric - trace * torch.eye(3, dtype=matrix.dtype) / 3


def test_products_are_those_of_matrices() -> None:
    """Component formulas against plain 3 × 3 matrix algebra."""
    v, w = random(2, 4, 3, 2)
    s, t = random(2, 4, 5, 2)

    def full(x: Tensor) -> Tensor:
        return matrices(x.transpose(1, 2))

    vt, wt = v.transpose(1, 2), w.transpose(1, 2)
    torch.testing.assert_close(dot(s, t), (full(s) * full(t)).sum((-1, -2)))
    torch.testing.assert_close(
        full(vector_vector(v, w)), traceless(vt[..., :, None] * wt[..., None, :])
    )
    torch.testing.assert_close(
        tensor_vector(t, v).transpose(1, 2), (full(t) @ vt[..., None])[..., 0]
    )
    torch.testing.assert_close(full(tensor_tensor(s, t)), traceless(full(s) @ full(t)))
    operator = tensor_operator(v[:, :, 0])
    torch.testing.assert_close(operator @ t[:, :, :1], tensor_vector(t[:, :, :1], v[:, :, :1]))
    torch.testing.assert_close(operator.mT @ w[:, :, :1], vector_vector(v[:, :, :1], w[:, :, :1]))


def test_switch_has_two_continuous_derivatives() -> None:
    assert switch(torch.tensor([0.5, 2.0, 5.0, 9.0]), 2.0, 5.0).tolist() == [1, 1, 0, 0]
    step = 1e-4
    for edge in (2.0, 5.0):
        r = edge + step * torch.tensor([-2, -1, 0, 1, 2], dtype=torch.float64)
        f = switch(r, 2.0, 5.0).numpy()
        assert np.abs(np.diff(f) / step).max() < 1e-6
        assert np.abs(np.diff(f, 2) / step**2).max() < 2e-3


@pytest.mark.parametrize("inversion", [False, True])
def test_features_turn_with_the_molecule(network: Network, inversion: bool) -> None:
    q = rotation(inversion)
    graph = graph_of(distorted("CH3CHO"), distorted("CH3SH"))
    s, v, t = decompose(features(network, graph))
    turned = replace(graph, positions=graph.positions @ q.T)
    s1, v1, t1 = decompose(features(network, turned))
    assert min(x.abs().max() for x in (s, v, t)) > 0.1
    torch.testing.assert_close(s1, s, atol=1e-10, rtol=0)
    torch.testing.assert_close(v1, q @ v, atol=1e-10, rtol=0)
    torch.testing.assert_close(t1, tensor_rotation(q) @ t, atol=1e-10, rtol=0)


def test_features_follow_the_order_of_atoms_and_ignore_the_batch(network: Network) -> None:
    atoms = distorted("CH3CHO")
    order = [3, 1, 6, 0, 5, 2, 4]
    alone = features(network, graph_of(atoms))
    torch.testing.assert_close(features(network, graph_of(atoms[order])), alone[order])
    batch = features(network, graph_of(distorted("C6H6"), atoms, Atoms("O")))
    torch.testing.assert_close(batch[12:19], alone)


def test_features_know_distance_angle_and_element(network: Network) -> None:
    """Guards against a network that is equivariant because it is blind."""
    atoms = distorted("CH3CHO")
    reference = features(network, graph_of(atoms))
    longer = atoms.copy()
    longer.positions[6] += 0.05
    assert (features(network, graph_of(longer)) - reference).abs().amax((1, 2)).min() > 1e-5
    other = atoms.copy()
    other.numbers[0] = 16
    assert (features(network, graph_of(other)) - reference).abs().amax((1, 2)).min() > 1e-3


def test_each_layer_reaches_one_neighbour_further(network: Network) -> None:
    """Atoms 3 Å apart in a row: three layers see the third neighbour and not the fourth."""
    # With a bond far away, or the lengths would be taken for bohr.
    bond = [(40.0, 0.0, 0.0), (40.74, 0.0, 0.0)]
    row = Atoms("FFFFFFHH", positions=[*((3.0 * i, 0.1 * i**2, 0) for i in range(6)), *bond])
    reference = features(network, graph_of(row))
    for hops, seen in ((3, True), (4, False)):
        other = row.copy()
        other.numbers[hops] = 17
        change = (features(network, graph_of(other)) - reference)[0].abs().max()
        assert bool(change > 1e-12) == seen


def test_features_are_smooth_where_a_neighbour_leaves(network: Network) -> None:
    weights = random(3, 9, CONFIG.channels)

    def slope(distance: float) -> tuple[Tensor, Tensor]:
        atoms = Atoms("COC", positions=[[0, 0, 0], [1.2, 0, 0.3], [distance, 0, 0]])
        graph = graph_of(atoms)
        positions = graph.positions.requires_grad_()
        x = (features(network, graph) * weights).sum()
        return x.detach(), torch.autograd.grad(x, positions)[0]

    (inside, inner), (outside, outer) = slope(4.0 - 1e-4), slope(4.0 + 1e-4)
    scale = float(inner.abs().max())
    assert scale > 0.1
    torch.testing.assert_close(inside, outside, atol=1e-3 * scale, rtol=0)
    torch.testing.assert_close(inner, outer, atol=1e-3 * scale, rtol=0)


@pytest.mark.parametrize("name", ["CH4", "CO2", "C3H4_D2d", "BF3"])
def test_features_grow_in_proportion_where_symmetry_makes_them_vanish(
    network: Network, name: str
) -> None:
    """The first atom leaves the centre of its neighbours: no faster than elsewhere."""
    atoms = molecule(name)
    centre = int(np.argmin(np.linalg.norm(atoms.positions - atoms.positions.mean(0), axis=1)))
    still = features(network, graph_of(atoms))

    def change(length: float) -> float:
        moved = atoms.copy()
        moved.positions[centre] += length * np.array([0.36, 0.48, 0.8])
        return (features(network, graph_of(moved)) - still).abs().max().item()

    slopes = [change(length) / length for length in (1e-7, 1e-5, 1e-3, 1e-1)]
    assert max(slopes) < 1.2 * slopes[3]


def test_lone_atoms_have_scalars_only(network: Network) -> None:
    s, v, t = decompose(features(network, graph_of(Atoms("O"), Atoms("C"))))
    assert torch.isfinite(s).all()
    assert (s[0] - s[1]).abs().max() > 0.1
    assert v.abs().max() == t.abs().max() == 0


def test_single_precision_agrees(network: Network) -> None:
    graph = graph_of(distorted("C6H6"))
    double = features(network, graph)
    lower = Network(CONFIG)
    lower.load_state_dict(network.state_dict())
    single = features(lower, graph.to(dtype=torch.float32))
    torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=1e-4)


def test_config_refuses_unknown_keys_and_bad_values() -> None:
    with pytest.raises(ValidationError, match="chanels"):
        NetworkConfig.model_validate({"chanels": 3})
    with pytest.raises(ValidationError, match="cutoff"):
        NetworkConfig(cutoff=-1.0)
    assert NetworkConfig.model_validate(CONFIG.model_dump()) == CONFIG


def test_species_refuses_other_elements() -> None:
    assert species(torch.tensor([1, 6, 17])).tolist() == [0, 1, 6]
    with pytest.raises(ValueError, match=r"\[32\] are not among"):
        species(torch.tensor([6, 32]))


def test_slopes_of_many_sums_are_those_of_autograd(network: Network) -> None:
    """Also of more sums than are treated at once."""
    graph = build_graph([distorted("CH3CHO"), distorted("NH3", 1)], CONFIG.cutoff, torch.float64)
    kinds = species(graph.numbers)
    size = len(kinds), 9, CONFIG.channels
    weights = torch.randn(at_once(math.prod(size), ROOM) + 11, *size, dtype=torch.float64)
    same, back = network.pullback(Pairs.of(graph), kinds)
    found = back(weights)
    graph.positions.requires_grad_()
    x = features(network, graph)
    assert torch.equal(same, x)
    for k in range(0, len(weights), 100):
        (expected,) = torch.autograd.grad(x, graph.positions, weights[k], retain_graph=True)
        assert torch.allclose(found[k], expected, atol=1e-10)
        assert expected.abs().max() > 1e-3
