"""The direct model, and training what is not an equivariant Hamiltonian model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from esml.io.records import Record, read
from esml.model import checkpoint
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.backbones.transformer import TransformerConfig, random_rotations
from esml.model.direct import N_SINGLETS, Direct, DirectConfig
from esml.model.graph import build_graph
from esml.model.hamiltonian import EffectiveHamiltonian, HamiltonianConfig
from esml.training import TrainingConfig, direct, load_config, train
from esml.training.config import LossWeights
from esml.training.losses import losses
from esml.training.targets import collate, structure, turned

DATA = Path(__file__).parents[1] / "data" / "tiny.h5"
NETWORK = NetworkConfig(channels=8, layers=2, cutoff=4.0, radial=4, radial_hidden=8)
TRANSFORMER = TransformerConfig(channels=8, width=8, heads=2, cutoff=4.0, layers=1)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(DATA)


@pytest.fixture
def model() -> Direct:
    torch.manual_seed(0)
    return Direct(DirectConfig(network=NETWORK, hidden=8)).double().eval()


def energies(model: Direct, structures: list[Atoms]) -> torch.Tensor:
    with torch.no_grad():
        found = model(build_graph(structures, model.cutoff, torch.float64))
    levels = torch.stack([found.triplet, found.homo, found.gap], 1)
    return torch.cat([found.singlets, found.strengths, levels], 1)


def test_rotation_permutation_and_company_change_nothing(model: Direct) -> None:
    atoms = molecule("CH3CHO")
    atoms.rattle(0.1, seed=1)
    other = atoms[np.random.default_rng(0).permutation(len(atoms))]
    other.rotate(40, (1, 2, 3))
    alone = energies(model, [atoms])
    assert torch.allclose(energies(model, [molecule("C6H6"), other])[1], alone[0], atol=1e-10)


def test_two_far_copies_have_the_energies_of_one(model: Direct) -> None:
    # Attention over atoms is intensive: a second, equal molecule changes no mean.
    atoms = molecule("H2CO")
    far = atoms.copy()
    far.positions += 50.0
    assert torch.allclose(energies(model, [atoms + far]), energies(model, [atoms]), atol=1e-10)


def test_singlets_ascend_and_strengths_are_positive(model: Direct) -> None:
    found = energies(model, [molecule(name) for name in ("H2CO", "C2H4", "C6H6", "HCN")])
    assert (torch.diff(found[:, :N_SINGLETS], dim=1) > 0).all()
    assert (found[:, N_SINGLETS : 2 * N_SINGLETS] > 0).all()


@pytest.fixture
def with_levels() -> Direct:
    torch.manual_seed(0)
    return Direct(DirectConfig(network=NETWORK, hidden=8, levels="occupied")).double().eval()


def test_occupied_levels_are_as_many_as_electron_pairs(with_levels: Direct) -> None:
    structures = [molecule("H2O"), molecule("C6H6"), molecule("HCN")]
    with torch.no_grad():
        found = with_levels(build_graph(structures, with_levels.cutoff, torch.float64))
    for m, pairs in enumerate((4, 15, 5)):
        levels = found.occupied[m]
        assert int(levels.isfinite().sum()) == pairs
        assert (torch.diff(levels[:pairs]) >= 0).all()
        assert float(found.homo[m]) == float(levels[pairs - 1])
        alone = with_levels(build_graph(structures[m : m + 1], with_levels.cutoff, torch.float64))
        assert torch.allclose(alone.occupied[0], levels[:pairs], atol=1e-10)


def test_levels_start_from_a_fit_to_the_labels(with_levels: Direct, records: list[Record]) -> None:
    truth = direct.labels(records, 0.85, 9.0)
    assert truth.occupied is not None
    for m, record in enumerate(records):
        o = int(record.n_occupied)
        assert truth.occupied[m, :o].numpy() == pytest.approx(record.energies[:o])
    with_levels.set_centre(truth)
    # Of what the atoms say nothing is left: the fit alone.
    for part in (with_levels.values, with_levels.scores):
        last = part[2]
        assert isinstance(last, torch.nn.Linear)
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    torch.nn.init.zeros_(with_levels.occupied.out.weight)
    torch.nn.init.zeros_(with_levels.occupied.out.bias)
    with torch.no_grad():
        found = with_levels(
            build_graph([structure(r) for r in records], with_levels.cutoff, torch.float64)
        )
    known = truth.occupied.isfinite()
    deviation = (found.occupied - truth.occupied)[known]
    spread = (truth.occupied[known] - truth.occupied[known].mean()).std()
    assert float(deviation.std()) < 0.5 * float(spread)
    assert float(direct.losses(found, truth)["orbitals"]) > 0


def test_labels_may_lack_higher_states(model: Direct, records: list[Record]) -> None:
    few = direct.labels(records[3:4], 0.85, 6.0)
    assert int(few.singlets.isfinite().sum()) == 1
    model.set_centre(few)
    found = energies(model, [molecule("H2CO")])
    assert bool(found.isfinite().all())


def test_gradients_of_levels_are_finite(with_levels: Direct, records: list[Record]) -> None:
    # Molecules of different sizes: what is padded must not reach the weights.
    found = with_levels(
        build_graph([structure(r) for r in records], with_levels.cutoff, torch.float64)
    )
    terms = direct.losses(found, direct.labels(records, 0.85, 9.0))
    torch.stack(list(terms.values())).sum().backward()
    for parameter in with_levels.occupied.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
        assert float(parameter.grad.abs().sum()) > 0


def test_a_model_from_before_there_were_levels_is_read(model: Direct, tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    config = model.config.model_dump()
    del config["levels"]
    checkpoint.save(path, checkpoint.Checkpoint(model.state_dict(), config))
    found = checkpoint.load(path)
    again = Direct(DirectConfig.model_validate(found.config)).double().eval()
    again.load_state_dict(found.state)
    assert torch.equal(energies(again, [molecule("HCN")]), energies(model, [molecule("HCN")]))


def test_labels_are_the_valence_states(records: list[Record]) -> None:
    found = direct.labels(records, 0.85, 8.0)
    for m, record in enumerate(records):
        held = (record.singlet_valence_weights >= 0.85) & (record.singlet_energies <= 8.0)
        expected = record.singlet_energies[held][:N_SINGLETS]
        known = found.singlets[m].isfinite()
        assert found.singlets[m][known].numpy() == pytest.approx(expected)
        assert torch.equal(known, found.strengths[m].isfinite())
        o = int(record.n_occupied)
        assert float(found.gap[m]) == pytest.approx(record.energies[o] - record.energies[o - 1])


def test_a_prediction_equal_to_the_labels_has_no_loss(records: list[Record]) -> None:
    truth = direct.labels(records, 0.85, 8.0)
    assert all(float(term) == 0.0 for term in direct.losses(truth, truth).values())


def configuration(output: Path, **changed: object) -> TrainingConfig:
    values = {
        "data": [DATA],
        "output": output,
        "epochs": 4,
        "batch_size": 2,
        "learning_rate": 0.02,
        "warmup": 0,
        "validate_every": 2,
    }
    return TrainingConfig(**{**values, **changed})


def rows(output: Path) -> list[dict[str, str]]:
    with open(output / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("network", [NETWORK, TRANSFORMER], ids=lambda c: c.kind)
def test_direct_models_train_and_are_kept(network: object, tmp_path: Path) -> None:
    form = DirectConfig(network=network, hidden=8, levels="occupied")
    config = configuration(tmp_path, model=form, augment=network is TRANSFORMER)
    path = train(config, progress=False)
    first, *_, last = rows(tmp_path)
    assert float(last["energies"]) < float(first["energies"])
    assert min(float(row["orbitals"]) for row in rows(tmp_path)[1:]) < float(first["orbitals"])
    assert float(last["s1_mae_eV"]) > 0
    assert float(last["occupied_mae_eV"]) > 0
    found = checkpoint.load(path)
    again = Direct(DirectConfig.model_validate(found.config))
    again.load_state_dict(found.state)
    assert found.config["kind"] == "direct"


def test_a_hamiltonian_trains_on_an_unconstrained_backbone(tmp_path: Path) -> None:
    form = HamiltonianConfig(network=TRANSFORMER, pair_channels=4, hidden=8, products=2)
    config = configuration(tmp_path, model=form, augment=True, exact_from=1.0)
    train(config, progress=False)
    first, *_, last = rows(tmp_path)
    assert float(last["hamiltonian"]) < float(first["hamiltonian"])


def test_kinds_are_chosen_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(
        "data: [a]\noutput: b\nmodel: {kind: direct, network: {kind: transformer, width: 32}}\n"
    )
    form = load_config(path).model
    assert isinstance(form, DirectConfig)
    assert isinstance(form.network, TransformerConfig)
    assert form.network.width == 32


def test_a_turned_record_is_the_same_molecule(records: list[Record]) -> None:
    # An equivariant model cannot tell: every term of its loss is the same to the last digits.
    torch.manual_seed(0)
    form = HamiltonianConfig(network=NETWORK, pair_channels=4, hidden=8, products=2)
    model = EffectiveHamiltonian(form).double()
    rotations = random_rotations(len(records), torch.Generator().manual_seed(5)).double().numpy()

    def terms(group: list[Record]) -> dict[str, torch.Tensor]:
        graph = build_graph([structure(r) for r in group], model.cutoff, torch.float64)
        with torch.no_grad():
            found = model(graph).double()
            wanted = LossWeights.model_fields.keys() - {"exact_energies"}
            return losses(found, graph, collate(group, 0.85, 9.0), wanted)

    seen = [turned(r, q) for r, q in zip(records, rotations, strict=True)]
    for name, value in terms(records).items():
        assert float(terms(seen)[name]) == pytest.approx(float(value), rel=2e-4), name
