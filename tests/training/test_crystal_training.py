"""Training on crystals whose truth is known; runs that stop and go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from crystal_models import ELEMENTS, alloy, made_up, record_of
from torch import Tensor

from esml.commands.app import app
from esml.io.records import CrystalRecord, write_shard
from esml.model.crystals import CrystalModel
from esml.physics.crystals import RealSpaceHamiltonian
from esml.predict.crystals import CrystalSurrogate
from esml.predict.model_files import solid_model
from esml.training.config import ConfigError
from esml.training.crystals import CrystalTrainingConfig, scores, train
from esml.training.crystals.loop import save_state, start, train_epoch
from esml.training.crystals.losses import Target, terms

SETTINGS: dict[str, object] = {
    "elements": ELEMENTS,
    "cutoff": 4.5,
    "n_radial": 3,
    "smearing": 0.3,
    "shift_error": 0.0,
}


def crystals(n: int, first: int = 0) -> list[Atoms]:
    symbols = ("NiCuNiNi", "CuCuNiNi", "CuCuCuNi")
    return [alloy(first + i, symbols[i % 3]) for i in range(n)]


@pytest.fixture(scope="module")
def records() -> list[CrystalRecord]:
    return [record_of(atoms, "train") for atoms in crystals(6)]


def config(output: Path, **settings: object) -> CrystalTrainingConfig:
    return CrystalTrainingConfig.model_validate(
        {"data": [output], "output": output, "model": SETTINGS, "epochs": 25, "batch_size": 2}
        | settings
    )


def model_of(run_tables: object, settings: CrystalTrainingConfig) -> CrystalSurrogate:
    model = CrystalModel(settings.model)
    run_tables.write(model)  # type: ignore[attr-defined]
    return CrystalSurrogate(model)


def test_the_truth_has_no_loss(records: Sequence[CrystalRecord]) -> None:
    """Beside what rounding to the mesh's supercell leaves, as blocks reach farther than it."""
    truth = made_up(shift_error=0.0)
    record = records[0]
    target = Target.of(record, truth.model)
    crystal = truth.predict(alloy(), (3, 3, 3))
    moved = crystal.real_space
    origin = (moved.images == 0).all(1)
    moved.blocks[origin] -= crystal.fermi_level * torch.eye(36, dtype=torch.float64)
    found = terms(moved, target, np.arange(len(target.shares)), even=False)
    for name, value in found.items():
        assert float(value) < 0.0101, name  # the square root of SMALL where nothing is off


def test_where_energies_count_from_does_not_matter(records: Sequence[CrystalRecord]) -> None:
    """Bands all moved alike, as another zero of the crystal's potential would have them."""
    truth = made_up(shift_error=0.0)
    target = Target.of(records[0], truth.model)
    model = CrystalModel(truth.model.config)
    model.load_state_dict(truth.model.state_dict())
    levels = model.two_centre.levels
    with torch.no_grad():
        levels.add_(torch.linspace(-0.2, 0.3, levels.numel(), dtype=levels.dtype).view_as(levels))
    off = CrystalSurrogate(model).predict(alloy(), (3, 3, 3)).real_space
    chosen = np.arange(len(target.shares))
    found = terms(off, target, chosen, even=False)
    origin = (off.images == 0).all(1)
    off.blocks[origin] += 0.7 * torch.eye(36, dtype=torch.float64)
    moved = terms(off, target, chosen, even=False)
    for name, value in found.items():
        assert float(value) > 0.02, name
        assert float(moved[name]) == pytest.approx(float(value), abs=1e-9), name


def test_losses_have_their_gradients(records: Sequence[CrystalRecord]) -> None:
    """Against central differences. The model's Fermi level moves with H, and is part of them."""
    truth = made_up(shift_error=0.0)
    target = Target.of(records[0], truth.model)
    chosen = np.arange(len(target.shares))
    exact = truth.predict(alloy(), (3, 3, 3)).real_space.half()
    generator = torch.Generator().manual_seed(3)
    one, other = torch.randn((2, *exact.blocks.shape), generator=generator, dtype=torch.float64)
    for change in (one, other):
        origin = (exact.images == 0).all(1)
        change[origin] = change[origin] + change[origin].mT

    def losses(step: Tensor) -> dict[str, Tensor]:
        blocks = exact.blocks + 0.05 * one + step * other
        hamiltonian = RealSpaceHamiltonian.from_half(exact.images, blocks)
        return terms(hamiltonian, target, chosen, even=False)

    width = 1e-5
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    before, after = (losses(torch.tensor(step, dtype=torch.float64)) for step in (-width, width))
    for name, value in losses(zero).items():
        (slope,) = torch.autograd.grad(value, zero, retain_graph=True)
        expected = float(after[name] - before[name]) / (2.0 * width)
        assert abs(expected) > 1e-3, name
        assert float(slope) == pytest.approx(expected, rel=1e-5), name


def test_training_mends_what_a_fit_of_two_centres_leaves(
    records: Sequence[CrystalRecord], tmp_path: Path
) -> None:
    """The truth has three-centre terms, which the first fit cannot have; unseen crystals gain."""
    settings = config(tmp_path, learning_rate=1e-3, exponent_rate=2e-3)
    run = start(settings, records)
    unseen = [record_of(atoms, "test") for atoms in crystals(2, first=50)]
    before = scores(model_of(run.tables, settings), unseen).summary()
    for _ in range(settings.epochs):
        last = train_epoch(run)
    after = scores(model_of(run.tables, settings), unseen).summary()
    assert last["d_centres"] < 0.03
    assert after["d_centre_mae_eV"] < 0.7 * before["d_centre_mae_eV"]
    assert after["near_fermi_mae_eV"] < 0.7 * before["near_fermi_mae_eV"]


@pytest.fixture
def data(records: list[CrystalRecord], tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    write_shard(folder / "shard-000.h5", records[:3])
    return folder


def test_a_run_goes_on_as_if_it_had_not_stopped(data: Path, tmp_path: Path) -> None:
    """One run stopped after its second epoch, one not."""
    settings = config(tmp_path / "whole", data=[data], epochs=4)
    whole = train(settings)
    stopped = settings.model_copy(update={"output": tmp_path / "stopped"})
    stopped.output.mkdir()
    from esml.io.records import read

    run = start(stopped, read([data], kind=CrystalRecord))
    for _ in range(2):
        train_epoch(run)
    save_state(run, stopped.output / "state.safetensors")
    resumed = train(stopped)
    one, other = (solid_model(path).model.state_dict() for path in (whole, resumed))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=1e-12)
    metadata = solid_model(whole).metadata
    assert metadata["n_structures"] == 3
    assert metadata["epochs"] == 4
    with pytest.raises(ConfigError, match="belongs to another run: expected seed 0"):
        train(stopped.model_copy(update={"seed": 1}))


def test_the_command_trains(data: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    path = tmp_path / "run.yaml"
    model = SETTINGS | {"kind": "crystals", "elements": list(ELEMENTS)}
    written = {"data": ["set"], "output": "out", "epochs": 1, "model": model}
    path.write_text(yaml.safe_dump(written))
    result = CliRunner().invoke(app, ["train", str(path)])
    assert result.exit_code == 0, result.output
    assert solid_model(tmp_path / "out" / "model.safetensors").elements == ELEMENTS
    assert (tmp_path / "out" / "log.csv").read_text().startswith("epoch,energies")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learnin_rate": 1.0}, "learnin_rate: .*expected a known key"),
        ({"model": SETTINGS | {"kind": "crystals", "elements": [28]}}, "expected those of model"),
        ({"data": ["nowhere"]}, "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_told(
    data: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "run.yaml"
    model = SETTINGS | {"kind": "crystals", "elements": list(ELEMENTS)}
    written = {"data": ["set"], "output": "out", "epochs": 1, "model": model} | change
    path.write_text(yaml.safe_dump(written).replace("!!python/tuple", ""))
    with pytest.raises(ValueError, match=said):
        train(path)
