"""The last step to a measured band maximum: what it does, where it is, and where it is not."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from surrogate_cases import read_one

import esml
from esml.io.measured import family_of
from esml.io.surroundings import find_solvent, solvent_class
from esml.predict.model_files import load_model, save_model
from esml.results.last_step import NAMES, LastStep, shifts
from esml.training.measured_maxima import compare_with_experiment
from esml.units import HC
from scripts.accuracy import measured_maxima
from scripts.accuracy.vibrational_shifts import VibrationalShifts

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> esml.Surrogate:
    """The shipped model with a last step of round numbers, through a file."""
    path = tmp_path_factory.mktemp("last") / "model.safetensors"
    model = load_model()
    model.metadata["last_step"] = LastStep(
        (-0.2, -0.1, 0.5, -0.3, 0.2, -0.4), 0.15, 300, 150
    ).plain()
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
    moved = -0.2 - 0.1 * (energy - 3.0) + 0.5 * result.solvation().polarization[state]
    moved += 0.2 * (result.gap - 6.5) - 0.4 * result.characters()[state].charge_transfer
    assert found.energy == pytest.approx(energy + moved, abs=1e-9)
    assert found.wavelength == pytest.approx(HC / found.energy)
    assert found.spread_nm == pytest.approx(HC / found.energy**2 * 0.15)
    states = model.predict(nitroaniline, 6, n_triplets=1, solvent="acetone").singlets
    assert np.array_equal(states.energies, result.singlets.energies)


def test_without_a_fit_there_is_none() -> None:
    assert LastStep.of({}) is None
    ion = shifts(np.array([[3.5, -0.2, 1.0, 6.0, 0.3]]))
    np.testing.assert_allclose(ion, [[1.0, 0.5, -0.2, 1.0, -0.5, 0.3]])
    assert ion.shape[1] == len(NAMES)


def test_the_fit_finds_what_was_put_in_despite_wrong_bands() -> None:
    rng = np.random.default_rng(0)
    values = np.stack(
        [
            rng.uniform(2, 5, 400),
            -rng.uniform(0, 0.5, 400),
            rng.integers(0, 2, 400),
            rng.uniform(4, 9, 400),
            rng.uniform(0, 1, 400),
        ],
        -1,
    )
    truth = np.array([-0.25, -0.1, 0.6, -0.2, 0.1, 0.3])
    measured = values[:, 0] + shifts(values) @ truth + rng.normal(0, 0.02, 400)
    measured[::20] -= 1.0  # other bands
    np.testing.assert_allclose(measured_maxima.fitted(values, measured), truth, atol=0.06)


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
    one = measured_maxima.PredictedMaxima(
        measured_maxima.MeasuredDye("C", "water", 3.0),
        3.4,
        np.array([3.2, 0.0, 0.0, 6.5, 0.0]),
        "polar",
        "other",
    )
    step = LastStep((-0.1, 0, 0, 0, 0, 0), 0.1, 300, 150)
    told = measured_maxima.report_of_unseen([one], step)
    assert "| solvent and the model's last step | 0.10 | +0.10 |" in told
    assert "90 % intervals hold 100 %" in told
