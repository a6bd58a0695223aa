"""A training run that is stopped, continued, or changed on the way."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from training_cases import DATA, SMALL, configuration, log_of

from esml.io.files import BusyError, sole_writer
from esml.io.records import DatasetError, Record, read, write_shard
from esml.model import checkpoint
from esml.training import (
    ConfigError,
    objectives,
    train,
)
from esml.training import loop as training_loop
from esml.training.log import take_back
from esml.training.losses import losses
from esml.training.run import Run, batches, learning_rate, start, train_epoch
from esml.training.state import STATE, load_state


def test_a_device_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        train(configuration(tmp_path / "run"), progress=False, device="abacus")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_takes_the_same_steps(finished: Path, tmp_path: Path) -> None:
    """Losses as on the CPU, and a run begun on one device continues on the other."""
    train(configuration(tmp_path, epochs=2), progress=False, device="cuda")
    for one, other in zip(log_of(finished), log_of(tmp_path), strict=True):
        assert float(other["energies"]) == pytest.approx(float(one["energies"]), rel=1e-3)
    load_state(start(configuration(tmp_path), read(DATA)), tmp_path / "state.safetensors")


def test_a_run_killed_and_resumed_takes_the_same_steps(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: weights, their averages, the optimizer and the log."""
    config = configuration(tmp_path)
    epoch = train_epoch

    def killed(run: Run, *arguments: Any, **named: Any) -> dict[str, float]:
        if run.epoch == 1:
            epoch(run, *arguments, **named)  # what is not on disk yet is lost
            raise KeyboardInterrupt
        return epoch(run, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, progress=False)
    assert len(log_of(tmp_path)) == 1
    train(config, progress=False)
    whole, resumed = (load_file(p / "state.safetensors") for p in (finished, tmp_path))
    assert whole.keys() == resumed.keys()
    assert {name.split(".")[0] for name in whole} == {"model", "average", "optimizer"}
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    for one, other in zip(log_of(finished), log_of(tmp_path), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}
    models = [load_file(p / "model.safetensors") for p in (finished, tmp_path)]
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"learning_rate": 0.02}, "learning_rate 0.03, the configuration says 0.02"),
        ({"warmup": 5}, "warmup 0, the configuration says 5"),
        ({"losses": {"dipole": 1.0}}, r"losses\.dipole 10\.0, the configuration says 1\.0"),
        ({"energy_limit": 8.0}, r"energy_limit 9\.0"),
        ({"epochs": 3}, "epochs 2, the configuration says 3"),
    ],
)
def test_a_changed_setting_is_refused_by_name(
    finished: Path, changed: dict[str, Any], words: str
) -> None:
    before = (finished / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=f"belongs to another run: expected {words}"):
        train(configuration(finished, **changed), progress=False)
    assert (finished / "model.safetensors").read_bytes() == before
    # What decides no further step may change.
    train(configuration(finished, name="other", validate_every=2), progress=False)


def test_curves_for_tensorboard_are_those_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(configuration(tmp_path, epochs=1), progress=False, tensorboard=True)
    (row,) = log_of(tmp_path)
    curves = EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    assert {"loss/hamiltonian", "validation/s1_mae_eV"} <= set(curves.Tags()["scalars"])
    for tag in curves.Tags()["scalars"]:
        (event,) = curves.Scalars(tag)
        assert event.step == 1
        assert event.value == pytest.approx(float(row[tag.split("/")[1]]), rel=1e-4)


def test_the_log_of_a_killed_run_is_taken_back_to_its_state(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    take_back(log, 1)
    assert not log.exists()
    for text, epoch, left in (
        ("epoch,seconds\n1,5\n2,5\n", 2, "epoch,seconds\n1,5\n2,5\n"),
        ("epoch,seconds\n1,5\n2,5\n", 1, "epoch,seconds\n1,5\n"),
        ("epoch,seconds\n1,5\n12,5\n", 0, "epoch,seconds\n"),
        ("epoch,seconds\n1,5\n1", 2, "epoch,seconds\n1,5\n"),
    ):
        log.write_text(text)
        take_back(log, epoch)
        assert log.read_text() == left
    log.write_text("epo")
    take_back(log, 0)
    assert not log.exists()


def test_two_runs_do_not_share_an_output(finished: Path) -> None:
    with (
        sole_writer(finished / ".lock", finished),
        pytest.raises(BusyError, match=r"is being written by another process: expected one writer"),
    ):
        train(configuration(finished), progress=False)
    train(configuration(finished), progress=False)


def test_a_finished_run_is_not_trained_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = finished / "model.safetensors"
    before = model.read_bytes()
    monkeypatch.setattr(training_loop, "train_epoch", None)
    assert train(configuration(finished), progress=False) == model
    assert model.read_bytes() == before
    model.unlink()
    train(configuration(finished), progress=False)
    assert model.read_bytes() == before


def test_other_seeds_are_other_runs_and_equal_seeds_equal_ones(records: list[Record]) -> None:
    def weights(seed: int) -> torch.Tensor:
        run = start(configuration(Path(), seed=seed), records)
        return torch.cat([p.detach().flatten() for p in run.model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))

    def order(seed: int, epoch: int) -> list[str]:
        return [r.key for b in batches(records, 2, seed, epoch) for r in b]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert sorted(order(1, 0)) == sorted(r.key for r in records)


def test_the_learning_rate_warms_up_and_falls_to_one_percent(tmp_path: Path) -> None:
    config = configuration(tmp_path, warmup=10, learning_rate=0.1)
    rates = [learning_rate(config, step, 200) for step in range(201)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == pytest.approx(0.1, rel=0.01)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[100] == pytest.approx(0.0505)
    assert rates[200] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"model": SMALL.model_copy(update={"hidden": 9})},
            r"expected model\.hidden 8, the configuration says 9",
        ),
        ({"epochs": 3}, "expected epochs 2, the configuration says 3"),
        ({"batch_size": 4}, "expected batch_size 1"),
        ({"seed": 4}, "expected seed 1"),
    ],
)
def test_a_state_of_another_run_is_refused(
    finished: Path, changed: dict[str, Any], message: str
) -> None:
    before = (finished / "state.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=message):
        train(configuration(finished, **changed), progress=False)
    assert (finished / "state.safetensors").read_bytes() == before


def test_other_data_than_the_run_began_with_are_refused(
    finished: Path, tmp_path: Path, records: list[Record]
) -> None:
    more = [replace(r, key=f"{r.key}-again") for r in records if r.split == "train"]
    write_shard(tmp_path / "more.h5", more)
    with pytest.raises(ConfigError, match="7 steps an epoch where the data now make 14"):
        train(configuration(finished, data=[DATA, tmp_path / "more.h5"]), progress=False)


def test_a_damaged_state_is_named(finished: Path, tmp_path: Path) -> None:
    whole = (finished / "state.safetensors").read_bytes()
    (tmp_path / "state.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"state\.safetensors could not be read .*delete it"):
        train(configuration(tmp_path), progress=False)


def test_bytes_changed_anywhere_in_a_state_are_found(finished: Path, tmp_path: Path) -> None:
    whole = (finished / "state.safetensors").read_bytes()
    path = tmp_path / "state.safetensors"
    rng = np.random.default_rng(0)
    # The header, and some of the many weights.
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in [*rng.integers(0, header, 60), *rng.integers(header, len(whole), 20)]:
        changed = bytes([whole[place] ^ 0xFF])
        path.write_bytes(whole[:place] + changed + whole[place + 1 :])
        with pytest.raises(ConfigError, match=r"state\.safetensors .*delete it to train afresh"):
            load_state(start(configuration(tmp_path), read(DATA)), path)


def test_a_state_from_before_there_were_checksums_is_still_gone_on_from(
    finished: Path, tmp_path: Path
) -> None:
    with safe_open(finished / "state.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()[STATE])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    old = {key: json.dumps(header[key]) for key in ("config", "progress")}
    save_file(tensors, tmp_path / "state.safetensors", metadata=old)
    run = start(configuration(tmp_path), read(DATA))
    load_state(run, tmp_path / "state.safetensors")
    assert (run.epoch, run.step) == (2, 14)
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, tensors[f"model.{name}"])


@pytest.mark.parametrize(
    "progress", [{}, {"epoch": 2}, {"epoch": "two", "step": 14}, {"epoch": 0, "step": 14}, 3]
)
def test_a_state_that_does_not_say_how_far_it_is_is_refused(
    finished: Path, tmp_path: Path, progress: Any
) -> None:
    tensors, entries = checkpoint.unpack(finished / "state.safetensors")
    header = {"config": json.loads(entries[STATE])["config"], "progress": progress}
    packed = checkpoint.pack(tensors, STATE, header)
    (tmp_path / "state.safetensors").write_bytes(packed)
    with pytest.raises(ConfigError, match=r"state\.safetensors"):
        train(configuration(tmp_path), progress=False)


def test_data_without_a_split_are_refused(tmp_path: Path, records: list[Record]) -> None:
    write_shard(tmp_path / "train.h5", [r for r in records if r.split == "train"])
    with pytest.raises(ConfigError, match="7 training and 0 validation records"):
        train(configuration(tmp_path / "run", data=[tmp_path / "train.h5"]), progress=False)
    with pytest.raises(DatasetError, match="is not a file"):
        train(configuration(tmp_path / "run", data=[tmp_path / "none.h5"]), progress=False)


def test_progress_goes_to_standard_error(
    finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = yaml.safe_dump(json.loads(configuration(tmp_path, epochs=1).model_dump_json()))
    (tmp_path / "train.yaml").write_text(text)
    train(tmp_path / "train.yaml")
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = (line for line in err.splitlines() if line.startswith("epoch"))
    assert "epoch    1/1" in line
    assert "left" in line
    assert "validation MAE, eV: occupied" in line
    train(configuration(finished), progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_step_without_a_finite_gradient_changes_nothing(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(configuration(tmp_path), records)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}

    def broken(*arguments: Any) -> dict[str, torch.Tensor]:
        return {name: math.nan * term for name, term in losses(*arguments).items()}

    monkeypatch.setattr(objectives, "losses", broken)
    train_epoch(run, records[:3])
    assert all(torch.equal(v, before[k]) for k, v in run.model.state_dict().items())
    assert all(v.isfinite().all() for v in run.average.values())
