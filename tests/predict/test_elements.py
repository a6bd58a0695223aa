"""Elements beyond H C N O F S Cl, and ions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from shipped_training import SETS

import esml
from esml.io.records import Record, read
from esml.physics.basis import ELEMENTS
from esml.predict.surrogate import Surrogate
from esml.training.targets import structure

DATA = Path(__file__).parents[2] / "data"
OLDER = Path(__file__).parents[1] / "data" / "version-0.1.0.safetensors"


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model("camb3lyp", dtype=torch.float64)


@pytest.fixture(scope="module")
def held_out() -> list[Record]:
    return [r for r in read([DATA / "coverage"]) if r.split in ("validation", "test")]


def test_it_knows_every_element_of_the_basis(model: Surrogate) -> None:
    assert sorted(model.elements) == sorted(ELEMENTS)
    training = read(SETS, split="train")
    assert model.metadata["n_structures"] == len(training)
    assert model.metadata["n_molecules"] == len({r.inchikey for r in training})


def test_spectra_and_levels_of_held_out_molecules(model: Surrogate, held_out: list[Record]) -> None:
    """S1 of valence states and occupied levels of neutral molecules and of ions."""
    energies: list[float] = []
    levels: dict[bool, list[float]] = {True: [], False: []}
    for record, found in zip(
        held_out, model.predict_many([structure(r) for r in held_out], 2), strict=True
    ):
        assert isinstance(found, esml.Result)
        if record.singlet_valence_weights[0] >= 0.85:
            energies.append(found.singlets.energies[0] - record.singlet_energies[0])
        n = int(record.n_occupied)
        levels[bool(record.charge)].append(
            np.abs(found.orbital_energies[:n] - record.energies[:n]).mean()
        )
    assert np.abs(energies).mean() < 0.2
    assert np.mean(levels[False]) < 0.2
    assert np.mean(levels[True]) < 0.3


def test_an_older_model_names_the_shipped_one(model: Surrogate) -> None:
    older = esml.load_model(OLDER)
    silane = molecule("SiH4")
    with pytest.raises(esml.StructureError, match="no --model"):
        older.predict(silane)
    assert isinstance(model.predict(silane, 1), esml.Result)
    germane = Atoms(np.where(silane.numbers == 14, 32, 1), silane.positions)
    for each in (model, older):
        with pytest.raises(esml.StructureError, match="does not know") as caught:
            each.predict(germane)
        assert "--model" not in str(caught.value)
