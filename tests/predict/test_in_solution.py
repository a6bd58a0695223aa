"""Predictions in solution: limits, invariances, batches, gradients, solvers, chemistry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import kept, read_one

import esml
from esml.io.surroundings import SolventError
from esml.physics.strategy import DEFAULT
from esml.results import Failure, Result

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model() -> esml.Surrogate:
    return esml.load_model(dtype=torch.float64)


@pytest.fixture(scope="module")
def nitroaniline() -> Atoms:
    return read_one(EXAMPLES / "p-nitroaniline.xyz")


def energies(result: Result | Failure) -> np.ndarray:
    assert isinstance(result, Result)
    return np.concatenate([result.singlets.energies, result.triplets.energies])


def test_a_solvent_like_vacuum_is_vacuum(model: esml.Surrogate) -> None:
    for name in ("CH3CHO", "C6H6"):
        atoms = molecule(name)
        vacuum, found = model.predict(atoms, 5), model.predict(atoms, 5, solvent=esml.Solvent(1, 1))
        assert np.array_equal(kept(vacuum.hamiltonian), kept(found.hamiltonian))
        assert np.array_equal(energies(vacuum), energies(found))
    assert vacuum.solvent is None
    assert found.solvent == esml.Solvent(1, 1)


def test_it_comes_smoothly_from_vacuum_and_ends_at_a_conductor(model: esml.Surrogate) -> None:
    atoms = molecule("CH3CHO")
    vacuum = energies(model.predict(atoms, 3))
    slight = energies(model.predict(atoms, 3, solvent=esml.Solvent(1.0001, 1.00001)))
    assert 0 < np.abs(slight - vacuum).max() < 2e-4
    large, infinite = (
        energies(model.predict(atoms, 3, solvent=esml.Solvent(epsilon, 1.33)))
        for epsilon in (1e9, float("inf"))
    )
    np.testing.assert_allclose(large, infinite, atol=1e-7)


def test_p_nitroaniline_turns_red_and_more_polar(
    model: esml.Surrogate, nitroaniline: Atoms
) -> None:
    """Measured: the band moves by −0.98 eV from the gas phase to water."""
    found = [
        model.predict(nitroaniline, 6, solvent=name)
        for name in ("vacuum", "cyclohexane", "diethyl ether", "acetone", "water")
    ]
    bright = [r.singlets.energies[r.singlets.oscillator_strengths.argmax()] for r in found]
    assert (np.diff(bright) < 0).all()
    assert -1.2 < bright[-1] - bright[0] < -0.5
    moments = [np.linalg.norm(r.dipole) for r in found]
    assert (np.diff(moments) > 0).all()


def test_the_lone_pair_of_acetone_is_held_by_water(model: esml.Surrogate) -> None:
    """The nπ* state rises: +0.15 eV in a continuum (PCM), +0.2 measured with hydrogen bonds."""
    acetone = molecule("CH3COCH3")
    rest, continuum, water = (
        float(model.predict(acetone, 1, solvent=each).singlets.energies[0])
        for each in (None, esml.Solvent(78.355, 1.3328), "water")
    )
    assert 0.1 < continuum - rest < 0.25
    assert 0.04 < water - continuum < 0.12


def test_a_batch_of_molecules_each_in_its_own_solvent(
    model: esml.Surrogate, nitroaniline: Atoms
) -> None:
    structures = [molecule("CH3CHO"), nitroaniline, molecule("CH3CHO"), molecule("C6H6")]
    solvents = ["water", "toluene", None, esml.Solvent(5.0, 1.4)]
    found = list(model.predict_many(structures, 4, solvent=solvents))
    for atoms, solvent, result in zip(structures, solvents, found, strict=True):
        alone = model.predict(atoms, 4, solvent=solvent)
        assert isinstance(result, Result)
        assert result.solvent == alone.solvent
        np.testing.assert_allclose(energies(result), energies(alone), atol=1e-9)


def test_rotation_and_order_of_atoms_do_not_matter(
    model: esml.Surrogate, nitroaniline: Atoms
) -> None:
    rng = np.random.default_rng(0)
    moved = nitroaniline[rng.permutation(len(nitroaniline))]
    moved.rotate(77.0, (1.0, 2.0, 3.0))
    found, expected = (
        energies(model.predict(a, 4, solvent="water")) for a in (moved, nitroaniline)
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_two_distant_molecules_are_two_molecules(model: esml.Surrogate) -> None:
    aldehyde, benzene = molecule("CH3CHO"), molecule("C6H6")
    benzene.positions += (200.0, 0.0, 0.0)
    both = energies(model.predict(aldehyde + benzene, 1, solvent="water"))
    alone = [energies(model.predict(a, 1, solvent="water")) for a in (aldehyde, benzene)]
    np.testing.assert_allclose(both, np.minimum(*alone), atol=2e-4)  # the lowest of either


def test_gradients_are_those_of_finite_differences(model: esml.Surrogate) -> None:
    atoms = molecule("CH3CHO")
    atoms.rattle(0.03, seed=1)
    found = esml.excitation_gradients(model, atoms, [0, 1], solvent="acetone").gradients
    step = 1e-4
    for atom, axis in ((0, 0), (1, 2), (4, 1)):
        shifted = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            shifted.append(model.predict(moved, 4, solvent="acetone").singlets.energies[:2])
        expected = (shifted[0] - shifted[1]) / (2 * step)
        np.testing.assert_allclose(found[:, atom, axis], expected, atol=2e-5)


def test_dense_and_iterative_solvers_agree(model: esml.Surrogate, nitroaniline: Atoms) -> None:
    iterative = esml.Surrogate(
        model.hamiltonian, model.metadata, strategy=replace(DEFAULT, dense=0, dense_per_state=0)
    )
    found, expected = (m.predict(nitroaniline, 4, solvent="ethanol") for m in (iterative, model))
    np.testing.assert_allclose(energies(found), energies(expected), atol=1e-6)


def test_the_solvent_may_come_with_the_atoms(model: esml.Surrogate) -> None:
    atoms = molecule("CH3CHO")
    atoms.info["solvent"] = "ethanol"
    carried = model.predict(atoms, 2)
    assert carried.solvent is not None
    assert carried.solvent.name == "ethanol"
    assert model.predict(atoms, 2, solvent="vacuum").solvent is None


def test_a_wrong_solvent_is_one_sentence(model: esml.Surrogate) -> None:
    atoms = molecule("CH3CHO")
    with pytest.raises(SolventError, match="ethanol"):
        model.predict(atoms, 2, solvent="ethanl")
    good, bad = model.predict_many([atoms] * 2, 2, "return", solvent=["ethanol", "ethanl"])
    assert isinstance(good, Result)
    assert isinstance(bad, Failure)
    assert "ethanl" in bad.reason


def test_calculators_know_the_solvent(model: esml.Surrogate) -> None:
    atoms = molecule("CH3CHO")
    calculator = esml.SurrogateCalculator(model, 2, solvent="water")
    found = calculator.get_property("singlet_energies", atoms)
    np.testing.assert_allclose(
        found, model.predict(atoms, 2, solvent="water").singlets.energies, atol=1e-9
    )
    free = esml.SurrogateCalculator(model, 2)
    vacuum = free.get_property("singlet_energies", atoms)
    atoms.info["solvent"] = "water"
    assert np.abs(free.get_property("singlet_energies", atoms) - vacuum).max() > 1e-3
