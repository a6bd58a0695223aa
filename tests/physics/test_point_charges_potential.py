"""The potential of point charges: its derivatives, its limits, and what is refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from esml.physics.point_charges import PointCharges, potentials
from esml.units import COULOMB


def points(seed: int, n: int, size: float) -> Tensor:
    return size * torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3)))


@pytest.mark.parametrize("width", [0.3, 0.8, 3.0])
def test_field_and_gradient_are_derivatives_of_the_potential(width: float) -> None:
    sites, charges = points(0, 5, 2.0), torch.linspace(-1.0, 0.7, 5).double()
    atoms = points(1, 4, 2.0).requires_grad_()
    phi, field, gradient = potentials(atoms, charges, sites, width)
    (slope,) = torch.autograd.grad(phi.sum(), atoms, create_graph=True)
    torch.testing.assert_close(field, -slope, rtol=1e-10, atol=1e-10)
    hessian = torch.stack(
        [torch.autograd.grad(slope[:, i].sum(), atoms, retain_graph=True)[0] for i in range(3)], 1
    )
    trace = hessian.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] / 3.0 * torch.eye(3)
    torch.testing.assert_close(gradient, hessian - trace, rtol=1e-9, atol=1e-9)


def test_far_charges_are_points_and_near_ones_finite() -> None:
    one = torch.ones(1).double()
    for distance in (4.0, 50.0):
        site = torch.tensor([[0.0, 0.0, distance]]).double()
        phi, field, gradient = potentials(torch.zeros(1, 3).double(), one, site, 0.8)
        assert float(phi) == pytest.approx(COULOMB / distance, rel=1e-9)
        # The field of a positive charge points away from it; its gradient is 2/R³ along z.
        assert float(field[0, 2]) == pytest.approx(-COULOMB / distance**2, rel=1e-9)
        assert float(gradient[0, 2, 2]) == pytest.approx(2 * COULOMB / distance**3, rel=1e-8)
    near = potentials(torch.zeros(1, 3).double(), one, torch.full((1, 3), 0.06).double(), 0.8)[0]
    assert float(near) == pytest.approx(2 * COULOMB / (np.pi**0.5 * 0.8), rel=0.01)


def test_many_charges_in_parts_are_the_same() -> None:
    atoms, sites, charges = points(0, 3, 1.0), points(1, 50, 9.0), points(2, 50, 1.0)[:, 0]
    whole = potentials(atoms, charges, sites, 0.8)
    parts = potentials(atoms, charges, sites, 0.8, pairs=21)
    for found, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_charges_are_values() -> None:
    charges = PointCharges([0.5, -0.5], [[0, 0, 3], [0, 0, -3]])
    assert charges == PointCharges((0.5, -0.5), np.array([[0.0, 0, 3], [0, 0, -3]]))
    assert charges != PointCharges([0.5, -0.5], [[0, 0, 3], [0, 0, -3]], width=1.0)
    for other in (copy.deepcopy(charges), pickle.loads(pickle.dumps(charges))):
        assert other == charges
        assert other.digest() == charges.digest()
    with pytest.raises(ValueError, match="read-only"):
        charges.charges[0] = 1.0
    assert str(charges) == "2 point charges, 0.00 e in total"


@pytest.mark.parametrize(
    ("charges", "positions", "width", "said"),
    [
        ([1.0], [[0.0, 0.0]], 0.8, "one position in Å for each charge"),
        ([], np.zeros((0, 3)), 0.8, "L of at least 1"),
        ([np.nan], [[0.0, 0.0, 0.0]], 0.8, "not finite"),
        ([1.0], [[0.0, 0.0, 0.0]], 0.0, "positive number"),
    ],
)
def test_what_are_no_charges_is_refused(
    charges: list[float], positions: list[list[float]], width: float, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        PointCharges(charges, positions, width)
