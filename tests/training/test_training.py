"""Configuration, training and evaluation on a handful of reference records."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ase.build import molecule
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import esml
from esml.io.files import BusyError, sole_writer
from esml.io.records import DatasetError, Record, pack, read, write_shard
from esml.model import checkpoint
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.checkpoint import CheckpointError
from esml.model.elements import element_dimensions, with_new_elements
from esml.model.graph import build_graph
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.physics.basis import ELEMENTS
from esml.physics.excitations import Excitations
from esml.physics.response import Response
from esml.predict.solution import Solution
from esml.predict.surrogate import Surrogate
from esml.training import (
    ConfigError,
    TrainingConfig,
    evaluate,
    format_evaluation,
    load_config,
    objectives,
    train,
)
from esml.training import loop as training_loop
from esml.training.card import data_hash
from esml.training.config import LossWeights
from esml.training.evaluation import evaluate_records
from esml.training.log import take_back
from esml.training.losses import exact_energies, losses, match, rayleigh
from esml.training.run import Run, batches, learning_rate, start, train_epoch
from esml.training.scores import QUANTITIES
from esml.training.state import STATE, load_state
from esml.training.targets import StateTargets, Targets, collate, structure

DATA = Path(__file__).parents[1] / "data" / "tiny.h5"

SMALL = HamiltonianConfig(
    network=NetworkConfig(channels=8, layers=2, cutoff=4.0, radial=4, radial_hidden=8),
    pair_channels=4,
    hidden=8,
    products=2,
)


def configuration(output: Path, **changed: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "data": [DATA],
        "output": output,
        "model": SMALL,
        "epochs": 2,
        "batch_size": 1,
        "learning_rate": 0.03,
        "warmup": 0,
        "exact_from": 0.5,
        "validate_every": 1,
        "seed": 1,
    }
    return TrainingConfig(**{**values, **changed})


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(DATA)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of two epochs."""
    output = tmp_path_factory.mktemp("run")
    assert train(configuration(output), progress=False) == output / "model.safetensors"
    return output


def without_states(record: Record) -> Record:
    """What a method gives that knows neither excited states nor a dipole operator."""
    n = len(record.energies)
    o = int(record.n_occupied)
    none = np.zeros((0, o, n - o))
    return replace(
        record,
        dipole_operator=np.zeros((3, 0)),
        singlet_energies=np.zeros(0),
        singlet_strengths=np.zeros(0),
        singlet_dipoles=np.zeros((0, 3)),
        singlet_valence_weights=np.zeros(0),
        singlet_x=none,
        singlet_y=none,
        triplet_energies=np.zeros(0),
        triplet_valence_weights=np.zeros(0),
        triplet_x=none,
    )


def log_of(output: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((output / "log.csv").read_text().splitlines()))


ONLY_HAMILTONIAN = dict.fromkeys(LossWeights.model_fields, 0.0) | {"hamiltonian": 1.0}


def test_hamiltonians_alone_can_be_learned_and_started_from(
    tmp_path: Path, records: list[Record]
) -> None:
    data = tmp_path / "data.h5"
    write_shard(data, [without_states(r) for r in records])
    first = configuration(tmp_path / "a", data=[data], losses=ONLY_HAMILTONIAN)
    model = train(first, progress=False)
    log = log_of(tmp_path / "a")
    assert float(log[-1]["hamiltonian"]) < float(log[0]["hamiltonian"])
    assert log[-1]["energies"] == ""
    assert log[-1]["dipole_operator"] == ""

    # Weights that hardly move are those it started from, but for levels and elements of the data.
    still = configuration(tmp_path / "b", initial=model, learning_rate=1e-12, epochs=1)
    before, after = load_file(model), load_file(train(still, progress=False))
    assert before.keys() == after.keys()
    known = esml.load_model(model).elements
    adopted = with_new_elements(before, known)
    for name, value in before.items():
        expected = value if name.startswith("domain.") else adopted[name]
        if not name.endswith("baseline"):
            torch.testing.assert_close(after[name], expected, rtol=0, atol=1e-6)

    other = SMALL.model_copy(update={"hidden": 4})
    with pytest.raises(ConfigError, match=r"another form: expected model\.hidden 8, the"):
        train(configuration(tmp_path / "c", initial=model, model=other), progress=False)
    with pytest.raises(ConfigError, match=r"initial: .*nowhere"):
        train(configuration(tmp_path / "d", initial=tmp_path / "nowhere"), progress=False)


def test_new_elements_begin_as_those_they_resemble(tmp_path: Path) -> None:
    """Known elements keep every weight; silicon starts like carbon, with levels of its own."""
    path = DATA.parent / "version-4.safetensors"
    old = esml.load_model(path).hamiltonian
    settings = configuration(tmp_path, initial=path, model=old.config)
    model = start(settings, read(DATA)).model
    carbon, silicon = ELEMENTS.index(6), ELEMENTS.index(14)
    known = torch.tensor([ELEMENTS.index(z) for z in (1, 6, 8, 9, 16, 17)])
    for name, tensor in old.state_dict().items():
        if name != "baseline" and element_dimensions(name):
            pair = torch.stack([model.state_dict()[name], tensor])
            for dimension in range(element_dimensions(name)):
                pair = pair.index_select(1 + dimension, known)
            assert torch.equal(*pair)
    embedding = model.network.embedding.weight
    assert torch.equal(embedding[silicon], embedding[carbon])
    assert not torch.equal(model.baseline[silicon], model.baseline[carbon])
    graph = build_graph([molecule("SiH4")], model.cutoff)
    assert model(graph).hamiltonian.isfinite().all()


def test_frozen_weights_stay_as_they_start(tmp_path: Path) -> None:
    frozen = ["couplings.*", "couplings_hidden.*", "exponents"]
    config = configuration(tmp_path / "a", frozen=frozen)
    before = start(config, read(DATA)).model.state_dict()
    after = load_file(train(config, progress=False))
    kept = [n for n in before if n.startswith("couplings") or n == "exponents"]
    assert len(kept) == 5
    for name in kept:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    moved = (n for n in before if not torch.equal(after[n], before[n]))
    assert {"element_couplings", "virtual_scale"} <= set(moved)

    # The same weights must be frozen when the run goes on.
    with pytest.raises(ConfigError, match=r"another run: expected frozen \["):
        train(configuration(tmp_path / "a"), progress=False)
    with pytest.raises(ConfigError, match=r"frozen: no weight of the model matches 'coupling'"):
        train(configuration(tmp_path / "b", frozen=["coupling"]), progress=False)


def test_excited_states_wait_for_their_share_of_the_epochs(tmp_path: Path) -> None:
    train(configuration(tmp_path, excitations_from=0.5, exact_from=0.5), progress=False)
    log = log_of(tmp_path)
    for name in ("energies", "alignment", "transition_dipoles", "exact_energies"):
        assert log[0][name] == ""
        assert float(log[1][name]) > 0.0
    assert float(log[0]["charges"]) > 0.0


# ---- configuration ----------------------------------------------------------------------------


def test_a_configuration_is_read_and_its_paths_are_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    path = folder / "train.yaml"
    path.write_text(
        "data: [../shards, /absolute/set]\noutput: run\nepochs: 7\n"
        "model: {network: {channels: 16}}\nlosses: {dipole: 0.5}\n"
    )
    config = load_config(path)
    assert [p.resolve() for p in config.data] == [tmp_path / "shards", Path("/absolute/set")]
    assert config.output == folder / "run"
    assert config.epochs == 7
    assert config.model.network.channels == 16
    assert config.model.network.layers == NetworkConfig().layers
    assert config.losses.dipole == 0.5
    assert config.losses.charges == LossWeights().charges


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [a]\noutput: b\nepocs: 3\n", r"epocs: .*\(got 3\)"),
        ("data: [a]\noutput: b\nmodel: {network: {chanels: 3}}\n", r"model\.network\.chanels: "),
        ("data: [a]\noutput: b\nlosses: {energy: 3}\n", r"losses\.energy: "),
        ("data: [a]\noutput: b\nepochs: many\n", r"epochs: .*integer.*\(got 'many'\)"),
        ("data: [a]\noutput: b\nepochs: 0\n", r"epochs: .*greater than or equal to 1"),
        ("data: [a]\noutput: b\nmodel: {pair_onset: 9}\n", r"model: .*must be below pair_cutoff"),
        ("data: [a]\n", r"output: Field required"),
        ("- data\n- output\n", "holds no mapping"),
        ("", "holds no mapping"),
        ("data: [a\noutput: }", "is not readable YAML"),
        ("data: \x00", "is not readable YAML"),
    ],
)
def test_a_wrong_configuration_is_named_by_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert "train.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="not readable YAML"):
        load_config(tmp_path)
    path = tmp_path / "binary.yaml"
    path.write_bytes(DATA.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="not readable YAML"):
        load_config(path)


def test_defaults_validation_and_documentation_share_one_source() -> None:
    for model in (TrainingConfig, LossWeights):
        for name, field in model.model_fields.items():
            assert field.description, name


# ---- the loop ---------------------------------------------------------------------------------


def rows(output: Path) -> list[dict[str, str]]:
    with open(output / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def total_loss(row: dict[str, str]) -> float:
    weights = LossWeights().model_dump() | {"exact_energies": 0.0}
    return sum(weight * float(row[name]) for name, weight in weights.items() if weight)


def test_training_lowers_the_loss(finished: Path) -> None:
    first, second = rows(finished)
    assert total_loss(second) < 0.8 * total_loss(first)
    assert first["exact_energies"] == ""  # states are solved in the second half only
    assert float(second["exact_energies"]) > 0
    assert float(second["occupied_mae_eV"]) > 0
    assert float(second["seconds"]) > 0


def test_a_run_leaves_a_model_that_loads_and_says_what_it_is(finished: Path) -> None:
    model = esml.load_model(finished / "model.safetensors")
    assert model.hamiltonian.config == SMALL
    card = model.metadata
    assert card["n_structures"] == 7
    assert card["n_molecules"] == 6
    assert card["elements"] == [1, 6, 8, 9, 16, 17]
    assert card["level"][0]["functional"] == "camb3lyp"
    assert card["validation"]["n_structures"] == 2
    json.dumps(card)
    assert card["config"]["seed"] == 1
    assert card["config"]["data"] == ["tiny.h5"]
    assert card["config"]["losses"] == configuration(finished).model_dump()["losses"]
    assert str(finished) not in json.dumps(card)
    assert card["versions"]["esml"] == esml.__version__
    assert card["versions"]["torch"] == torch.__version__
    result = model.predict(structure(read(DATA)[0]), n_states=2)
    assert len(result.singlets) == 2
    # Two validation molecules are too few for an error model: the uncertainty of a state is the
    # model's error on molecules it was not trained on. The domain needs no more than the others.
    assert model.domain is not None
    assert model.error_model is None
    assert result.singlets.uncertainties[0] == card["validation_rmse_eV"]["singlets"] > 0


def test_the_hash_of_the_data_depends_on_the_records_alone(records: list[Record]) -> None:
    training, validation = records[:7], records[7:9]
    card = data_hash(training, validation)
    assert card["train"] == 7
    assert card["validation"] == 2
    assert data_hash(training[::-1], validation) == card
    others = (
        data_hash(training[1:], validation),
        data_hash(training, validation[1:]),
        data_hash(validation, training),
        data_hash([*training[1:], replace(training[0], key="other")], validation),
    )
    assert len({card["sha256"], *(other["sha256"] for other in others)}) == 5


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
    assert len(rows(tmp_path)) == 1
    train(config, progress=False)
    whole, resumed = (load_file(p / "state.safetensors") for p in (finished, tmp_path))
    assert whole.keys() == resumed.keys()
    assert {name.split(".")[0] for name in whole} == {"model", "average", "optimizer"}
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    for one, other in zip(rows(finished), rows(tmp_path), strict=True):
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
    (row,) = rows(tmp_path)
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
    with pytest.raises(DatasetError, match="is no file"):
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
    true = objectives.losses

    def broken(*arguments: Any) -> dict[str, torch.Tensor]:
        return {name: math.nan * term for name, term in true(*arguments).items()}

    monkeypatch.setattr(objectives, "losses", broken)
    train_epoch(run, records[:3])
    assert all(torch.equal(v, before[k]) for k, v in run.model.state_dict().items())
    assert all(v.isfinite().all() for v in run.average.values())


# ---- losses and evaluation: exact on the model's own solution ---------------------------------


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    """A model without the zeros its output layers start from.

    Weak exchange keeps ground states stable, which those of an untrained model need not be.
    """
    torch.manual_seed(0)
    model = EffectiveHamiltonian(SMALL).double()
    model.set_baseline({z: {"hardness_exchange": 2.0} for z in ELEMENTS})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Surrogate(model, {}).eval()


@pytest.fixture(scope="module")
def solved(surrogate: Surrogate, records: list[Record]) -> Solution:
    with torch.no_grad():
        solution: Solution = surrogate(surrogate.graph([structure(r) for r in records]), 8)
    assert solution.singlets.stable.all()
    return solution


def own_states(found: Excitations, solution: Solution, order: list[int]) -> StateTargets:
    """Solved states as if they were labels, in another order and with random signs."""
    generator = torch.Generator().manual_seed(0)
    sign = torch.sign(torch.randn(found.energies.shape, generator=generator)).double()
    c_o, c_v = solution.orbitals.occupied, solution.orbitals.virtual
    plus, minus = (
        sign[:, :, None, None] * torch.einsum("mui,msia,mva->msuv", c_o, x, c_v)
        for x in (found.X + found.Y, found.X - found.Y)
    )
    dipoles = sign[:, :, None] * found.transition_dipoles
    values = (found.energies.nan_to_num(), found.oscillator_strengths, dipoles, plus, minus)
    return StateTargets(*(x[:, order] for x in values), found.mask[:, order])


ORDER = [3, 0, 7, 1, 6, 2, 5, 4]


@pytest.fixture(scope="module")
def own(solved: Solution) -> Targets:
    """What the model says, as targets."""
    return Targets(
        hamiltonian=solved.operators.hamiltonian,
        dipole_operator=solved.operators.dipole,
        orbital_energies=solved.orbitals.energies.nan_to_num(),
        charges=solved.charges,
        dipole=solved.dipole,
        singlets=own_states(solved.singlets, solved, ORDER),
        triplets=own_states(solved.triplets, solved, ORDER),
    )


def test_a_model_has_no_loss_against_itself(
    surrogate: Surrogate, solved: Solution, own: Targets, records: list[Record]
) -> None:
    graph = surrogate.graph([structure(r) for r in records])
    with torch.no_grad():
        terms = losses(solved.operators, graph, own, LossWeights.model_fields)
    assert terms.keys() == LossWeights.model_fields.keys()
    for name, term in terms.items():
        assert abs(float(term)) < 1e-9, name


def test_every_loss_notices_its_own_deviation(
    surrogate: Surrogate, solved: Solution, own: Targets, records: list[Record]
) -> None:
    """Moved labels: each term is the size its formula tells, and the others stay zero."""
    graph = surrogate.graph([structure(r) for r in records])

    def terms(targets: Targets) -> dict[str, float]:
        with torch.no_grad():
            found = losses(solved.operators, graph, targets, LossWeights.model_fields)
        return {name: float(term) for name, term in found.items() if abs(float(term)) > 1e-9}

    assert terms(replace(own, charges=own.charges + 0.1)) == {"charges": pytest.approx(0.01)}
    shift = torch.tensor([0.1, 0.2, -0.2], dtype=torch.float64)
    assert terms(replace(own, dipole=own.dipole + shift)) == {"dipole": pytest.approx(0.09)}
    orbital_energies = own.orbital_energies + 0.3
    # Huber with a width of 0.1: |x| − 0.05.
    assert terms(replace(own, orbital_energies=orbital_energies)) == {
        "orbitals": pytest.approx(0.25)
    }
    moved = replace(own.triplets, energies=own.triplets.energies + 0.3)
    found = terms(replace(own, triplets=moved))
    assert found == {
        "energies": pytest.approx(0.125),
        "exact_energies": pytest.approx(0.125),
    }
    eye = torch.eye(own.hamiltonian.shape[1], dtype=torch.float64)
    found = terms(replace(own, hamiltonian=own.hamiltonian + 0.5 * eye))
    assert found == {"hamiltonian": pytest.approx(0.25)}


def test_mixed_states_are_not_aligned(solved: Solution, own: Targets) -> None:
    """Two states rotated into each other by θ couple by ½ sin 2θ (ω₁ − ω₀), once each way."""
    response = Response(solved.orbitals, solved.operators.interaction, solved.operators.layout)
    labels = own_states(solved.triplets, solved, list(range(8)))
    m = 4
    pair = labels.energies[m, :2]
    assert pair[1] - pair[0] > 0.1
    theta = 0.3
    turn = torch.eye(8, dtype=torch.float64)
    turn[:2, :2] = torch.tensor(
        [[math.cos(theta), math.sin(theta)], [-math.sin(theta), math.cos(theta)]]
    )
    plus = labels.plus.clone()
    plus[m] = torch.einsum("st,tuv->suv", turn, plus[m])
    only = torch.zeros_like(labels.mask)
    only[m] = labels.mask[m]
    mixed = replace(labels, plus=plus, minus=plus, mask=only)
    _, alignment, _, usable = rayleigh(response, mixed, ("triplet", "triplet"))
    assert usable.sum() == only.sum() == 8
    coupling = 0.5 * math.sin(2 * theta) * float(pair[1] - pair[0])
    assert float(alignment.detach()) == pytest.approx(2 * coupling**2 / (8 * 7), rel=1e-4)


def test_states_are_matched_whatever_their_order(solved: Solution, own: Targets) -> None:
    for found, labels in ((solved.singlets, own.singlets), (solved.triplets, own.triplets)):
        places = match(found, solved.orbitals, labels)
        expected = torch.where(labels.mask, torch.tensor(ORDER).expand_as(places), -1)
        # Degenerate partners (those of linear molecules) may stand in for each other.
        energies = found.energies.nan_to_num()
        assert torch.equal(places >= 0, expected >= 0)
        gathered = (energies.gather(1, x.clamp(min=0)) for x in (places, expected))
        assert torch.allclose(*gathered, atol=1e-6)
        bent = [m for m, e in enumerate(energies) if e[e > 0].diff().min() > 1e-6]
        assert len(bent) > 6
        assert torch.equal(places[bent], expected[bent])
        assert float(exact_energies(found, solved.orbitals, labels)) < 1e-9


def own_record(record: Record, solution: Solution, m: int) -> Record:
    """A record whose labels are what the model says of its structure."""
    layout, found = solution.operators.layout, solution.orbitals
    n, o, k = int(layout.n_orbitals[m]), int(layout.n_occupied[m]), len(record.numbers)

    def states(kind: str, excitations: Excitations) -> dict[str, np.ndarray]:
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
    with pytest.raises(DatasetError, match="is no file"):
        evaluate(surrogate, tmp_path / "none.h5")
    with pytest.raises(CheckpointError):
        esml.load_model(DATA)


# ---- targets ----------------------------------------------------------------------------------


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
