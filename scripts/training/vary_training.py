"""Train the shipped model on fewer structures, and with one part of its recipe changed at a time.

    python -m scripts.training.vary_training run RUN [--csv docs/variants.csv] [--only PATTERN ...]
    python -m scripts.training.vary_training show [--csv docs/variants.csv] [--page docs/model.md]
                                         [--figures docs/figures/model]

``run`` trains the models of configs/variants.yaml that are missing in the table, and adds a model's
rows to the table once it is scored; an interrupted run continues from its own state in RUN.
``show`` fills the learning curve and the table of variants of the page, and draws the curve.

A row of the table: variant (empty for a point of the learning curve), structures trained on,
passes, the set scored (validation, test, extrapolation), a quantity of ``esml.training.scores``,
its mean absolute error and the number of structures. Variants are not scored on the test split,
because choices are made from them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import torch
import yaml
from matplotlib import pyplot

from esml.io.files import sole_writer
from esml.io.records import Record, read, write_shard
from esml.predict.model_files import load_model
from esml.training import TrainingConfig, load_config, train
from esml.training.evaluation import evaluate_records
from esml.training.scores import QUANTITIES
from scripts import ROOT
from scripts.csv_rows import Row, add_rows, read_rows
from scripts.inductive_bias.plan import subset
from scripts.pages import fill, table

COLUMNS = ("variant", "structures", "passes", "set", "quantity", "value", "n")
SHIPPED = "as shipped"
"""The variant that others are compared with."""


@dataclass(frozen=True)
class VariantsPlan:
    """Content of the file configs/variants.yaml."""

    base: TrainingConfig
    extrapolation: Path
    seed: int
    sizes: list[int]
    ablation: dict[str, int]
    variants: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, path: Path) -> VariantsPlan:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(
            base=load_config(path.parent / content["base"]),
            extrapolation=path.parent / content["extrapolation"],
            seed=content["seed"],
            sizes=content["sizes"],
            ablation=content["ablation"],
            variants=content["variants"],
        )


@dataclass(frozen=True)
class Job:
    """One model to train and to score; ``variant`` is empty in the learning curve."""

    variant: str
    size: int
    epochs: int
    changes: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.variant.replace(' ', '-') or 'size'}-{self.size}"

    def config(self, base: TrainingConfig, shard: Path, output: Path) -> TrainingConfig:
        """Return ``base`` with this job's records and changes; ValidationError for unknown keys."""
        # Paths in ``base`` are already resolved, so the whole configuration is rebuilt.
        settings = base.model_dump()
        settings |= {"data": [shard], "output": output, "name": self.name, "epochs": self.epochs}
        settings["validate_every"] = self.epochs
        for dotted, value in self.changes.items():
            *sections, last = dotted.split(".")
            place = settings
            for section in sections:
                place = place[section]
            place[last] = value
        return TrainingConfig.model_validate(settings)


def jobs(plan: VariantsPlan) -> Iterator[Job]:
    """Yield all models of ``plan``."""
    for size in plan.sizes:
        yield Job("", size, plan.base.epochs, {})
    for name, changes in plan.variants.items():
        yield Job(name, plan.ablation["size"], plan.ablation["epochs"], changes)


def scores(model: Path | str, sets: Mapping[str, Sequence[Record]]) -> list[Row]:
    """Return mean absolute errors of a model on ``sets``, as rows without the training columns."""
    found = load_model(model)
    rows = []
    for name, records in sets.items():
        result = evaluate_records(found, records)
        for quantity in QUANTITIES:
            rows.append(
                {"set": name, "quantity": quantity, "value": result[quantity], "n": len(records)}
            )
    return rows


def append(path: Path, rows: Sequence[Row]) -> None:
    """Add ``rows`` to the table, all or none, as its only writer."""
    with sole_writer(path.with_name(f".{path.name}.lock"), path):
        add_rows(path, rows, COLUMNS)


def run(plan: VariantsPlan, directory: Path, path: Path, only: Sequence[str] = ()) -> None:
    """Train and score the models that are missing in the table ``path``."""
    directory.mkdir(parents=True, exist_ok=True)
    records = read(plan.base.data)
    training = [r for r in records if r.split == "train"]
    validation = [r for r in records if r.split == "validation"]
    test = [r for r in records if r.split == "test"]
    larger = read(plan.extrapolation)
    for job in jobs(plan):
        held = {(r["variant"], int(r["structures"])) for r in read_rows(path)}
        chosen = subset(training, job.size, plan.seed)
        wanted = not only or any(fnmatch(job.name, pattern) for pattern in only)
        if (job.variant, len(chosen)) in held or not wanted:
            continue
        shard = directory / f"data-{job.size}.h5"
        if not shard.exists():
            write_shard(shard, [*chosen, *validation])
        model = train(job.config(plan.base, shard, directory / job.name))
        sets = {"validation": validation, "extrapolation": larger}
        if not job.variant:
            sets["test"] = test
        facts = {"variant": job.variant, "structures": len(chosen), "passes": job.epochs}
        append(path, [facts | row for row in scores(model, sets)])
    shipped = ("", len(training))
    if shipped not in {(r["variant"], int(r["structures"])) for r in read_rows(path)}:
        facts = {"variant": "", "structures": len(training), "passes": plan.base.epochs}
        sets = {"validation": validation, "extrapolation": larger, "test": test}
        append(path, [facts | row for row in scores("camb3lyp", sets)])


# --- the page -------------------------------------------------------------------------------------

CURVES = {
    "s1_mae_eV": "S1",
    "t1_mae_eV": "T1",
    "singlets_mae_eV": "singlets",
    "triplets_mae_eV": "triplets",
    "gap_mae_eV": "gap",
    "occupied_mae_eV": "occupied",
}
SHOWN = (
    ("validation", "occupied_mae_eV", "occupied"),
    ("validation", "gap_mae_eV", "gap"),
    ("validation", "s1_mae_eV", "S1"),
    ("validation", "t1_mae_eV", "T1"),
    ("validation", "singlets_mae_eV", "singlets"),
    ("validation", "triplets_mae_eV", "triplets"),
    ("validation", "oscillator_mae", "f"),
    ("validation", "dipole_mae_debye", "dipole, D"),
    ("extrapolation", "gap_mae_eV", "larger: gap"),
    ("extrapolation", "s1_mae_eV", "larger: S1"),
)


class Found:
    """Look up entries of the table."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.values = {
            (r["variant"], int(r["structures"]), r["set"], r["quantity"]): float(r["value"])
            for r in rows
        }
        self.sizes = sorted({size for variant, size, *_ in self.values if not variant})

    def curve(self, name: str, quantity: str) -> list[float]:
        """Return the errors on the set ``name`` at ``sizes``."""
        return [self.values["", size, name, quantity] for size in self.sizes]


def exponent(sizes: Sequence[int], errors: Sequence[float]) -> float:
    """Fit b of error ∝ size^(−b) by least squares of the logarithms."""
    return -float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def sizes_table(found: Found) -> str:
    """Make the learning curve's table: test errors by number of structures, and the exponent."""
    body = []
    for name, where in (("test", ""), ("extrapolation", "larger: ")):
        for quantity, label in CURVES.items():
            errors = found.curve(name, quantity)
            entries = [f"{e:.3f}" for e in errors]
            body.append([where + label, *entries, f"{exponent(found.sizes, errors):.2f}"])
    return table(["MAE, eV", *(f"{n:,}" for n in found.sizes), "b"], body)


def variants_table(rows: Sequence[Row]) -> str:
    """Make the table of errors of every variant, in the order of the rows."""
    found = Found(rows)
    names = dict.fromkeys((r["variant"], int(r["structures"])) for r in rows if r["variant"])
    body = []
    for variant, size in names:
        values = [found.values[variant, size, where, q] for where, q, _ in SHOWN]
        title = f"**{variant}**" if variant == SHIPPED else variant
        body.append([title, *(f"{v:.3f}" if v < 10 else f"{v:.1f}" for v in values)])
    return table(["", *(label for *_, label in SHOWN)], body)


def draw(found: Found, path: Path) -> None:
    """Plot learning curves for unseen small and for larger molecules on logarithmic axes."""
    figure, panels = pyplot.subplots(1, 2, figsize=(9.0, 3.8), sharey=True, layout="constrained")
    for axes, name, title in zip(
        panels, ("test", "extrapolation"), ("unseen molecules", "larger molecules"), strict=True
    ):
        for quantity, label in CURVES.items():
            errors = found.curve(name, quantity)
            axes.loglog(found.sizes, errors, "o-", label=label)
        axes.set_title(title)
        axes.set_xlabel("structures trained on")
        axes.set_xticks(found.sizes, [f"{n:,}" for n in found.sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    ticks = (0.05, 0.1, 0.2, 0.4)
    panels[0].set_yticks(ticks, [f"{t:g}" for t in ticks])
    panels[0].set_ylabel("mean absolute error, eV")
    panels[1].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train and score what the table lacks")
    running.add_argument("directory", type=Path, metavar="RUN")
    running.add_argument("--config", type=Path, default=ROOT / "configs" / "variants.yaml")
    running.add_argument("--only", nargs="+", default=(), metavar="PATTERN")
    showing = commands.add_parser("show", help="fill the page and draw the learning curve")
    showing.add_argument("--page", type=Path, default=ROOT / "docs" / "model.md")
    showing.add_argument("--figures", type=Path, default=ROOT / "docs" / "figures" / "model")
    for command in (running, showing):
        command.add_argument("--csv", type=Path, default=ROOT / "docs" / "variants.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.command == "run":
        run(VariantsPlan.of(args.config), args.directory, args.csv, args.only)
        return
    rows = read_rows(args.csv)
    found = Found(rows)
    draw(found, args.figures / "learning.png")
    fill(args.page, {"sizes": sizes_table(found), "variants": variants_table(rows)})


if __name__ == "__main__":
    main()
