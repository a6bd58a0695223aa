"""Do 90 % intervals hold 90 % of the errors, also far from the training molecules?

    python -m scripts.accuracy.coverage [MODEL ...] [--data DIR ...] [--extrapolation DIR]
                                        [--groups DIR ...]

Prints Markdown: the share of states whose error is inside the 90 % interval, of all states and of
those in domain, with the mean uncertainty and error. The rows are validation molecules, test
molecules with known cores, with cores that no training molecule contains, larger molecules, and
held-out molecules of known groups by class (``scripts.accuracy.classes``) from ``--groups``.
States are valence states below 9 eV. Several models, including older ones, are compared line by
line.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import esml
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.results import half_width
from esml.training.calibration import states
from esml.training.domain import molecule_of
from esml.training.targets import structure
from scripts.accuracy.classes import classes_of
from scripts.accuracy.domain_limits import known, outside


def row(model: Surrogate, records: Sequence[Record]) -> str:
    """Make the row of ``records``: counts, shares inside, mean uncertainty and error (eV)."""
    assert model.error_model is not None
    flags = outside(model, map(structure, records))
    away = {molecule_of(r) for r, flag in zip(records, flags, strict=True) if flag}
    found = states(model, records)
    stated = model.error_model(torch.from_numpy(found.values)).numpy()
    errors = np.abs(found.errors)
    inside = errors <= half_width(0.9) * stated
    near = np.array([name not in away for name in found.molecules])
    molecules = len(set(found.molecules))
    return (
        f"{molecules} | {len(errors)} | {inside.mean():.1%} | {len(away & set(found.molecules))} | "
        f"{inside[near].mean():.1%} | {stated.mean():.3f} | {errors.mean():.3f} |"
    )


def by_class(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return held-out records of known groups by class, the largest class first."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.split != "train" and known(record):
            for name in classes_of(record):
                found.setdefault(name, []).append(record)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["camb3lyp"], metavar="MODEL")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[Path("data/small"), Path("data/pool"), Path("data/chromophores")],
    )
    parser.add_argument("--extrapolation", type=Path, default=Path("data/extrapolation"))
    parser.add_argument(
        "--groups",
        type=Path,
        nargs="+",
        default=[Path("data/coverage"), Path("data/groups"), Path("data/further")],
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    records = read(args.data)
    test = [r for r in records if r.split == "test"]
    groups = {
        "validation": [r for r in records if r.split == "validation"],
        "test, known cores": [r for r in test if known(r)],
        "test, held-out cores": [r for r in test if not known(r)],
        "larger molecules": read(args.extrapolation),
        **by_class(read(args.groups)),
    }
    print(
        "| molecules | model | count | states | inside 90 % | out of domain | inside "
        "90 %, in domain | mean u, eV | mean error, eV |\n|---|---|---|---|---|---|---|---|---|"
    )
    for title, group in groups.items():
        for name in args.models:
            print(f"| {title} | {name} | {row(esml.load_model(name), group)}", flush=True)


if __name__ == "__main__":
    main()
