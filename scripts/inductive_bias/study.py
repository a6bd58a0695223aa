"""What symmetry and a Hamiltonian buy: {equivariant, unconstrained} × {Hamiltonian, direct} × size.

    python -m scripts.inductive_bias.study run RUN [--csv docs/study.csv] [--workers 1]
                                               [--only PATTERN ...] [--config configs/study.yaml]
    python -m scripts.inductive_bias.study tune RUN [--csv docs/study_rates.csv]
    python -m scripts.inductive_bias.study count
    python -m scripts.inductive_bias.study figures [--csv docs/study.csv]
    python -m scripts.inductive_bias.study dyes

``run`` trains and scores the cells of the configuration that the table lacks, all four kinds of a
size before the next size and all sizes of a seed before the next seed, so that a study cut short
leaves a balanced table. A cell's rows are added together when it is done: the table is whole at any
moment, and a copy of it is enough to go on elsewhere. A training run that was cut goes on from its
own state in RUN. --only takes names of cells, such as 'equivariant-*-800-0'.

``tune`` tries the learning rates on which the protocol rests, on validation molecules. ``count``
prints parameters and steps. ``figures`` fills the tables and figures of the page
docs/physics-and-scaling.md from the CSV, ``dyes`` its section on dyes, with the shipped model.

The table has a row for every cell, set and quantity: ``value`` is in eV but for strengths
(``bright_f``), shares (``refused``), times (s) and counts; ``n`` deviations are behind it;
``rotations`` says over how many orientations predictions were averaged. What the quantities are is
in scores.py. The set ``training`` describes the run itself. ``protocol`` is a hash of
configuration and data: rows of different ones are not mixed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field

from esml.io.files import sole_writer, write_whole
from esml.io.records import Record, read, write_shard
from esml.model import checkpoint
from esml.model.graph import build_graph
from esml.training import TrainingConfig, train
from esml.training.objectives import objective
from esml.training.targets import structure
from scripts import ROOT
from scripts.inductive_bias import page
from scripts.inductive_bias.scores import (
    Predictor,
    ask,
    predictor,
    score,
    spread,
    structures_of,
    turned,
)

COLUMNS = (
    "backbone", "head", "size", "seed", "set", "rotations", "quantity", "value", "n", "protocol",
)  # fmt: skip
N_COUNTED = 100
"""Structures by which the weights that matter are counted."""
RATE_COLUMNS = ("backbone", "head", "learning_rate", "quantity", "value", "protocol")

Row = dict[str, Any]


class Form(BaseModel):
    """What every part of the configuration refuses: keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(Form):
    network: dict[str, Any]
    augment: bool
    averaged: dict[str, Any] = Field(default_factory=dict)
    network_of: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """What is different under a head."""

    def under(self, head: str) -> dict[str, Any]:
        """Its settings under ``head``."""
        return self.network | self.network_of.get(head, {})


class TestSet(Form):
    data: list[Path]
    split: str | None = None
    geometry: str | None = None
    molecules_of: Path | None = None

    def records(self) -> list[Record]:
        """Those of the split and geometry named, and of molecules of another set if one is."""
        among = None
        if self.molecules_of is not None:
            among = {r.inchikey for r in read(self.molecules_of)}
        return [
            r
            for r in read(self.data, split=self.split)
            if self.geometry in (None, r.geometry) and (among is None or r.inchikey in among)
        ]


class Turned(Form):
    set: str
    structures: int = Field(ge=1)
    orientations: int = Field(ge=2)
    seed: int


class Tuning(Form):
    rates: list[float]
    size: int
    steps: int
    seed: int


class Study(Form):
    """The configuration; configs/study.yaml is the one of the page."""

    data: list[Path]
    sizes: list[int | Literal["all"]]
    seeds: list[int]
    steps: int = Field(ge=1)
    training: dict[str, Any]
    backbones: dict[str, Backbone]
    heads: dict[str, dict[str, Any]]
    learning_rates: dict[str, dict[str, float]]
    tuning: Tuning
    sets: dict[str, TestSet]
    turned: Turned


@dataclass(frozen=True)
class Cell:
    """One entry of the table: a model to train and to score."""

    backbone: str
    head: str
    size: int | str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.backbone}-{self.head}-{self.size}-{self.seed}"

    @property
    def columns(self) -> Row:
        return {"backbone": self.backbone, "head": self.head, "size": self.size, "seed": self.seed}


def load_study(path: Path) -> Study:
    """The study in the YAML file ``path``; paths in it are relative to its own directory."""

    def rooted(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: rooted(v, k) for k, v in value.items()}
        if key == "data":
            return [path.resolve().parent / entry for entry in value]
        return path.resolve().parent / value if key == "molecules_of" else value

    return Study.model_validate(rooted(yaml.safe_load(path.read_text(encoding="utf-8"))))


def cells(study: Study) -> Iterator[Cell]:
    """All cells, in the order in which a study cut short is worth most."""
    for seed in study.seeds:
        for size in study.sizes:
            for backbone in study.backbones:
                for head in study.heads:
                    yield Cell(backbone, head, size, seed)


def subset(records: Sequence[Record], size: int | str, seed: int) -> list[Record]:
    """The training records of at least ``size`` structures: whole molecules, in a random order.

    Smaller ones of a seed are contained in larger ones. Raises ValueError where there are fewer.
    """
    if size == "all":
        return list(records)
    of: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r.inchikey or r.name, r.key)):
        of.setdefault(record.inchikey or record.name, []).append(record)
    names = list(of)
    chosen: list[Record] = []
    for place in np.random.default_rng(seed).permutation(len(names)):
        if len(chosen) >= int(size):
            return chosen
        chosen += of[names[place]]
    if len(chosen) < int(size):
        raise ValueError(
            f"the data hold {len(chosen)} training structures: expected at least {size}; lower the "
            "sizes of the configuration or say 'all'"
        )
    return chosen


def epochs(steps: int, n_records: int, batch_size: int) -> int:
    """The number of passes over the records whose steps are nearest to ``steps``."""
    return max(1, round(steps / math.ceil(n_records / batch_size)))


def training_config(
    study: Study,
    backbone: str,
    head: str,
    seed: int,
    n_records: int,
    output: Path,
    shard: Path,
    steps: int | None = None,
    rate: float | None = None,
) -> TrainingConfig:
    """How a cell is trained on ``n_records`` structures in the file ``shard``."""
    base = TrainingConfig.model_validate(
        {
            **study.training,
            "data": [shard],
            "output": output,
            "name": output.name,
            "model": study.heads[head] | {"network": study.backbones[backbone].under(head)},
            "augment": study.backbones[backbone].augment,
            "learning_rate": rate or study.learning_rates[backbone][head],
            "seed": seed,
        }
    )
    count = epochs(steps or study.steps, n_records, base.batch_size)
    # Nothing is chosen on validation molecules during a run: the last weights are scored.
    return base.model_copy(update={"epochs": count, "validate_every": count})


def n_parameters(config: TrainingConfig, records: Sequence[Record]) -> int:
    """Weights that some term of the loss of ``records`` depends on.

    A direct head reads scalars only: what would make vectors and tensors of the last features
    is there and does not count.
    """
    kind = objective(config)
    model = kind.build()
    kind.prepare(model, records)
    reached = [torch.zeros_like(p, dtype=torch.bool) for p in model.parameters()]
    torch.manual_seed(0)
    with torch.no_grad():  # a last layer of zeros, as before training, lets no gradient through
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    for start in range(0, len(records), config.batch_size):
        group = records[start : start + config.batch_size]
        graph = build_graph([structure(r) for r in group], model.cutoff)
        terms = kind.terms(model, graph, group, config.exact_from - 1e-6)
        gradients = torch.autograd.grad(
            torch.stack(list(terms.values())).sum(), list(model.parameters()), allow_unused=True
        )
        for mask, gradient in zip(reached, gradients, strict=True):
            if gradient is not None:
                mask |= gradient != 0
    return sum(int(mask.sum()) for mask in reached)


class Bench:
    """The records of a study, where it works, and what its table is made of."""

    def __init__(self, study: Study, directory: Path) -> None:
        self.study = study
        records = read(study.data)
        self.training = [r for r in records if r.split == "train"]
        self.validation = [r for r in records if r.split == "validation"]
        self.sets = {name: entry.records() for name, entry in study.sets.items()}
        self.protocol = self._protocol()
        self.directory = directory / self.protocol
        self.directory.mkdir(parents=True, exist_ok=True)

    def _protocol(self) -> str:
        """Hash of everything a row depends on but its cell."""
        settings = self.study.model_dump(
            mode="json", exclude={"data", "sets", "sizes", "seeds", "tuning"}
        )
        groups = {"train": self.training, "validation": self.validation, **self.sets}
        keys = {name: sorted(r.key for r in records) for name, records in groups.items()}
        content = json.dumps([settings, keys], sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:8]

    def shard(self, size: int | str, seed: int) -> tuple[Path, list[Record]]:
        """A file with the training records of a cell and all validation records."""
        chosen = subset(self.training, size, seed)
        path = self.directory / f"data-{size}-{seed}.h5"
        if not path.exists():
            write_shard(path, [*chosen, *self.validation])
        return path, chosen

    def run(self, cell: Cell) -> list[Row]:
        """Train and score one cell."""
        shard, chosen = self.shard(cell.size, cell.seed)
        output = self.directory / cell.name
        config = training_config(
            self.study, cell.backbone, cell.head, cell.seed, len(chosen), output, shard
        )
        path = train(config, progress=False)
        facts = {
            "parameters": n_parameters(config, self.validation[:N_COUNTED]),
            "structures": len(chosen),
            "molecules": len({r.inchikey or r.name for r in chosen}),
            "steps": config.epochs * math.ceil(len(chosen) / config.batch_size),
            "seconds": seconds_of(output / "log.csv"),
        }
        rows: list[Row] = [
            {"set": "training", "rotations": 1, "quantity": k, "value": v, "n": 1}
            for k, v in facts.items()
        ]
        averaged = self.study.backbones[cell.backbone].averaged
        for settings in ({}, averaged) if averaged else ({},):
            rows += self._scored(predictor(path, **settings), int(settings.get("rotations", 1)))
        return [{**cell.columns, **row, "protocol": self.protocol} for row in rows]

    def _scored(self, predict: Predictor, rotations: int) -> list[Row]:
        rows: list[Row] = []

        def add(name: str, quantity: str, value: float, n: int) -> None:
            entry = {"set": name, "rotations": rotations, "quantity": quantity}
            rows.append({**entry, "value": value, "n": n})

        for name, records in self.sets.items():
            answers, seconds = ask(predict, structures_of(records))
            scores = score(records, answers)
            for quantity, values in scores.values.items():
                add(name, quantity, scores.mae(quantity), len(values))
            add(name, "seconds", seconds, len(records))
        form = self.study.turned
        order = np.random.default_rng(form.seed).permutation(len(self.sets[form.set]))
        chosen = [self.sets[form.set][i] for i in order[: form.structures]]
        records = turned(chosen, form.orientations, form.seed)
        answers, _ = ask(predict, structures_of(records))
        scores = score(records, answers)
        for quantity, values in scores.values.items():
            add("turned", quantity, scores.mae(quantity), len(values))
        scores = spread(answers, form.orientations)
        for quantity, values in scores.values.items():
            add("turned", quantity, scores.rmse(quantity), len(values))
        return rows


def seconds_of(log: Path) -> float:
    """Wall time of all passes in the log of a training run, s."""
    with open(log, newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


# --- the table ------------------------------------------------------------------------------------


def read_table(path: Path) -> list[Row]:
    """Rows of a CSV, all entries text; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Add ``rows`` to the CSV ``path``, all or none."""
    content = io.StringIO()
    writer = csv.DictWriter(content, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(read_table(path))
    for row in rows:
        number = row["value"]
        writer.writerow({**row, "value": number if isinstance(number, int) else f"{number:.6g}"})
    write_whole(path, content.getvalue().encode())


def names_of(rows: Sequence[Row], protocol: str, path: Path) -> set[str]:
    """Names of the cells that the table holds; SystemExit where it is of another protocol."""
    for row in rows:
        if row["protocol"] != protocol:
            raise SystemExit(
                f"{path} is of protocol {row['protocol']}, configuration and data make {protocol}: "
                "expected the same settings and records; choose another --csv, or restore them"
            )
    return {Cell(r["backbone"], r["head"], r["size"], r["seed"]).name for r in rows}  # type: ignore[arg-type]


_bench: Bench | None = None


def _start(study: Study, directory: Path) -> None:
    """What a worker process does first."""
    global _bench
    torch.set_num_threads(1)
    _bench = Bench(study, directory)


def _work(cell: Cell) -> list[Row]:
    assert _bench is not None
    return _bench.run(cell)


def run(
    study: Study, directory: Path, path: Path, workers: int = 1, only: Sequence[str] = ()
) -> None:
    """Fill the table ``path`` with the cells it lacks."""
    bench = Bench(study, directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(path.with_name(f".{path.name}.lock"), path):
        held = names_of(read_table(path), bench.protocol, path)
        todo = [
            cell
            for cell in cells(study)
            if cell.name not in held
            and (not only or any(fnmatch(cell.name, pattern) for pattern in only))
        ]
        print(f"protocol {bench.protocol}: {len(held)} cells done, {len(todo)} to do", flush=True)
        if workers == 1:
            done = ((cell, bench.run(cell)) for cell in todo)
            for cell, rows in done:
                append(path, rows, COLUMNS)
                print(line(cell, rows), flush=True)
            return
        for size, seed in dict.fromkeys((c.size, c.seed) for c in todo):
            bench.shard(size, seed)  # two workers must not write the same
        with ProcessPoolExecutor(workers, get_context("spawn"), _start, (study, directory)) as pool:
            pending = {pool.submit(_work, cell): cell for cell in todo}
            failed = {}
            for future in as_completed(pending):
                # What the other cells give is kept, whatever happens to one.
                if (error := future.exception()) is not None:
                    failed[pending[future].name] = error
                    continue
                append(path, future.result(), COLUMNS)
                print(line(pending[future], future.result()), flush=True)
        for name, error in failed.items():
            print(f"{name} failed: {error!r}", flush=True)
        if failed:
            raise SystemExit(1)


def line(cell: Cell, rows: Sequence[Row]) -> str:
    """What is printed of a finished cell."""
    found = {(r["set"], r["rotations"], r["quantity"]): r["value"] for r in rows}
    shown = (("test", "s1"), ("test", "t1"), ("test", "occupied"), ("extrapolation", "s1"))
    figures = "  ".join(
        f"{name} {quantity} {found.get((name, 1, quantity), math.nan):.3f}"
        for name, quantity in shown
    )
    return f"{cell.name:<36} {found['training', 1, 'seconds']:6.0f} s  {figures} eV"


def tune(study: Study, directory: Path, path: Path) -> None:
    """Validation errors of every kind of model at every learning rate of the protocol."""
    bench = Bench(study, directory)
    form = study.tuning
    rows = read_table(path)
    held = {(r["backbone"], r["head"], float(r["learning_rate"])) for r in rows}
    shard, chosen = bench.shard(form.size, form.seed)
    for rate in form.rates:
        for backbone in study.backbones:
            for head in study.heads:
                if (backbone, head, rate) in held:
                    continue
                output = bench.directory / f"rate-{backbone}-{head}-{rate:g}"
                config = training_config(
                    study, backbone, head, form.seed, len(chosen), output, shard, form.steps, rate
                )
                model = train(config, progress=False)
                found = checkpoint.load(model).metadata["validation"]
                entry = {"backbone": backbone, "head": head, "learning_rate": rate}
                new = [
                    {**entry, "quantity": k, "value": found[k], "protocol": bench.protocol}
                    for k in ("s1_mae_eV", "t1_mae_eV", "occupied_mae_eV", "gap_mae_eV")
                ]
                append(path, new, RATE_COLUMNS)
                print(entry, {r["quantity"]: round(r["value"], 4) for r in new}, flush=True)
    for (backbone, head), rate in best_rates(read_table(path)).items():
        print(f"best for {backbone}, {head}: {rate:g} (learning_rates of the configuration)")


def best_rates(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """The rate of the lowest validation error of S1 for every kind of model."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        if row["quantity"] == "s1_mae_eV" and math.isfinite(float(row["value"])):
            entry = float(row["value"]), float(row["learning_rate"])
            kind = row["backbone"], row["head"]
            best[kind] = min(best.get(kind, entry), entry)
    return {kind: rate for kind, (_, rate) in best.items()}


def count(study: Study) -> str:
    """Parameters of the four kinds of model."""
    lines = []
    records = read(study.data, split="validation")[:N_COUNTED]
    for backbone in study.backbones:
        for head in study.heads:
            config = training_config(study, backbone, head, 0, 1000, Path("run"), Path("shard"))
            lines.append(
                f"{backbone:<14} {head:<12} {n_parameters(config, records):>8,} parameters"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "study.yaml")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train and score what the table lacks")
    running.add_argument("directory", type=Path, metavar="RUN")
    running.add_argument("--csv", type=Path, default=ROOT / "docs" / "study.csv")
    running.add_argument("--workers", type=int, default=1)
    running.add_argument("--only", nargs="+", default=(), metavar="PATTERN")
    tuning = commands.add_parser("tune", help="try learning rates on validation molecules")
    tuning.add_argument("directory", type=Path, metavar="RUN")
    tuning.add_argument("--csv", type=Path, default=ROOT / "docs" / "study_rates.csv")
    commands.add_parser("count", help="print the parameters of the four kinds")
    drawing = commands.add_parser("figures", help="fill tables and figures of the page")
    drawing.add_argument("--csv", type=Path, default=ROOT / "docs" / "study.csv")
    drawing.add_argument("--rates", type=Path, default=ROOT / "docs" / "study_rates.csv")
    dyes = commands.add_parser("dyes", help="fill the page's section on dyes")
    dyes.add_argument("--model", default="default")
    for command in (drawing, dyes):
        command.add_argument("--page", type=Path, default=page.PAGE)
    args = parser.parse_args()
    study = load_study(args.config)
    torch.set_num_threads(1)
    if args.command == "run":
        run(study, args.directory, args.csv, args.workers, args.only)
    elif args.command == "tune":
        tune(study, args.directory, args.csv)
    elif args.command == "count":
        print(count(study))
    elif args.command == "figures":
        page.draw(read_table(args.csv), read_table(args.rates), args.page)
    else:
        page.describe_dyes(args.model, args.page)


if __name__ == "__main__":
    main()
