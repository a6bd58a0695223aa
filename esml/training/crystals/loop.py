"""The training loop of crystals: a fit of H(R), then seeded passes that resume where they stopped.

The state is written after every epoch. The order of crystals and the k points of a step depend on
seed and epoch alone, so a run that was stopped takes the same steps as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esml.confidence.crystals import CrystalDomain
from esml.io.records import CrystalRecord, read
from esml.jobs import progress_bar
from esml.model.checkpoint import CRYSTALS
from esml.model.crystals import CrystalModel
from esml.physics.crystals.bands import zero_name
from esml.predict.crystals import CrystalSurrogate, save_crystal_model
from esml.training.card import common_card, settings_of
from esml.training.config import ConfigError, own_output, read_config, read_settings
from esml.training.crystals.config import CrystalTrainingConfig
from esml.training.crystals.level_fit import fit_levels
from esml.training.crystals.losses import Target, terms, total
from esml.training.crystals.scores import scores, structure
from esml.training.crystals.tables import TrainedTables
from esml.training.crystals.two_centre_fit import fitted_parts
from esml.training.log import append, take_back
from esml.training.state import read_run, write_run

COLUMNS = (
    "epoch", "energies", "states", "d_centres", "d_populations", "tables", "d_centre_mae_eV",
    "near_fermi_mae_eV", "occupied_mae_eV", "dos_l1",
)  # fmt: skip


def is_of_crystals(path: Path) -> bool:
    """Whether a configuration asks for a model of crystals. Raises ConfigError as reading does."""
    model = read_settings(path).get("model")
    return isinstance(model, dict) and model.get("kind") == CRYSTALS


@dataclass
class CrystalRun:
    """A training run."""

    config: CrystalTrainingConfig
    tables: TrainedTables
    optimizer: torch.optim.AdamW
    targets: list[Target]
    epoch: int = 0

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(len(self.targets) / self.config.batch_size)


def train(config: CrystalTrainingConfig | str | Path, resume: bool = True) -> Path:
    """Train a model of crystals and return the path of its file.

    Parameters
    ----------
    config
        Settings, or a YAML file with them.
    resume
        Whether to continue a run that is in the output.

    Raises
    ------
    ConfigError
        For a configuration that is invalid or does not fit the run in its output, and for data
        without crystals to train on or with elements that the model has not.
    DatasetError
        For data that cannot be read.
    BusyError
        Where another process trains in the output.
    """
    if not isinstance(config, CrystalTrainingConfig):
        config = read_config(config, CrystalTrainingConfig)
    torch.set_num_threads(config.threads)
    records = read(config.data, kind=CrystalRecord)
    training = [r for r in records if r.split == "train"]
    if not training:
        raise ConfigError(
            "the data hold no training crystals: expected records with split 'train'; generate "
            "some with `python -m reference crystals`"
        )
    strange = {int(z) for r in records for z in r.numbers} - set(config.model.elements)
    if strange:
        raise ConfigError(
            f"the data hold atomic numbers {sorted(strange)}: expected those of model.elements "
            f"{list(config.model.elements)}; add them or leave the records out"
        )
    with own_output(config.output):
        held_out = [r for r in records if r.split == "validation"]
        return _train(config, training, held_out, resume)


def start(config: CrystalTrainingConfig, training: Sequence[CrystalRecord]) -> CrystalRun:
    """A new run, from the least-squares fit of the training crystals' H(R)."""
    model = CrystalModel(config.model)
    targets = [Target.of(record, model) for record in training]
    parts = fitted_parts(model.two_centre, training, config.stiffness)
    if parts.ions is not None:
        parts = fit_levels(parts, targets)
    nears = [t.near for t in targets]
    tables = TrainedTables(parts, nears, config.seed, config.field_decay)
    plain = [tables.levels, tables.hopping, tables.field]
    if tables.share is not None and tables.charges is not None:
        plain += [tables.share, tables.charges]
    groups = [
        {"params": plain, "lr": config.learning_rate},
        {"params": [tables.exponent], "lr": config.exponent_rate},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    return CrystalRun(config, tables, optimizer, targets)


def _pace(done: float, warmup: float) -> float:
    """Part of the peak rate: a cosine up, then a cosine down to nothing."""
    if done < warmup:
        return 0.52 - 0.48 * math.cos(math.pi * done / warmup)
    return 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (1.0 - warmup))


def train_epoch(run: CrystalRun) -> dict[str, float]:
    """One pass over the crystals; means of the loss terms by name."""
    config = run.config
    rng = np.random.default_rng([config.seed, run.epoch])
    order = rng.permutation(len(run.targets))
    sums: dict[str, float] = {}
    for step in range(run.steps):
        done = (run.epoch * run.steps + step) / (config.epochs * run.steps)
        rates = (config.learning_rate, config.exponent_rate)
        for group, rate in zip(run.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _pace(done, config.warmup)
        size = config.batch_size
        batch = [run.targets[i] for i in order[step * size : (step + 1) * size]]
        run.optimizer.zero_grad()
        loss, found = _loss(run, batch, rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.tables.parameters(), config.gradient_clip)
        run.optimizer.step()
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value / run.steps
    run.epoch += 1
    return sums


def _loss(
    run: CrystalRun, batch: Sequence[Target], rng: np.random.Generator
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, larger crystals counting more, and the means of its terms."""
    config = run.config
    found: dict[str, float] = {}
    importance = [len(t.groups) ** 0.5 for t in batch]
    loss = torch.zeros((), dtype=torch.float64)
    for h, target, weight in zip(
        run.tables.hamiltonians([t.near for t in batch]), batch, importance, strict=True
    ):
        some = len(target.shares) > config.k_points
        chosen = np.arange(len(target.shares))
        if some:
            shares = target.shares.numpy()
            chosen = rng.choice(chosen, config.k_points, replace=False, p=shares / shares.sum())
        parts = terms(h, target, chosen, even=some)
        loss = loss + weight * total(parts, config.losses) / sum(importance)
        for name, value in parts.items():
            found[name] = found.get(name, 0.0) + float(value.detach()) / len(batch)
    distance = run.tables.distance()
    found["tables"] = float(distance.detach())
    return loss + config.losses.tables * distance, found


def _train(
    config: CrystalTrainingConfig,
    training: Sequence[CrystalRecord],
    held_out: Sequence[CrystalRecord],
    resume: bool,
) -> Path:
    state, path = config.output / "state.safetensors", config.output / "model.safetensors"
    log = config.output / "log.csv"
    run = start(config, training)
    if resume and state.is_file():
        load_state(run, state)
    take_back(log, run.epoch)
    with progress_bar() as display:
        task = display.add_task("epochs", total=config.epochs, completed=run.epoch, remark="")
        while run.epoch < config.epochs:
            row: dict[str, float] = train_epoch(run)
            last = run.epoch == config.epochs
            if last or run.epoch % config.validate_every == 0:
                row |= write_model(run, training, held_out, path)
            # In this order: after a kill the log may be ahead of the state, and is cut back.
            append(log, {"epoch": run.epoch} | row, COLUMNS)
            save_state(run, state)
            display.advance(task)
    if not path.is_file():
        write_model(run, training, held_out, path)
    return path


def write_model(
    run: CrystalRun,
    training: Sequence[CrystalRecord],
    held_out: Sequence[CrystalRecord],
    path: Path,
) -> dict[str, float]:
    """Write the model as it is, with its card; its scores on the validation crystals."""
    model = CrystalModel(run.config.model)
    run.tables.write(model)
    for row, number in enumerate(run.config.model.elements):
        if run.config.model.insulating:
            break
        found = [r.populations[r.numbers == number, 2] for r in training]
        own = np.concatenate(found)
        model.d_populations[row] = float(own.mean()) if len(own) else 5.0
    surrogate = CrystalSurrogate(model, card(run, training))
    found_scores = scores(surrogate, held_out).summary()
    surrogate.metadata["validation"] = found_scores
    save_crystal_model(surrogate, path)
    return found_scores


def card(run: CrystalRun, training: Sequence[CrystalRecord]) -> dict[str, Any]:
    """What a model file says of itself."""
    config = run.config
    return common_card(config.name, training, run.epoch, config.seed) | {
        "energies": f"non-magnetic PBE, from the {zero_name(config.model.insulating)}",
        "n_atoms": sum(len(r.numbers) for r in training),
        "settings": settings_of(config),
        "domain": CrystalDomain.of(structure(r) for r in training).plain(),
    }


def save_state(run: CrystalRun, path: Path) -> None:
    """Write the state of ``run``, with a checksum."""
    progress = {"epoch": run.epoch, "crystals": len(run.targets)}
    write_run(path, run.config, progress, {"tables": run.tables.state_dict()}, run.optimizer)


def load_state(run: CrystalRun, path: Path) -> None:
    """Continue ``run`` from ``path``. Raises ConfigError for a state of another run."""
    stored = read_run(path, run.config, ("epoch", "crystals"))
    n = stored.progress["crystals"]
    if n != len(run.targets):
        raise ConfigError(
            f"{path} belongs to a run on {n} crystals where the data now hold {len(run.targets)}: "
            "expected the same; choose another output or train afresh (--restart)"
        )
    stored.restore({"tables": run.tables}, run.optimizer)
    run.epoch = stored.progress["epoch"]
