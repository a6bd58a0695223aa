"""Train models without some of the molecules, for the error model of the shipped model.

    python -m scripts.training.cross_fit RUN [--config configs/cross_fit.yaml] [--only NAME ...]
    python -m scripts.training.calibrate_uncertainty MODEL DATA... --left-out RUN

Validation molecules have the same cores (chromophores, rings, chains) as training molecules, so
they cannot show the errors for unseen cores. Therefore the unsaturated cores of
reference/molecules.py are divided into groups. For each group a model is trained without any
molecule that contains one of its cores, and without some that contain none; one more is trained on
small molecules only. Their errors for the molecules left out show the errors for unknown molecules.

RUN/NAME gets the model and ``left_out.txt``, the InChIKeys of the molecules it was not trained on.
Run the same command again to continue an interrupted run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
import yaml
from rdkit import Chem

from esml.io.files import write_whole
from esml.io.records import Record, read, write_shard
from esml.training import TrainingConfig, load_config, train
from reference import building_blocks
from scripts import ROOT


@dataclass(frozen=True)
class CrossFitPlan:
    """Content of the file configs/cross_fit.yaml."""

    base: TrainingConfig
    epochs: int
    seed: int
    groups: int
    least_atoms: int
    most_common: float
    known: int
    smaller_than: int

    @classmethod
    def of(cls, path: Path) -> CrossFitPlan:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(**(content | {"base": load_config(path.parent / content["base"])}))


def holders(records: Sequence[Record], plan: CrossFitPlan) -> dict[str, set[str]]:
    """Return the cores that may be left out, with the InChIKeys of the molecules with each."""
    smiles = {r.inchikey: r.smiles for r in records}
    known = {key: Chem.MolFromSmiles(text) for key, text in smiles.items()}
    tables = (building_blocks.FUSED, building_blocks.RINGS, building_blocks.CHAINS)
    found = {}
    for name, text in (entry for table in tables for entry in table.items()):
        core = Chem.MolFromSmiles(text)
        if core.GetNumAtoms() < plan.least_atoms:
            continue
        holding = {key for key, each in known.items() if each.HasSubstructMatch(core)}
        if 0 < len(holding) <= plan.most_common * len(known):
            found[name] = holding
    return found


def deal(held: dict[str, set[str]], keys: set[str], plan: CrossFitPlan) -> list[set[str]]:
    """Divide the molecules to leave out into groups that are as small and as equal as possible."""
    rng = np.random.default_rng(plan.seed)
    names = sorted(held, key=lambda name: -len(held[name]))
    order = sorted(rng.permutation(len(names)), key=lambda i: -len(held[names[i]]))
    groups: list[set[str]] = [set() for _ in range(plan.groups)]
    for place in order:
        holding = held[names[place]]
        min(groups, key=lambda group: (len(group | holding), rng.random())).update(holding)
    for group in groups:
        rest = sorted(keys.difference(*groups))
        group.update(rest[i] for i in rng.permutation(len(rest))[: plan.known])
    return groups


def left_out(records: Sequence[Record], plan: CrossFitPlan) -> dict[str, set[str]]:
    """Return by model name the InChIKeys of the training molecules left out of it."""
    keys = {r.inchikey for r in records}
    groups = deal(holders(records, plan), keys, plan)
    found = {f"cores-{place}": group for place, group in enumerate(groups)}
    found["size"] = {r.inchikey for r in records if (r.numbers > 1).sum() >= plan.smaller_than}
    return found


def run(plan: CrossFitPlan, directory: Path, only: Sequence[str] = ()) -> None:
    """Train every model of ``plan`` that is missing in ``directory``."""
    records = read(plan.base.data)
    training = [r for r in records if r.split == "train"]
    validation = [r for r in records if r.split == "validation"]
    for name, without in left_out(training, plan).items():
        if only and not any(fnmatch(name, pattern) for pattern in only):
            continue
        output = directory / name
        output.mkdir(parents=True, exist_ok=True)
        shard = output / "data.h5"
        if not shard.exists():
            write_shard(shard, [r for r in [*training, *validation] if r.inchikey not in without])
        write_whole(output / "left_out.txt", "\n".join([*sorted(without), ""]).encode())
        changes = {"data": [shard], "output": output, "name": name, "epochs": plan.epochs}
        print(f"{name}: {len(without)} molecules left out", flush=True)
        train(plan.base.model_copy(update=changes | {"validate_every": plan.epochs}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="RUN")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "cross_fit.yaml")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME")
    args = parser.parse_args()
    torch.set_num_threads(1)
    run(CrossFitPlan.of(args.config), args.directory, args.only)


if __name__ == "__main__":
    main()
