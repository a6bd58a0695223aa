"""Relaxed charges of states: shifts of single atoms, conservation, symmetry, and what relaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import read_one

import esml
from esml.analysis.solvation import solvation
from esml.physics.medium import Medium
from esml.predict.charges import relaxed_charges, relaxed_solvation
from esml.predict.dipoles import medium_of_copies, relaxed_dipoles
from esml.predict.surrogate import Surrogate
from esml.units import BOHR, DEBYE

STATES = 3
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


@pytest.mark.parametrize("name", ["singlets", "triplets"])
def test_energies_have_exact_derivatives_by_shifts(
    model: Surrogate, distorted: Atoms, name: str
) -> None:
    """Backward passes and differences agree where levels of single atoms are shifted."""
    start = np.array([0.3, -0.2, 0.1, 0.05])  # eV

    def energies(shifts: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = torch.tensor(shifts[None], requires_grad=True)
        medium = Medium((None,), (None,), shifts=leaf)
        return getattr(model(model.graph([distorted]), STATES, medium=medium), name).energies[
            0
        ], leaf

    found, leaf = energies(start)
    exact = [torch.autograd.grad(e, leaf, retain_graph=True)[0][0].numpy() for e in found]
    assert np.abs(exact).max() > 0.2
    np.testing.assert_allclose(np.sum(exact, 1), 0.0, atol=1e-10)
    step = 1e-4
    for atom in range(4):
        up, down = (
            energies(start + sign * step * np.eye(4)[atom])[0].detach().numpy()
            for sign in (1.0, -1.0)
        )
        np.testing.assert_allclose(np.array(exact)[:, atom], (up - down) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("multiplicity", ["singlet", "triplet"])
@pytest.mark.parametrize("solvent", [None, "ethanol"])
def test_charges_are_slopes_of_energies(
    model: Surrogate, distorted: Atoms, multiplicity: str, solvent: str | None
) -> None:
    """Differences between molecules with one atom shifted up or down by 5 meV."""
    found = relaxed_charges(model, distorted, STATES, multiplicity, solvent)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.changes.sum(1), 0.0, atol=1e-10)
    step, eye = 5e-3, torch.eye(4, dtype=torch.float64)
    medium = medium_of_copies(distorted, 8, solvent)
    medium = Medium(medium.solvents, medium.sites, shifts=step * torch.cat([eye, -eye]))
    solution = model(model.graph([distorted] * 8), STATES, medium=medium)
    energies = getattr(solution, f"{multiplicity}s").energies.detach().numpy()
    slopes = (energies[:4] - energies[4:]).T / (2 * step)
    np.testing.assert_allclose(found.changes, -slopes, atol=1e-3)
    assert np.abs(found.changes).max() > 0.2


def test_ground_state_and_energies_are_those_of_predict(model: Surrogate, distorted: Atoms) -> None:
    found = relaxed_charges(
        model, distorted, STATES, point_charges=esml.PointCharges([1], [[0, 0, 6]])
    )
    result = model.predict(distorted, STATES, point_charges=esml.PointCharges([1], [[0, 0, 6]]))
    np.testing.assert_allclose(found.ground, result.charges, atol=1e-9)
    np.testing.assert_allclose(found.energies, result.singlets.energies, atol=1e-9)
    np.testing.assert_allclose(found.charges - found.changes, np.tile(found.ground, (3, 1)))


def test_symmetry(model: Surrogate) -> None:
    """Equivalent atoms have equal charges, in degenerate states as well; the axes do not matter."""
    water = relaxed_charges(model, molecule("H2O"), STATES).changes
    np.testing.assert_allclose(water[:, 1], water[:, 2], atol=1e-6)
    ammonia = relaxed_charges(model, molecule("NH3"), 6)
    np.testing.assert_allclose(ammonia.changes[:, 1:].std(1), 0.0, atol=1e-5)
    assert np.diff(ammonia.energies).min() < 1e-5
    assert np.abs(ammonia.changes).max() > 0.1
    nitrogen = relaxed_charges(model, molecule("N2"), STATES, "triplet")
    np.testing.assert_allclose(nitrogen.charges, 0.0, atol=1e-6)
    turned = molecule("H2O")
    turned.rotate(40, (1, 2, 3))
    np.testing.assert_allclose(relaxed_charges(model, turned, STATES).changes, water, atol=1e-6)
    with pytest.raises(ValueError, match="n_states is 0"):
        relaxed_charges(model, turned, 0)


def test_relaxation_holds_charge_back(model: Surrogate) -> None:
    """nπ* of formaldehyde: charges move less than those of the amplitudes, as the dipole does."""
    atoms = molecule("H2CO")
    relaxed = relaxed_charges(model, atoms, 1).changes[0]
    result = model.predict(atoms, 1)
    moved = result.state_charges()[0] - result.charges
    along = relaxed @ moved / np.linalg.norm(moved)
    assert 0.3 * np.linalg.norm(moved) < along < 0.9 * np.linalg.norm(moved)
    # The dipole of the charges alone; the rest is on the atoms and in the bonds.
    dipole = DEBYE / BOHR * relaxed @ atoms.positions
    whole = relaxed_dipoles(model, atoms, 1).changes[0]
    np.testing.assert_allclose(dipole, whole, atol=0.2)


def test_the_solvent_turns_for_relaxed_charges(model: Surrogate) -> None:
    """Charge transfer that relaxes takes less of it; in vacuum there is no solvent."""
    atoms = read_one(EXAMPLES / "p-nitroaniline.xyz")
    result = model.predict(atoms, 3, solvent="ethanol")
    found = relaxed_solvation(model, result, 3)
    changes = relaxed_charges(model, atoms, 3, solvent="ethanol").changes
    expected = solvation(atoms, changes, result.solvent)
    np.testing.assert_allclose(found.reorganization, expected.reorganization, atol=1e-9)
    transfer = int(result.singlets.oscillator_strengths.argmax())
    at_once = result.solvation()
    assert 0.0 < found.reorganization[transfer] < 0.7 * at_once.reorganization[transfer]
    assert 0.7 * at_once.polarization[transfer] < found.polarization[transfer] < 0.0
    vacuum = relaxed_solvation(model, model.predict(atoms, 3), 3)
    assert not vacuum.reorganization.any()
    assert not vacuum.polarization.any()
