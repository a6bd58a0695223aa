"""Training on crystals of ions whose truth is a made-up model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from crystal_models import electrolyte_model, li2s, record_of

from esml.io.records import CrystalRecord, write_shard
from esml.model.crystals import CrystalModel, Tables
from esml.predict.crystals import CrystalSurrogate
from esml.predict.model_files import solid_model
from esml.training.crystals import CrystalTrainingConfig, scores, train
from esml.training.crystals.level_fit import ALIKE, errors_of_levels, fit_levels
from esml.training.crystals.loop import start, train_epoch
from esml.training.crystals.losses import Target, terms
from esml.training.crystals.two_centre_fit import TableParts, fit_two_centre
from esml.training.crystals.two_centre_fit import tables as sums


def records_of(seeds: Sequence[int], split: str) -> list[CrystalRecord]:
    truth = electrolyte_model()
    return [record_of(li2s(seed), split, (2, 2, 2), truth) for seed in seeds]


def config(output: Path, **more: object) -> CrystalTrainingConfig:
    model = electrolyte_model().model.config.model_dump()
    settings = {"data": [], "output": output, "model": model, "epochs": 30, "batch_size": 3}
    return CrystalTrainingConfig.model_validate(settings | more)


@pytest.fixture(scope="module")
def training() -> list[CrystalRecord]:
    return records_of(range(6), "train")


def test_the_truth_has_no_loss(training: list[CrystalRecord]) -> None:
    """On its own zero, which is not that of the record."""
    truth, record = electrolyte_model().model, training[0]
    target = Target.of(record, truth)
    h = truth(record.numbers.tolist(), record.cell, record.positions)
    found = terms(h, target, np.arange(len(target.shares)), even=False)
    assert set(found) == {"energies", "states"}
    for name, value in found.items():
        assert float(value.detach()) < 0.0101, name  # the square root of SMALL where nothing is off


def test_a_fit_finds_the_charges(training: list[CrystalRecord]) -> None:
    """They show in the levels alone. Where X is zero the fit is exact but for the mesh's images."""
    truth = electrolyte_model()
    truth.model.exponent.data.zero_()
    seeds = range(20)
    records = [record_of(li2s(seed), "train", (3, 3, 3), truth) for seed in seeds]
    model = CrystalModel(truth.model.config)
    fit_two_centre(model.two_centre, records, stiffness=1e-8)
    unseen = record_of(li2s(77), "test", (3, 3, 3), truth)
    found = scores(CrystalSurrogate(model), [unseen]).summary()
    assert found["occupied_mae_eV"] < 1e-4
    near = model.neighbourhood(unseen.numbers.tolist(), unseen.cell, unseen.positions)
    tables = (model.two_centre, truth.model.two_centre)
    own, true = (near.charges(t.share, t.charges).detach() for t in tables)
    torch.testing.assert_close(own, true, atol=0.0, rtol=0.1)


def test_levels_are_fitted_together() -> None:
    """Charges, field and levels that are off are found again; half of the bands are known."""
    truth = electrolyte_model()
    truth.model.exponent.data.zero_()
    cells = [li2s(seed) for seed in range(16)]
    for seed in range(4, 12):  # long waves: one half of a doubled cell moves against the other
        cells.append(li2s(seed).repeat((1, 1, 2)))
        cells[-1].positions[3:] += 0.2 * np.random.default_rng(seed).normal(size=(3, 3))
    records = [record_of(atoms, "train", (2, 2, 2), truth) for atoms in cells]
    known = [
        replace(r, n_exact=np.full(len(r.k_weights), 4 * (len(r.numbers) // 3))) for r in records
    ]
    targets = [Target.of(record, truth.model) for record in known]
    tables, Z = truth.model.two_centre.tables, 2
    assert tables.share is not None
    assert tables.charges is not None
    generator = torch.Generator().manual_seed(1)
    none = torch.zeros(1 + 2 * Z, *tables.field.shape[2:], dtype=torch.float64)
    hopping, field = (
        torch.cat([none, each.detach().flatten(0, 1)]) for each in (tables.hopping, tables.field)
    )
    off = 0.1 * torch.randn(Z * Z, 1, 3, generator=generator, dtype=torch.float64)
    field[1 + 2 * Z :, ALIKE] += off
    charges = 1.5 * torch.triu(torch.ones(Z, Z), 1)[:, :, None] * tables.charges.detach()
    ions = (tables.share.detach() - 0.2, charges)
    wrong = TableParts(tables.levels.detach() + 0.2, hopping, field, ions)
    found = fit_levels(wrong, targets)

    def worst(given: TableParts) -> float:
        assert given.ions is not None
        own = Tables(given.levels, sums(given.hopping, Z), sums(given.field, Z), *given.ions)
        errors = [errors_of_levels(own, target)[0] for target in targets[-8:]]
        return max(float((d - d.mean()).abs().max()) for d in errors)

    assert found.ions is not None
    assert worst(wrong) > 0.2
    assert worst(found) < 0.02 * worst(wrong)
    assert float(found.ions[0]) == pytest.approx(float(tables.share.detach()), abs=0.02)


def test_training_improves_gap_and_valence_bands(
    training: list[CrystalRecord], tmp_path: Path
) -> None:
    settings = config(tmp_path, learning_rate=2e-3, exponent_rate=2e-3)
    run = start(settings, training)
    unseen = records_of((50, 51), "test")

    def now() -> dict[str, float]:
        model = CrystalModel(settings.model)
        run.tables.write(model)
        return scores(CrystalSurrogate(model), unseen).summary()

    before = now()
    for _ in range(settings.epochs):
        train_epoch(run)
    after = now()
    assert after["gap_mae_eV"] < 0.5 * before["gap_mae_eV"]
    assert after["occupied_mae_eV"] < 0.7 * before["occupied_mae_eV"]


def test_a_run_from_files(training: list[CrystalRecord], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    held_out = records_of((60,), "validation")
    write_shard(tmp_path / "set" / "shard-000.h5", [*training[:3], *held_out])
    path = train(config(tmp_path / "run", data=[tmp_path / "set"], epochs=2))
    model = solid_model(path)
    assert model.metadata["energies"].endswith("from the valence band top")
    assert model.metadata["validation"]["gap_mae_eV"] > 0.0
    crystal = model.predict(li2s(3), (2, 2, 2))
    assert crystal.zero == "valence band top"
    assert crystal.gap > 1.0
