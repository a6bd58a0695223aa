"""Train and score the models of the study, which gives the rows of a cell."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from esml.io.records import Record, read, write_shard
from esml.model.graph import build_graph
from esml.training import TrainingConfig, train
from esml.training.objectives import objective
from esml.training.targets import structure
from scripts.csv_rows import Row
from scripts.inductive_bias.plan import Cell, Study, subset, training_config
from scripts.inductive_bias.scores import (
    Predictor,
    ask,
    predictor,
    score,
    spread,
    structures_of,
    turned,
)

N_COUNTED = 100
"""Number of structures used to count the weights that affect the loss."""


def n_parameters(config: TrainingConfig, records: Sequence[Record]) -> int:
    """Count the weights that some loss term of ``records`` depends on.

    A direct head reads scalars only, so weights that would make vectors and tensors of the last
    features exist but do not count.
    """
    task = objective(config)
    model = task.build()
    task.prepare(model, records)
    reached = [torch.zeros_like(p, dtype=torch.bool) for p in model.parameters()]
    torch.manual_seed(0)
    with torch.no_grad():  # a last layer of zeros, as before training, lets no gradient through
        for parameter in model.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    for start in range(0, len(records), config.batch_size):
        group = records[start : start + config.batch_size]
        graph = build_graph([structure(r) for r in group], model.cutoff)
        terms = task.terms(model, graph, group, config.exact_from - 1e-6)
        gradients = torch.autograd.grad(
            torch.stack(list(terms.values())).sum(), list(model.parameters()), allow_unused=True
        )
        for mask, gradient in zip(reached, gradients, strict=True):
            if gradient is not None:
                mask |= gradient != 0
    return sum(int(mask.sum()) for mask in reached)


class Bench:
    """Records, folder and configuration of a study, from which its table is made."""

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
        """Hash everything that a row depends on except its cell."""
        settings = self.study.model_dump(
            mode="json", exclude={"data", "sets", "sizes", "seeds", "tuning"}
        )
        groups = {"train": self.training, "validation": self.validation, **self.sets}
        keys = {name: sorted(r.key for r in records) for name, records in groups.items()}
        content = json.dumps([settings, keys], sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:8]

    def shard(self, size: int | str, seed: int) -> tuple[Path, list[Record]]:
        """Write a file with the training records of a cell and all validation records."""
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
    """Return the wall time of all passes in the log of a training run, s."""
    with open(log, newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))
