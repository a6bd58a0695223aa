from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from esml.physics.interaction import (
    ONE_CENTRE,
    TRIPLET_RANGE,
    Interaction,
    distances,
    gamma,
    triplet_exchange,
)
from esml.units import COULOMB


def test_multipoles_are_one_monopole_three_dipoles_and_five_quadrupoles() -> None:
    assert torch.equal(ONE_CENTRE, ONE_CENTRE.transpose(0, 1))
    flat = ONE_CENTRE.reshape(16, 9)
    # Orthogonal to each other: norm² 4 (monopole), 2 (s·p and p·s), 1 (traceless p·p).
    expected = torch.diag(torch.tensor([4.0, 2, 2, 2, 1, 1, 1, 1, 1], dtype=torch.float64))
    assert torch.allclose(flat.mT @ flat, expected, atol=1e-15)
    quadrupoles = ONE_CENTRE[1:, 1:, 4:]
    assert torch.allclose(torch.einsum("xxc->c", quadrupoles), torch.zeros(5).double(), atol=1e-15)
    assert not ONE_CENTRE[0, :, 4:].any()


def test_each_kind_of_multipole_is_closed_under_rotation() -> None:
    turn = torch.eye(4, dtype=torch.float64)
    turn[1:, 1:] = torch.from_numpy(Rotation.random(random_state=3).as_matrix())
    turned = torch.einsum("ij,kl,jlc->ikc", turn, turn, ONE_CENTRE)
    for part in (slice(0, 1), slice(1, 4), slice(4, 9)):
        # Σ_c G^c ⊗ G^c, all that a coupling sees, is unchanged.
        before = torch.einsum("ijc,klc->ijkl", ONE_CENTRE[:, :, part], ONE_CENTRE[:, :, part])
        after = torch.einsum("ijc,klc->ijkl", turned[:, :, part], turned[:, :, part])
        assert torch.allclose(before, after, atol=1e-14)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.3])
@pytest.mark.parametrize("limit", [1.0, 0.65])
def test_gamma_goes_from_the_hardness_to_the_coulomb_tail(exponent: float, limit: float) -> None:
    hardness = torch.tensor(11.0, dtype=torch.float64)
    distance = torch.tensor([0.0, 1.4, 3.0, 1e7], dtype=torch.float64)
    value = gamma(distance, hardness, limit, exponent)
    tail = limit * COULOMB
    textbook = tail / (distance**exponent + (tail / hardness) ** exponent) ** (1 / exponent)
    assert torch.allclose(value, textbook, rtol=1e-13)
    assert value[0] == hardness
    assert value[3] * distance[3] == pytest.approx(tail, rel=1e-5)
    assert (value.diff() < 0).all()


def test_hole_and_electron_of_a_triplet_attract_less_only_when_near() -> None:
    distance = torch.tensor([0.0, 1.4, TRIPLET_RANGE, 8.0, 20.0], dtype=torch.float64)
    singlet = gamma(distance, torch.tensor(8.0, dtype=torch.float64), 0.65)
    less = singlet - triplet_exchange(singlet, distance, 0.25)
    assert (less.diff() < 0).all()
    assert less[0] == pytest.approx(0.25, abs=1e-15)
    assert less[2] == pytest.approx(0.25 / np.e)
    assert less[3] < 0.005
    assert less[4] < 1e-10
    assert torch.equal(triplet_exchange(singlet, distance, 0.0), singlet)


def test_gamma_is_smooth_in_all_its_arguments() -> None:
    rng = np.random.default_rng(0)
    arguments = tuple(
        torch.from_numpy(rng.uniform(low, high, 5)).requires_grad_()
        for low, high in ((0.5, 8), (3, 15), (0.2, 1), (1, 3))
    )
    assert torch.autograd.gradcheck(gamma, arguments)


def test_gamma_has_finite_gradients_at_contact_and_without_hardness() -> None:
    distance = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    hardness = torch.tensor([10.0, 0.0], dtype=torch.float64, requires_grad=True)
    value = gamma(distance, hardness)
    value.sum().backward()
    assert value.tolist() == [10.0, 0.0]
    assert distance.grad is not None
    assert hardness.grad is not None
    assert distance.grad.isfinite().all()
    assert hardness.grad.tolist() == [1.0, 1.0]


def test_gamma_refuses_parameters_without_meaning() -> None:
    distance, hardness = torch.ones(2), torch.ones(2)
    with pytest.raises(ValueError, match="positive long-range limit"):
        gamma(distance, hardness, limit=0.0)
    with pytest.raises(ValueError, match="exponent of at least 1"):
        gamma(distance, hardness, exponent=0.5)


def test_distances_have_a_clean_diagonal() -> None:
    positions = torch.tensor(
        [[[0.0, 0, 0], [0, 3, 4], [0, 0, 0]]], dtype=torch.float64, requires_grad=True
    )
    distance = distances(positions)
    assert distance[0].tolist() == [[0, 5, 0], [5, 0, 5], [0, 5, 0]]
    distance.sum().backward()
    assert positions.grad is not None
    assert torch.allclose(positions.grad[0, 1], torch.tensor([0.0, 2.4, 3.2], dtype=torch.float64))


def _interaction(**changed: torch.Tensor) -> Interaction:
    pair, single = torch.ones(2, 3, 3), torch.ones(2, 3)
    values = {
        "coulomb": pair,
        "exchange": pair,
        "triplet_exchange": pair,
        "singlet_dipole": single,
        "singlet_quadrupole": single,
        "triplet_monopole": single,
        "triplet_dipole": single,
        "triplet_quadrupole": single,
        "exchange_dipole": single,
        "exchange_quadrupole": single,
        "relaxation": torch.ones(2, 7, 7),
        "virtual_scale": torch.tensor(0.1),
    }
    return Interaction(**{**values, **changed})


def test_interaction_names_the_argument_that_does_not_fit() -> None:
    _interaction()
    with pytest.raises(ValueError, match=r"triplet_dipole must be \(2, 3\), got \(2, 4\)"):
        _interaction(triplet_dipole=torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"exchange must be \(2, 3, 3\), got \(2, 3\)"):
        _interaction(exchange=torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"coulomb must be \(M, K, K\)"):
        _interaction(coulomb=torch.ones(2, 3, 2))
    with pytest.raises(ValueError, match=r"exchange_dipole is torch\.float64"):
        _interaction(exchange_dipole=torch.ones(2, 3).double())
    with pytest.raises(ValueError, match=r"relaxation must be \(2, 6, 6\), got \(2, 7, 6\)"):
        _interaction(relaxation=torch.ones(2, 7, 6))
    with pytest.raises(ValueError, match=r"virtual_scale must be \(\), got \(2, 3\)"):
        _interaction(virtual_scale=torch.ones(2, 3))
