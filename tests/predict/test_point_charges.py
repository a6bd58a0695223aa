"""Predictions among point charges: limits, invariances, gradients, independent values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from surrogate_cases import kept

import esml
from esml.io.provenance import SurroundingsError
from esml.results import Failure, Result
from esml.units import BOHR, COULOMB, DEBYE

DATA = Path(__file__).parents[2] / "data" / "solvents" / "charges.json"


@pytest.fixture(scope="module")
def model() -> esml.Surrogate:
    return esml.load_model("camb3lyp", dtype=torch.float64)


@pytest.fixture
def aldehyde() -> Atoms:
    atoms: Atoms = molecule("CH3CHO")
    atoms.rattle(0.03, seed=1)
    return atoms


def around(seed: int = 0, n: int = 6) -> esml.PointCharges:
    """Charges on a sphere of 5 Å."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n, 3))
    places *= 5.0 / np.linalg.norm(places, axis=1)[:, None]
    return esml.PointCharges(rng.uniform(-0.8, 0.8, n), places)


def energies(result: Result | Failure) -> np.ndarray:
    assert isinstance(result, Result)
    return np.concatenate([result.singlets.energies, result.triplets.energies])


def test_charges_of_zero_are_none(model: esml.Surrogate, aldehyde: Atoms) -> None:
    found = model.predict(
        aldehyde, 4, point_charges=esml.PointCharges(np.zeros(3), around(n=3).positions)
    )
    vacuum = model.predict(aldehyde, 4)
    np.testing.assert_allclose(energies(found), energies(vacuum), atol=1e-9)
    np.testing.assert_allclose(kept(found.hamiltonian), kept(vacuum.hamiltonian), atol=1e-9)


def test_a_constant_potential_moves_levels_alone(model: esml.Surrogate, aldehyde: Atoms) -> None:
    """A shell of charges: −φ on all orbitals, no field inside, no excitation energy changes."""
    n, radius, charge = 4000, 60.0, 3.0
    k = np.arange(n) + 0.5
    z, turn = 1.0 - 2.0 * k / n, np.pi * (1.0 + 5.0**0.5) * k
    sphere = np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], 1)
    shell = esml.PointCharges(np.full(n, charge / n), radius * sphere)
    found, vacuum = model.predict(aldehyde, 4, point_charges=shell), model.predict(aldehyde, 4)
    np.testing.assert_allclose(energies(found), energies(vacuum), atol=1e-5)
    np.testing.assert_allclose(
        found.orbital_energies - vacuum.orbital_energies, -COULOMB * charge / radius, atol=1e-4
    )


def test_a_weak_field_acts_through_the_dipole_operator(
    model: esml.Surrogate, aldehyde: Atoms
) -> None:
    """Before the electrons answer, H changes by E·r: far charges make a uniform field."""
    far = 1.0e4
    charges = esml.PointCharges([10.0, -10.0], [[0, 0, far], [0, 0, -far]])
    from esml.io.surroundings import surroundings_of, within
    from esml.physics.medium import Medium

    graph = model.graph([aldehyde])
    operators = model.hamiltonian(graph)
    around = surroundings_of(within(aldehyde, None, charges))
    medium = Medium.of([around.solvent], [around.point_charges])
    assert medium is not None
    found = medium.potential(
        graph.positions, operators.dipole, torch.zeros(len(aldehyde)).double(), operators.layout
    )
    assert found is not None
    strength = -2.0 * 10.0 * COULOMB / far**2 * BOHR  # eV/bohr along z
    torch.testing.assert_close(found[0], strength * operators.dipole[0, 2], atol=1e-10, rtol=1e-6)


def test_turning_everything_changes_nothing(model: esml.Surrogate, aldehyde: Atoms) -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    charges = around()
    order = np.random.default_rng(4).permutation(len(aldehyde))
    turned = aldehyde[order]
    turned.positions = turned.positions @ turn.T + (3.0, -2.0, 1.0)
    moved = esml.PointCharges(charges.charges, charges.positions @ turn.T + (3.0, -2.0, 1.0))
    found = model.predict(turned, 4, point_charges=moved)
    expected = model.predict(aldehyde, 4, point_charges=charges)
    np.testing.assert_allclose(energies(found), energies(expected), atol=1e-8)


def test_gradients_are_those_of_finite_differences(model: esml.Surrogate, aldehyde: Atoms) -> None:
    charges = around()
    found = esml.excitation_gradients(model, aldehyde, [0, 1], point_charges=charges)
    assert found.charge_gradients is not None
    step = 1e-4

    def slope(atom: int, site: int, axis: int) -> np.ndarray:
        """On an atom, or a charge where the atom is −1."""
        ends = []
        for sign in (1, -1):
            moved, places = aldehyde.copy(), charges.positions.copy()
            if atom >= 0:
                moved.positions[atom, axis] += sign * step
            else:
                places[site, axis] += sign * step
            among = esml.PointCharges(charges.charges, places)
            ends.append(model.predict(moved, 4, point_charges=among).singlets.energies[:2])
        difference: np.ndarray = (ends[0] - ends[1]) / (2 * step)
        return difference

    for atom, axis in ((0, 2), (4, 1)):
        np.testing.assert_allclose(found.gradients[:, atom, axis], slope(atom, 0, axis), atol=2e-5)
    for site, axis in ((0, 0), (3, 2)):
        np.testing.assert_allclose(
            found.charge_gradients[:, site, axis], slope(-1, site, axis), atol=2e-6
        )
    # Nothing changes where everything moves.
    together = found.gradients.sum(1) + found.charge_gradients.sum(1)
    np.testing.assert_allclose(together, 0.0, atol=1e-7)


def test_a_batch_of_molecules_each_among_its_own(model: esml.Surrogate, aldehyde: Atoms) -> None:
    structures = [aldehyde, molecule("C6H6"), aldehyde, molecule("H2CO")]
    charges = [around(1, 3), None, around(2, 50), around(3, 1)]
    found = list(model.predict_many(structures, 3, point_charges=charges))
    for atoms, among, result in zip(structures, charges, found, strict=True):
        alone = model.predict(atoms, 3, point_charges=among)
        assert isinstance(result, Result)
        assert result.point_charges == alone.point_charges == among
        np.testing.assert_allclose(energies(result), energies(alone), atol=1e-8)


def test_a_charge_that_comes_too_near_is_damped(model: esml.Surrogate) -> None:
    """On its way to the oxygen the levels stay finite, and a warning says so."""
    atoms = molecule("H2CO")
    oxygen = atoms.positions[atoms.numbers == 8][0]
    away = oxygen - atoms.positions[atoms.numbers == 6][0]
    away /= np.linalg.norm(away)
    shifts = []
    for distance in (6.0, 3.0, 1.0, 0.3):
        charge = esml.PointCharges([0.4], [oxygen + distance * away])
        result = model.predict(atoms, 2, point_charges=charge)
        assert any("nearer than a hydrogen bond" in w for w in result.warnings) == (distance < 1.6)
        shifts.append(result.homo)
    vacuum = model.predict(atoms, 2).homo
    drawn = vacuum - np.array(shifts)
    assert (np.diff(drawn) > 0).all()
    assert drawn[-1] < 0.4 * COULOMB * 2.0 / (np.sqrt(np.pi) * 0.8)


def test_states_and_moments_move_as_in_pyscf(model: esml.Surrogate) -> None:
    """S1 moves as with qmmm to a quarter of the shift, and moments to two fifths, on average."""
    shifts, errors, missing = [], [], []
    for entry in json.loads(DATA.read_text())["molecules"]:
        atoms = Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})
        vacuum = model.predict(atoms, 1)
        reference = entry["vacuum"]
        for there in entry["charges"].values():
            charges = esml.PointCharges(there["charges"], there["positions"])
            found = model.predict(atoms, 1, point_charges=charges)
            shifts.append(there["singlets"][0] - reference["singlets"][0])
            ours = float(found.singlets.energies[0] - vacuum.singlets.energies[0])
            errors.append(abs(ours - shifts[-1]))
            induced = np.subtract(there["dipole"], reference["dipole"])
            answer = (found.dipole - vacuum.dipole) / DEBYE
            missing.append(np.linalg.norm(answer - induced) / np.linalg.norm(induced))
    assert np.mean(missing) < 0.4
    assert np.mean(errors) < 0.25 * np.mean(np.abs(shifts))


def test_what_makes_no_sense_is_one_sentence(model: esml.Surrogate, aldehyde: Atoms) -> None:
    own = esml.PointCharges(np.full(len(aldehyde), 0.1), aldehyde.positions)
    with pytest.raises(SurroundingsError, match="leave out those of the molecule itself"):
        model.predict(aldehyde, 2, point_charges=own)
    with pytest.raises(SurroundingsError, match="expected one of them"):
        model.predict(aldehyde, 2, solvent="water", point_charges=around())
    good, bad = model.predict_many([aldehyde] * 2, 2, "return", point_charges=[around(), own])
    assert isinstance(good, Result)
    assert isinstance(bad, Failure)
    assert "itself" in bad.reason


def test_calculators_see_charges_move(model: esml.Surrogate, aldehyde: Atoms) -> None:
    calculator = esml.SurrogateCalculator(model, 2, point_charges=around(1))
    first = calculator.get_property("singlet_energies", aldehyde)
    calculator.point_charges = around(2)
    second = calculator.get_property("singlet_energies", aldehyde)
    expected = model.predict(aldehyde, 2, point_charges=around(2)).singlets.energies
    np.testing.assert_allclose(second, expected, atol=1e-9)
    assert np.abs(first - second).max() > 1e-4
