"""Sums over states: values against ``Bands``, gradients against finite differences."""

from __future__ import annotations

import pytest
import torch
from test_bloch import random_hamiltonian
from torch import Tensor

from esml.physics.crystals import Bands, k_mesh
from esml.physics.crystals.spectral_sums import moment, spectral_sums, step_down

MESH = k_mesh((3, 2, 2))
GROUPS = [torch.tensor([0, 1]), torch.tensor([3])]
FILLED, CUT = step_down(0.0, 0.3), step_down(2.0, 0.1)


def test_populations_and_centres_are_those_of_the_bands() -> None:
    h = random_hamiltonian(4, seed=7)
    bands = Bands.of(h, MESH, 3.0, 0.3)
    at_k = h.at(MESH.fractional) - bands.fermi * torch.eye(4)
    energies, sums = spectral_sums(at_k, GROUPS, [FILLED, CUT, moment(CUT)])
    torch.testing.assert_close(energies, bands.energies - bands.fermi)
    filled, counted, weighted = torch.einsum("k,fkg->fg", MESH.weights, sums)
    torch.testing.assert_close(2.0 * filled, bands.populations(GROUPS))
    torch.testing.assert_close(weighted / counted, bands.band_centres(GROUPS))


def hermitian(parameters: Tensor) -> Tensor:
    real, imaginary = parameters
    return torch.complex(real + real.mT, imaginary - imaginary.mT)


@pytest.mark.parametrize("degenerate", [False, True])
def test_gradients(degenerate: bool) -> None:
    """Also where states are degenerate, as at points of high symmetry."""
    generator = torch.Generator().manual_seed(8)
    parameters = torch.randn(2, 2, 4, 4, generator=generator, dtype=torch.float64)
    if degenerate:
        levels = torch.tensor([-0.4, 0.2, 0.2, 0.2], dtype=torch.float64)
        states = torch.linalg.eigh(hermitian(parameters))[1]
        exact = (states * levels) @ states.mH
        parameters = torch.stack([0.5 * exact.real, 0.5 * exact.imag])
    parameters.requires_grad_()

    def sums(p: Tensor) -> Tensor:
        return spectral_sums(hermitian(p), GROUPS, [FILLED, CUT, moment(CUT)])[1]

    assert torch.autograd.gradcheck(sums, (parameters,), eps=1e-5, atol=1e-6)


def test_energies_have_gradients() -> None:
    generator = torch.Generator().manual_seed(9)
    parameters = torch.randn(2, 2, 4, 4, generator=generator, dtype=torch.float64)
    parameters.requires_grad_()

    def energies(p: Tensor) -> Tensor:
        return spectral_sums(hermitian(p), GROUPS, [FILLED])[0]

    assert torch.autograd.gradcheck(energies, (parameters,), eps=1e-5, atol=1e-6)
