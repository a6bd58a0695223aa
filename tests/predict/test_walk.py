"""A prediction goes through the modules that CONTRIBUTING lists, in that order, and few others."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from ase.build import molecule

import esml

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| \d \| `(\S+)\.py` \| `(\S+)` \|", re.MULTILINE)

Call = tuple[str, str]
"""Module and function."""

HELPERS = {
    # The input, what surrounds it, and how much is asked for.
    "esml.io.provenance",
    "esml.io.structure_checks.charge_and_spin",
    "esml.io.structure_checks.molecules",
    "esml.io.structure_checks.plausibility",
    "esml.io.surroundings.placement",
    "esml.io.surroundings.point_charges",
    "esml.io.surroundings.solvent_names",
    "esml.predict.batching",
    "esml.physics.medium",
    # Parts of the network, which ``model.hamiltonian`` puts together.
    "esml.model.backbones.equivariant",
    "esml.model.blocks",
    "esml.model.channels",
    "esml.model.mean_field",
    "esml.model.pairs",
    "esml.model.parts",
    "esml.model.tensors",
    # What tensors of a batch mean: which orbital is where, which integrals there are.
    "esml.physics.basis",
    "esml.physics.interaction",
    # The matrices whose states ``physics.excitations`` gives, how they are found, one property.
    "esml.physics.response",
    "esml.physics.kernel",
    "esml.physics.solvers.problem",
    "esml.physics.solvers.representations",
    "esml.physics.solvers.dense",
    "esml.physics.optical_activity",
    # Doubts about the answer.
    "esml.confidence.bonds",
    "esml.confidence.domain",
    "esml.confidence.uncertainty",
    "esml.confidence.valence",
    "esml.predict.stated_errors",
    # The states a ``Result`` holds.
    "esml.results.states",
}
"""Modules that those of the walk call for a small molecule. A new one is a new file to read for
whoever follows a prediction: list it here only if the walk is understood without it."""


def walk() -> list[Call]:
    """Modules and functions of the table."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [(f"esml.{path.replace('/', '.')}", name) for path, name in ROW.findall(text)]


@contextmanager
def traced() -> Iterator[list[Call]]:
    """Calls of functions of esml, as they come."""
    seen: list[Call] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.partition(".")[0] == "esml":
            seen.append((module, frame.f_code.co_qualname))

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """All calls of a prediction."""
    model = esml.load_model()
    model.predict(molecule("H2CO"), n_states=3).spectrum()  # after it, nothing is imported
    with traced() as seen:
        model.predict(molecule("H2CO"), n_states=3).spectrum()
    return seen


def test_a_prediction_goes_once_through_eight_modules(calls: list[Call]) -> None:
    steps = walk()
    assert len(steps) == len({module for module, _ in steps}) <= 8
    assert [call for call in calls if call in steps] == steps


def test_a_prediction_visits_no_other_module(calls: list[Call]) -> None:
    trunk = {module for module, _ in walk()}
    assert not trunk & HELPERS
    assert {module for module, _ in calls} == trunk | HELPERS


def test_results_are_made_in_one_go(calls: list[Call]) -> None:
    """``predict.solution`` is entered once, after all tensors are there."""
    generated = "__create_fn__"  # of dataclasses
    places = [
        k
        for k, (module, name) in enumerate(calls)
        if module == "esml.predict.solution" and not name.startswith(generated)
    ]
    assert calls[places[0]] == ("esml.predict.solution", "results")
    tensors = ("esml.physics.excitations", "singlets_and_triplets")
    assert calls.index(tensors) < places[0]
