"""Both gauges of rotatory strengths, of molecules with and without a stable closed shell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.physics import Strategy
from esml.predict.rotatory import rotatory_strengths

SHIPPED = Path(__file__).parents[1] / "data" / "version-0.1.0.safetensors"
"""At which length the closed shell is no minimum is that of one model."""


@pytest.fixture
def model() -> esml.Surrogate:
    return esml.load_model(SHIPPED, dtype=torch.float64)


def stretched_peroxide(by: float) -> Atoms:
    """H2O2 with its O–O bond longer ``by`` Å."""
    atoms: Atoms = molecule("H2O2")
    second = atoms.positions[:, 1] < 0
    atoms.positions[second, 1] -= by
    return atoms


def test_gauges_agree_in_full_response(model: esml.Surrogate) -> None:
    atoms = stretched_peroxide(0.0)
    held = model.predict(atoms, 4, solvent="water").singlets.rotatory_strengths
    assert np.abs(held).max() > 1.0
    length = rotatory_strengths(model, atoms, 4, solvent="water")
    np.testing.assert_allclose(length, held, rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match="expected 'velocity' or 'length'"):
        rotatory_strengths(model, atoms, 4, "metre")  # type: ignore[arg-type]


def test_only_the_velocity_gauge_keeps_its_origin(model: esml.Surrogate) -> None:
    """Singlets of the Tamm–Dancoff approximation, where the closed shell is no minimum."""
    model.strategy = Strategy(saddle=2.0)
    atoms = stretched_peroxide(0.5)
    moved = atoms.copy()
    moved.positions += [5.0, 3.0, 2.0]
    result = model.predict(atoms, 4)
    assert "Tamm–Dancoff" in result.warnings[0]
    here, there = (rotatory_strengths(model, each, 4, "velocity") for each in (atoms, moved))
    np.testing.assert_allclose(here, result.singlets.rotatory_strengths, atol=1e-8)
    np.testing.assert_allclose(here, there, atol=1e-6)
    here, there = (rotatory_strengths(model, each, 4) for each in (atoms, moved))
    assert np.abs(here - there).max() > 0.1
