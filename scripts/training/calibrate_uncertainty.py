"""Add the domain and the error model, which tell the model's limits, to a model file.

    python -m scripts.training.calibrate_uncertainty MODEL.safetensors DATA... [-o OUT.safetensors]
                             [--left-out RUN | --like OTHER | --only-bonds | --only-reach DIR]

`esml train` ends with the same step, but without RUN, the models that cross_fit.py trained without
some of the training molecules. The domain comes from the training split of DATA, which should be
the data that the model was trained on. The error model is fitted to the validation split and to the
molecules that the models of RUN have not seen. The test split is not used. This takes a minute or
two for a thousand structures.

If training five more models costs too much, `--like OTHER` takes the coefficients of the error
model from OTHER, a model of the same kind and architecture that was calibrated with `--left-out`;
`--only-reach` then fits the scale again.

Two options add to a calibrated model and change nothing else. `--only-bonds` adds the bonds and
chains of elements in the training split. After that, `--only-reach DIR` lets predicted errors grow
with size, charge and unseen bonds: three coefficients and the scale are fitted to the validation
split, to the larger molecules in DIR, and to the molecules of the test split that have a charge or
whose cores were held out. It prints the shares inside 90 % intervals, each molecule left out of the
fit; scripts/accuracy/coverage.py prints them by group.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from esml.io.records import Record, read
from esml.predict.model_files import load_model, save_model
from esml.training import LeftOut, calibrate_file
from esml.training.calibration import add_bonds
from esml.training.reach import add_reach
from reference.molecules import held_out_core, molecule_from_smiles


def left_out(directory: Path, training: list[Record]) -> list[LeftOut]:
    """Load the models in ``directory``, each with the records of ``training`` left out of it."""
    found = []
    for path in sorted(directory.glob("*/left_out.txt")):
        keys = set(path.read_text().split())
        records = [r for r in training if r.inchikey in keys]
        found.append(LeftOut(load_model(path.with_name("model.safetensors")), records))
    return found


def with_held_out_core(record: Record) -> bool:
    """Whether ``record`` has a core that no training molecule contains."""
    return held_out_core(molecule_from_smiles(record.smiles)) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, help="write here, not back to MODEL")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--only-bonds", action="store_true", help="change only what is known of bonds")
    how.add_argument(
        "--only-reach",
        type=Path,
        metavar="DIR",
        help="records of larger molecules; change only the reach",
    )
    how.add_argument(
        "--like", type=Path, metavar="OTHER", help="model file whose error model to use"
    )
    how.add_argument(
        "--left-out", type=Path, metavar="RUN", help="run of scripts.training.cross_fit"
    )
    args = parser.parse_args()
    records = read(args.data)
    split = {name: [r for r in records if r.split == name] for name in ("train", "validation")}
    if not split["train"] or not split["validation"]:
        parser.error("the data hold no training or no validation records: expected some of both")
    if args.only_bonds:
        add_bonds(args.model, split["train"], args.output)
        return
    if args.only_reach:
        test = [r for r in records if r.split == "test"]
        far = [read(args.only_reach), [r for r in test if r.charge or with_held_out_core(r)]]
        model = add_reach(args.model, split["validation"], far, args.output)
        print(model.metadata["uncertainty"]["reach"])
        return
    others = left_out(args.left_out, split["train"]) if args.left_out else []
    if args.left_out and not others:
        parser.error(f"{args.left_out} holds no models: expected */left_out.txt and their models")
    model = calibrate_file(args.model, split["train"], split["validation"], args.output, others)
    if args.like:
        known = load_model(args.like)
        model.error_model = known.error_model
        model.metadata["uncertainty"] = known.metadata.get("uncertainty", {})
        save_model(model, args.output or args.model)
    print(model.metadata.get("uncertainty", "too few validation molecules for an error model"))


if __name__ == "__main__":
    main()
