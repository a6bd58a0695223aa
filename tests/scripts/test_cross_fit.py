"""Models that know less: which molecules are kept from them, and that calibration takes them in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from esml.io.records import Record, read
from esml.model.backbones.equivariant import NetworkConfig
from esml.model.hamiltonian import HamiltonianConfig
from esml.predict.model_files import load_model
from esml.training import TrainingConfig
from reference import building_blocks
from scripts.training import calibrate_uncertainty as calibrating
from scripts.training import cross_fit as crossing

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parents[1] / "data" / "tiny.h5"


@pytest.fixture(scope="module")
def training() -> list[Record]:
    return read(ROOT / "data" / "small", split="train")


def test_no_model_knows_a_core_of_its_group(training: list[Record]) -> None:
    plan = replace(crossing.CrossFitPlan.of(ROOT / "configs" / "cross_fit.yaml"), known=0)
    held = crossing.holders(training, plan)
    kept = crossing.left_out(training, plan)
    groups = [kept[f"cores-{place}"] for place in range(plan.groups)]
    tables = (building_blocks.FUSED, building_blocks.RINGS, building_blocks.CHAINS)
    smiles = {name: text for table in tables for name, text in table.items()}
    known = {r.inchikey: Chem.MolFromSmiles(r.smiles) for r in training}
    for name in held:
        core = Chem.MolFromSmiles(smiles[name])
        holding = {key for key, each in known.items() if each.HasSubstructMatch(core)}
        assert holding == held[name]
        assert any(holding <= group for group in groups), name
    assert len(held) > 50
    # Groups are alike, and leave enough to learn from.
    sizes = [len(group) for group in groups]
    assert max(sizes) < 1.1 * min(sizes)
    assert max(sizes) < 0.3 * len(known)
    assert kept == crossing.left_out(training[::-1], plan)
    larger = {r.inchikey for r in training if sum(r.numbers > 1) >= plan.smaller_than}
    assert kept["size"] == larger


def test_left_out_molecules_reach_the_calibration(tmp_path: Path) -> None:
    base = TrainingConfig(
        data=[TINY],
        output=tmp_path / "never",
        model=HamiltonianConfig(
            network=NetworkConfig(channels=4, layers=1, radial=4, radial_hidden=4),
            pair_channels=2,
            hidden=4,
            products=1,
        ),
        exact_from=1.0,
    )
    plan = crossing.CrossFitPlan.of(ROOT / "configs" / "cross_fit.yaml")
    plan = replace(plan, base=base, epochs=1, groups=1, known=2, smaller_than=2)
    crossing.run(plan, tmp_path, only=["cores-*"])
    training = read(TINY, split="train")
    (found,) = calibrating.left_out(tmp_path, training)
    keys = {r.inchikey for r in found.records}
    assert len(keys) == 2
    own = {r.key for r in read(tmp_path / "cores-0" / "data.h5", split="train")}
    assert own == {r.key for r in training} - {r.key for r in found.records}
    assert found.model.metadata == load_model(tmp_path / "cores-0" / "model.safetensors").metadata
    assert found.model.domain is not None
