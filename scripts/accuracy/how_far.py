"""Errors of methods against best estimates, by multiplicity, kind of state and molecule size.

    python -m scripts.accuracy.how_far QUEST LEVELS FIT [--labels DIR] [--cache FILE]
        [--pictures FOLDER]

QUEST is the JSON list of QUEST MAIN; LEVELS is the folder ``data/json/MAIN`` of its repository
(pfloos/QUESTDB), which lists energies of wave-function methods beside the best estimates; FIT is
the output of ``scripts.training.best_estimate --json``: the fitted model, each molecule with
parameters fitted without it, and the model of the labels. ``--labels`` adds a column for the
reference level itself; labels missing in DIR are computed. INDO/S and TD-DFTB have columns if their
programs are installed.

Prints Markdown: mean absolute (mean) deviations in eV of every method for the states that it gives.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from esml.plots import plot_parity
from scripts.accuracy import quest
from scripts.accuracy.benchmark import against_estimates
from scripts.accuracy.methods import Cache, of_peer
from scripts.accuracy.peers import PEERS, PeerMissingError
from scripts.pages import table

LEVELS = {"CC2": "CC2", "ADC(2)": "ADC(2)", "SCS-CC2": "SCS-CC2", "EOM-CCSD": "CCSD"}
"""Columns of the table, and their names in QUEST."""

OWN = {"`best_estimate`, out of fold": "out of fold", "`camb3lyp`": "labels' parameters"}
"""Columns, and their names in ``scripts.training.best_estimate``."""

PICTURED = (*OWN, "labels", "CC2", "ADC(2)")
"""Methods with a picture of their own."""

Pairs = dict[str, list[quest.Pair]]


def of_levels(molecules: Sequence[quest.BenchmarkMolecule], folder: Path) -> Pairs:
    """Read the scored states of ``molecules`` at the levels that QUEST lists."""
    found: Pairs = {name: [] for name in LEVELS}
    for molecule in molecules:
        path = folder / f"{molecule.name}.json"
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        at = {(entry["Spin"], entry["TBE/AVTZ"]): entry for entry in reversed(entries)}
        for multiplicity in (1, 3):
            for place, kind, state in quest.scored(molecule, multiplicity):
                estimate, safe = float(state["tbe_avtz_eV"]), state["safe"] == "Y"
                energies = at.get((multiplicity, estimate), {})
                for name, column in LEVELS.items():
                    if isinstance(value := energies.get(column), float):
                        state_of = molecule.name, multiplicity, kind, place, safe
                        found[name].append(quest.Pair(*state_of, estimate, value))
    return found


def of_fit(path: Path) -> Pairs:
    """Read the states of both of our models from the output of the fit."""
    stored = json.loads(path.read_text(encoding="utf-8"))["pairs"]
    return {column: [quest.Pair(**p) for p in stored[name]] for column, name in OWN.items()}


def of_peers(molecules: Sequence[quest.BenchmarkMolecule], cache: Cache) -> Pairs:
    """Compute the states with INDO/S and TD-DFTB, if their programs are installed."""
    outcomes = {}
    for name, run in PEERS.items():
        try:
            outcomes[name] = of_peer(name, run, cache)([m.atoms for m in molecules])
        except PeerMissingError as error:
            print(f"{name} left out: {error}")
    return against_estimates(molecules, outcomes, None)[0]


def markdown(molecules: Sequence[quest.BenchmarkMolecule], pairs: Pairs) -> str:
    """Make the table: a row for each group of states, with their number for the first method."""
    columns = {
        name: quest.by_kind_and_size(molecules, found) | quest.table(found)
        for name, found in pairs.items()
    }
    first = next(iter(columns.values()))
    rows = [
        (f"{row} ({counted.count})", *(cell(table_of[row]) for table_of in columns.values()))
        for row, counted in first.items()
    ]
    return table(("", *columns), rows)


def cell(d: quest.Deviations) -> str:
    return f"{d.mae:.2f} ({d.mean:+.2f})" if d.count else "–"


def strengths(pairs: Pairs) -> str:
    """Format deviations of oscillator strengths from LR-CC3 for the methods that give them."""
    rows = []
    for name, found in pairs.items():
        both = quest.strengths(found)
        if any(d.count for d in both.values()):
            rows.append((name, *(f"{d.mae:.3f} ({d.mean:+.3f}; {d.count})" for d in both.values())))
    return table(("", "f", "f above 0.1"), rows)


def draw(pairs: Pairs, folder: Path) -> None:
    """Plot computed energies over best estimates, a panel for each method in ``PICTURED``."""
    folder.mkdir(parents=True, exist_ok=True)
    for multiplicity, spin in ((1, "singlets"), (3, "triplets")):
        points = {}
        for name in PICTURED:
            chosen = [
                p for p in pairs.get(name, []) if p.multiplicity == multiplicity and p.place >= 0
            ]
            if chosen:
                points[name.replace("`", "")] = (
                    [p.estimate for p in chosen],
                    [p.computed for p in chosen],
                )
        figure = plot_parity(points, dict.fromkeys(points, "eV"), ("best estimate", "computed"))
        figure.savefig(folder / f"truth_{spin}.png", dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("quest", type=Path)
    parser.add_argument("levels", type=Path)
    parser.add_argument("fit", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--cache", type=Path, help="file that keeps the results of the programs")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    molecules = quest.load(given.quest)
    pairs = of_fit(given.fit)
    if given.labels:
        records = quest.labels(molecules, given.labels)
        computed = {name: quest.valence_of(record) for name, record in records.items()}
        pairs["labels"] = quest.pairs_of(molecules, computed)
    pairs |= of_levels(molecules, given.levels)
    pairs |= of_peers(molecules, Cache(given.cache))
    print(markdown(molecules, pairs), strengths(pairs), sep="\n\n")
    if given.pictures:
        draw(pairs, given.pictures)


if __name__ == "__main__":
    main()
