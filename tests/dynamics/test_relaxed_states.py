"""Relaxed excited states: identities of the energies, minima, crossings, and the command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.io import write
from surrogate_cases import read_one
from typer.testing import CliRunner

import esml
from esml.commands.app import app
from esml.dynamics import CrossingError, RelaxedState, relaxed_state
from esml.io.surroundings import PointChargesError
from esml.predict.gradients import excitation_gradients
from esml.predict.surrogate import Surrogate
from esml.units import COULOMB


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture(scope="module")
def formaldehyde(model: Surrogate) -> RelaxedState:
    pytest.importorskip("tblite")
    return relaxed_state(model, molecule("H2CO"), "S1", vibronic=True, frequencies=True)


def test_energies_of_two_minima(formaldehyde: RelaxedState, model: Surrogate) -> None:
    from tblite.ase import TBLite

    found = formaldehyde
    assert found.relaxation.converged
    assert found.relaxation.force < 0.02
    assert found.method == "GFN2-xTB"
    assert found.warnings == ()  # S1 is the same state, nπ*, at both
    ground, excited = found.ground.atoms, found.excited.atoms
    energies = []
    for atoms in (ground, excited):
        moved = Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method="GFN2-xTB"))
        energies.append(moved.get_potential_energy())
        if atoms is excited:
            # Forces of both methods cancel.
            slope = excitation_gradients(model, atoms).gradients[0]
            assert np.abs(moved.get_forces() - slope).max() < 0.02
    adiabatic = energies[1] + found.emission_energy - energies[0]
    assert found.adiabatic_energy == pytest.approx(adiabatic, abs=1e-4)
    # Going down on either surface loses energy.
    assert found.emission_energy < found.adiabatic_energy < found.absorption_energy
    assert found.stokes_shift == pytest.approx(found.absorption_energy - found.emission_energy)
    # S1 of formaldehyde, nπ*: a longer C=O bond, and a pyramid.
    assert excited.get_distance(0, 1) > ground.get_distance(0, 1) + 0.03
    normal = np.cross(*(excited.positions[[2, 3]] - excited.positions[1]))
    out_of_plane = normal @ (excited.positions[0] - excited.positions[1]) / np.linalg.norm(normal)
    assert abs(out_of_plane) > 0.2


def test_minimum_zero_point_and_lifetime(formaldehyde: RelaxedState) -> None:
    found = formaldehyde
    assert found.modes is not None
    assert found.excited_modes is not None
    assert found.excited_modes.imaginary == 0
    change = found.excited_modes.energies.sum() - found.modes.energies.sum()
    assert found.zero_zero_energy == pytest.approx(found.adiabatic_energy + 0.5 * change, abs=0.01)
    assert change < 0  # a weaker bond
    # Einstein's A at the vertical energy, times the mean of the cube of the band.
    energy, strength = found.emission_energy, found.strength
    rate = 2 * (1 / 137.036) ** 3 * (energy / 27.2114) ** 2 * strength / 2.4188843e-17
    cubed = found.spectrum().cubed
    assert found.radiative_lifetime() == pytest.approx(1 / (rate * cubed), rel=1e-3)
    assert 1.0 < cubed < 1.5


def test_vibrations_lend_strength_to_emission(model: Surrogate) -> None:
    """Benzene's S1 has no dipole at its hexagonal minimum; its lifetime in vacuum is finite."""
    pytest.importorskip("tblite")
    found = relaxed_state(model, molecule("C6H6"), "S1", herzberg_teller=True)
    curve = found.spectrum()
    strength = curve.band.thermal_strength(curve.temperature)
    assert found.strength < 0.1 * strength
    assert 5e-4 < strength < 5e-3
    rate = 2 * (1 / 137.036) ** 3 * (found.emission_energy / 27.2114) ** 2 * strength
    lifetime = 2.4188843e-17 / (rate * curve.cubed)
    assert found.radiative_lifetime() == pytest.approx(lifetime, rel=1e-3)
    # Warmth puts more into the modes that lend.
    assert found.radiative_lifetime(600.0) < 0.9 * lifetime < 0.9 * found.radiative_lifetime(0.0)
    # What e2g modes lend leaves one quantum in them: emission begins below the 0-0 line.
    assert curve.energies[curve.intensity.argmax()] < curve.band.zero_zero - 0.03


def test_triplets_and_solvents(model: Surrogate) -> None:
    pytest.importorskip("tblite")
    found = relaxed_state(model, molecule("C6H6"), "T1", solvent="water")
    assert found.excited.solvent is not None
    assert found.excited.solvent.name == "water"
    assert found.strength == 0.0
    assert found.zero_zero_energy is None
    # Water is at rest around either state.
    moved = found.excited.triplets.energies[0] - found.emission_energy
    assert moved == pytest.approx(2.0 * found.reorganization_energy, abs=1e-9)
    assert 0.0 < found.reorganization_energy < 0.1
    assert found.emission_energy < found.excited.singlets.energies[0]
    # Phosphorescence takes milliseconds and longer.
    assert found.radiative_lifetime() > 1e-3
    assert found.spectrum().fwhm == 0.3


class Embedded(Calculator):
    """GFN2-xTB whose atoms, with charges of their own, also meet one outer charge."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    OWN = np.array([-0.4, 0.4, 0.0, 0.0])  # e
    OUTER, SITE = 0.8, np.array([0.0, 0.0, 3.5])  # e, Å
    REPULSION = 2.5  # Å

    def __init__(self) -> None:
        from tblite.ase import TBLite

        super().__init__()  # type: ignore[no-untyped-call]
        self.alone = TBLite(method="GFN2-xTB", verbosity=0)

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        away = self.atoms.positions - self.SITE
        r = np.linalg.norm(away, axis=1)
        coulomb = COULOMB * self.OUTER * self.OWN / r
        repulsion = (self.REPULSION / r) ** 12
        push = (coulomb + 12.0 * repulsion) / r**2
        energy, forces = (
            self.alone.get_property(name, self.atoms)  # type: ignore[no-untyped-call]
            for name in ("energy", "forces")
        )
        self.results = {
            "energy": energy + (coulomb + repulsion).sum(),
            "forces": forces + push[:, None] * away,
        }


def test_a_state_among_point_charges(model: Surrogate, formaldehyde: RelaxedState) -> None:
    """Both minima are minima among the charges, where these are."""
    around = esml.PointCharges([Embedded.OUTER], [Embedded.SITE])
    ground = Embedded()
    found = relaxed_state(model, molecule("H2CO"), "S1", ground, point_charges=around)
    assert found.relaxation.converged
    for result in (found.ground, found.excited):
        assert result.point_charges == around
        forces = ground.get_property("forces", result.atoms)  # type: ignore[no-untyped-call]
        if result is found.excited:
            forces = forces - excitation_gradients(model, result.atoms).gradients[0]
        assert np.abs(forces).max() < 0.021
    # The charge holds the lone pair.
    assert found.absorption_energy > formaldehyde.absorption_energy + 0.05
    with pytest.raises(PointChargesError, match="expected an ASE calculator that does"):
        relaxed_state(model, molecule("H2CO"), "S1", point_charges=around)


class Springs(Calculator):
    """A soft ground state of ethene: springs between its atoms."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    PAIRS = ((0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (0, 4), (0, 5), (1, 2), (1, 3), (2, 3), (4, 5))

    def calculate(self, *arguments: Any, **named: Any) -> None:
        super().calculate(*arguments, **named)  # type: ignore[no-untyped-call]
        assert self.atoms is not None
        start, now = molecule("C2H4").positions, self.atoms.positions
        energy, forces = 0.0, np.zeros_like(now)
        for i, j in self.PAIRS:
            along = now[i] - now[j]
            length = float(np.linalg.norm(along))
            more = length - float(np.linalg.norm(start[i] - start[j]))
            energy += 10.0 * more**2
            pull = 20.0 * more * along / length
            forces[i] -= pull
            forces[j] += pull
        self.results = {"energy": energy, "forces": forces}


def test_a_state_that_meets_the_ground_state_is_not_called_relaxed(model: Surrogate) -> None:
    """On so soft a ground state the ππ* triplet falls until it meets it: no emission."""
    springs = Springs()  # type: ignore[no-untyped-call]
    with pytest.raises(CrossingError, match="T1 of C2H4 has no minimum that could be reached") as e:
        relaxed_state(model, molecule("C2H4"), "T1", springs, steps=150)
    assert e.value.steps > 2
    first, last = (
        excitation_gradients(model, atoms, 0, "triplets").energies[0]
        for atoms in (molecule("C2H4"), e.value.atoms)
    )
    assert last < 0.6 * first


def test_the_command(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    write(tmp_path / "a.xyz", molecule("H2CO"))
    files = {name: tmp_path / f"out.{name}" for name in ("xyz", "json", "csv", "png")}
    options = [f"--{name}={files[name]}" for name in ("json", "csv")]
    options += [f"--plot={files['png']}", f"--output={files['xyz']}"]
    found = CliRunner().invoke(app, ["relax", str(tmp_path / "a.xyz"), "--state", "T1", *options])
    assert found.exit_code == 0, found.output
    assert "Stokes shift" in found.stdout
    assert "relaxed in" in found.stdout
    assert "oscillator strength" not in found.stdout  # a triplet has none of its own
    assert ", without vibrations, which planar hydrocarbons need" in found.stdout
    kept = json.loads(files["json"].read_text(encoding="utf-8"))
    assert kept["converged"]
    assert kept["zero_zero_eV"] is None
    assert kept["adiabatic_eV"] > kept["emission_eV"]
    atoms = read_one(files["xyz"])
    assert atoms.info["state"] == "T1"
    assert atoms.info["converged"]
    np.testing.assert_allclose(atoms.positions, kept["excited"]["positions"], atol=1e-3)
    assert files["csv"].read_text().startswith("energy_eV,wavelength_nm,photons_per_eV")
    assert files["png"].read_bytes().startswith(b"\x89PNG")


def test_cold_bands_are_told_and_narrower(tmp_path: Path) -> None:
    """At rest a mode of energy ħω has ⟨q²⟩ = ½, when warm more: so has the band."""
    pytest.importorskip("tblite")
    write(tmp_path / "a.xyz", molecule("H2CO"))

    def variance(temperature: str) -> float:
        numbers, curve = tmp_path / "a.json", tmp_path / "a.csv"
        options = ["--vibronic", "--temperature", temperature, "--fwhm", "0.05"]
        files = ["--json", str(numbers), "--csv", str(curve)]
        found = CliRunner().invoke(app, ["relax", str(tmp_path / "a.xyz"), *options, *files])
        assert found.exit_code == 0, found.output
        assert f"vertical-gradient model at {temperature} K" in found.stdout
        kept = json.loads(numbers.read_text(encoding="utf-8"))
        assert kept["temperature_K"] == float(temperature)
        energies, _, photons, _ = np.loadtxt(curve, delimiter=",", skiprows=1).T
        mean = np.average(energies, weights=photons)
        return float(np.average((energies - mean) ** 2, weights=photons))

    assert variance("10") < variance("1500")


def test_states_that_cross_on_the_way_are_told(tmp_path: Path) -> None:
    """S1 of naphthalene is dark (B2u) at the minimum of the ground state, S2 bright (B1u).

    The bright state goes down further, so that it is the lowest at the minimum of S1.
    """
    pytest.importorskip("rdkit")
    pytest.importorskip("tblite")
    kept, structure = tmp_path / "a.json", tmp_path / "a.xyz"
    options = ["--solvent", "cyclohexane", "--json", str(kept), "-o", str(structure)]
    found = CliRunner().invoke(app, ["relax", "c1ccc2ccccc2c1", *options])
    assert found.exit_code == 0, found.output
    assert "state: ππ*, B1u" in found.stdout
    entry = json.loads(kept.read_text(encoding="utf-8"))
    absorbed = entry["ground"]["singlets"]
    dark, bright = absorbed["oscillator_strengths"][:2]
    assert dark < 0.01 < 0.05 < bright
    assert entry["oscillator_strength"] == pytest.approx(bright, rel=0.2)
    (warning,) = entry["warnings"]
    assert warning.startswith("S1 at its minimum is S2 of the ground-state minimum (overlap 1.00)")
    assert f"absorbs at {absorbed['energies'][1]:.2f} eV" in warning
    assert f"warning: {warning}" in found.stderr
    for what, result in (("absorption", "ground"), ("emission", "excited")):
        stated = entry[result]["singlets"]["uncertainties"][0]
        assert entry[f"{what}_uncertainty_eV"] == pytest.approx(stated, abs=1e-7)
        row = rf"vertical {what} +│ {entry[f'{what}_eV']:.2f} │ +{stated:.2f} │"
        assert re.search(row, found.stdout)
    told = read_one(structure).info
    assert told["warnings"] == warning
    assert told["emission_uncertainty_eV"] == pytest.approx(entry["emission_uncertainty_eV"])
    lifetime = entry["radiative_lifetime_s"]
    assert 1e-9 < lifetime < 1e-7
    assert lifetime == pytest.approx(told["radiative_lifetime_s"], rel=1e-5)


def test_unfinished_relaxations_are_told(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    write(tmp_path / "a.xyz", molecule("H2CO"))

    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["relax", str(tmp_path / "a.xyz"), *options])

    few = run("--steps", "4")
    assert few.exit_code == 0, few.output
    assert "S1 is not relaxed after 4 steps" in few.stderr
    assert "not relaxed in 4 steps" in few.stdout
    assert "expected a name such as 'S1'" in run("--state", "X1").stderr
    lent = run("--state", "T1", "--herzberg-teller").stderr
    assert "about singlets and the state is 'T1'" in lent
    assert "expected --vibronic beside it" in run("--temperature", "100").stderr
    cold = run("--vibronic", "--temperature", "-1").stderr
    assert "--temperature is -1 K: expected 0 or more" in cold
    assert "--force is 0" in run("--force", "0").stderr
    assert "--steps is 0" in run("--steps", "0").stderr
