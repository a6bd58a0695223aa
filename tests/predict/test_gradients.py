from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.units import Bohr, Debye
from surrogate_cases import read_one

import esml
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate

STEP = 1e-4  # Å; central differences are then good to about 1e-6 eV/Å


@pytest.fixture(scope="module", params=["best_estimate", "camb3lyp"])
def model(request: pytest.FixtureRequest) -> Surrogate:
    name: str = request.param
    return esml.load_model(name, dtype=torch.float64)


@pytest.fixture(scope="module")
def benzene() -> Atoms:
    """A perfect hexagon: states come in exactly degenerate pairs, whatever the weights."""
    angles = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    return Atoms("C6H6", np.concatenate([1.395 * ring, 2.48 * ring]))


def differences(energies: Callable[[Atoms], np.ndarray], atoms: Atoms) -> np.ndarray:
    """Central differences (S, N, 3) of ``energies``, eV/Å."""
    moved = []
    for atom in range(len(atoms)):
        for axis in range(3):
            ends = []
            for step in (STEP, -STEP):
                there = atoms.copy()
                there.positions[atom, axis] += step
                ends.append(energies(there))
            moved.append((ends[0] - ends[1]) / (2 * STEP))
    return np.stack(moved, axis=-1).reshape(-1, len(atoms), 3)


@pytest.mark.parametrize("kind", ["singlets", "triplets"])
def test_gradients_are_the_slopes_of_the_energies(
    model: Surrogate, distorted: Atoms, kind: str
) -> None:
    found = excitation_gradients(model, distorted, [0, 2, 1], kind)  # type: ignore[arg-type]
    energies = getattr(model.predict(distorted, 3), kind).energies
    assert found.energies == pytest.approx(energies[[0, 2, 1]], abs=1e-9)
    slopes = differences(lambda atoms: getattr(model.predict(atoms, 3), kind).energies, distorted)
    assert np.abs(slopes).max() > 1.0
    assert found.gradients == pytest.approx(slopes[[0, 2, 1]], abs=1e-4)
    assert found.degeneracies.tolist() == [1, 1, 1]


def test_states_found_by_iteration_have_exact_gradients_too(model: Surrogate) -> None:
    """The states of a dye come from the iterative solver; all atoms step at once here.

    States next to each other may mix within a step, which their sum does not feel.
    """
    atoms = read_one(Path(__file__).parents[2] / "examples" / "p-nitroaniline.xyz")
    direction = np.random.default_rng(3).normal(size=atoms.positions.shape)
    slopes = excitation_gradients(model, atoms, range(3)).gradients.reshape(3, -1)
    ends = []
    for step in (STEP, -STEP):
        there = atoms.copy()
        there.positions += step * direction
        ends.append(model.predict(there, 3).singlets.energies.sum())
    expected = (ends[0] - ends[1]) / (2 * STEP)
    assert (slopes @ direction.ravel()).sum() == pytest.approx(expected, abs=1e-3)


def test_a_molecule_as_a_whole_feels_no_slope(model: Surrogate, distorted: Atoms) -> None:
    slope = excitation_gradients(model, distorted).gradients[0]
    assert slope.sum(axis=0) == pytest.approx(0.0, abs=1e-8)
    assert np.cross(distorted.positions, slope).sum(axis=0) == pytest.approx(0.0, abs=1e-8)


def test_degenerate_states_share_the_gradient_of_their_mean(
    model: Surrogate, benzene: Atoms
) -> None:
    energies = model.predict(benzene, 8).singlets.energies
    first = int(np.flatnonzero(np.diff(energies) < 1e-6)[0])
    found = excitation_gradients(model, benzene, [first, first + 1])
    assert found.degeneracies.tolist() == [2, 2]
    assert found.gradients[0] == pytest.approx(found.gradients[1], abs=1e-12)
    assert excitation_gradients(model, benzene, first).degeneracies.tolist() == [2]

    # The mean is totally symmetric: its gradient is radial and the same on like atoms.
    slope = found.gradients[0]
    outward = benzene.positions / np.linalg.norm(benzene.positions, axis=1)[:, None]
    radial = (slope * outward).sum(axis=1)
    assert slope == pytest.approx(radial[:, None] * outward, abs=1e-6)
    assert radial[:6] == pytest.approx(radial[0], abs=1e-6)

    # One breathing step of the ring says how large it is.
    def mean(step: float) -> float:
        atoms = benzene.copy()
        atoms.positions[:6] += step * outward[:6]
        return float(model.predict(atoms, 8).singlets.energies[first : first + 2].mean())

    assert radial[:6].sum() == pytest.approx((mean(STEP) - mean(-STEP)) / (2 * STEP), abs=1e-4)


def test_single_precision_is_good_to_some_digits(model: Surrogate, distorted: Atoms) -> None:
    name = model.metadata["name"]
    single = excitation_gradients(esml.load_model(name), distorted).gradients
    assert single == pytest.approx(excitation_gradients(model, distorted).gradients, abs=1e-2)


def test_states_that_are_none_are_refused(model: Surrogate, distorted: Atoms) -> None:
    with pytest.raises(ValueError, match="expected one up to S24"):
        excitation_gradients(model, distorted, 500)
    with pytest.raises(ValueError, match="from 0 on"):
        excitation_gradients(model, distorted, -1)
    with pytest.raises(ValueError, match="expected 'singlet' or 'triplet'"):
        excitation_gradients(model, distorted, 0, "quintets")  # type: ignore[arg-type]
    with pytest.raises(esml.StructureError):
        excitation_gradients(model, Atoms("Xe"))


def test_the_units_of_ase_and_ours_agree() -> None:
    from esml.units import BOHR, DEBYE

    assert pytest.approx(Bohr, rel=1e-7) == BOHR
    assert pytest.approx(Bohr / Debye, rel=1e-6) == DEBYE
