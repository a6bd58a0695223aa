"""The configuration of the study, its cells, and their training configurations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from esml.io.records import Record, read
from esml.training import TrainingConfig
from scripts.csv_rows import Row


class Form(BaseModel):
    """Base class of the configuration's parts, which refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(Form):
    network: dict[str, Any]
    augment: bool
    averaged: dict[str, Any] = Field(default_factory=dict)
    network_of: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings that differ under a head."""

    def under(self, head: str) -> dict[str, Any]:
        """Return the settings under ``head``."""
        return self.network | self.network_of.get(head, {})


class TestSet(Form):
    data: list[Path]
    split: str | None = None
    geometry: str | None = None
    molecules_of: Path | None = None

    def records(self) -> list[Record]:
        """Return the records of this split and geometry (if asked, of another set's molecules)."""
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
    """Read the study from the YAML file ``path``; paths in it are relative to its directory."""

    def rooted(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: rooted(v, k) for k, v in value.items()}
        if key == "data":
            return [path.resolve().parent / entry for entry in value]
        return path.resolve().parent / value if key == "molecules_of" else value

    return Study.model_validate(rooted(yaml.safe_load(path.read_text(encoding="utf-8"))))


def cells(study: Study) -> Iterator[Cell]:
    """Yield all cells, ordered so that an interrupted study is as useful as possible."""
    for seed in study.seeds:
        for size in study.sizes:
            for backbone in study.backbones:
                for head in study.heads:
                    yield Cell(backbone, head, size, seed)


def subset(records: Sequence[Record], size: int | str, seed: int) -> list[Record]:
    """Choose training records of at least ``size`` structures: whole molecules, in random order.

    Smaller subsets of a seed are contained in larger ones. Raises ValueError if there are fewer.
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
    """Return the number of passes whose total number of steps is nearest to ``steps``."""
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
    """Make the configuration for training a cell on ``n_records`` structures in ``shard``."""
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
    # Validation molecules select nothing during a run: the last weights are scored.
    return base.model_copy(update={"epochs": count, "validate_every": count})
