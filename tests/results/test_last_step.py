"""The last step to a measured band maximum: what it does, where it is, and where it is not."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from surrogate_cases import read_one

import esml
from esml.analysis.spectrum import broaden
from esml.commands.spectrum_lines import last_step_line
from esml.io.measured import family_of
from esml.io.surroundings import find_solvent, solvent_class
from esml.predict.model_files import load_model, save_model
from esml.results.band_maximum import expected_colour
from esml.results.last_step import NAMES, Band, LastStep, with_band_maximum
from esml.training.measured_maxima import Further, compare_with_experiment
from esml.units import HC
from scripts.accuracy import last_step, measured_maxima
from scripts.accuracy.vibrational_shifts import VibrationalShifts

EXAMPLES = Path(__file__).parents[2] / "examples"


def step(**coefficients: float) -> LastStep:
    """Round numbers, from dyes with terms between -1 and 1."""
    numbers = tuple(coefficients.get(name, 0.0) for name in NAMES)
    return LastStep(numbers, (-1.0,) * len(NAMES), (1.0,) * len(NAMES), 0.15, 300, 150)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> esml.Surrogate:
    """The shipped model with a last step of round numbers, through a file."""
    path = tmp_path_factory.mktemp("last") / "model.safetensors"
    model = load_model()
    last = step(shift=-0.2, binding=-1.0, distance=0.1, dispersion=0.3, ion=-0.3)
    model.metadata["last_step"] = last.plain()
    save_model(model, path)
    return load_model(path)


@pytest.fixture(scope="module")
def nitroaniline() -> Atoms:
    return read_one(EXAMPLES / "p-nitroaniline.xyz")


def test_it_moves_the_band_as_it_says(model: esml.Surrogate, nitroaniline: Atoms) -> None:
    last = model.last_step
    assert last is not None
    assert (last.n_maxima, last.n_dyes, last.uncertainty) == (300, 150, 0.15)
    result = model.predict(nitroaniline, 6, n_triplets=1, solvent="acetone")
    found = last(result)
    assert found is not None
    energy = HC / result.absorption_max_nm
    state = int(result.singlets.oscillator_strengths.argmax())
    moved = -0.2 - 1.0 * (energy / result.gap - 0.5)
    distance = result.characters()[state].centroid_distance
    moved += 0.1 * min(distance, 1.0) + 0.3 * (1.3588**2 - 1.9)
    assert found.energy == pytest.approx(energy + moved, abs=1e-9)
    assert found.wavelength == pytest.approx(HC / found.energy)
    assert found.spread_nm == pytest.approx(HC / found.energy**2 * 0.15)
    states = model.predict(nitroaniline, 6, n_triplets=1, solvent="acetone").singlets
    assert np.array_equal(states.energies, result.singlets.energies)


def test_without_a_fit_there_is_none() -> None:
    assert LastStep.of({}) is None
    with pytest.raises(ValueError, match=r"unknown terms \(gap\): .* fit it again"):
        LastStep.of({"last_step": {"coefficients": {"shift": 0.1, "gap": 0.2}}})


def test_terms_of_a_band(model: esml.Surrogate, nitroaniline: Atoms) -> None:
    """From the amplitudes alone: hole on the amine, electron on the nitro group, an ion or not."""
    result = model.predict(nitroaniline, 6, n_triplets=1, solvent="water")
    band = Band.of(result)
    assert band is not None
    terms = dict(zip(NAMES, band.terms, strict=True))
    state = int(result.singlets.oscillator_strengths.argmax())
    density = result.wavefunctions().transition_density(state) ** 2
    owner = result.bonding.owner
    hole, electron = (np.bincount(owner, weights=density.sum(axis)) for axis in (1, 0))
    assert terms["overlap"] == pytest.approx(np.sqrt(hole * electron).sum() - 0.5, abs=1e-4)
    shift = (electron - hole) @ nitroaniline.positions
    assert terms["distance"] == pytest.approx(np.linalg.norm(shift), rel=1e-4)
    assert terms["distance"] > 1.5
    assert terms["transfer"] > 0.4
    assert terms["slope"] == pytest.approx(HC / result.absorption_max_nm - 3.0)
    assert terms["pi"] == pytest.approx(0.0, abs=0.02)
    assert terms["dispersion"] == pytest.approx(1.3328**2 - 1.9, abs=1e-3)
    assert (terms["shift"], terms["ion"]) == (1.0, 0.0)
    assert Band.of(model.predict(molecule("H2O"), 3)) is None


def test_terms_beyond_the_fitted_dyes_are_told(nitroaniline: Atoms) -> None:
    """A term is taken at the end of the range of the fitted dyes, and so moves no band far."""
    last = step(binding=-1.0, overlap=0.2)
    terms = np.zeros(len(NAMES))
    terms[NAMES.index("binding")] = -5.0
    terms[NAMES.index("overlap")] = 1.05  # a little beyond, which does not count
    found = last.maximum(Band(3.0, terms))
    assert found.energy == pytest.approx(3.0 + 1.0 + 0.2)
    assert found.beyond == ("binding",)
    assert last.maximum(Band(3.0, np.zeros(len(NAMES)))).doubt == ""
    assert LastStep.of({"last_step": last.plain()}) == last

    narrow = load_model()
    narrow.metadata["last_step"] = replace(last, highest=(0.05,) * len(NAMES)).plain()
    result = narrow.predict(nitroaniline, 6, n_triplets=1, solvent="water")
    assert narrow.last_step is not None
    expected = narrow.last_step(result)
    assert expected is not None
    said = last_step_line(expected, narrow.last_step).plain
    assert "fitted to other dyes (beyond theirs:" in said
    assert "overlap" in said
    maximum = Further(narrow.last_step, vibrations=False).maximum(narrow, result)
    assert maximum.doubts[0] in said


def test_there_is_none_in_vacuum(model: esml.Surrogate, nitroaniline: Atoms) -> None:
    """It was fitted to dyes in solution; Python and the command say the same."""
    last = model.last_step
    assert last is not None
    result = model.predict(nitroaniline, 6, n_triplets=1)
    assert last(result) is None
    assert with_band_maximum(result, last).band_maximum is None
    assert expected_colour(result.spectrum(), None) == result.spectrum().colour() == result.colour


def test_the_colour_is_that_at_the_maximum_to_expect(
    model: esml.Surrogate, nitroaniline: Atoms
) -> None:
    """The curve of all states moved rigidly, so that its lowest maximum is the expected one."""
    result = model.predict(nitroaniline, 6, n_triplets=1, solvent="water")
    there = with_band_maximum(result, step(shift=-0.9)).band_maximum
    assert there is not None
    curve = result.spectrum()
    assert there.shift(curve) == pytest.approx(-0.9)
    moved = broaden(result.singlets.energies - 0.9, result.singlets.oscillator_strengths)
    assert moved.absorption_max_nm == pytest.approx(there.wavelength, abs=0.05)
    found = replace(result, band_maximum=there).colour
    assert found == expected_colour(curve, there)
    assert str(found) == str(moved.colour())
    assert result.colour is not None
    assert str(found) != str(result.colour)


def of_a_dye(band: Band, measured: float, smiles: str = "C") -> last_step.PredictedMaxima:
    dye = last_step.MeasuredDye(smiles, "water", measured)
    return last_step.PredictedMaxima(dye, band.energy + 0.2, -0.1, band, "polar", "other")


def test_the_fit_finds_what_was_put_in_despite_wrong_bands() -> None:
    rng = np.random.default_rng(0)
    terms = rng.uniform(-1, 1, (400, len(NAMES)))
    terms[:, 0] = 1.0
    truth = rng.uniform(-0.2, 0.2, len(NAMES))
    measured = 3.0 + terms @ truth + rng.normal(0, 0.02, 400)
    measured[::20] -= 1.0  # other bands
    compared = [of_a_dye(Band(3.0, x), y) for x, y in zip(terms, measured, strict=True)]
    found = last_step.fitted(compared)
    np.testing.assert_allclose(found.coefficients, truth, atol=0.06)
    assert (found.lowest, found.highest) == (tuple(terms.min(0)), tuple(terms.max(0)))
    assert (found.n_maxima, found.n_dyes) == (400, 1)


def test_a_scaffold_is_left_out_of_its_own_fit() -> None:
    """What only dyes of one scaffold have cannot be known without them."""
    terms = np.zeros((40, len(NAMES)))
    terms[:, 0] = 1.0
    terms[::4, NAMES.index("ion")] = 1.0
    compared = [
        of_a_dye(Band(3.0, x), 3.0 - 0.5 * x[NAMES.index("ion")], ring)
        for x, ring in zip(terms, ["c1ccncc1", "c1ccccc1", "c1ccoc1", "c1ccsc1"] * 10, strict=True)
    ]
    found = last_step.out_of_fold(compared)
    np.testing.assert_allclose(found[::4], 3.0, atol=0.05)
    everything = last_step.fitted(compared)
    assert everything.maximum(compared[0].band).energy == pytest.approx(2.5, abs=0.1)


def test_tables_are_compared_with_it_and_without(model: esml.Surrogate, tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    table = tmp_path / "a.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["smiles", "solvent", "lambda_max (nm)"])
        rows.writerow(["Nc1ccc(cc1)[N+](=O)[O-]", "water", 380])
        rows.writerow(["Nc1ccc(cc1)[N+](=O)[O-]", "", 320])
    stepped, _ = compare_with_experiment(model, table)
    raw, _ = compare_with_experiment(model, table, raw=True)
    assert [row.family for row in raw] == ["nitro", "nitro"]
    assert [row.solvent_class for row in raw] == ["hydrogen bonding", "vacuum"]
    assert stepped[0].raw_nm == pytest.approx(raw[0].predicted_nm, abs=1e-3)
    assert stepped[0].predicted_nm > raw[0].predicted_nm + 10.0
    assert stepped[1].predicted_nm == pytest.approx(raw[1].predicted_nm, abs=1e-3)


@pytest.mark.parametrize(
    ("smiles", "family"),
    [
        ("O=c1cc(C(F)(F)F)c2cc3c4c(c2o1)CCCN4CCC3", "coumarin"),
        ("CCN(CC)c1ccc2nc3c4ccccc4c(=O)cc-3oc2c1", "xanthene, oxazine, acridine"),
        ("O=C1c2ccccc2C(=O)c2ccccc12", "quinone"),
        ("c1ccc(N=Nc2ccccc2)cc1", "azo"),
        ("Cc1cc(C)n2c1C=C1C(C)=CC(C)=[N+]1[B-]2(F)F", "BODIPY and other B–N"),
        ("c1ccc2cc3ccccc3cc2c1", "polycyclic arene"),
        ("C=CC=O", "other"),
        ("no SMILES", "other"),
    ],
)
def test_families(smiles: str, family: str) -> None:
    assert family_of(smiles) == family


def test_classes_of_solvents() -> None:
    found = {name: solvent_class(find_solvent(name)) for name in ("water", "DMSO", "toluene")}
    assert found == {"water": "hydrogen bonding", "DMSO": "polar", "toluene": "nonpolar"}
    assert solvent_class(None) == "vacuum"
    assert solvent_class(esml.Solvent(24.3, 1.36)) == "polar"


def test_shifts_by_vibrations_are_kept(tmp_path: Path) -> None:
    """Computed once for a dye, a solvent and a model; what failed is not tried again."""
    pytest.importorskip("tblite")
    atoms = molecule("H2CO")
    entry = {
        "smiles": "C=O",
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "charge": 0,
    }
    path = tmp_path / "shifts.jsonl"
    row = {"smiles": "C=O", "solvent": "water", "model": "a", "shift": -0.3}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    known = VibrationalShifts(path, load_model(), "a")
    assert known(entry, "water").energy == -0.3
    assert np.isnan(known(entry, "vacuum").energy)  # no band at 180 nm or beyond
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2
    with path.open("a", encoding="utf-8") as file:
        file.write('{"smiles": "C=C", "sol')  # a killed run
    again = VibrationalShifts(path, load_model(), "a")
    assert np.isnan(again(entry, "vacuum").energy)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_dyes_of_other_scaffolds_are_drawn(tmp_path: Path) -> None:
    """--apart-from leaves out what the other seed draws; the model's own last step is told."""
    rows = [("c1ccccc1" + "C" * n, 200 + n) for n in range(5)]
    rows += [("c1ccncc1" + "C" * n, 250 + n) for n in range(5)]
    path = tmp_path / "a.csv"
    text = "\n".join(f"{smiles},water,{maximum}" for smiles, maximum in rows)
    path.write_text(f"chromophore_smiles,solvent_smiles,absorption_max_nm\n{text}\n")
    parser = argparse.ArgumentParser()
    measured_maxima.add_arguments(parser)
    store = ("--store", str(tmp_path / "s.jsonl"))
    given = parser.parse_args([str(path), *store, "--seed", "1", "--apart-from", "0"])
    assert measured_maxima.drawn(path, given) == []
    given = parser.parse_args([str(path), *store, "--n", "4"])
    assert len(measured_maxima.drawn(path, given)) == 4
    one = of_a_dye(Band(3.2, np.eye(len(NAMES))[0]), 3.0)
    own = step(shift=-0.1)
    told = measured_maxima.report_of_unseen([one], own)
    assert "| solvent and the model's last step | 0.10 | +0.10 |" in told
    assert "90 % intervals hold 100 %" in told
