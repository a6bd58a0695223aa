"""Shifts by solvents and point charges, of a few molecules of the shipped reference data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import esml
from scripts.accuracy.point_charges import charge_shifts
from scripts.accuracy.solvents import NOTABLE, Shift, solvent_shifts

DATA = Path(__file__).parents[2] / "data" / "solvents"
FEW = ("formaldehyde", "formamide", "acetaldehyde", "acrolein")


@pytest.fixture(scope="module")
def model() -> esml.Surrogate:
    """The model of the level of the references."""
    return esml.load_model("camb3lyp", dtype=torch.float64)


def read(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    data = json.loads((DATA / name).read_text(encoding="utf-8"))
    few = [entry for entry in data["molecules"] if entry["name"] in FEW]
    assert {entry["name"] for entry in few} == set(FEW)
    return data, few


def check(shifts: list[Shift], error: float) -> None:
    """Off by no more than ``error`` on average and half of what is there; all signs are right."""
    reference, predicted = np.array([(s.reference, s.predicted) for s in shifts]).T
    off = np.abs(predicted - reference).mean()
    assert off < error
    assert off < 0.5 * np.abs(reference).mean()
    notable = np.abs(reference) > NOTABLE
    assert notable.any()
    assert (np.sign(predicted) == np.sign(reference))[notable].all()


def test_solvents_shift_states_as_the_continuum_does(model: esml.Surrogate) -> None:
    data, few = read("shifts.json")
    shifts = solvent_shifts(model, few, data["solvents"])
    assert {shift.medium for shift in shifts} == {"cyclohexane", "acetone", "water"}
    check(shifts, 0.05)


def test_point_charges_shift_states_as_in_the_reference(model: esml.Surrogate) -> None:
    _, few = read("charges.json")
    shifts = charge_shifts(model, few)
    assert len({shift.medium for shift in shifts}) == 4
    check(shifts, 0.05)
