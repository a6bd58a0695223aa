"""How accurate the model is: every table of the model card, other programs beside it.

    python -m scripts.accuracy.benchmark [MODEL] [--data data/small] [--extrapolation DIR]
        [--quest quest_main.json] [--quest-labels DIR] [--direct MODEL]
        [--cache peers.json] [--no-peers] [--json OUT] [--plots DIR]

Nothing is fitted to what is scored. The parts:

  the model against its labels, one split of --data, beside the aims and a baseline that knows the
  composition alone; whether its stated uncertainties are its errors;
  the model and the peers (scripts.accuracy.peers) against the same labels, by what needs no
  matching of states: S1, T1, the spectrum;
  the same for larger molecules (--extrapolation: shards), molecule by molecule;
  all of them, and the labels, against best estimates (--quest, see quest.py). --quest-labels holds
  the labels of its molecules and is filled where it lacks some (minutes per molecule at the end).

What the peers give is kept in --cache, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import esml
from esml.analysis.spectrum import broaden
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.results import Result, half_width
from esml.training.evaluation import BATCH, evaluate, evaluate_records, format_evaluation
from esml.training.losses import match
from esml.training.scores import HIGHEST, LEAST_WEIGHT
from esml.training.targets import collate, structure
from scripts.accuracy import quest
from scripts.accuracy.methods import (
    N_STATES,
    Cache,
    Method,
    Outcome,
    Prediction,
    of_direct,
    of_model,
    of_peer,
)
from scripts.accuracy.peers import PEERS, PeerMissingError

OWN = "esml"

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
"""What each figure of ``evaluate`` should reach, and what it should aim at."""

SPECTRUM_LIMIT = 7.0
"""eV up to which spectra are compared."""

SPECTRUM_FWHM = 0.3
"""eV."""

SPECTRUM_GRID = np.linspace(0.5, SPECTRUM_LIMIT, 1301)

DARK = 0.01
"""Sum of oscillator strengths below which a spectrum is empty: nothing to compare."""

FAMILIES = {"polyenes": r"polyene-C(\d+)", "acenes": r"(naphthal|anthrac|tetrac|pentac)ene"}
"""Names of the molecules whose gaps are followed with length."""


def bars_table(result: dict[str, Any]) -> str:
    """Each figure of ``evaluate`` beside the bar and the aim."""
    lines = [f"{'':<28}{'model':>9}{'bar':>9}{'aim':>9}"]
    for key, (name, bar, aim) in BARS.items():
        value = result[key]
        share = key == "brightest_share"
        passed, there = (value >= bar, value >= aim) if share else (value <= bar, value <= aim)
        note = "aim" if there else "bar" if passed else "missed"
        lines.append(f"{name:<28}{value:>9.3f}{bar:>9.3f}{aim:>9.3f}  {note}")
    return "\n".join(lines)


def curve(energies: np.ndarray, strengths: np.ndarray, highest: float) -> np.ndarray:
    """Broadened spectrum on ``SPECTRUM_GRID`` up to ``highest``, of norm 1; zero where empty."""
    real = energies > 0  # a peer may give a state below its ground state
    if not real.any():
        return np.zeros(len(SPECTRUM_GRID))
    found = broaden(
        energies[real], strengths[real], fwhm=SPECTRUM_FWHM, energies=SPECTRUM_GRID
    ).absorption
    found = np.where(highest < SPECTRUM_GRID, 0.0, found)
    norm = np.linalg.norm(found)
    return found / norm if norm > 0 else found


def similarity(states: Prediction, record: Record, least_weight: float = 0.0) -> float | None:
    """Overlap integral, 0 to 1, of the normalized spectra of ``states`` and the labels.

    Of label states of at least ``least_weight`` valence weight, up to ``SPECTRUM_LIMIT``, or to the
    last label state where labels end below because only so many were computed. None where the
    labels absorb nothing there.
    """
    energies = record.singlet_energies.astype(float)
    highest = SPECTRUM_LIMIT
    if len(energies) >= json.loads(record.level)["n_singlets"]:
        highest = min(highest, float(energies[-1]))
    chosen = record.singlet_valence_weights >= least_weight
    energies, strengths = energies[chosen], record.singlet_strengths[chosen].astype(float)
    if strengths[energies <= highest].sum() < DARK:
        return None
    ours = curve(states.singlets, states.strengths, highest)
    return float(ours @ curve(energies, strengths, highest))


def against_labels(outcomes: Sequence[Outcome], records: Sequence[Record]) -> dict[str, Any]:
    """Errors of one method on S1 and T1 (where the lowest label is valence) and its spectra."""
    errors: dict[str, list[float]] = {"s1": [], "t1": []}
    similarities: dict[str, list[float]] = {"spectra": [], "valence_spectra": []}
    seconds = []
    for outcome, record in zip(outcomes, records, strict=True):
        if isinstance(outcome, str):
            continue
        seconds.append(outcome.seconds)
        if record.singlet_valence_weights[0] >= LEAST_WEIGHT:
            errors["s1"].append(float(outcome.singlets[0] - record.singlet_energies[0]))
        if record.triplet_valence_weights[0] >= LEAST_WEIGHT and len(outcome.triplets):
            errors["t1"].append(float(outcome.triplets[0] - record.triplet_energies[0]))
        for name, least in (("spectra", 0.0), ("valence_spectra", LEAST_WEIGHT)):
            if (overlap := similarity(outcome, record, least)) is not None:
                similarities[name].append(overlap)
    return {
        **{name: asdict(quest.Deviations.of(values)) for name, values in errors.items()},
        **{
            name: {"mean": float(np.mean(v)) if v else float("nan"), "count": len(v)}
            for name, v in similarities.items()
        },
        "seconds": float(np.mean(seconds)) if seconds else float("nan"),
        "failed": sum(isinstance(o, str) for o in outcomes),
    }


def _cell(d: dict[str, Any]) -> str:
    if not d["count"]:
        return "–"
    return f"{d['mae']:.3f} / {d['mean']:+.3f} / {d['median']:.3f} ({d['count']})"


def format_against_labels(tables: dict[str, dict[str, Any]]) -> str:
    lines = [
        "S1 and T1: MAE / mean error / median |error| in eV (count). Spectra: mean overlap with",
        f"all label states, and with the valence ones (count), up to {SPECTRUM_LIMIT} eV.",
        f"{'':<12}{'S1':>30}{'T1':>30}{'spectra':>14}{'valence':>14}{'s each':>9}{'failed':>8}",
    ]
    for name, t in tables.items():
        line = f"{name:<12}{_cell(t['s1']):>30}{_cell(t['t1']):>30}"
        for kind in ("spectra", "valence_spectra"):
            cell = f"{t[kind]['mean']:.3f} ({t[kind]['count']})"
            line += f"{cell:>14}"
        lines.append(line + f"{t['seconds']:>9.3f}{t['failed']:>8}")
    return "\n".join(lines)


def calibration(model: Surrogate, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Stated uncertainties beside errors, of S1, T1, all valence states found, and structures.

    For a structure both are root mean squares over its states. Each: count, Spearman's rank
    correlation of uncertainty and |error| (nan where the uncertainty is always the same), what it
    is for normal errors of exactly the stated deviations, share of errors inside the 90 % interval,
    mean uncertainty and error (eV). Of all states also the rank correlation of |error| with its
    mean over the states of its molecule: what knowing how wrong each molecule is would give.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    by_molecule: dict[str, list[float]] = {}
    order = sorted(range(len(records)), key=lambda i: len(records[i].energies))
    for begin in range(0, len(order), BATCH):
        group = [records[i] for i in order[begin : begin + BATCH]]
        atoms = [structure(r) for r in group]
        results = list(model.predict_many(atoms, n_states=N_STATES, errors="return"))
        with torch.no_grad():
            solution = model(model.graph(atoms), N_STATES)
            targets = collate(group, LEAST_WEIGHT, HIGHEST)
            places = {
                kind: match(
                    getattr(solution, kind), solution.orbitals, getattr(targets, kind)
                ).numpy()
                for kind in ("singlets", "triplets")
            }
        for m, (record, result) in enumerate(zip(group, results, strict=True)):
            if not isinstance(result, Result):
                continue
            own = []
            for kind, lowest in (("singlets", "S1"), ("triplets", "T1")):
                states = getattr(result, kind)
                labels = getattr(record, f"{kind[:-1]}_energies")
                weights = getattr(record, f"{kind[:-1]}_valence_weights")
                if weights[0] >= LEAST_WEIGHT:
                    error = abs(float(states.energies[0] - labels[0]))
                    found.setdefault(lowest, []).append((float(states.uncertainties[0]), error))
                for label, place in enumerate(places[kind][m, : len(labels)]):
                    if place >= 0:
                        error = abs(float(states.energies[place] - labels[label]))
                        own.append((float(states.uncertainties[place]), error))
                        found.setdefault(kind, []).append(own[-1])
            by_molecule.setdefault(record.inchikey, []).extend(error for _, error in own)
            if own:
                stated, error = np.sqrt(np.square(own).mean(0))
                found.setdefault("structures", []).append((float(stated), float(error)))
    found["all"] = found.get("singlets", []) + found.get("triplets", [])
    result_table = {}
    for name, pairs in found.items():
        if not pairs:
            continue
        stated, error = np.array(pairs).T
        varies = np.ptp(stated) > 1e-9
        result_table[name] = {
            "count": len(pairs),
            "spearman": float(spearmanr(stated, error).statistic) if varies else float("nan"),
            "spearman_if_exact": if_exact(stated),
            "inside_90": float(np.mean(error <= half_width(0.9) * stated)),
            "mean_uncertainty_eV": float(stated.mean()),
            "mean_error_eV": float(error.mean()),
        }
    errors = [np.array(e) for e in by_molecule.values() if e]
    if "all" in result_table:
        means = np.concatenate([np.full(len(e), e.mean()) for e in errors])
        known = spearmanr(means, np.concatenate(errors)).statistic
        result_table["all"]["spearman_of_molecule"] = float(known)
    return result_table


def if_exact(stated: np.ndarray) -> float:
    """Rank correlation of ``stated`` deviations with the sizes of normal errors of just those."""
    if len(stated) < 3 or np.ptp(stated) < 1e-9:
        return float("nan")
    drawn = np.abs(np.random.default_rng(0).normal(size=(20, len(stated)))) * stated
    return float(np.mean([spearmanr(stated, errors).statistic for errors in drawn]))


def format_calibration(table: dict[str, dict[str, float]]) -> str:
    lines = [
        f"{'':<12}{'count':>7}{'Spearman':>10}{'if exact':>10}{'in 90 %':>9}{'mean σ/eV':>11}"
        f"{'mean error/eV':>15}"
    ]
    for name in ("S1", "T1", "singlets", "triplets", "all", "structures"):
        if t := table.get(name):
            lines.append(
                f"{name:<12}{t['count']:>7}{t['spearman']:>10.2f}"
                f"{t['spearman_if_exact']:>10.2f}{t['inside_90']:>9.1%}"
                f"{t['mean_uncertainty_eV']:>11.3f}{t['mean_error_eV']:>15.3f}"
            )
    if t := table.get("all"):
        lines.append(
            "were every molecule's mean error known and stated, Spearman of all states would be "
            f"{t['spearman_of_molecule']:.2f}"
        )
    return "\n".join(lines)


def extrapolation_table(
    outcomes: dict[str, list[Outcome]], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """Each larger molecule: its S1 and every method's error; the gap's error of the model."""
    rows = []
    for k, record in enumerate(records):
        n = int(record.n_occupied)
        row: dict[str, Any] = {
            "name": record.name,
            "n_heavy": int((record.numbers > 1).sum()),
            "valence": bool(record.singlet_valence_weights[0] >= LEAST_WEIGHT),
            "s1": float(record.singlet_energies[0]),
            "gap": float(record.energies[n] - record.energies[n - 1]),
            "s1_errors": {},
        }
        for name, found in outcomes.items():
            outcome = found[k]
            if not isinstance(outcome, str):
                row["s1_errors"][name] = float(outcome.singlets[0]) - row["s1"]
                if name == OWN:
                    row["gap_error"] = outcome.gap - row["gap"]
        rows.append(row)
    return sorted(rows, key=lambda r: (r["n_heavy"], r["name"]))


def format_extrapolation(rows: list[dict[str, Any]], names: Sequence[str]) -> str:
    width = max(len(r["name"]) for r in rows) + 2
    head = f"{'':<{width}}{'heavy':>6}{'S1/eV':>8}{'gap/eV':>8}{'gap error':>11}"
    lines = [head + "".join(f"{'S1 ' + name:>15}" for name in names)]
    for r in rows:
        line = f"{r['name']:<{width}}{r['n_heavy']:>6}{r['s1']:>8.2f}{r['gap']:>8.2f}"
        line += f"{r['gap_error']:>+11.3f}" if "gap_error" in r else f"{'–':>11}"
        for name in names:
            error = r["s1_errors"].get(name)
            line += f"{error:>+15.3f}" if error is not None else f"{'–':>15}"
        lines.append(line + ("" if r["valence"] else "  not valence: not scored"))
    for family, pattern in FAMILIES.items():
        worst = [
            abs(r["gap_error"]) for r in rows if "gap_error" in r and re.match(pattern, r["name"])
        ]
        if worst:
            lines.append(f"gap of {family}: error at most {max(worst):.3f} eV (bar 0.20)")
    return "\n".join(lines)


def against_estimates(
    molecules: list[quest.Molecule],
    methods: dict[str, list[Outcome]],
    labels: dict[str, Record] | None,
) -> tuple[dict[str, list[quest.Pair]], dict[str, int]]:
    """Pairs of best estimate and computed state by method ("labels" first), and failures."""
    computed: dict[str, dict[str, quest.Computed]] = {}
    if labels is not None:
        computed["labels"] = {name: quest.valence_of(record) for name, record in labels.items()}
    failed = {}
    for name, outcomes in methods.items():
        computed[name] = {
            molecule.name: quest.Computed(o.singlets, o.strengths, o.triplets)
            for molecule, o in zip(molecules, outcomes, strict=True)
            if not isinstance(o, str)
        }
        failed[name] = sum(isinstance(o, str) for o in outcomes)
    return {name: quest.pairs_of(molecules, found) for name, found in computed.items()}, failed


def plot_parity(
    path: Path, points: dict[str, tuple[list[float], list[float]]], xlabel: str
) -> None:
    """One panel for each method: its energies over the true ones."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(points), figsize=(3.2 * len(points), 3.7), squeeze=False, layout="constrained"
    )
    both = np.concatenate([np.concatenate(p) for p in points.values()])
    ends = both.min() - 0.3, both.max() + 0.3
    for ax, (name, (true, found)) in zip(axes[0], points.items(), strict=True):
        ax.plot(ends, ends, color="0.6", linewidth=0.8)
        ax.scatter(true, found, s=9, alpha=0.5, linewidths=0)
        mae = np.abs(np.subtract(found, true)).mean()
        ax.set_box_aspect(1)
        ax.set(title=f"{name}: MAE {mae:.2f} eV", xlabel=xlabel, xlim=ends, ylim=ends)
    axes[0, 0].set_ylabel("computed (eV)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def plot_polyenes(path: Path, rows: list[dict[str, Any]]) -> None:
    """S1 and gap of polyenes over length: labels and model."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    chain = [r for r in rows if re.fullmatch(FAMILIES["polyenes"], r["name"]) and "gap_error" in r]
    if not chain:
        return
    carbons = [r["n_heavy"] for r in chain]
    figure, ax = plt.subplots(figsize=(4.4, 3.4), layout="constrained")
    for values, errors, name in (
        ([r["s1"] for r in chain], [r["s1_errors"][OWN] for r in chain], "S1"),
        ([r["gap"] for r in chain], [r["gap_error"] for r in chain], "gap"),
    ):
        (line,) = ax.plot(carbons, values, "o-", label=f"{name}, label")
        found = np.add(values, errors)
        ax.plot(carbons, found, "x--", color=line.get_color(), label=f"{name}, model")
    ax.set(xlabel="carbon atoms in the polyene", ylabel="eV")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def lowest_points(
    outcomes: Sequence[Outcome], records: Sequence[Record], kind: str
) -> tuple[list[float], list[float]]:
    """(labels, computed) lowest states of one kind, where the label is valence."""
    true, found = [], []
    for outcome, record in zip(outcomes, records, strict=True):
        weights = getattr(record, f"{kind[:-1]}_valence_weights")
        if isinstance(outcome, str) or weights[0] < LEAST_WEIGHT:
            continue
        if len(energies := getattr(outcome, kind)):
            true.append(float(getattr(record, f"{kind[:-1]}_energies")[0]))
            found.append(float(energies[0]))
    return true, found


def run_all(methods: dict[str, Method], records: Sequence[Record]) -> dict[str, list[Outcome]]:
    """Outcomes of every method whose program is there; one line for each that is not."""
    structures = [structure(r) for r in records]
    outcomes = {}
    for name, method in list(methods.items()):
        try:
            outcomes[name] = method(structures)
        except PeerMissingError as error:
            print(f"{name} left out: {error}")
            del methods[name]
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="default")
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
    args = parser.parse_args()

    model = esml.load_model(args.model)
    cache = Cache(args.cache)
    methods: dict[str, Method] = {OWN: of_model(model)}
    if args.direct:
        methods["direct"] = of_direct(args.direct)
    if not args.no_peers:
        methods |= {name: of_peer(name, run, cache) for name, run in PEERS.items()}
    report: dict[str, Any] = {}
    if args.plots:
        args.plots.mkdir(parents=True, exist_ok=True)

    def show(title: str, text: str) -> None:
        print(f"\n## {title}\n\n{text}", flush=True)

    report["labels"] = evaluate(model, args.data, args.split)
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
            plot_parity(args.plots / f"parity_{name}.png", points, f"{name}, label (eV)")

    if args.extrapolation:
        larger = read(args.extrapolation)
        report["extrapolation"] = {"model": evaluate_records(model, larger)}
        show("Larger molecules", format_evaluation(report["extrapolation"]["model"]))
        outcomes = run_all(methods, larger)
        report["extrapolation"]["methods"] = {
            n: against_labels(found, larger) for n, found in outcomes.items()
        }
        rows = report["extrapolation"]["molecules"] = extrapolation_table(outcomes, larger)
        show(
            f"Methods on larger molecules, {len(larger)} structures",
            format_against_labels(report["extrapolation"]["methods"]),
        )
        show("Larger molecules one by one", format_extrapolation(rows, list(outcomes)))
        if args.plots:
            plot_polyenes(args.plots / "polyenes.png", rows)

    if args.quest:
        report["quest"] = quest_part(args, methods, show)

    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def quest_part(
    args: argparse.Namespace, methods: dict[str, Method], show: Callable[[str, str], None]
) -> dict[str, Any]:
    """Print the tables against best estimates; what they hold, for the JSON."""
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
        plot_parity(args.plots / "parity_quest.png", points, "best estimate (eV)")
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
