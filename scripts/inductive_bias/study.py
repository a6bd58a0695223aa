"""What symmetry and a Hamiltonian buy: {equivariant, unconstrained} × {Hamiltonian, direct} × size.

    python -m scripts.inductive_bias.study run RUN [--csv docs/study.csv] [--workers 1]
                                               [--only PATTERN ...] [--config configs/study.yaml]
    python -m scripts.inductive_bias.study tune RUN [--csv docs/study_rates.csv]
    python -m scripts.inductive_bias.study count
    python -m scripts.inductive_bias.study figures [--csv docs/study.csv]
    python -m scripts.inductive_bias.study dyes

``run`` trains and scores the cells of the configuration that are missing in the table: all four
kinds of model of one size before the next size, all sizes of one seed before the next seed, so that
an interrupted study leaves a balanced table. The rows of a cell are added together when it is done,
so the table is consistent at any moment, and a copy of it is enough to continue elsewhere. An
interrupted training run continues from its own state in RUN. --only takes names of cells, such as
'equivariant-*-800-0'.

``tune`` tries the learning rates of the protocol on validation molecules. ``count`` prints
parameters and steps. ``figures`` fills the tables and figures of docs/physics-and-scaling.md from
the CSV, ``dyes`` its section on dyes, with the shipped model.

The table has a row for every cell, set and quantity. ``value`` is in eV except for strengths
(``bright_f``), shares (``refused``), times (s) and counts; ``n`` is the number of deviations;
``rotations`` is the number of orientations over which predictions were averaged. scores.py
defines the quantities. The set ``training`` describes the run itself. ``protocol`` is a hash of
configuration and data: rows of different protocols are never mixed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import torch

from esml.io.files import sole_writer
from esml.io.records import read
from esml.jobs import DIED, follow_parent, on_processes
from esml.model import checkpoint
from esml.training import train
from scripts import ROOT
from scripts.csv_rows import Row, add_rows, read_rows
from scripts.inductive_bias import dye_section, page
from scripts.inductive_bias.bench import N_COUNTED, Bench, n_parameters
from scripts.inductive_bias.plan import Cell, Study, cells, load_study, training_config

COLUMNS = (
    "backbone", "head", "size", "seed", "set", "rotations", "quantity", "value", "n", "protocol",
)  # fmt: skip
RATE_COLUMNS = ("backbone", "head", "learning_rate", "quantity", "value", "protocol")


def names_of(rows: Sequence[Row], protocol: str, path: Path) -> set[str]:
    """Return names of the cells in the table; SystemExit if it is of another protocol."""
    for row in rows:
        if row["protocol"] != protocol:
            raise SystemExit(
                f"{path} is of protocol {row['protocol']}, configuration and data make {protocol}: "
                "expected the same settings and records; choose another --csv, or restore them"
            )
    return {Cell(r["backbone"], r["head"], r["size"], int(r["seed"])).name for r in rows}


_bench: Bench | None = None


def _start(study: Study, directory: Path) -> None:
    """Initialize a worker process."""
    global _bench
    follow_parent()
    torch.set_num_threads(1)
    _bench = Bench(study, directory)


def _work(cell: Cell, _: None) -> list[Row] | str:
    """Return the rows of ``cell``, or the error, so that the results of other cells are kept."""
    assert _bench is not None
    try:
        return _bench.run(cell)
    except Exception as error:
        return repr(error)


def _died(_: Cell) -> list[Row] | str:
    return DIED


def run(
    study: Study, directory: Path, path: Path, workers: int = 1, only: Sequence[str] = ()
) -> None:
    """Add the missing cells to the table ``path``."""
    bench = Bench(study, directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(path.with_name(f".{path.name}.lock"), path):
        held = names_of(read_rows(path), bench.protocol, path)
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
                add_rows(path, rows, COLUMNS)
                print(line(cell, rows), flush=True)
            return
        for size, seed in dict.fromkeys((c.size, c.seed) for c in todo):
            bench.shard(size, seed)  # two workers must not write the same
        start = partial(_start, study, directory)
        failed = {}
        for cell, found in on_processes(_work, todo, None, workers, _died, start):
            if isinstance(found, str):
                failed[cell.name] = found
                continue
            add_rows(path, found, COLUMNS)
            print(line(cell, found), flush=True)
        for name, error in failed.items():
            print(f"{name} failed: {error}", flush=True)
        if failed:
            raise SystemExit(1)


def line(cell: Cell, rows: Sequence[Row]) -> str:
    """Format the line that is printed for a finished cell."""
    found = {(r["set"], r["rotations"], r["quantity"]): r["value"] for r in rows}
    shown = (("test", "s1"), ("test", "t1"), ("test", "occupied"), ("extrapolation", "s1"))
    figures = "  ".join(
        f"{name} {quantity} {found.get((name, 1, quantity), math.nan):.3f}"
        for name, quantity in shown
    )
    return f"{cell.name:<36} {found['training', 1, 'seconds']:6.0f} s  {figures} eV"


def tune(study: Study, directory: Path, path: Path) -> None:
    """Compute validation errors of every kind of model at every learning rate."""
    bench = Bench(study, directory)
    form = study.tuning
    rows = read_rows(path)
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
                add_rows(path, new, RATE_COLUMNS)
                print(entry, {r["quantity"]: round(r["value"], 4) for r in new}, flush=True)
    for (backbone, head), rate in best_rates(read_rows(path)).items():
        print(f"best for {backbone}, {head}: {rate:g} (learning_rates of the configuration)")


def best_rates(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Return the rate of the lowest validation error of S1 for every kind of model."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        if row["quantity"] == "s1_mae_eV" and math.isfinite(float(row["value"])):
            entry = float(row["value"]), float(row["learning_rate"])
            kind = row["backbone"], row["head"]
            best[kind] = min(best.get(kind, entry), entry)
    return {kind: rate for kind, (_, rate) in best.items()}


def count(study: Study) -> str:
    """Format the numbers of parameters of the four kinds of model."""
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
    describing = commands.add_parser("dyes", help="fill the page's section on dyes")
    describing.add_argument("--model", default="camb3lyp")
    for command in (drawing, describing):
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
        page.draw(read_rows(args.csv), read_rows(args.rates), args.page)
    else:
        dye_section.describe(args.model, args.page)


if __name__ == "__main__":
    main()
