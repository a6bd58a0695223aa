"""``esml spectrum --state``: one state in detail on screen, in JSON and on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner
from typer.testing import Result as Done

import esml
from esml.analysis.transitions import ExcitedStateAbsorption
from esml.commands.app import app
from esml.predict.charges import relaxed_charges
from esml.predict.details import state_details
from esml.predict.dipoles import relaxed_dipoles
from esml.results.details import SpinOrbitPartners, StateDetails


@pytest.fixture(scope="module")
def formaldehyde(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("molecule") / "a.xyz"
    write(path, molecule("H2CO"))
    return path


def spectrum(*words: object) -> Done:
    return CliRunner().invoke(app, ["spectrum", *map(str, words)])


def rows_below(text: str, heading: str, count: int) -> list[list[str]]:
    """Cells of the first rows of the table that begins with ``heading``."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(heading))
    return [
        line.replace("│", " ").replace("−", "-").split()
        for line in lines[start + 2 : start + 2 + count]
    ]


@pytest.mark.parametrize(("state", "solvent"), [("S2", "ethanol"), ("T1", None)])
def test_numbers_are_those_of_python(
    formaldehyde: Path, tmp_path: Path, state: str, solvent: str | None
) -> None:
    numbers, report = tmp_path / "a.json", tmp_path / "a.html"
    words = ["--solvent", solvent] if solvent else []
    files = ["--json", numbers, "--report", report]
    done = spectrum(formaldehyde, "--n-states", 6, "--state", state, *words, *files)
    assert done.exit_code == 0, done.output
    model, atoms, place = esml.load_model(), molecule("H2CO"), int(state[1]) - 1
    multiplicity = "singlet" if state[0] == "S" else "triplet"
    result = model.predict(atoms, 6, solvent=solvent)
    changes = relaxed_charges(model, atoms, 2, multiplicity, solvent).changes[place]  # type: ignore[arg-type]
    moved = relaxed_dipoles(model, atoms, 2, multiplicity, solvent).changes[place]  # type: ignore[arg-type]
    onward = result.excited_state_absorption(state)
    found = result.spin_orbit()
    couplings = found.strengths[1 + place] if state[0] == "S" else found.strengths[:, place]

    stored = json.loads(numbers.read_text(encoding="utf-8"))
    assert stored["schema_version"] == 7
    held = stored["state"]
    assert (held["state"], held["energy_eV"]) == (
        state,
        pytest.approx(result.states(multiplicity).energies[place], abs=1e-5),  # type: ignore[arg-type]
    )
    np.testing.assert_allclose(held["charges_e"], result.charges + changes, atol=1e-4)
    np.testing.assert_allclose(held["dipole_debye"], result.dipole + moved, atol=2e-3)
    for name, values in (
        ("energy_eV", onward.energies),
        ("oscillator_strength", onward.oscillator_strengths),
    ):
        assert [each["state"] for each in held["absorption"]] == list(onward.finals)
        np.testing.assert_allclose([x[name] for x in held["absorption"]], values, atol=1e-5)
    strengths = [each["strength_cm-1"] for each in held["spin_orbit"]]
    np.testing.assert_allclose(strengths, couplings, atol=1e-3)
    lifetime = held["phosphorescence_lifetime_ms"]
    assert lifetime == (
        None if state[0] == "S" else pytest.approx(1e3 * found.lifetimes[place], rel=1e-3)
    )

    above = onward.energies > 0
    rows = rows_below(done.stdout, f"absorption of {state}", int(above.sum()))
    assert [row[0] for row in rows] == [n for n, up in zip(onward.finals, above, strict=True) if up]
    cells = np.array([[float(cell) for cell in row[1:]] for row in rows])
    np.testing.assert_allclose(cells[:, 0], onward.energies[above], atol=0.006)
    np.testing.assert_allclose(cells[:, 2], onward.oscillator_strengths[above], atol=6e-4)
    by_name = {each["state"]: each for each in held["spin_orbit"]}
    rows = rows_below(done.stdout, f"spin–orbit coupling of {state}", 5)
    assert len(rows) == 5
    for name, gap, strength in rows:
        assert float(gap) == pytest.approx(by_name[name]["energy_eV"], abs=0.006)
        assert float(strength) == pytest.approx(by_name[name]["strength_cm-1"], abs=0.06)
    length = np.linalg.norm(result.dipole + moved)
    assert f"dipole moment: {length:.2f} debye" in done.stdout
    first = int(np.abs(changes).argmax())
    assert f"relaxed): {'OCHH'[first]}{first + 1} {changes[first]:+.2f}".replace(
        "-", "−"
    ) in done.stdout.replace("-", "−")
    assert ("phosphorescence: lifetime" in done.stdout) == (state[0] == "T")

    page = report.read_text(encoding="utf-8")
    (section,) = re.findall(
        r'<section class="wide" aria-labelledby="h-details">.*?</section>', page
    )
    assert f"{state} at " in section
    assert f"dipole moment: {length:.2f} debye" in section
    for name, _, strength in rows:
        assert re.search(rf'<th scope="row">{name}</th><td>[^<]*</td><td>{strength}</td>', section)


def test_a_prediction_without_the_option_has_no_details(formaldehyde: Path, tmp_path: Path) -> None:
    numbers, report = tmp_path / "a.json", tmp_path / "a.html"
    done = spectrum(formaldehyde, "--n-states", 2, "--json", numbers, "--report", report)
    assert done.exit_code == 0, done.output
    assert "state" not in json.loads(numbers.read_text(encoding="utf-8"))
    assert "h-details" not in report.read_text(encoding="utf-8")
    assert "spin–orbit" not in done.stdout


@pytest.mark.parametrize("state", ["S4", "T0", "s1", "D1", "S01"])
def test_an_unknown_state_is_refused(formaldehyde: Path, state: str) -> None:
    refused = spectrum(formaldehyde, "--n-states", 3, "--state", state)
    assert refused.exit_code == 2
    assert (
        f"--state is '{state}': expected one of S1 to S3 or T1 to T3; choose one, or ask for more "
        "with --n-states" in refused.output
    )


def test_states_that_a_small_molecule_lacks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "h2.xyz"
    write(path, molecule("H2"))
    refused = spectrum(path, "--state", "S2")
    assert refused.exit_code == 2
    assert "state is 'S2': expected one of those predicted, up to S1 or T1" in refused.output
    only = spectrum(path, "--state", "S1")
    assert only.exit_code == 0, only.output
    assert "none above it among those asked for" in only.stdout


def test_one_structure_only(formaldehyde: Path) -> None:
    refused = spectrum(formaldehyde, "--state", "S1", "--average")
    assert refused.exit_code == 2
    assert "--average is about many structures and --state about one: leave one out" in (
        refused.output
    )


def of_an_ion(lifetime: float) -> StateDetails:
    nothing, vectors = np.zeros(0), np.zeros((0, 3))
    return StateDetails(
        state="T1",
        energy=2.0,
        symbols=("Na", "H"),
        ground_dipole=np.array([0.0, 0.0, 1.0]),
        dipole=np.array([0.0, 0.0, -1.0]),
        ground_charges=np.array([1.0, 0.0]),
        charges=np.array([0.99, 0.01]),
        absorption=ExcitedStateAbsorption("T1", (), nothing, vectors, nothing),
        partners=SpinOrbitPartners(("S0",), np.zeros(1), np.array([3.0])),
        lifetime=lifetime,
    )


def test_sentences() -> None:
    said = of_an_ion(0.0234).sentences()
    assert (
        "1.00 debye, 1.00 in the ground state, vector changed by 2.00, about the origin" in said[1]
    )
    assert said[2].endswith("none by 0.02 or more")
    assert "lifetime 23 ms, at this geometry" in said[3]
    assert "lifetime infinite (a dark state), at this" in of_an_ion(np.inf).sentences()[3]


def test_couplings_are_the_same_from_both_sides() -> None:
    model = esml.load_model()
    result = model.predict(molecule("H2CO"), 4)
    singlet, triplet = (state_details(model, result, each) for each in ("S1", "T2"))
    ahead = singlet.partners.strengths[singlet.partners.states.index("T2")]
    back = triplet.partners.strengths[triplet.partners.states.index("S1")]
    assert ahead == back > 10.0
    assert triplet.partners.states[0] == "S0"
    assert triplet.lifetime == result.spin_orbit().lifetimes[1]
    assert abs(singlet.charge_changes.sum()) < 1e-6
