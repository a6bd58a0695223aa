"""Compute your own reference data, train a model on them, and use it.

    python -m examples.train_your_own                  # ten minutes
    python -m examples.train_your_own --smoke          # two minutes: shows the steps only

Run it in a clone: pip does not install the package `reference` that it uses. Everything goes to the
folder my-model. docs/reference-data.md explains the commands, and esml/training/config.py every key
of the configuration.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml
from ase import Atoms
from ase.build import molecule
from ase.io import iread, write

import esml
from esml.training import evaluate, format_evaluation, train
from reference.generate import generate
from reference.sample import write_sample
from reference.scf import Level

TINY = {
    "train": ("H2O", "NH3", "C2H4", "H2CO"),
    "validation": ("HCN",),
    "test": ("C2H2",),
}


def tiny_structures() -> list[Atoms]:
    """A handful of distorted molecules: enough to run the steps, too few to learn from."""
    structures = []
    for split, names in TINY.items():
        for seed, name in enumerate(names):
            atoms = molecule(name)
            atoms.rattle(0.03, seed=seed)
            atoms.info.update(name=name, split=split)
            structures.append(atoms)
    return structures


def sampled_structures(folder: Path, n_molecules: int) -> list[Atoms]:
    """Small unsaturated molecules with GFN2-xTB geometries, split by molecule."""
    path = folder / "sample.xyz"
    write_sample(path, n_molecules, max_heavy=3)
    return list(iread(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny set, tiny model")
    parser.add_argument("-n", type=int, default=60, help="molecules to sample")
    given = parser.parse_args()
    folder = Path("my-model")
    folder.mkdir(exist_ok=True)

    # 1. Structures, from any file ASE reads. atoms.info["split"] says what each is for.
    structures = tiny_structures() if given.smoke else sampled_structures(folder, given.n)
    write(folder / "structures.xyz", structures, format="extxyz")

    # 2. Reference calculations. After an interruption, run this again: it keeps what is there.
    level = Level(basis="sto-3g") if given.smoke else Level()
    summary = generate(structures, folder / "data", level, progress=sys.stderr.isatty())
    print(f"records: {summary.computed} computed, {summary.present} there, {summary.failed} failed")

    # 3. Training, like `esml train my-model/config.yaml`.
    config = {"name": "my-model", "data": ["data"], "output": "run", "epochs": 60, "batch_size": 8}
    if given.smoke:
        network = {"channels": 8, "layers": 1, "radial": 4, "radial_hidden": 8}
        config |= {"epochs": 20, "batch_size": 1, "learning_rate": 0.02, "warmup": 4}
        config |= {"validate_every": 20, "model": {"network": network, "hidden": 8}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    train(folder / "config.yaml")

    # 4. How good is it on unseen molecules? Like `esml evaluate MODEL DATA`.
    model = esml.load_model(folder / "run" / "model.safetensors")
    print(format_evaluation(evaluate(model, folder / "data", split="test")))

    # 5. Use it like the shipped model.
    result = model.predict(molecule("C2H4"), n_states=3)
    print("ethylene, singlets:", result.singlets.energies.round(2), "eV")


if __name__ == "__main__":
    main()
