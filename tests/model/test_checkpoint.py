from __future__ import annotations

import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import ase.build
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import esml
from esml import StructureError
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.checkpoint import (
    FORMAT,
    LARGEST,
    Checkpoint,
    CheckpointError,
    Format,
    load,
    save,
)
from esml.model.hamiltonian import HamiltonianConfig
from esml.physics.basis import ELEMENTS

SAID = {
    1: ("H2CO", [2.51677336, 2.52511471], 4.68631932),
    2: ("C2H4", [2.74201325, 5.88786978], 8.50677281),
    3: ("C2H4", [4.18133558, 7.24454200], 10.17670849),
    4: ("C2H4", [4.33228184, 7.14685434], 10.32640543),
    5: ("C2H4", [4.33228184, 7.14685434], 10.32640543),
    6: ("C2H4", [4.33228184, 7.14685434], 10.32640543),
}
"""A molecule, and its singlets and gap (eV) that the models of ``version-N.safetensors`` gave when
they were written."""


@pytest.fixture
def content() -> Checkpoint:
    generator = torch.Generator().manual_seed(0)
    return Checkpoint(
        state={
            "weight": torch.randn(3, 4, generator=generator),
            "transposed": torch.randn(3, 4, generator=generator).T,
            "double": torch.randn(2, generator=generator, dtype=torch.float64),
            "count": torch.tensor(7),
        },
        config={"channels": 8, "network": {"cutoff": 5.0, "name": "größer"}},
        metadata={"name": "test", "level": [{"functional": "camb3lyp"}], "rmse": 0.1, "none": None},
    )


def with_header(path: Path, header: str | None) -> Path:
    """A safetensors file with this text where the header is expected."""
    save_file({"x": torch.zeros(2)}, path, metadata=None if header is None else {"esml": header})
    return path


def test_what_is_saved_is_loaded(tmp_path: Path, content: Checkpoint) -> None:
    path = tmp_path / "model.safetensors"
    save(path, content)
    found = load(path)
    assert found.config == content.config
    assert found.metadata == content.metadata
    assert found.state.keys() == content.state.keys()
    for name, tensor in content.state.items():
        assert found.state[name].dtype == tensor.dtype
        assert torch.equal(found.state[name], tensor)
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_file_says_its_version_and_is_readable_by_others(
    tmp_path: Path, content: Checkpoint
) -> None:
    path = tmp_path / "model.safetensors"
    previous = os.umask(0o022)
    try:
        save(path, content)
    finally:
        os.umask(previous)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["esml"])["version"] == FORMAT.version
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_saving_is_atomic(
    tmp_path: Path, content: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, while or after it writes, the old file or the new one is there, whole."""
    path = tmp_path / "model.safetensors"
    save(path, content)
    before = path.read_bytes()
    content.metadata["name"] = "newer"
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> None:
                assert len(os.listdir(tmp_path)) == 2  # the new file has another name as yet
                assert path.read_bytes() == before
                raise KeyboardInterrupt

            patch.setattr(f"esml.io.files.os.{name}", fail)
            with pytest.raises(KeyboardInterrupt):
                save(path, content)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["model.safetensors"]
    save(path, content)
    assert load(path).metadata["name"] == "newer"


def test_a_full_disk_is_named(
    tmp_path: Path, content: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.*could not be written.*free space"):
        save(tmp_path / "nowhere" / "model.safetensors", content)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("esml.io.files.os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save(tmp_path / "model.safetensors", content)
    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="does not exist"):
            load(path)


@pytest.mark.parametrize("text", [b"", b"abc", b"name: a text file\n" * 100, b"\x89HDF\r\n\x1a\n"])
def test_a_foreign_file_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(text)
    with pytest.raises(CheckpointError, match="could not be read"):
        load(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, content: Checkpoint, share: float) -> None:
    path = tmp_path / "model.safetensors"
    save(path, content)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="could not be read"):
        load(path)


def test_bytes_changed_anywhere_are_found_and_the_file_named(
    tmp_path: Path, content: Checkpoint
) -> None:
    path = tmp_path / "model.safetensors"
    save(path, content)
    whole = path.read_bytes()
    named, harmless = 0, 0
    for place in range(len(whole)):
        for mask in (0x01, 0x20, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
            try:
                found = load(path)
            except CheckpointError as error:
                named += "model.safetensors " in str(error)
            else:
                # JSON writes ö as \u00f6 or, as well, as \u00F6.
                assert chr(whole[place] ^ mask) in "DF"
                assert (found.config, found.metadata) == (content.config, content.metadata)
                assert all(torch.equal(found.state[k], t) for k, t in content.state.items())
                harmless += 1
    assert harmless == 3
    assert named == 3 * len(whole) - harmless
    path.write_bytes(whole)
    assert load(path).config == content.config


def test_other_weights_under_the_same_header_are_refused(
    tmp_path: Path, content: Checkpoint
) -> None:
    path = tmp_path / "model.safetensors"
    save(path, content)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()["esml"]
    for changed in (
        {"weight": content.state["weight"] + 1},
        {"weight": content.state["weight"].double()},
        {"weight": content.state["weight"].reshape(4, 3)},
        {"more": torch.zeros(1)},
    ):
        state = {k: v.contiguous() for k, v in {**content.state, **changed}.items()}
        save_file(state, path, metadata={"esml": header})
        with pytest.raises(CheckpointError, match="is damaged: expected weights and configuration"):
            load(path)
    without = {k: v for k, v in json.loads(header).items() if k != "sha256"}
    state = {k: v.contiguous() for k, v in content.state.items()}
    save_file(state, path, metadata={"esml": json.dumps(without)})
    with pytest.raises(CheckpointError, match="is damaged"):
        load(path)


def test_saving_the_same_gives_the_same_bytes(tmp_path: Path, content: Checkpoint) -> None:
    for name in ("a", "b"):
        save(tmp_path / name, content)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("version", SAID)
def test_a_model_of_an_earlier_format_is_still_loaded(version: int) -> None:
    """The first was written before there were checksums."""
    path = Path(__file__).parents[1] / "data" / f"version-{version}.safetensors"
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["esml"])
    assert header["version"] == version
    assert ("sha256" in header) == (version > 1)
    molecule, energies, gap = SAID[version]
    result = esml.load_model(path).predict(ase.build.molecule(molecule), n_states=2)
    assert result.singlets.energies == pytest.approx(energies, abs=1e-4)
    assert result.gap == pytest.approx(gap, abs=1e-4)


def test_every_earlier_format_has_a_file_to_test() -> None:
    assert sorted(SAID) == list(range(1, FORMAT.version))


def test_a_model_of_the_second_format_keeps_its_domain() -> None:
    """It was trained for 20 epochs on ``tiny.h5``, which holds no carbon between two oxygens."""
    model = esml.load_model(Path(__file__).parents[1] / "data" / "version-2.safetensors")
    assert model.predict(ase.build.molecule("C2H4"), n_states=2).in_domain
    assert not model.predict(ase.build.molecule("CO2"), n_states=2).in_domain


def test_a_model_of_the_fourth_format_keeps_its_errors_and_refuses_new_elements() -> None:
    """Elements that came with the fifth have rows in every table, which say nothing."""
    model = esml.load_model(Path(__file__).parents[1] / "data" / "version-4.safetensors")
    found = model.predict(ase.build.molecule("C2H4"), n_states=2)
    assert found.in_domain
    assert found.singlets.uncertainties == pytest.approx([1.26294633, 1.27908421], abs=1e-5)
    assert len(model.hamiltonian.baseline) == len(ELEMENTS)
    for name in ("PH3", "SiH4", "HCN"):  # no nitrogen in its training data
        with pytest.raises(StructureError, match="an element the model does not know"):
            model.predict(ase.build.molecule(name), n_states=2)


def test_a_model_of_the_fifth_format_goes_on_as_it_was_trained() -> None:
    model = esml.load_model(Path(__file__).parents[1] / "data" / "version-5.safetensors")
    config = model.hamiltonian.config
    assert isinstance(config.network, NetworkConfig)
    assert (config.network.floor, config.net_charge) == (0.01, False)
    assert (NetworkConfig().floor, HamiltonianConfig().net_charge) == (1.0, True)


def test_an_error_model_of_the_third_format_is_forgotten() -> None:
    """Its descriptors were others; what is stated is the error on validation molecules."""
    path = Path(__file__).parents[1] / "data" / "version-3.safetensors"
    with safe_open(path, framework="pt") as file:
        assert "uncertainty.random" in file.keys()  # noqa: SIM118 (no mapping)
    model = esml.load_model(path)
    assert model.error_model is None
    assert "uncertainty" not in model.metadata
    result = model.predict(ase.build.molecule("C2H4"), n_states=2)
    expected = model.metadata["validation_rmse_eV"]["singlets"]
    assert result.singlets.uncertainties == pytest.approx([expected] * 2)


def test_a_header_that_declares_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = {"weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match="could not be read"):
        load(path)
    path.write_bytes((2**62).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match="could not be read"):
        load(path)


def test_a_file_too_large_for_a_model_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)  # of holes: it takes no room
    with pytest.raises(CheckpointError, match=f"expected a model file of at most {2**31}"):
        load(path)


def test_a_configuration_that_asks_for_more_weights_than_there_are_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    for config, words in (
        ({"pair_channels": 1024, "hidden": 4096}, "asks for more weights than the file holds"),
        ({"hidden": 10**12}, "less than or equal to 4096"),
    ):
        save(path, Checkpoint({"x": torch.zeros(2)}, config))
        with pytest.raises(CheckpointError, match=words):
            esml.load_model(path)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not an esml model"):
        load(with_header(tmp_path / "other.safetensors", None))


@pytest.mark.parametrize(
    "header",
    [
        "{not json",
        "[1, 2]",
        '"text"',
        "3",
        "{}",
        '{"version": 1}',
        '{"version": 1, "config": {}}',
        '{"version": "one", "config": {}, "metadata": {}}',
        '{"version": null, "config": {}, "metadata": {}}',
        '{"version": 1, "config": [1, 2], "metadata": {}}',
        '{"version": 1, "config": {}, "metadata": 5}',
        '{"version": 0, "config": {}, "metadata": {}}',
        '{"version": Infinity, "config": {}, "metadata": {}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(CheckpointError, match="damaged header"):
        load(with_header(tmp_path / "model.safetensors", header))


def test_a_newer_file_asks_for_a_newer_package(tmp_path: Path) -> None:
    header = json.dumps({"version": FORMAT.version + 1, "weights": "elsewhere"})
    path = with_header(tmp_path / "model.safetensors", header)
    with pytest.raises(CheckpointError, match=rf"expected at most {FORMAT.version}; update esml"):
        load(path)


class Malicious:
    """Pickled, this writes a file wherever it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_refused_and_never_executed(tmp_path: Path, legacy: bool) -> None:
    trap = tmp_path / "executed"
    path = tmp_path / "model.safetensors"
    torch.save(
        {"weight": torch.zeros(2), "payload": Malicious(trap)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(CheckpointError, match="could not be read"):
        load(path)
    assert not trap.exists()
    # The trap itself works.
    pickle.loads(pickle.dumps(Malicious(trap)))
    assert trap.exists()


def test_an_old_file_is_lifted_step_by_step(tmp_path: Path, content: Checkpoint) -> None:
    path = tmp_path / "model.safetensors"
    save(path, content)
    first = FORMAT.version

    def rename(old: Checkpoint) -> Checkpoint:
        state = {name.replace("weight", "kernel"): t for name, t in old.state.items()}
        return Checkpoint(state, {**old.config, "radial": 8}, old.metadata)

    def double(old: Checkpoint) -> Checkpoint:
        return Checkpoint(old.state, {**old.config, "radial": 2 * old.config["radial"]}, {})

    newer = Format(first + 2, {first: rename, first + 1: double})
    found = load(path, newer)
    assert found.config["radial"] == 16
    assert torch.equal(found.state["kernel"], content.state["weight"])
    assert "weight" not in found.state
    assert found.metadata == {}
    # What is written now is new and needs no lifting.
    save(path, found, newer)
    assert load(path, newer).config["radial"] == 16


def test_every_version_has_its_upgrade() -> None:
    assert sorted(FORMAT.upgrades) == list(range(1, FORMAT.version))
