"""How accurate the model is: every table of the model card, other programs beside it.

    python -m scripts.accuracy.benchmark [MODEL] [--data data/small] [--extrapolation DIR]
        [--quest quest_main.json] [--quest-labels DIR] [--direct MODEL]
        [--cache peers.json] [--no-peers] [--json OUT] [--plots DIR]

Nothing is fitted to the scored data. The parts:

  the model against its labels, one split of --data, beside the aims and a baseline that knows the
  composition alone; whether its stated uncertainties are its errors;
  the model and the peers (scripts.accuracy.peers) against the same labels, by what needs no
  matching of states: S1, T1, the spectrum;
  the same for larger molecules (--extrapolation: shards), molecule by molecule;
  all of them, and the labels, against best estimates (--quest, see quest.py). --quest-labels holds
  the labels of its molecules and is filled where it lacks some (minutes per molecule at the end).

The peers' results are kept in --cache, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import esml
from esml.io.records import Record, read
from esml.plots import plot_parity
from esml.predict.surrogate import Surrogate
from esml.results import Failure
from esml.training.evaluation import evaluate, evaluate_records, format_evaluation
from esml.training.targets import structure
from scripts.accuracy import quest
from scripts.accuracy.calibration import calibration, format_calibration
from scripts.accuracy.larger import extrapolation_table, format_extrapolation, plot_polyenes
from scripts.accuracy.methods import OWN, Cache, Method, Outcome, of_direct, of_model, of_peer
from scripts.accuracy.parity import lowest_points
from scripts.accuracy.peers import PEERS, PeerMissingError
from scripts.accuracy.without_matching import against_labels, format_against_labels

BARS: dict[str, tuple[str, float, float]] = {
    "occupied_mae_eV": ("occupied orbital energies", 0.08, 0.04),
    "gap_mae_eV": ("HOMO–LUMO gap", 0.12, 0.06),
    "s1_mae_eV": ("S1", 0.12, 0.06),
    "t1_mae_eV": ("T1", 0.10, 0.05),
    "singlets_mae_eV": ("valence singlets", 0.15, 0.08),
    "triplets_mae_eV": ("valence triplets", 0.12, 0.06),
    "oscillator_mae": ("oscillator strengths", 0.03, 0.015),
    "brightest_share": ("brightest state right", 0.85, 0.95),
    "dipole_mae_debye": ("dipole moment", 0.15, 0.05),
    "charges_mae_e": ("charges", 0.02, 0.01),
}
"""Required value and aim of each figure of ``evaluate``."""


def bars_table(result: dict[str, Any]) -> str:
    """Make a table of the figures of ``evaluate`` beside required values and aims."""
    lines = [f"{'':<28}{'model':>9}{'bar':>9}{'aim':>9}"]
    for key, (name, bar, aim) in BARS.items():
        value = result[key]
        share = key == "brightest_share"
        passed, there = (value >= bar, value >= aim) if share else (value <= bar, value <= aim)
        note = "aim" if there else "bar" if passed else "missed"
        lines.append(f"{name:<28}{value:>9.3f}{bar:>9.3f}{aim:>9.3f}  {note}")
    return "\n".join(lines)


def against_estimates(
    molecules: Sequence[quest.BenchmarkMolecule],
    methods: dict[str, list[Outcome]],
    labels: dict[str, Record] | None,
) -> tuple[dict[str, list[quest.Pair]], dict[str, int]]:
    """Pair best estimates with computed states by method ("labels" first); count failures."""
    computed: dict[str, dict[str, quest.Computed]] = {}
    if labels is not None:
        computed["labels"] = {name: quest.valence_of(record) for name, record in labels.items()}
    failed = {}
    for name, outcomes in methods.items():
        computed[name] = {
            molecule.name: quest.Computed(o.singlets, o.strengths, o.triplets)
            for molecule, o in zip(molecules, outcomes, strict=True)
            if not isinstance(o, Failure)
        }
        failed[name] = sum(isinstance(o, Failure) for o in outcomes)
    return {name: quest.pairs_of(molecules, found) for name, found in computed.items()}, failed


def run_all(methods: dict[str, Method], records: Sequence[Record]) -> dict[str, list[Outcome]]:
    """Run every method whose program is installed; print a line for each that is not."""
    structures = [structure(r) for r in records]
    outcomes = {}
    for name, method in list(methods.items()):
        try:
            outcomes[name] = method(structures)
        except PeerMissingError as error:
            print(f"{name} left out: {error}")
            del methods[name]
    return outcomes


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="camb3lyp")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/small")])
    parser.add_argument("--split", default="test")
    parser.add_argument("--extrapolation", type=Path)
    parser.add_argument("--quest", type=Path)
    parser.add_argument("--quest-labels", type=Path)
    parser.add_argument("--direct", type=Path, help="a direct model, of configs/direct.yaml")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path)
    return parser.parse_args()


def show(title: str, text: str) -> None:
    print(f"\n## {title}\n\n{text}", flush=True)


def main() -> None:
    args = parsed()
    model = esml.load_model(args.model)
    cache = Cache(args.cache)
    methods: dict[str, Method] = {OWN: of_model(model)}
    if args.direct:
        methods["direct"] = of_direct(args.direct)
    if not args.no_peers:
        methods |= {name: of_peer(name, run, cache) for name, run in PEERS.items()}
    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)
    report = labels_part(args, model, methods)
    if args.extrapolation:
        report["extrapolation"] = larger_part(args, model, methods)
    if args.quest:
        report["quest"] = quest_part(args, methods)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def labels_part(
    args: argparse.Namespace, model: Surrogate, methods: dict[str, Method]
) -> dict[str, Any]:
    """Print the tables against the labels; return their content for the JSON file."""
    report: dict[str, Any] = {"labels": evaluate(model, args.data, args.split)}
    show(f"Against the labels, split {args.split}", format_evaluation(report["labels"]))
    show("Bars and aims", bars_table(report["labels"]))
    records = read(args.data, split=args.split)
    report["calibration"] = calibration(model, records)
    show("Stated uncertainties", format_calibration(report["calibration"]))
    outcomes = run_all(methods, records)
    report["methods"] = {n: against_labels(found, records) for n, found in outcomes.items()}
    show(
        f"Methods against the labels, {len(records)} structures",
        format_against_labels(report["methods"]),
    )
    if args.plots:
        for kind, name in (("singlets", "S1"), ("triplets", "T1")):
            points = {n: lowest_points(found, records, kind) for n, found in outcomes.items()}
            called = f"{name}, label", "computed"
            figure = plot_parity(points, dict.fromkeys(points, "eV"), called)
            figure.savefig(args.plots / f"parity_{name}.png", dpi=150)
    return report


def larger_part(
    args: argparse.Namespace, model: Surrogate, methods: dict[str, Method]
) -> dict[str, Any]:
    """Print the tables of larger molecules; return their content for the JSON file."""
    larger = read(args.extrapolation)
    report: dict[str, Any] = {"model": evaluate_records(model, larger)}
    show("Larger molecules", format_evaluation(report["model"]))
    outcomes = run_all(methods, larger)
    report["methods"] = {n: against_labels(found, larger) for n, found in outcomes.items()}
    rows = report["molecules"] = extrapolation_table(outcomes, larger)
    show(
        f"Methods on larger molecules, {len(larger)} structures",
        format_against_labels(report["methods"]),
    )
    show("Larger molecules one by one", format_extrapolation(rows, list(outcomes)))
    if args.plots:
        plot_polyenes(args.plots / "polyenes.png", rows)
    return report


def quest_part(args: argparse.Namespace, methods: dict[str, Method]) -> dict[str, Any]:
    """Print the tables against best estimates; return their content for the JSON file."""
    molecules = quest.load(args.quest)
    labels = quest.labels(molecules, args.quest_labels) if args.quest_labels else None
    outcomes = {n: method([m.atoms for m in molecules]) for n, method in methods.items()}
    pairs, failed = against_estimates(molecules, outcomes, labels)
    tables = {name: quest.table(found) for name, found in pairs.items()}
    show(
        f"Against best estimates, {len(molecules)} molecules: MAE / mean / median |error| in eV",
        quest.format_tables(tables)
        + "\nfailed: "
        + ", ".join(f"{name} {count}" for name, count in failed.items()),
    )
    safe = {n: quest.table([p for p in found if p.safe]) for n, found in pairs.items()}
    show("The same, estimates believed within 0.05 eV alone", quest.format_tables(safe))
    found = {"all": tables, "safe": safe}
    if labels is not None:
        both = quest.shared(pairs, ["labels", OWN])
        found["shared"] = {name: quest.table(p) for name, p in both.items()}
        row = "singlets nπ* and ππ*"
        worse = found["shared"][OWN][row].mae - found["shared"]["labels"][row].mae
        show(
            "States that both labels and model have",
            quest.format_tables(found["shared"])
            + f"\n{row}: the model is {worse:+.3f} eV from its labels' MAE (bar +0.10)",
        )
        everyone = quest.shared(pairs, list(pairs))
        found["common"] = {name: quest.table(p) for name, p in everyone.items()}
        show("States that every method has", quest.format_tables(found["common"]))
    if args.plots:
        points = {
            name: (
                [p.estimate for p in found_ if p.multiplicity == 1 and p.place >= 0],
                [p.computed for p in found_ if p.multiplicity == 1 and p.place >= 0],
            )
            for name, found_ in pairs.items()
        }
        figure = plot_parity(points, dict.fromkeys(points, "eV"), ("best estimate", "computed"))
        figure.savefig(args.plots / "parity_quest.png", dpi=150)
    return {
        "failed": failed,
        **{
            part: {name: {row: asdict(d) for row, d in t.items()} for name, t in tables_.items()}
            for part, tables_ in found.items()
        },
        "pairs": {name: [asdict(p) for p in found_] for name, found_ in pairs.items()},
    }


if __name__ == "__main__":
    main()
