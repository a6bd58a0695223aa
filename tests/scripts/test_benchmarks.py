"""Timings to watch; nothing here fails for being slow.

The ordinary run calls every benchmark once and checks what it returns. Timings:

    pytest tests/scripts/test_benchmarks.py --benchmark-enable
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.predict.surrogate import Surrogate
from esml.results import Failure

ROOT = Path(__file__).parents[2]


@pytest.fixture
def timing(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``benchmark``, which times only where the command line asks for it."""
    if not request.config.getoption("--benchmark-enable"):
        benchmark.disabled = True
    return benchmark  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def typical(n: int) -> list[Atoms]:
    structures = []
    for seed in range(n):
        atoms = molecule(("C6H6", "C5H5N", "CH3COCH3", "C4H4O")[seed % 4])
        atoms.rattle(0.02, seed=seed)
        structures.append(atoms)
    return structures


def test_graphs(timing: Callable[..., Any], model: Surrogate) -> None:
    graph = timing(model.graph, typical(16))
    assert graph.n_molecules == 16


def test_hamiltonians(timing: Callable[..., Any], model: Surrogate) -> None:
    graph = model.graph(typical(16))
    with torch.no_grad():
        operators = timing(model.hamiltonian, graph)
    assert operators.hamiltonian.isfinite().all()


@pytest.mark.parametrize("n_molecules", [1, 16])
def test_predictions(timing: Callable[..., Any], model: Surrogate, n_molecules: int) -> None:
    found = timing(lambda: list(model.predict_many(typical(n_molecules), errors="return")))
    assert len(found) == n_molecules
    assert not any(isinstance(each, Failure) for each in found)


def test_a_larger_molecule(timing: Callable[..., Any], model: Surrogate) -> None:
    row = [molecule("C6H6") for _ in range(5)]
    for place, atoms in enumerate(row):
        atoms.positions += [0.0, 0.0, 5.5 * place]
        atoms.rattle(0.02, seed=place)
    stack = sum(row[1:], start=row[0])
    result = timing(model.predict, stack)
    assert len(result.singlets) == 10


def test_the_script_measures_a_molecule() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.speed.single", "glycines-16"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["n_atoms"] == 16
    assert row["outcome"] == "ok"
    assert row["cpu_s"] > 0
    assert row["before_MB"] <= row["peak_MB"] < 4096
