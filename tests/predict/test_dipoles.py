"""Relaxed dipoles of states: finite fields, distant charges, symmetry, and what relaxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.physics.medium import Medium
from esml.predict.dipoles import relaxed_dipoles
from esml.predict.surrogate import Surrogate
from esml.units import BOHR, COULOMB, DEBYE

STATES = 3


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


@pytest.mark.parametrize("name", ["singlets", "triplets"])
def test_energies_have_exact_derivatives_by_a_field(
    model: Surrogate, distorted: Atoms, name: str
) -> None:
    """Backward passes and differences agree where a field is on, and give the dipoles."""
    start = np.array([0.03, -0.02, 0.04])  # V/Å

    def energies(field: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = torch.tensor(field[None], requires_grad=True)
        found = model(model.graph([distorted]), STATES, medium=Medium((None,), (None,), leaf))
        return getattr(found, name).energies[0], leaf

    found, leaf = energies(start)
    exact = [torch.autograd.grad(e, leaf, retain_graph=True)[0][0].numpy() for e in found]
    step = 1e-4
    for axis in range(3):
        up, down = (
            energies(start + sign * step * np.eye(3)[axis])[0].detach().numpy()
            for sign in (1.0, -1.0)
        )
        numeric = (up - down) / (2 * step)
        np.testing.assert_allclose(np.array(exact)[:, axis], numeric, atol=1e-5)
    # The mean of fields ±E has no polarizability in it.
    found, leaf = energies(-start)
    there = [torch.autograd.grad(e, leaf, retain_graph=True)[0][0].numpy() for e in found]
    mean = -0.5 * (np.array(exact) + np.array(there)) * DEBYE / BOHR
    dipoles = relaxed_dipoles(model, distorted, STATES, name)  # type: ignore[arg-type]
    np.testing.assert_allclose(dipoles.changes, mean, atol=0.02)


def test_distant_charges_are_a_field(model: Surrogate, distorted: Atoms) -> None:
    """Charges ±Q at ∓d on an axis make the field 2CQ/d² along it, C = e²/4πε₀."""
    found = relaxed_dipoles(model, distorted, STATES)
    distance, charge, centre = 300.0, 5.0, distorted.positions.mean(0)
    field = 2 * COULOMB * charge / distance**2  # V/Å
    for axis in range(3):
        place = distance * np.eye(3)[axis]
        ends = []
        for sign in (1.0, -1.0):
            charges = esml.PointCharges(
                sign * charge * np.array([1.0, -1.0]), np.stack([centre - place, centre + place])
            )
            result = model.predict(distorted, STATES, point_charges=charges)
            ends.append(result.singlets.energies)
        numeric = -(ends[0] - ends[1]) / (2 * field) * DEBYE / BOHR
        np.testing.assert_allclose(found.changes[:, axis], numeric, atol=2e-3)


def test_symmetry_and_origin(model: Surrogate, distorted: Atoms) -> None:
    atoms = molecule("H2CO")  # C=O along z
    found = relaxed_dipoles(model, atoms, STATES)
    assert np.abs(found.dipoles[:, :2]).max() < 1e-5
    np.testing.assert_allclose(found.ground, model.predict(atoms, 1).dipole, atol=1e-9)
    away = distorted.copy()
    away.positions += [3.0, -2.0, 1.0]
    first, second = (relaxed_dipoles(model, each, STATES) for each in (distorted, away))
    np.testing.assert_allclose(first.changes, second.changes, atol=1e-6)
    assert np.abs(relaxed_dipoles(model, molecule("C6H6"), 2, "triplets").dipoles).max() < 1e-4
    with pytest.raises(ValueError, match="n_states is 0"):
        relaxed_dipoles(model, atoms, 0)


def test_relaxation_holds_charge_back(model: Surrogate) -> None:
    """nπ* of formaldehyde moves an electron from O to C; other electrons move against it."""
    atoms = molecule("H2CO")
    found = relaxed_dipoles(model, atoms, 1)
    result = model.predict(atoms, 1)
    moved = result.state_dipoles("singlets")[0] - result.dipole
    along = found.changes[0] @ moved / np.linalg.norm(moved)
    assert 0 < along < np.linalg.norm(moved)
