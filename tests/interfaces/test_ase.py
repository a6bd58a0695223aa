from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces
from ase.units import Debye
from surrogate_cases import read_one

import esml
from esml.interfaces.ase import ExcitedStateCalculator, SurrogateCalculator
from esml.predict.surrogate import Surrogate


@pytest.fixture(scope="module")
def model() -> Surrogate:
    import torch

    return esml.load_model(dtype=torch.float64)


def formaldehyde() -> Atoms:
    atoms: Atoms = molecule("H2CO")
    atoms.rattle(0.03, seed=2)
    return atoms


def test_properties_by_name_are_those_of_predict(model: Surrogate) -> None:
    atoms = formaldehyde()
    atoms.calc = SurrogateCalculator(model, n_states=4)
    result = model.predict(atoms, 4)
    assert atoms.get_dipole_moment() / Debye == pytest.approx(result.dipole, rel=1e-5)
    assert atoms.get_charges() == pytest.approx(result.charges)
    get = atoms.calc.get_property
    assert get("homo", atoms) == pytest.approx(result.homo)
    assert get("gap", atoms) == pytest.approx(get("lumo", atoms) - get("homo", atoms))
    assert get("singlet_energies", atoms) == pytest.approx(result.singlets.energies)
    assert get("triplet_energies", atoms) == pytest.approx(result.triplets.energies)
    assert get("triplet_gradients", atoms).shape == (4, 4, 3)
    # f = ⅔ ω μ², in atomic units, from ASE's unit of length.
    strengths = get("oscillator_strengths", atoms)
    squares = (get("transition_dipoles", atoms) ** 2).sum(axis=1) / 0.529177210544**2
    energies = get("singlet_energies", atoms) / 27.211386245981
    assert strengths == pytest.approx(2 / 3 * energies * squares)
    assert set(atoms.calc.implemented_properties) >= set(atoms.calc.results)


def test_moving_an_atom_or_the_charge_recalculates(model: Surrogate) -> None:
    atoms = molecule("H2O")
    atoms.calc = SurrogateCalculator(model, n_states=2)
    before = atoms.get_dipole_moment()
    atoms.positions[0, 2] += 0.05
    moved = atoms.get_dipole_moment()
    assert np.abs(moved - before).max() > 1e-3
    atoms.info["charge"] = 1
    with pytest.raises(esml.StructureError, match="an odd number"):
        atoms.get_charges()


def test_energy_and_forces_are_refused_with_the_way_out(model: Surrogate) -> None:
    atoms = molecule("H2O")
    atoms.calc = SurrogateCalculator(model)
    with pytest.raises(PropertyNotImplementedError, match="no total energy"):
        atoms.get_potential_energy()
    with pytest.raises(PropertyNotImplementedError, match="ExcitedStateCalculator"):
        atoms.get_forces()
    with pytest.raises(PropertyNotImplementedError, match="singlet_energies"):
        atoms.calc.get_property("colour", atoms)
    with pytest.raises(esml.StructureError):
        atoms.calc.get_property("dipole", Atoms("Xe"))


def test_ase_writes_what_it_knows_of_the_calculator(model: Surrogate, tmp_path: Path) -> None:
    atoms = molecule("H2O")
    atoms.calc = SurrogateCalculator(model)
    dipole, charges = atoms.get_dipole_moment(), atoms.get_charges()
    for name in ("water.extxyz", "water.traj"):
        ase.io.write(tmp_path / name, atoms)
        again = read_one(tmp_path / name)
        assert again.get_dipole_moment() == pytest.approx(dipole, abs=1e-6)
        assert again.get_charges() == pytest.approx(charges, abs=1e-6)


@pytest.mark.parametrize("state", ["S1", "T2"])
def test_forces_of_an_excited_state_are_minus_its_slope(model: Surrogate, state: str) -> None:
    atoms = formaldehyde()
    atoms.calc = ExcitedStateCalculator(EMT(), state, model)
    forces = atoms.get_forces()
    assert forces == pytest.approx(calculate_numerical_forces(atoms, eps=1e-4), abs=1e-3)
    result = model.predict(atoms, 2)
    excitation = {"S1": result.singlets.energies[0], "T2": result.triplets.energies[1]}[state]
    ground = formaldehyde()
    ground.calc = EMT()
    assert atoms.get_potential_energy() == pytest.approx(ground.get_potential_energy() + excitation)
    assert atoms.calc.results["excitation_energy"] == pytest.approx(excitation)


def test_a_name_that_is_no_state_is_refused(model: Surrogate) -> None:
    for name in ("S0", "D1", "1", "S"):
        with pytest.raises(ValueError, match="expected a name such as"):
            ExcitedStateCalculator(EMT(), name, model)


@pytest.mark.slow
def test_formaldehyde_relaxes_in_its_npi_state_to_a_longer_carbonyl(model: Surrogate) -> None:
    """The C=O bond grows by 0.12 Å from S0 to S1 in experiment; an electron goes into π*."""
    from ase.optimize import BFGS
    from tblite.ase import TBLite

    lengths = []
    for state in (None, "S1"):
        atoms = molecule("H2CO")
        ground = TBLite(method="GFN2-xTB", verbosity=0)
        atoms.calc = ground if state is None else ExcitedStateCalculator(ground, state, model)
        assert BFGS(atoms, logfile=None).run(fmax=0.05, steps=60)
        lengths.append(atoms.get_distance(0, 1))
    assert 0.05 < lengths[1] - lengths[0] < 0.25
