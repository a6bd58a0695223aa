"""H(k) from blocks of pairs is that of the same blocks between cells."""

from __future__ import annotations

import torch

from esml.physics.crystals import PairHamiltonian, k_mesh


def pairs() -> PairHamiltonian:
    """Two atoms of three orbitals: neighbours in the cell and across it, an atom's own image."""
    generator = torch.Generator().manual_seed(3)
    blocks = torch.randn(3, 3, 3, generator=generator, dtype=torch.float64)
    onsite = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    images = torch.tensor([[0, 0, 0], [1, 0, -1], [0, 1, 0]])
    first, second = torch.tensor([0, 0, 1]), torch.tensor([1, 1, 1])
    return PairHamiltonian(
        torch.cat([first, second]),
        torch.cat([second, first]),
        torch.cat([images, -images]),
        torch.cat([blocks, blocks.transpose(1, 2)]),
        onsite + onsite.transpose(1, 2),
    )


def test_it_is_the_sum_over_cells() -> None:
    h, points = pairs(), k_mesh((3, 4, 5)).fractional
    assert h.n_orbitals == 6
    torch.testing.assert_close(h.at(points), h.real_space().at(points), rtol=0, atol=1e-13)


def test_it_is_hermitian_and_real_at_the_origin() -> None:
    h = pairs().at(torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.1, 0.7]], dtype=torch.float64))
    assert torch.equal(h, h.mH)
    assert h[0].imag.abs().max() == 0.0
