"""What must hold for the shipped model whatever the molecule: invariances, no jumps, sound numbers.

The same for models of random weights, and term by term, is in ``test_symmetries``,
``test_hamiltonian`` and ``test_network``; ``scripts.robustness.soundness`` goes
through all data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from surrogate_cases import kept

import esml
from esml.predict.surrogate import Surrogate
from scripts.robustness import soundness

ROOT = Path(__file__).parents[2]
NAMES = ("H2CO", "C2H4", "HCOOH", "CH3CHO", "C4H4O", "CH3CN", "C6H6", "CH3SH", "HCN")


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model(dtype=torch.float64)


@st.composite
def molecules(draw: st.DrawFn) -> Atoms:
    """A molecule out of shape."""
    atoms: Atoms = molecule(draw(st.sampled_from(NAMES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    atoms.positions += rng.normal(scale=draw(st.floats(0.01, 0.1)), size=atoms.positions.shape)
    return atoms


PROPERTY = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


def solved(model: Surrogate, atoms: Atoms, n_states: int = 4) -> esml.Result:
    """The prediction; examples the model refuses are no examples."""
    try:
        return model.predict(atoms, n_states)
    except (esml.InstabilityError, esml.StructureError):
        assume(False)
        raise


@PROPERTY
@given(atoms=molecules(), seed=st.integers(0, 2**32 - 1))
def test_turned_moved_mirrored_and_renumbered_it_is_the_same_molecule(
    model: Surrogate, atoms: Atoms, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(atoms))
    turn = Rotation.random(random_state=rng).as_matrix() * rng.choice([-1, 1])
    other = atoms[order]
    other.positions = other.positions @ turn.T + rng.normal(scale=5.0, size=3)
    one, two = solved(model, atoms), solved(model, other)
    # Iterations stop where energies are right to 1e-7 eV.
    for kind in ("singlets", "triplets"):
        a, b = getattr(one, kind), getattr(two, kind)
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-6)
        apart = np.diff(a.energies, prepend=0, append=99) > 1e-3
        single = apart[:-1] & apart[1:]  # strengths within a set of states are shared out anyhow
        np.testing.assert_allclose(
            a.oscillator_strengths[single], b.oscillator_strengths[single], atol=1e-4
        )
    np.testing.assert_allclose(one.orbital_energies, two.orbital_energies, atol=1e-8)
    np.testing.assert_allclose(one.charges[order], two.charges, atol=1e-8)
    np.testing.assert_allclose(turn @ one.dipole, two.dipole, atol=1e-7)


@PROPERTY
@given(one=molecules(), two=molecules())
def test_two_far_molecules_are_the_union_of_both(model: Surrogate, one: Atoms, two: Atoms) -> None:
    far = two.copy()
    far.positions += [300.0, 0, 0]
    both = solved(model, one + far, 8)
    parts = [solved(model, atoms, 2) for atoms in (one, two)]
    lowest = np.sort(np.concatenate([part.singlets.energies for part in parts]))[:2]
    # States of charge transfer may lie between.
    apart = np.abs(both.singlets.energies[:, None] - lowest)
    np.testing.assert_allclose(apart.min(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(
        both.charges, np.concatenate([part.charges for part in parts]), atol=1e-5
    )


def biggest_jump(
    energies: Callable[[float], np.ndarray], low: float, high: float, n: int, halvings: int = 5
) -> tuple[float, float]:
    """The largest change over one of ``n`` steps from ``low`` to ``high``, then over the half of
    that step where most of it happens, ``halvings`` times: for a curve without jumps ever less."""
    points = np.linspace(low, high, n)
    curve = [energies(x) for x in points]
    steps = [np.abs(b - a).max() for a, b in pairwise(curve)]
    worst = int(np.argmax(steps))
    a, b = points[worst : worst + 2]
    first, left, right = steps[worst], curve[worst], curve[worst + 1]
    for _ in range(halvings):
        middle = 0.5 * (a + b)
        found = energies(middle)
        if np.abs(found - left).max() > np.abs(right - found).max():
            b, right = middle, found
        else:
            a, left = middle, found
    return float(first), float(np.abs(right - left).max())


def of(model: Surrogate, atoms: Atoms) -> np.ndarray:
    result = model.predict(atoms, 3)
    return np.concatenate([result.singlets.energies, result.triplets.energies, result.charges])


def test_nothing_jumps_as_two_molecules_part(model: Surrogate) -> None:
    """Atoms leave each other's reach (5 Å) and pair blocks fade (4 to 6 Å) on the way."""
    host, guest = molecule("H2CO"), molecule("H2O")
    guest.rotate(40, "x")

    def at(distance: float) -> np.ndarray:
        moved = guest.copy()
        moved.positions += [distance, 0.3, 0.0]
        return of(model, host + moved)

    first, last = biggest_jump(at, 2.6, 9.0, 65)
    assert first < 0.2
    assert last < 0.1 * first + 1e-5


def test_nothing_jumps_along_a_dissociation(model: Surrogate) -> None:
    """H₂S gives up a proton: a closed shell all the way. Where the model refuses, so it stays."""
    base = molecule("SH2")
    along = base.positions[1] - base.positions[0]

    def at(scale: float) -> np.ndarray:
        atoms = base.copy()
        atoms.positions[1] = atoms.positions[0] + scale * along
        return of(model, atoms)

    reached = 1.0
    while reached < 3.0:
        try:
            at(reached + 0.05)
        except esml.InstabilityError:
            break
        reached += 0.05
    assert reached > 1.2
    first, last = biggest_jump(at, 0.9, reached, 40)
    assert last < 0.1 * first + 1e-5


def test_nothing_jumps_along_a_torsion(model: Surrogate) -> None:
    base = molecule("butadiene")
    carbons = [atom.index for atom in base if atom.symbol == "C"]
    distances = base.get_all_distances()
    ends = [i for i in carbons if sum(distances[i, j] < 1.7 for j in carbons) == 2]
    inner = [i for i in carbons if i not in ends]
    first_end = next(i for i in ends if distances[i, inner[0]] < 1.45)
    second_end = next(i for i in ends if i != first_end)
    moved = [i for i in range(len(base)) if distances[i, inner[1]] < 1.45 and i not in inner]
    moved += [i for i in range(len(base)) if distances[i, second_end] < 1.2 and i not in moved]

    def at(angle: float) -> np.ndarray:
        atoms = base.copy()
        atoms.set_dihedral(first_end, *inner, second_end, angle, indices=[*moved, inner[1]])
        return of(model, atoms)

    first, last = biggest_jump(at, 0.0, 180.0, 46)
    assert first < 0.3
    assert last < 0.1 * first + 1e-5


@PROPERTY
@given(atoms=molecules())
def test_single_precision_agrees_with_double(model: Surrogate, atoms: Atoms) -> None:
    single = esml.load_model()
    one, two = solved(model, atoms), solved(single, atoms)
    np.testing.assert_allclose(one.singlets.energies, two.singlets.energies, atol=2e-4)
    np.testing.assert_allclose(one.triplets.energies, two.triplets.energies, atol=2e-4)
    np.testing.assert_allclose(one.charges, two.charges, atol=1e-5)


@PROPERTY
@given(atoms=molecules())
def test_the_same_molecule_gives_the_same_numbers(model: Surrogate, atoms: Atoms) -> None:
    """Bit for bit, also from a model loaded anew."""
    one = solved(model, atoms)
    for other in (model, esml.load_model(dtype=torch.float64)):
        two = solved(other, atoms)
        np.testing.assert_array_equal(one.singlets.energies, two.singlets.energies)
        np.testing.assert_array_equal(kept(one.hamiltonian), kept(two.hamiltonian))


def test_data_as_they_are_and_distorted_are_sound_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = [str(ROOT / "data" / name) for name in ("small", "extrapolation")]
    monkeypatch.setattr(sys, "argv", ["check", *arguments, "--limit", "20", "--distortions", "1"])
    with pytest.raises(SystemExit) as ended:
        soundness.main()
    assert ended.value.code == 0
