"""A training run in memory: start a run, and train for one pass over the data.

The order of the data depends on seed and epoch only, so a resumed run takes the same steps as an
uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from esml.io.records import Record
from esml.model import checkpoint
from esml.model.backbones.transformer import random_rotations
from esml.model.elements import with_new_elements
from esml.model.graph import build_graph
from esml.physics.basis import ELEMENTS
from esml.training.config import ConfigError, TrainingConfig, difference
from esml.training.objectives import Objective, objective
from esml.training.targets import structure, turned


@dataclass
class Run:
    """A training run: model, averaged weights, optimizer and progress."""

    config: TrainingConfig
    objective: Objective
    model: Any
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    epoch: int = 0
    step: int = 0

    @property
    def device(self) -> torch.device:
        """Device of the run."""
        device: torch.device = next(self.model.parameters()).device
        return device


def start(config: TrainingConfig, train: Sequence[Record], device: str = "cpu") -> Run:
    """Start a run, with weights of the initial model, if any, and mean levels of ``train``.

    Parameters
    ----------
    config:
        The configuration.
    train:
        The training records.
    device:
        The device to train on.

    Raises
    ------
    ConfigError
        If the initial model does not fit, or ``frozen`` matches no weight.
    """
    torch.manual_seed(config.seed)
    task = objective(config)
    model = task.build()
    if config.initial:
        _adopt(model, config.initial)
    task.prepare(model, train)
    model.to(device)
    _freeze(model, config.frozen)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    average = {name: t.detach().clone() for name, t in model.state_dict().items()}
    return Run(config, task, model, average, optimizer)


def _freeze(model: Any, patterns: Sequence[str]) -> None:
    """Freeze the weights whose names match ``patterns``; ConfigError if a pattern matches none."""
    for pattern in patterns:
        chosen = [p for name, p in model.named_parameters() if fnmatchcase(name, pattern)]
        if not chosen:
            names = sorted(
                {name.rpartition(".")[0] or name for name, _ in model.named_parameters()}
            )
            raise ConfigError(
                f"frozen: no weight of the model matches {pattern!r}: expected a pattern of names "
                f"such as {', '.join(names[:3])}; correct or remove that entry"
            )
        for parameter in chosen:
            parameter.requires_grad_(False)


def _adopt(model: Any, path: Path) -> None:
    """Load the weights of a model file of the same form into ``model``, else ConfigError.

    The mean field may differ, because tight-binding Hamiltonians contain no exchange, and so may
    the floor of small vectors, on which no weight depends. Elements missing from the file start
    with the weights of similar elements.
    """
    try:
        found = checkpoint.load(path)
    except checkpoint.CheckpointError as error:
        raise ConfigError(f"initial: {error}") from error
    current = model.config.model_dump()
    may_differ = ("mean_field", "mean_field_steps", "net_charge")
    free = {key: current[key] for key in may_differ if key in current}
    if "floor" in current["network"]:
        free["network"] = found.config["network"] | {"floor": current["network"]["floor"]}
    mismatch = difference(found.config | free, current, "model")
    if mismatch:
        raise ConfigError(
            f"{path} has another form: expected {mismatch}; choose another initial model or "
            "configure that form"
        )
    known = found.metadata.get("elements", ELEMENTS)
    state = with_new_elements(found.state, known)
    if "baseline" in state:  # keep the new elements' own levels and hardnesses
        new = [row for row, number in enumerate(ELEMENTS) if number not in known]
        state["baseline"][new] = model.baseline[new]
    # The domain and error model in the file belong to its weights and are not loaded.
    model.load_state_dict({k: state.get(k, v) for k, v in model.state_dict().items()})


def batches(records: Sequence[Record], size: int, seed: int, epoch: int) -> Iterator[list[Record]]:
    """Return batches of ``records`` in random order; a batch holds molecules of similar size."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(records))
    pool = 8 * size
    groups: list[list[int]] = []
    for start in range(0, len(order), pool):
        part = sorted(order[start : start + pool], key=lambda i: len(records[i].energies))
        groups.extend(part[k : k + size] for k in range(0, len(part), size))
    for group in rng.permutation(len(groups)):
        yield [records[i] for i in groups[group]]


def learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    """Return the learning rate at a step: linear warm-up, then a cosine down to one percent."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    return config.learning_rate * warm * (0.505 + 0.495 * math.cos(math.pi * step / max(total, 1)))


def steps_per_epoch(config: TrainingConfig, n_records: int) -> int:
    """Number of optimizer steps in one pass over ``n_records``."""
    return math.ceil(n_records / config.batch_size)


def train_epoch(
    run: Run, records: Sequence[Record], after_step: Callable[[], None] | None = None
) -> dict[str, float]:
    """Train for one pass over ``records``.

    A step whose gradient is not finite is skipped.

    Parameters
    ----------
    run:
        Changed in place.
    records:
        The training records.
    after_step:
        Called after each step, for progress displays.

    Returns
    -------
    The mean of every loss term, unweighted, by name.
    """
    config, model = run.config, run.model
    total = config.epochs * steps_per_epoch(config, len(records))
    progress = run.epoch / config.epochs
    weights = run.objective.weights(progress)
    sums: dict[str, float] = {}
    count = 0
    model.train()
    generator = torch.Generator().manual_seed(100_003 * config.seed + run.epoch)
    for group in batches(records, config.batch_size, config.seed, run.epoch):
        if config.augment:
            rotations = random_rotations(len(group), generator).double().numpy()
            group = [turned(r, q) for r, q in zip(group, rotations, strict=True)]
        molecules = [structure(r) for r in group]
        graph = build_graph(molecules, model.cutoff, device=run.device)
        terms = run.objective.terms(model, graph, group, progress)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        for setting in run.optimizer.param_groups:
            setting["lr"] = learning_rate(config, run.step, total)
        run.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        if bool(norm.isfinite()):
            run.optimizer.step()
        run.step += 1
        # Early weights are poor, so the averaging time grows with the run.
        keep = min(config.average, (1 + run.step) / (10 + run.step))
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                run.average[name].lerp_(value.detach(), 1 - keep)
        count += 1
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        if after_step is not None:
            after_step()
    run.epoch += 1
    return {name: value / count for name, value in sums.items()}


def averaged(run: Run) -> Any:
    """Return the model with averaged weights."""
    model = run.objective.build()
    model.load_state_dict(run.average)
    return model.to(run.device).eval()
