"""Predictions in double precision stay what they were before the package was rebuilt.

``tests/data/frozen.npz`` holds the predictions of version 0.1.0's code: with the model it shipped,
of 200 molecules drawn from all sets in ``data/`` and of three large systems, and of a model file of
each format older than that version's (``tests/model/test_checkpoint.py`` has numbers of all since).
A change that is meant to change predictions replaces this file and says so in the changelog.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.physics.strategy import DEFAULT
from esml.results import Failure, Result

TESTS = Path(__file__).parents[1]
FROZEN = dict(np.load(TESTS / "data" / "frozen.npz"))
SHIPPED = TESTS / "data" / "version-0.1.0.safetensors"
ENERGY, STRENGTH, GROUND = 1e-9, 1e-6, 1e-9  # eV, 1, eV and debye


def assert_frozen(
    result: Result, name: str, row: int | None = None, n_states: int | None = None
) -> None:
    """Of ``result`` the ground state, and all states that are kept, or ``n_states`` of each."""

    def kept(quantity: str) -> np.ndarray:
        values: np.ndarray = FROZEN[f"{name}_{quantity}"]
        values = values if row is None else values[row]
        finite: np.ndarray = values[np.isfinite(values)]
        return finite if quantity == "ground" else finite[:n_states]

    ground = [result.homo, result.lumo, np.linalg.norm(result.dipole)]
    for found, quantity, tolerance in (
        (result.singlets.energies, "singlets", ENERGY),
        (result.triplets.energies, "triplets", ENERGY),
        (np.array(ground), "ground", GROUND),
    ):
        np.testing.assert_allclose(found, kept(quantity), rtol=0, atol=tolerance, err_msg=quantity)
    # States within 0.1 meV share their strength in any way, so it is their sum that is kept.
    energies, strengths = kept("singlets"), kept("strengths")
    groups = np.concatenate([[0], np.cumsum(np.diff(energies) > 1e-4)])
    last = groups == groups[-1]  # may be cut through
    for group in set(groups[~last]):
        found = result.singlets.oscillator_strengths[groups == group].sum()
        assert abs(found - strengths[groups == group].sum()) < STRENGTH


def test_a_sample_of_all_data_sets() -> None:
    model = esml.load_model(SHIPPED, dtype=torch.float64)
    ends = np.cumsum(FROZEN["sample_sizes"].astype(int))[:-1]
    numbers = np.split(FROZEN["sample_numbers"], ends)
    positions = np.split(FROZEN["sample_positions"], ends)
    structures = [
        Atoms(z, x, info={"charge": int(q)})
        for z, x, q in zip(numbers, positions, FROZEN["sample_charge"], strict=True)
    ]
    found = list(model.predict_many(structures, n_states=10, errors="return"))
    assert len(found) == 200
    for row, result in enumerate(found):
        assert not isinstance(result, Failure), result
        assert_frozen(result, "sample", row)


@pytest.mark.parametrize(
    ("name", "n_states"),
    [
        ("cluster", 5),
        ("polyene", 2),
        ("glycines", 2),
        pytest.param("polyene", 5, marks=pytest.mark.slow),
        pytest.param("glycines", 5, marks=pytest.mark.slow),
    ],
)
def test_large_systems(name: str, n_states: int) -> None:
    """Those of about 130 atoms, whose states are found by iterations; a few cost little."""
    atoms = Atoms(FROZEN[f"{name}_numbers"], FROZEN[f"{name}_positions"])
    result = esml.load_model(SHIPPED, dtype=torch.float64).predict(atoms, n_states=n_states)
    assert result.n_occupied * (len(result.orbital_energies) - result.n_occupied) > DEFAULT.dense
    assert_frozen(result, name, n_states=n_states)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_model_files_of_every_older_format(version: int) -> None:
    path = TESTS / "data" / f"version-{version}.safetensors"
    model = esml.load_model(path, dtype=torch.float64)
    assert_frozen(model.predict(molecule("C6H6"), n_states=5), f"version{version}")
