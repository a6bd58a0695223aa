"""Filling, densities of states, band centres and bonds against exact counts and sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_bloch import graphene, random_hamiltonian

from esml.physics.crystals import (
    Bands,
    RealSpaceHamiltonian,
    atom_of_orbital,
    eigenstates,
    fermi_level,
    hamilton_population,
    k_mesh,
    orbitals_of,
    shells_of,
)

MESH = k_mesh((6, 6, 6))
FINE = torch.linspace(-40.0, 40.0, 4001, dtype=torch.float64)
EACH = [torch.tensor([i]) for i in range(3)]


@pytest.fixture(scope="module")
def bands() -> Bands:
    return Bands.of(random_hamiltonian(), MESH, 2.6, 0.2)


def test_half_filled_graphene_has_its_fermi_level_at_the_crossing() -> None:
    bands = Bands.of(graphene(), k_mesh((6, 6, 1)), 2.0, 0.05)
    assert float(bands.fermi) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(bands.populations(EACH[:2]), [1.0, 1.0], atol=1e-9)


def test_electrons_are_counted(bands: Bands) -> None:
    assert float(bands.populations(EACH).sum()) == pytest.approx(2.6, abs=1e-9)


def test_a_free_electron_like_chain_fills_to_its_known_level() -> None:
    """A chain with n electrons is filled to α + 2t cos(π n / 2)."""
    chain = RealSpaceHamiltonian.from_half(
        torch.tensor([[0, 0, 0], [1, 0, 0]]), torch.tensor([[[0.5]], [[-1.0]]]).double()
    )
    bands = Bands.of(chain, k_mesh((4000, 1, 1)), 0.7, 0.002)
    expected = 0.5 - 2.0 * np.cos(np.pi * 0.7 / 2)
    assert float(bands.fermi) == pytest.approx(expected, abs=2e-4)


def test_too_many_electrons_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 electrons in 3 bands: expected .* fewer than 6"):
        Bands.of(random_hamiltonian(), MESH, 8.0, 0.1)


def test_the_fermi_level_has_the_gradient_of_the_counting_condition() -> None:
    energies = torch.randn(5, 4, generator=torch.Generator().manual_seed(3)).double()
    energies.requires_grad_()
    weights = torch.full((5,), 0.2, dtype=torch.float64)

    def level(e: torch.Tensor) -> torch.Tensor:
        return fermi_level(e, weights, 3.0, 0.3)

    assert torch.autograd.gradcheck(level, (energies,), eps=1e-5, atol=1e-7)


def test_densities_of_states_integrate_to_all_states(bands: Bands) -> None:
    step = float(FINE[1] - FINE[0])
    total = bands.density_of_states(FINE)
    parts = bands.projected_density_of_states(FINE, EACH)
    assert float(total.sum() * step) == pytest.approx(6.0, abs=1e-6)
    torch.testing.assert_close(parts.sum(0), total)
    torch.testing.assert_close(parts.sum(1) * step, torch.full((3,), 2.0).double())


def test_without_a_cut_the_band_centre_is_the_level_of_the_orbital(bands: Bands) -> None:
    """The first moment of an orbital's density of states is its diagonal element of H(R = 0)."""
    centres = bands.band_centres(EACH, cut=1e4)
    levels = random_hamiltonian().blocks[0].diagonal()
    torch.testing.assert_close(centres + bands.fermi, levels)


def test_an_empty_group_has_no_centre(bands: Bands) -> None:
    assert bands.band_centres([torch.zeros(0, dtype=torch.int64)]).isnan().all()


def test_hamilton_populations_add_up_to_the_band_energy(bands: Bands) -> None:
    h = random_hamiltonian()
    at = torch.linspace(-6.0, 6.0, 7, dtype=torch.float64)
    values, integrated = torch.zeros(7).double(), 0.0
    everything = torch.arange(3)
    half = h.half()
    for image in half.images.tolist():
        found = hamilton_population(bands, h, everything, everything, tuple(image), at)
        values, integrated = values + found.values, integrated + found.integrated
    filled = torch.sigmoid((bands.fermi - bands.energies) / bands.width)
    energy = 2.0 * (MESH.weights[:, None] * filled * bands.energies).sum()
    assert integrated == pytest.approx(float(energy))
    above = bands.energies - bands.fermi
    gauss = torch.exp(-0.5 * ((at[:, None, None] - above) / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))
    weighted = 2.0 * (MESH.weights[:, None] * bands.energies * gauss).sum((1, 2))
    torch.testing.assert_close(values, weighted)


def test_the_lower_band_of_a_dimer_bonds() -> None:
    """Two levels at 0 coupled by t < 0: two electrons in the bonding state gain 2t."""
    pair = RealSpaceHamiltonian.from_half(
        torch.tensor([[0, 0, 0]]), torch.tensor([[[0.0, -1.5], [-1.5, 0.0]]]).double()
    )
    bands = Bands.of(pair, k_mesh((1, 1, 1)), 2.0, 0.05)
    bond = hamilton_population(bands, pair, EACH[0], EACH[1], (0, 0, 0), FINE)
    assert bond.integrated == pytest.approx(-3.0)


def test_a_gap_separates_filled_bands_from_empty_ones() -> None:
    """Two chains of levels ε ± 2t cos k, 5 eV apart: the gap is 5 − 4t, and none if they overlap.

    With three electrons, or as a metal, there is none either.
    """

    def gap(t: float, electrons: float = 2.0, insulating: bool = True) -> float:
        levels, hopping = torch.diag(torch.tensor([0.0, 5.0])), t * torch.eye(2)
        chains = RealSpaceHamiltonian.from_half(
            torch.tensor([[0, 0, 0], [1, 0, 0]]), torch.stack([levels, hopping]).double()
        )
        return Bands.of(chains, k_mesh((8, 1, 1)), electrons, 0.05, insulating).gap

    assert gap(0.5) == pytest.approx(3.0)
    assert gap(1.5) == gap(0.5, 3.0) == gap(0.5, insulating=False) == 0.0


def test_shells_and_their_places() -> None:
    assert shells_of(29) == ("s", "p", "d")
    assert atom_of_orbital([3, 29]).tolist() == [0] * 4 + [1] * 9
    assert [places.tolist() for places in orbitals_of([3, 29], "d")] == [[], [8, 9, 10, 11, 12]]
    with pytest.raises(ValueError, match="atomic number 92 has no valence shells"):
        shells_of(92)


def test_real_arithmetic_gives_the_same_bands_at_gamma() -> None:
    """H(Γ) is real. Points a little aside are not, and have nearly the same energies."""
    at = random_hamiltonian().at(torch.tensor([[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0]]))
    assert not at[0].imag.any()
    assert at[1].imag.any()
    (real, states), (aside, _) = (eigenstates(at[k : k + 1]) for k in range(2))
    np.testing.assert_allclose(real, aside, atol=1e-7)
    assert states.is_complex()
    np.testing.assert_allclose(at[:1] @ states, states * real[:, None, :], atol=1e-9)
