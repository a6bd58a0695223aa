"""Couplings by motion: overlaps of wave functions at two geometries, and how crossings open."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import kept

import esml
from esml.predict.couplings import StateCouplings, state_couplings
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate
from esml.results import Result
from esml.typing import MultiplicityName

STEP = 2e-4  # Å
N_STATES = 4


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


@pytest.fixture(scope="module")
def couplings(model: Surrogate, distorted: Atoms) -> dict[str, StateCouplings]:
    return {
        name: state_couplings(model, distorted, N_STATES, name) for name in ("singlets", "triplets")
    }


def triplet_overlaps(here: Result, there: Result) -> np.ndarray:
    """⟨I(R)|J(R')⟩ of triplets with M = 1, from the determinants of their spin orbitals."""
    o = here.n_occupied
    overlap = kept(here.coefficients).T @ kept(there.coefficients)
    n_virtual = len(overlap) - o
    pairs = list(product(range(o), range(n_virtual)))
    of_determinants = np.empty((len(pairs), len(pairs)))
    for row, (i, a) in enumerate(pairs):
        for column, (j, b) in enumerate(pairs):
            alpha = overlap[np.ix_([*range(o), o + a], [*range(o), o + b])]
            beta = overlap[np.ix_(*([k for k in range(o) if k != hole] for hole in (i, j)))]
            of_determinants[row, column] = (
                np.linalg.det(alpha) * np.linalg.det(beta) * (-1.0) ** (i + j)
            )
    x, y = (kept(r.triplets.X).reshape(len(r.triplets), -1) for r in (here, there))
    return np.asarray(x @ of_determinants @ y.T)


def singlet_overlaps(here: Result, there: Result) -> np.ndarray:
    """X_I·X'_J − Y_I·Y'_J, amplitudes of the second geometry in the orbitals of the first."""
    o = here.n_occupied
    overlap = kept(here.coefficients).T @ kept(there.coefficients)
    moved = [
        np.einsum("ij,sjb,ab->sia", overlap[:o, :o], part, overlap[o:, o:])
        for part in (kept(there.singlets.X), kept(there.singlets.Y))
    ]
    return np.asarray(
        np.einsum("sia,tia->st", kept(here.singlets.X), moved[0])
        - np.einsum("sia,tia->st", kept(here.singlets.Y), moved[1])
    )


def ground_overlaps(here: Result, there: Result) -> np.ndarray:
    """⟨0(R)|J(R')⟩ to first order in what moves the orbitals, with X − Y for amplitudes."""
    o = here.n_occupied
    overlap = kept(here.coefficients).T @ kept(there.coefficients)
    difference = kept(there.singlets.X) - kept(there.singlets.Y)
    aligned = np.einsum("ij,sjb->sib", overlap[:o, :o], difference)
    return np.asarray(2**0.5 * np.einsum("sib,ib->s", aligned, overlap[:o, o:]))


def along(model: Surrogate, atoms: Atoms, direction: np.ndarray, step: float) -> Result:
    there = atoms.copy()
    there.positions += step * direction
    return model.predict(there, n_states=N_STATES)


@pytest.fixture(scope="module")
def displaced(model: Surrogate, distorted: Atoms) -> list[tuple[np.ndarray, list[Result]]]:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(2):
        direction = rng.normal(size=(len(distorted), 3))
        direction /= np.linalg.norm(direction)
        found.append(
            (direction, [along(model, distorted, direction, s * STEP) for s in (-1, 0, 1)])
        )
    return found


@pytest.mark.parametrize("name", ["singlets", "triplets"])
def test_couplings_are_the_derivative_of_overlaps(
    couplings: dict[str, StateCouplings],
    displaced: list[tuple[np.ndarray, list[Result]]],
    name: str,
) -> None:
    overlaps = singlet_overlaps if name == "singlets" else triplet_overlaps
    found = couplings[name].nonadiabatic
    compared = []
    for direction, (before, here, after) in displaced:
        ends = []
        for there in (before, after):
            overlap = overlaps(here, there)
            ends.append(overlap * np.sign(np.diag(overlap)))  # the same sign at both ends
        numeric = (ends[1] - ends[0]) / (2 * STEP)
        exact = np.einsum("ijax,ax->ij", found, direction)
        assert np.abs(numeric).max() > 0.05
        np.testing.assert_allclose(np.abs(exact), np.abs(numeric), atol=1e-4)
        compared.append((exact, numeric))
    # Signs of states are arbitrary, but the same in both directions.
    (one, first), (other, second) = compared
    np.testing.assert_allclose(one * other, first * second, atol=1e-4)


def test_couplings_with_the_ground_state(
    couplings: dict[str, StateCouplings], displaced: list[tuple[np.ndarray, list[Result]]]
) -> None:
    compared = []
    for direction, (before, here, after) in displaced:
        ends = []
        for there in (before, after):
            signs = np.sign(np.diag(singlet_overlaps(here, there)))
            ends.append(signs * ground_overlaps(here, there))
        numeric = (ends[1] - ends[0]) / (2 * STEP)
        exact = np.einsum("jax,ax->j", couplings["singlets"].ground, direction)
        assert np.abs(numeric).max() > 0.05
        np.testing.assert_allclose(np.abs(exact), np.abs(numeric), atol=1e-4)
        compared.append((exact, numeric))
    (one, first), (other, second) = compared
    np.testing.assert_allclose(one * other, first * second, atol=1e-4)
    assert (couplings["triplets"].ground == 0.0).all()


def test_gradients_and_symmetries(
    model: Surrogate, distorted: Atoms, couplings: dict[str, StateCouplings]
) -> None:
    for name, found in couplings.items():
        expected = excitation_gradients(
            model,
            distorted,
            range(N_STATES),
            name,  # type: ignore[arg-type]
            degenerate=0,
        )
        np.testing.assert_allclose(found.gradients, expected.gradients, atol=1e-10)
        np.testing.assert_allclose(found.energies, expected.energies, atol=1e-10)
        # Moving the whole molecule couples nothing.
        assert np.abs(found.interstate.sum(2)).max() < 1e-10
        assert np.abs(found.ground.sum(1)).max() < 1e-10
        swapped = -found.nonadiabatic.swapaxes(0, 1)
        np.testing.assert_allclose(found.nonadiabatic, swapped, atol=1e-12)


def test_many_states_have_the_couplings_of_few(
    model: Surrogate, distorted: Atoms, couplings: dict[str, StateCouplings]
) -> None:
    """More sums than pieces of a pair are differentiated in another way."""
    more = state_couplings(model, distorted, 2 * N_STATES)
    few, first = couplings["singlets"], slice(N_STATES)
    np.testing.assert_allclose(more.gradients[first], few.gradients, atol=1e-9)
    for name in ("interstate", "ground"):
        found, expected = getattr(more, name)[first], getattr(few, name)
        found = found[:, first] if name == "interstate" else found
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_the_active_state_alone(
    model: Surrogate, distorted: Atoms, couplings: dict[str, StateCouplings]
) -> None:
    alone = state_couplings(model, distorted, N_STATES, active=1)
    every = couplings["singlets"]
    np.testing.assert_allclose(alone.gradients[1], every.gradients[1], atol=1e-10)
    np.testing.assert_allclose(np.abs(alone.interstate[1]), np.abs(every.interstate[1]), atol=1e-9)
    np.testing.assert_allclose(np.abs(alone.ground[1]), np.abs(every.ground[1]), atol=1e-9)
    assert np.isnan(alone.interstate[0, 2]).all()
    with pytest.raises(ValueError, match="active is 9: expected a state from 0 to 3"):
        state_couplings(model, distorted, N_STATES, active=9)


def test_an_atom_alone_has_no_couplings(model: Surrogate) -> None:
    found = state_couplings(model, Atoms("O"), 3, "triplet")
    assert (found.interstate == 0.0).all()
    assert len(found.energies) == 3


def test_a_crossing_opens_in_its_branching_plane(model: Surrogate) -> None:
    """Degenerate states of ammonia split by 2 √[(g·x)² + (h·x)²], linearly in a displacement x."""
    atoms = molecule("NH3")
    # The threefold axis exact to the last digit.
    angles = 2 * np.pi / 3 * np.arange(3)
    radius = np.linalg.norm(atoms.positions[1, :2])
    atoms.positions[0, :2] = 0.0
    atoms.positions[1:, :2] = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    atoms.positions[1:, 2] = atoms.positions[1, 2]
    found = state_couplings(model, atoms, 8)
    gaps = np.diff(found.energies)
    lower = int(gaps.argmin())
    assert gaps[lower] < 1e-9
    difference, interstate = found.branching_plane(lower, lower + 1)
    rng = np.random.default_rng(1)
    for _ in range(3):
        displacement = 1e-5 * rng.normal(size=atoms.positions.shape)
        there = atoms.copy()
        there.positions += displacement
        gap = np.diff(model.predict(there, n_states=8).singlets.energies)[lower]
        opens = [(part * displacement).sum() for part in (difference, interstate)]
        assert gap == pytest.approx(2 * np.hypot(*opens), rel=1e-2)
        assert gap > 1e-6


@pytest.mark.parametrize("solvent", [None, "water"])
@pytest.mark.parametrize("multiplicity", ["singlets", "triplets"])
def test_time_derivatives_are_couplings_along_velocities(
    model: Surrogate, distorted: Atoms, multiplicity: MultiplicityName, solvent: str | None
) -> None:
    """Those of all pairs, also where one state's couplings alone are there."""
    found = state_couplings(model, distorted, N_STATES, multiplicity, solvent=solvent)
    velocities = np.random.default_rng(0).normal(0.0, 0.02, distorted.positions.shape)
    expected = np.einsum("ijax,ax->ij", found.nonadiabatic, velocities)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found.time_derivatives(velocities), expected, atol=1e-9)
    one = state_couplings(model, distorted, N_STATES, multiplicity, active=2, solvent=solvent)
    np.testing.assert_allclose(
        np.abs(one.time_derivatives(velocities)), np.abs(expected), atol=1e-9
    )


def _with(value: object) -> list[list[object]]:
    """Velocities of formaldehyde, one of them ``value``."""
    velocities: list[list[object]] = [[0.01, 0.0, -0.01] for _ in range(4)]
    velocities[2][1] = value
    return velocities


@pytest.mark.parametrize(
    ("velocities", "said"),
    [
        (np.zeros((3, 3)), r"velocities have shape \(3, 3\)"),
        (np.zeros((3, 4)), r"velocities have shape \(3, 4\)"),
        (np.zeros((1, 4, 3)), r"velocities have shape \(1, 4, 3\)"),
        (np.zeros(12), r"velocities have shape \(12,\)"),
        (0.1, r"velocities have shape \(\)"),
        ([[0.0, 0.0], [0.0]], "velocities have rows of different lengths"),
        (None, "velocities hold None, which is not a real number"),
        ("fast", "velocities hold 'fast', which is not a real number"),
        (np.zeros((4, 3), dtype=complex), "velocities hold 0j, which is not a real number"),
        (_with("0.0"), "velocities hold '0.01', which is not a real number"),
        (_with(float("nan")), r"the velocity of atom 2 is \[0.01, nan, -0.01\]"),
        (_with(-float("inf")), r"the velocity of atom 2 is \[0.01, -inf, -0.01\]"),
    ],
)
def test_velocities_that_are_none_are_refused_in_one_sentence(
    couplings: dict[str, StateCouplings], velocities: Any, said: str
) -> None:
    """What was wrong, what was expected and how to fix it, in no words of torch."""
    with pytest.raises(ValueError, match=said) as refused:
        couplings["singlets"].time_derivatives(velocities)
    sentence = str(refused.value)
    assert ": expected shape (4, 3), finite numbers in Å/fs" in sentence
    assert "atoms.get_velocities() * ase.units.fs" in sentence


def test_velocities_may_be_any_numbers(couplings: dict[str, StateCouplings]) -> None:
    whole = [[k, -1, 2] for k in range(4)]
    expected = couplings["singlets"].time_derivatives(np.array(whole, dtype=np.float64))
    assert np.abs(expected).max() > 1e-3
    tensor = torch.tensor(whole, dtype=torch.float32, requires_grad=True)
    for velocities in (whole, tensor):
        found = couplings["singlets"].time_derivatives(velocities)
        np.testing.assert_array_equal(found, expected)


def test_time_derivatives_among_degenerate_orbitals(model: Surrogate) -> None:
    """The orbitals of benzene are found again in other mixtures; its states are not."""
    every, one = (state_couplings(model, molecule("C6H6"), 2, active=k) for k in (None, 0))
    velocities = np.random.default_rng(1).normal(0.0, 0.02, (12, 3))
    expected = np.einsum("ijax,ax->ij", every.nonadiabatic, velocities)
    np.testing.assert_allclose(
        np.abs(one.time_derivatives(velocities)), np.abs(expected), atol=1e-8
    )


def test_transition_densities_follow_states(model: Surrogate, distorted: Atoms) -> None:
    """From one geometry to the next each is like itself, whatever its sign, and no other."""
    moved = distorted.copy()
    moved.positions += np.random.default_rng(2).normal(0.0, 0.003, moved.positions.shape)
    here, there = (state_couplings(model, a, N_STATES, active=0) for a in (distorted, moved))
    one, other = (
        c.transition_densities / np.linalg.norm(c.transition_densities, axis=(1, 2))[:, None, None]
        for c in (here, there)
    )
    alike = np.abs(np.einsum("iab,jab->ij", one, other))
    assert alike.diagonal().min() > 0.99
    assert (alike - np.diag(alike.diagonal())).max() < 0.1
