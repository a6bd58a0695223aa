"""Training on a handful of records: what is learned, from which configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule
from safetensors.torch import load_file
from training_cases import DATA, SMALL, configuration, log_of

import esml
from esml.io.records import Record, read, write_shard
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.elements import element_dimensions, with_new_elements
from esml.model.graph import build_graph
from esml.physics.basis import ELEMENTS
from esml.training import (
    ConfigError,
    TrainingConfig,
    load_config,
    train,
)
from esml.training.card import data_hash
from esml.training.config import LossWeights
from esml.training.run import start
from esml.training.state import load_state
from esml.training.targets import structure


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

    # The same weights must be frozen when the run continues.
    with pytest.raises(ConfigError, match=r"another run: expected frozen \["):
        train(configuration(tmp_path / "a"), progress=False)
    with pytest.raises(ConfigError, match=r"frozen: no weight of the model matches 'coupling'"):
        train(configuration(tmp_path / "b", frozen=["coupling"]), progress=False)


def test_structures_come_as_often_as_asked(tmp_path: Path) -> None:
    """Seven training structures make 21 steps of one, and still count as seven."""
    config = configuration(tmp_path, repeats={DATA: 3}, epochs=1)
    model = esml.load_model(train(config, progress=False))
    run = start(config, read(DATA, split="train"))
    load_state(run, tmp_path / "state.safetensors")
    assert model.metadata["n_structures"] == 7
    assert model.metadata["config"]["repeats"] == {"tiny.h5": 3}
    assert run.step == 21
    with pytest.raises(ValueError, match="repeats names elsewhere, which is not among data"):
        configuration(tmp_path, repeats={Path("elsewhere"): 2})


def test_excited_states_wait_for_their_share_of_the_epochs(tmp_path: Path) -> None:
    train(configuration(tmp_path, excitations_from=0.5, exact_from=0.5), progress=False)
    log = log_of(tmp_path)
    for name in ("energies", "alignment", "transition_dipoles", "exact_energies"):
        assert log[0][name] == ""
        assert float(log[1][name]) > 0.0
    assert float(log[0]["charges"]) > 0.0


def test_a_configuration_is_read_and_its_paths_are_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    path = folder / "train.yaml"
    path.write_text(
        "data: [../shards, /absolute/set]\noutput: run\nepochs: 7\nrepeats: {../shards: 2}\n"
        "model: {network: {channels: 16}}\nlosses: {dipole: 0.5}\n"
    )
    config = load_config(path)
    assert [p.resolve() for p in config.data] == [tmp_path / "shards", Path("/absolute/set")]
    assert config.repeats == {config.data[0]: 2}
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


def total_loss(row: dict[str, str]) -> float:
    weights = LossWeights().model_dump() | {"exact_energies": 0.0}
    total: float = sum(weight * float(row[name]) for name, weight in weights.items() if weight)
    return total


def test_training_lowers_the_loss(finished: Path) -> None:
    first, second = log_of(finished)
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
