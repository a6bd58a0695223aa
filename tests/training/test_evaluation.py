"""Evaluation finds errors where they are put; targets and baselines."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_cases import DATA

import esml
from esml.io.records import DatasetError, Record, pack, write_shard
from esml.model.checkpoint import CheckpointError
from esml.model.graph import build_graph
from esml.physics.excitations import Excitations
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.training import (
    evaluate,
    format_evaluation,
    objectives,
)
from esml.training.evaluation import evaluate_records
from esml.training.scores import QUANTITIES
from esml.training.targets import collate, structure


def own_record(record: Record, solution: Solution, m: int) -> Record:
    """A record whose labels are what the model says of its structure."""
    layout, found = solution.operators.layout, solution.orbitals
    n, o, k = int(layout.n_orbitals[m]), int(layout.n_occupied[m]), len(record.numbers)

    def states(kind: str, excitations: Excitations) -> dict[str, Any]:
        exists = excitations.mask[m]
        return {
            f"{kind}_energies": excitations.energies[m, exists].numpy(),
            f"{kind}_valence_weights": np.ones(int(exists.sum())),
            f"{kind}_x": excitations.X[m, exists, :o, : n - o].numpy(),
        }

    exists = solution.singlets.mask[m]
    return replace(
        record,
        energies=found.energies[m, :n].numpy(),
        coefficients=found.coefficients[m, :n, :n].numpy(),
        dipole_operator=pack(solution.operators.dipole[m, :, :n, :n].numpy()),
        charges=solution.charges[m, :k].numpy(),
        dipole=solution.dipole[m].numpy(),
        singlet_strengths=solution.singlets.oscillator_strengths[m, exists].numpy(),
        singlet_dipoles=solution.singlets.transition_dipoles[m, exists].numpy(),
        singlet_y=solution.singlets.Y[m, exists, :o, : n - o].numpy(),
        **states("singlet", solution.singlets),
        **states("triplet", solution.triplets),
    )


@pytest.fixture(scope="module")
def own_records(solved: Solution, records: list[Record]) -> list[Record]:
    return [own_record(r, solved, m) for m, r in enumerate(records)]


def test_a_model_is_right_about_its_own_predictions(
    surrogate: Surrogate, own_records: list[Record]
) -> None:
    result = evaluate_records(surrogate, own_records)
    for name in QUANTITIES:
        assert abs(result[name]) < 1e-6 or math.isnan(result[name]), name
    assert result["n_singlets"] > 10
    assert result["n_triplets"] > 20
    assert result["matched_share"] == 1
    assert result["unstable"] == result["states_left_out"] == 0
    assert result["brightest_share"] == 1


def test_errors_are_found_where_they_are_put(
    surrogate: Surrogate, own_records: list[Record]
) -> None:
    changed = [
        replace(
            r,
            energies=r.energies - 0.5 * (np.arange(len(r.energies)) < r.n_occupied),
            singlet_energies=r.singlet_energies - 0.2,
            triplet_energies=r.triplet_energies - np.where(np.arange(len(r.triplet_x)), 0.1, 0.3),
            singlet_valence_weights=np.where(np.arange(len(r.singlet_x)) == 1, 0.5, 1.0),
            charges=r.charges + 0.1,
        )
        for r in own_records
    ]
    result = evaluate_records(surrogate, changed)
    assert result["occupied_mae_eV"] == pytest.approx(0.5)
    assert result["gap_mae_eV"] == pytest.approx(0.5)
    assert result["s1_mae_eV"] == pytest.approx(0.2)
    assert result["t1_mae_eV"] == pytest.approx(0.3)
    assert result["singlets_mae_eV"] == pytest.approx(0.2)
    assert 0.1 < result["triplets_mae_eV"] < 0.3
    assert result["charges_mae_e"] == pytest.approx(0.1)
    below = [r.singlet_energies[1] <= 8.0 for r in changed if len(r.singlet_energies) > 1]
    assert result["states_left_out"] == sum(below) > 0


DOCUMENTED = (
    "n_molecules",
    "occupied_mae_eV",
    "gap_mae_eV",
    "s1_mae_eV",
    "t1_mae_eV",
    "singlets_mae_eV",
    "triplets_mae_eV",
    "oscillator_mae",
    "states_left_out",
)


def test_evaluation_has_every_key_and_a_baseline(surrogate: Surrogate) -> None:
    result = evaluate(surrogate, DATA)
    assert set(DOCUMENTED) <= result.keys()
    assert result["split"] == "test"
    assert result["n_structures"] == 2
    assert result["n_molecules"] == 1
    assert result["n_singlets"] > 0
    baseline = result["baselines"]["composition"]
    assert {name for name in DOCUMENTED if "mae" in name} <= baseline.keys()
    assert all(math.isfinite(baseline[name]) for name in baseline)
    assert json.loads(json.dumps(result)).keys() == result.keys()
    text = format_evaluation(result)
    assert "2 structures of 1 molecules (test)" in text
    assert "composition" in text
    assert f"{result['t1_mae_eV']:.3f}" in text


def test_a_baseline_fits_what_composition_tells(
    surrogate: Surrogate, own_records: list[Record], tmp_path: Path
) -> None:
    """A T1 that is linear in the numbers of atoms, the same molecules in both splits."""
    linear = [
        replace(
            r,
            triplet_energies=np.full(len(r.triplet_energies), 2.0 + 0.3 * (r.numbers == 1).sum()),
            split=split,
            key=f"{r.key}-{split}",
        )
        for r in own_records
        for split in ("train", "test")
    ]
    write_shard(tmp_path / "linear.h5", linear)
    result = evaluate(surrogate, tmp_path / "linear.h5")
    assert result["baselines"]["composition"]["t1_mae_eV"] < 0.03
    assert result["t1_mae_eV"] > 0.5


def test_evaluation_of_what_is_not_there_is_refused(surrogate: Surrogate, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no records of split 'tset': .*test, train, valid"):
        evaluate(surrogate, DATA, split="tset")
    with pytest.raises(DatasetError, match="is not a file"):
        evaluate(surrogate, tmp_path / "none.h5")
    with pytest.raises(CheckpointError):
        esml.load_model(DATA)


def test_targets_are_the_records(records: list[Record]) -> None:
    targets = collate(records, 0.85, 8.0)
    graph = build_graph([structure(r) for r in records], 3.0)
    assert graph.numbers.tolist() == [z for r in records for z in r.numbers]
    for m, record in enumerate(records):
        n, s = len(record.energies), len(record.singlet_energies)
        np.testing.assert_allclose(targets.hamiltonian[m, :n, :n], record.hamiltonian)
        assert not targets.hamiltonian[m, n:].any()
        chosen = targets.singlets.mask[m]
        assert chosen[s:].sum() == 0
        expected = (record.singlet_valence_weights >= 0.85) & (record.singlet_energies <= 8.0)
        np.testing.assert_array_equal(chosen[:s], expected)
        norm = (targets.singlets.plus[m] * targets.singlets.minus[m]).sum((1, 2))
        np.testing.assert_allclose(norm[chosen], 1.0, atol=1e-5)
        assert torch.equal(targets.triplets.plus[m], targets.triplets.minus[m])


def test_levels_are_means_of_the_diagonal(records: list[Record]) -> None:
    levels = objectives.onsite_levels(records)
    assert levels.keys() == {1, 6, 7, 8, 9, 16, 17}
    assert "p" not in levels[1]
    water = next(r for r in records if r.smiles == "O")
    alone = objectives.onsite_levels([water])
    diagonal = np.diag(water.hamiltonian)
    assert alone[8]["s"] == pytest.approx(diagonal[0])
    assert alone[8]["p"] == pytest.approx(diagonal[1:4].mean())
    assert alone[1]["s"] == pytest.approx(diagonal[4:].mean())
