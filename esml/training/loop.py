"""The training loop: seeded, resumable, one plain pass after another.

The order of the data depends on seed and epoch alone, so a run that was cut short and resumed takes
the same steps as one that was not. State is written after every epoch as safetensors and JSON.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor

from esml.io.files import sole_writer, write_whole
from esml.io.records import Record, read
from esml.model import checkpoint
from esml.model.backbones.transformer import random_rotations
from esml.model.graph import build_graph
from esml.training.config import ConfigError, TrainingConfig, load_config
from esml.training.evaluation import STATED
from esml.training.objectives import Objective, objective
from esml.training.targets import structure, turned

STATE = "esml-run"
"""Entry of a state file's metadata that holds the configuration and how far the run has come."""


@dataclass
class Run:
    """A training run in memory."""

    config: TrainingConfig
    objective: Objective
    model: Any
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    epoch: int = 0
    step: int = 0


def batches(records: Sequence[Record], size: int, seed: int, epoch: int) -> Iterator[list[Record]]:
    """The records in random order, in batches of molecules of like size (little padding)."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(records))
    pool = 8 * size
    groups: list[list[int]] = []
    for start in range(0, len(order), pool):
        part = sorted(order[start : start + pool], key=lambda i: len(records[i].energies))
        groups.extend(part[k : k + size] for k in range(0, len(part), size))
    for group in rng.permutation(len(groups)):
        yield [records[i] for i in groups[group]]


def _schedule(config: TrainingConfig, step: int, total: int) -> float:
    """Learning rate: linear warm-up, then a cosine to one percent."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    return config.learning_rate * warm * (0.505 + 0.495 * math.cos(math.pi * step / max(total, 1)))


def start(config: TrainingConfig, train: Sequence[Record]) -> Run:
    """A fresh run, started from the initial model, if any, and the means of ``train``."""
    torch.manual_seed(config.seed)
    task = objective(config)
    model = task.build()
    if config.initial:
        _adopt(model, config.initial)
    task.prepare(model, train)
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
    """Leave the weights whose names match ``patterns`` as they are; ConfigError if none does."""
    for pattern in patterns:
        chosen = [p for name, p in model.named_parameters() if fnmatchcase(name, pattern)]
        if not chosen:
            names = sorted(
                {name.rpartition(".")[0] or name for name, _ in model.named_parameters()}
            )
            raise ConfigError(
                f"frozen: no weight of the model matches {pattern!r}: expected a pattern of names "
                f"such as {', '.join(names[:3])}; mend or remove that entry"
            )
        for parameter in chosen:
            parameter.requires_grad_(False)


def _adopt(model: Any, path: Path) -> None:
    """Give ``model`` the weights of a model file of the same form; ConfigError if it is not.

    The mean field may be another: tight-binding Hamiltonians hold no exchange.
    """
    try:
        found = checkpoint.load(path)
    except checkpoint.CheckpointError as error:
        raise ConfigError(f"initial: {error}") from error
    current = model.config.model_dump()
    free = {key: current[key] for key in ("mean_field", "mean_field_steps") if key in current}
    difference = _difference(found.config | free, current, "model")
    if difference:
        raise ConfigError(
            f"{path} is of another form: expected {difference}; choose another initial model or "
            "that form"
        )
    # A domain and an error model of the other weights are left behind.
    model.load_state_dict({k: found.state.get(k, v) for k, v in model.state_dict().items()})


def _save_state(run: Run, path: Path) -> None:
    tensors = {f"model.{k}": v for k, v in run.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in run.average.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
    progress = {"epoch": run.epoch, "step": run.step}
    header = {"progress": progress, "config": run.config.model_dump(mode="json")}
    write_whole(path, checkpoint.pack(tensors, STATE, header))


def _difference(stored: Any, current: Any, name: str) -> str | None:
    """The dotted name of the first entry in which two configurations differ, and both values."""
    if isinstance(stored, dict) and isinstance(current, dict):
        for key in sorted(stored.keys() | current.keys()):
            found = _difference(stored.get(key), current.get(key), f"{name}.{key}")
            if found:
                return found
        return None
    return None if stored == current else f"{name} {stored!r}, the configuration says {current!r}"


def _read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a state file. Raises CheckpointError, ValueError or KeyError."""
    tensors, entries = checkpoint.unpack(path)
    if STATE in entries:
        header = json.loads(entries[STATE])
        checkpoint.verify(path, tensors, header)
        return tensors, header
    # From before there were checksums.
    return tensors, {key: json.loads(entries[key]) for key in ("config", "progress")}


def _load_state(run: Run, path: Path) -> None:
    """Put ``run`` where the state file ``path`` says; ConfigError where the two do not fit."""
    try:
        tensors, header = _read_state(path)
        # A run of a version that froze nothing does not say so.
        stored, progress = {"frozen": [], **header["config"]}, header["progress"]
        run.epoch, run.step = int(progress["epoch"]), int(progress["step"])
    except checkpoint.CheckpointError as error:
        raise ConfigError(f"{error}, or delete it to train afresh") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path} could not be read ({error}): expected the state of a training run; delete it "
            "to train afresh, or choose another output"
        ) from error
    current = json.loads(run.config.model_dump_json())
    for key in ("model", "epochs", "batch_size", "seed", "frozen"):
        difference = _difference(stored.get(key), current[key], key)
        if difference:
            raise ConfigError(
                f"{path} is of another run: expected {difference}; choose another output or train "
                "afresh"
            )

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    groups = run.optimizer.state_dict()["param_groups"]
    try:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in part("optimizer.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        run.objective.build().load_state_dict(part("average."))
        run.model.load_state_dict(part("model."))
        run.optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"{path} does not fit this version of esml ({' '.join(str(error).split())[:200]}): "
            "expected the weights of this model; train afresh or choose another output"
        ) from error
    run.average = part("average.")


def _steps(config: TrainingConfig, n_records: int) -> int:
    """Steps of one epoch."""
    return math.ceil(n_records / config.batch_size)


def train_epoch(
    run: Run, records: Sequence[Record], after_step: Callable[[], None] | None = None
) -> dict[str, float]:
    """One pass over ``records``; returns the mean of every loss term."""
    config, model = run.config, run.model
    total = config.epochs * _steps(config, len(records))
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
        graph = build_graph([structure(r) for r in group], model.cutoff)
        terms = run.objective.terms(model, graph, group, progress)
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        for setting in run.optimizer.param_groups:
            setting["lr"] = _schedule(config, run.step, total)
        run.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        if bool(norm.isfinite()):
            run.optimizer.step()
        run.step += 1
        # Early weights are poor company: average over a window that grows with the run.
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
    """The model with averaged weights."""
    model = run.objective.build()
    model.load_state_dict(run.average)
    return model.eval()


def _data(train: Sequence[Record], validation: Sequence[Record]) -> dict[str, Any]:
    """Which records a model was made with: a hash that depends on neither order nor files."""
    keys = {"train": sorted(r.key for r in train), "validation": sorted(r.key for r in validation)}
    content = json.dumps(keys, sort_keys=True).encode()
    return {"sha256": hashlib.sha256(content).hexdigest()} | {k: len(v) for k, v in keys.items()}


def _settings(config: TrainingConfig) -> dict[str, Any]:
    """All of ``config`` but where things lie on this machine: of paths the last part."""
    settings = config.model_dump(mode="json", exclude={"output"})
    settings["data"] = [path.name for path in config.data]
    settings["initial"] = config.initial.name if config.initial else None
    return settings


def _describe(
    config: TrainingConfig,
    train: Sequence[Record],
    validation: Sequence[Record],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """What the model file says of itself."""
    levels = sorted({r.level for r in train})
    return {
        "name": config.name,
        "level": [json.loads(level) for level in levels],
        "n_structures": len(train),
        "n_molecules": len({r.inchikey or r.name for r in train}),
        "elements": sorted({int(z) for r in train for z in r.numbers}),
        "valence_weight": config.valence_weight,
        "energy_limit_eV": config.energy_limit,
        "epochs": config.epochs,
        "seed": config.seed,
        "validation": {
            k: v
            for k, v in metrics.items()
            if isinstance(v, int | float) and k not in STATED  # of uncertainties, not yet known
        },
        "validation_rmse_eV": {
            kind: metrics.get(f"{kind}_rmse_eV", float("nan")) for kind in ("singlets", "triplets")
        },
        "data": _data(train, validation),
        "config": _settings(config),
        "versions": {
            "esml": version("esml"),
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }


def _validate(
    run: Run, training: Sequence[Record], validation: Sequence[Record], path: Path
) -> dict[str, Any]:
    """Score the averaged model, write it to ``path`` with its scores, and return them.

    At the end of the run what the model knows of its own errors is added to the file.
    """
    model = averaged(run)
    metrics = run.objective.evaluate(model, validation)
    run.objective.save(model, _describe(run.config, training, validation, metrics), path)
    if run.epoch == run.config.epochs:
        run.objective.complete(path, training, validation)
    return metrics


def train(config: TrainingConfig | str | Path, resume: bool = True, progress: bool = True) -> Path:
    """Train as ``config`` (or its YAML file) says; returns the path of the model file.

    With ``resume`` a run found in the output directory goes on where it stopped. Raises ConfigError
    for a bad configuration or a run that does not fit it, DatasetError for unreadable data,
    BusyError where another process trains there, OSError where the disk refuses.
    """
    if not isinstance(config, TrainingConfig):
        config = load_config(config)
    torch.set_num_threads(config.threads)
    records = read(config.data)
    training = [r for r in records if r.split == "train"]
    validation = [r for r in records if r.split == "validation"]
    if not training or not validation:
        raise ConfigError(
            f"the data hold {len(training)} training and {len(validation)} validation records: "
            "expected some of both; generate more or check the splits"
        )
    try:
        config.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output {config.output} cannot be made ({error.strerror}): expected a directory or a "
            "place for one; choose another"
        ) from error
    with sole_writer(config.output / ".lock", config.output):
        return _train(config, training, validation, resume, progress)


def _train(
    config: TrainingConfig,
    training: Sequence[Record],
    validation: Sequence[Record],
    resume: bool,
    progress: bool,
) -> Path:
    state = config.output / "state.safetensors"
    model_path = config.output / "model.safetensors"
    run = start(config, training)
    if resume and state.is_file():
        _load_state(run, state)
    steps = _steps(config, len(training))
    if run.step != run.epoch * steps:
        raise ConfigError(
            f"{state} is of a run with {run.step // max(run.epoch, 1)} steps an epoch where the "
            f"data now make {steps}: expected the same training records; choose another output or "
            "train afresh"
        )
    log = config.output / "log.csv"
    _take_back(log, run.epoch)
    with _progress(progress) as display:
        task = display.add_task("", total=config.epochs * steps, completed=run.epoch * steps)
        while run.epoch < config.epochs:
            began = time.perf_counter()
            terms = train_epoch(run, training, after_step=lambda: display.advance(task))
            row: dict[str, float] = {"epoch": run.epoch, **terms}
            if run.epoch == config.epochs or run.epoch % config.validate_every == 0:
                metrics = _validate(run, training, validation, model_path)
                row |= {k: metrics[k] for k in COLUMNS if k in metrics}
            row["seconds"] = time.perf_counter() - began
            # In this order: what the log has too much of after a kill is taken back.
            _append(log, row)
            _save_state(run, state)
            line = _report(config, row)
            display.console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not model_path.is_file():  # deleted since the run was completed
        _validate(run, training, validation, model_path)
    return model_path


COLUMNS = (
    "epoch", "seconds", "hamiltonian", "orbitals", "dipole_operator", "charges", "dipole",
    "energies", "alignment", "transition_dipoles", "exact_energies", "oscillator_strengths",
    "levels", "occupied_mae_eV", "homo_mae_eV",
    "gap_mae_eV", "s1_mae_eV", "t1_mae_eV", "singlets_mae_eV", "triplets_mae_eV",
    "oscillator_mae",
)  # fmt: skip


def _take_back(path: Path, epoch: int) -> None:
    """Leave in a log the rows up to ``epoch``, for what follows is done again."""
    if not path.exists():
        return
    # A last line without its end was cut short by a kill.
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    head, *rows = [line for line in lines if line.endswith("\n")] or [""]
    kept = [row for row in rows if (n := row.split(",")[0]).isdigit() and int(n) <= epoch]
    if [head, *kept] != lines:
        path.unlink() if not head else write_whole(path, "".join([head, *kept]).encode())


def _append(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


def _progress(enabled: bool) -> Progress:
    """A live line on standard error; where that is no terminal, only what is printed above it."""
    return Progress(
        TextColumn("step"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=not enabled),
        disable=not enabled,
        # Steps differ in size, and states are solved late in a run only.
        speed_estimate_period=600.0,
    )


def _report(config: TrainingConfig, row: dict[str, float]) -> str:
    """One line for an epoch."""
    left = (config.epochs - row["epoch"]) * row["seconds"] / 60
    line = f"epoch {row['epoch']:4.0f}/{config.epochs}  {row['seconds']:6.1f} s  left {left:5.0f} "
    line += "min"
    if "hamiltonian" in row:
        line += f"  H {row['hamiltonian']:.4f}"
    if "energies" in row:
        line += f"  E {row['energies']:.3f} eV"
    if "s1_mae_eV" in row:
        line += "  | validation MAE, eV:"
        for name in ("occupied", "homo", "gap", "s1", "t1", "singlets", "triplets"):
            if f"{name}_mae_eV" in row:
                line += f" {name} {row[f'{name}_mae_eV']:.3f} "
        line += f" f {row['oscillator_mae']:.4f}"
    return line
