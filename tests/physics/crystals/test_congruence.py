"""W H W against a matrix exponential, and its symmetries."""

from __future__ import annotations

import torch
from test_bloch import K_POINTS, random_hamiltonian

from esml.physics.crystals import Bands, RealSpaceHamiltonian, k_mesh
from esml.physics.crystals.congruence import CongruentHamiltonian

H = random_hamiltonian(3, seed=1)


def small(size: float) -> RealSpaceHamiltonian:
    x = random_hamiltonian(3, seed=2)
    return RealSpaceHamiltonian(x.images, size * x.blocks)


def test_it_is_hermitian_and_reversible_in_time() -> None:
    h = CongruentHamiltonian(H, small(0.1))
    at_k = h.at(K_POINTS)
    assert torch.equal(at_k, at_k.mH)
    torch.testing.assert_close(h.at(-K_POINTS), at_k.conj(), rtol=0, atol=1e-12)
    torch.testing.assert_close(h.at(K_POINTS + 1.0), at_k, rtol=0, atol=1e-11)


def test_nothing_in_the_exponent_changes_nothing() -> None:
    torch.testing.assert_close(CongruentHamiltonian(H, small(0.0)).at(K_POINTS), H.at(K_POINTS))


def test_it_is_an_exponential_to_second_order() -> None:
    """Against e^X H e^X; halving X leaves an eighth of the difference."""

    def off(size: float) -> float:
        x = small(size)
        w = torch.linalg.matrix_exp(x.at(K_POINTS))
        exact = w @ H.at(K_POINTS) @ w
        return float((CongruentHamiltonian(H, x).at(K_POINTS) - exact).abs().max())

    assert 6.5 < off(0.02) / off(0.01) < 9.5


def test_overlapping_functions_are_orthogonalized() -> None:
    """With X = −½ ln S its bands are those of H C = S C ε, to third order in X."""
    x = small(0.005).at(K_POINTS)
    overlap = torch.linalg.matrix_exp(-2.0 * x)
    half = torch.linalg.cholesky(overlap)
    inverse = torch.linalg.inv(half)
    expected = torch.linalg.eigvalsh(inverse @ H.at(K_POINTS) @ inverse.mH)
    found = torch.linalg.eigvalsh(CongruentHamiltonian(H, small(0.005)).at(K_POINTS))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    plain = torch.linalg.eigvalsh(H.at(K_POINTS))
    assert (plain - expected).abs().max() > 0.05


def test_it_has_bands() -> None:
    bands = Bands.of(CongruentHamiltonian(H, small(0.1)), k_mesh((3, 3, 3)), 2.0, 0.2)
    everything = [torch.arange(3)]
    assert abs(float(bands.populations(everything)) - 2.0) < 1e-9
