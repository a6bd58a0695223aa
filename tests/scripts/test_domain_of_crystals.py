"""The script that writes into a model of crystals which structures it knows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from crystal_models import alloy, made_up, record_of

from esml.confidence.crystals import CrystalDomain
from esml.io.records import CrystalRecord, write_shard
from esml.model import checkpoint
from esml.predict.crystals import save_crystal_model
from esml.training.crystals.scores import structure
from scripts.training import crystal_domain


def records() -> list[CrystalRecord]:
    return [record_of(alloy(seed), split) for seed, split in enumerate(("train", "train", "test"))]


def model_file(folder: Path, n_structures: int = 2) -> Path:
    """A model without a domain."""
    model = made_up()
    model.metadata = {"name": "old", "n_structures": n_structures}
    path = folder / "old.safetensors"
    save_crystal_model(model, path)
    return path


def test_it_changes_nothing_but_the_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = model_file(tmp_path), tmp_path / "new.safetensors"
    (tmp_path / "set").mkdir()
    write_shard(tmp_path / "set" / "shard-000.h5", records())
    monkeypatch.setattr(
        sys, "argv", ["crystal_domain", str(path), str(tmp_path / "set"), "-o", str(out)]
    )
    crystal_domain.main()
    before, after = checkpoint.load(path), checkpoint.load(out)
    assert before.config == after.config
    assert before.state.keys() == after.state.keys()
    assert all(torch.equal(before.state[name], after.state[name]) for name in before.state)
    training = [structure(r) for r in records() if r.split == "train"]
    expected = CrystalDomain.of(training).plain()
    assert after.metadata == before.metadata | {"domain": expected}
    assert "train: 0 of 2 crystals would be warned of" in capsys.readouterr().out


def test_other_data_and_other_models_are_refused(tmp_path: Path) -> None:
    content = checkpoint.load(model_file(tmp_path, n_structures=3))
    training = [r for r in records() if r.split == "train"]
    with pytest.raises(ValueError, match="2 training crystals where the model was trained on 3"):
        crystal_domain.with_domain(content, training)
    content.config = {"kind": "hamiltonian"}
    with pytest.raises(ValueError, match="a model of molecules where one of crystals"):
        crystal_domain.with_domain(content, training)
