"""Bloch sums against what is known exactly: symmetries, textbook bands, folding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from esml.physics.crystals import RealSpaceHamiltonian, k_mesh


def random_hamiltonian(n: int = 3, seed: int = 0) -> RealSpaceHamiltonian:
    generator = torch.Generator().manual_seed(seed)
    images = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0], [2, 0, 1]])
    blocks = torch.randn(len(images), n, n, generator=generator, dtype=torch.float64)
    blocks[0] = blocks[0] + blocks[0].T
    return RealSpaceHamiltonian.from_half(images, blocks)


K_POINTS = torch.rand(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_symmetries_hold_exactly() -> None:
    """Hermitian, and time reversal: to the last bit."""
    h = random_hamiltonian()
    at_k = h.at(K_POINTS)
    assert torch.equal(at_k, at_k.mH)
    assert torch.equal(h.at(-K_POINTS), at_k.conj())


def test_a_reciprocal_lattice_vector_changes_nothing() -> None:
    h = random_hamiltonian()
    moved = K_POINTS + torch.tensor([1.0, -2.0, 3.0])
    torch.testing.assert_close(h.at(moved), h.at(K_POINTS), rtol=0, atol=1e-12)


def test_chain() -> None:
    """One s orbital a cell with hopping t: ε(k) = α + 2t cos 2πk."""
    images = torch.tensor([[0, 0, 0], [1, 0, 0]])
    blocks = torch.tensor([[[0.3]], [[-1.7]]], dtype=torch.float64)
    energies = torch.linalg.eigvalsh(RealSpaceHamiltonian.from_half(images, blocks).at(K_POINTS))
    expected = 0.3 - 3.4 * torch.cos(2 * torch.pi * K_POINTS[:, :1])
    torch.testing.assert_close(energies, expected)


def graphene(hopping: float = -2.7) -> RealSpaceHamiltonian:
    """π bands of graphene with nearest neighbours, two atoms a cell."""
    images = torch.tensor([[0, 0, 0], [-1, 0, 0], [0, -1, 0]])
    blocks = torch.zeros(3, 2, 2, dtype=torch.float64)
    blocks[0, 0, 1] = blocks[0, 1, 0] = hopping
    blocks[1:, 0, 1] = hopping
    return RealSpaceHamiltonian.from_half(images, blocks)


def test_graphene() -> None:
    """±|t| √(3 + 2cos(k₁) + 2cos(k₂) + 2cos(k₁−k₂)), and a crossing at K (Wallace 1947)."""
    a, b = (2 * torch.pi * K_POINTS[:, i] for i in (0, 1))
    root = torch.sqrt(3 + 2 * torch.cos(a) + 2 * torch.cos(b) + 2 * torch.cos(a - b))
    energies = torch.linalg.eigvalsh(graphene().at(K_POINTS))
    torch.testing.assert_close(energies, 2.7 * torch.stack([-root, root], 1))
    dirac = torch.tensor([[1 / 3, -1 / 3, 0.0]], dtype=torch.float64)
    assert torch.linalg.eigvalsh(graphene().at(dirac)).abs().max() < 1e-12


@pytest.mark.parametrize("divisions", [(1, 1, 1), (4, 3, 2), (5, 4, 1)])
def test_half_a_mesh_stands_for_the_whole(divisions: tuple[int, int, int]) -> None:
    mesh = k_mesh(divisions)
    assert float(mesh.weights.sum()) == pytest.approx(1.0)
    axes = [np.arange(n) / n for n in divisions]
    whole = torch.tensor(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3))
    energies = torch.linalg.eigvalsh(random_hamiltonian().at(mesh.fractional))
    expected = torch.linalg.eigvalsh(random_hamiltonian().at(whole)).square().mean(0)
    torch.testing.assert_close((mesh.weights[:, None] * energies.square()).sum(0), expected)


def test_a_mesh_needs_three_positive_numbers() -> None:
    with pytest.raises(ValueError, match="three positive whole numbers"):
        k_mesh((4, 0, 4))


CELL = np.array([[2.5, 0.1, 0.0], [1.2, 2.2, 0.0], [0.1, 1.0, 2.1]])
POSITIONS = np.array([[0.0, 0.0, 0.0], [1.3, 0.9, 0.4], [2.2, 1.1, 1.5]])


def short(n: int = 3) -> RealSpaceHamiltonian:
    """One orbital on each of three atoms, hopping that decays with distance, none beyond 4.4 Å."""
    axis = np.arange(-3, 4)
    images = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    apart = POSITIONS[None, :] - POSITIONS[:, None]
    distances = np.linalg.norm((images @ CELL)[:, None, None] + apart, axis=-1)
    blocks = np.where(distances < 4.4, np.exp(-distances), 0.0)
    return RealSpaceHamiltonian(torch.tensor(images), torch.tensor(blocks))


def test_minimum_images_restore_short_hopping() -> None:
    """Hopping that fits into the supercell of the mesh comes back whole, at every k."""
    divisions = (6, 5, 6)
    h = short()
    back = RealSpaceHamiltonian.from_mesh(
        h.at(k_mesh(divisions).fractional), divisions, CELL, POSITIONS, torch.arange(3)
    )
    torch.testing.assert_close(back.at(K_POINTS), h.at(K_POINTS), rtol=0, atol=1e-12)


def on_mesh(h: RealSpaceHamiltonian, divisions: tuple[int, int, int]) -> Tensor:
    return h.at(k_mesh(divisions).fractional)


@pytest.mark.parametrize("divisions", [(2, 2, 2), (3, 2, 1)])
def test_interpolation_is_exact_on_the_mesh(divisions: tuple[int, int, int]) -> None:
    """Also where hopping is longer than the supercell and images are split."""
    h = short()
    back = RealSpaceHamiltonian.from_mesh(
        on_mesh(h, divisions), divisions, CELL, POSITIONS, torch.arange(3)
    )
    torch.testing.assert_close(on_mesh(back, divisions), on_mesh(h, divisions))
    again = back.half()
    restored = RealSpaceHamiltonian.from_half(again.images, again.blocks)
    torch.testing.assert_close(restored.at(K_POINTS), back.at(K_POINTS))


def test_a_radius_cuts_blocks() -> None:
    h = short()
    owner = torch.arange(3)
    torch.testing.assert_close(h.within(4.4, CELL, POSITIONS, owner).at(K_POINTS), h.at(K_POINTS))
    onsite = h.within(0.1, CELL, POSITIONS, owner)
    assert onsite.images.tolist() == [[0, 0, 0]]
    torch.testing.assert_close(onsite.blocks[0], torch.eye(3, dtype=torch.float64))


def test_a_supercell_folds_the_bands() -> None:
    """A chain of doubled cells has at k the energies of the single cell at k/2 and (k+1)/2."""
    t, a = -1.3, 0.4
    single = RealSpaceHamiltonian.from_half(
        torch.tensor([[0, 0, 0], [1, 0, 0]]), torch.tensor([[[a]], [[t]]], dtype=torch.float64)
    )
    double = RealSpaceHamiltonian.from_half(
        torch.tensor([[0, 0, 0], [1, 0, 0]]),
        torch.tensor([[[a, t], [t, a]], [[0, 0], [t, 0]]], dtype=torch.float64),
    )
    k = K_POINTS * torch.tensor([1.0, 0.0, 0.0])
    shift = torch.tensor([0.5, 0.0, 0.0])
    half = k * torch.tensor([0.5, 0.0, 0.0])
    folded = torch.cat([torch.linalg.eigvalsh(single.at(p)) for p in (half, half + shift)], 1)
    torch.testing.assert_close(torch.linalg.eigvalsh(double.at(k)), folded.sort(1).values)
