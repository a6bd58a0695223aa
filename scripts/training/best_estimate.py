"""Fit response parameters to best estimates, and report the remaining errors of the model.

    python -m scripts.training.best_estimate QUEST QM8 AZULENES --model camb3lyp -o MODEL [--json J]

QUEST is the JSON list of QUEST MAIN, QM8 and AZULENES are files of energies at CC2 and ADC(2) (see
``better_energies``). Only parameters of excited states change: orbitals, charges and dipoles remain
as fitted to the labels. Errors for QUEST and the azulenes are out of fold: each of five folds of
molecules is predicted with parameters fitted without it. A fifth of QM8, by scaffold, is never
fitted. With ``--larger``, a data set of larger molecules shows how much their lowest states shift,
and whether that depends on size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import esml
from esml.model.elements import LIKE
from esml.physics.basis import ELEMENTS
from esml.predict.model_files import save_model
from esml.predict.surrogate import Surrogate
from esml.results import Result, half_width
from scripts.accuracy import quest
from scripts.training.better_energies import (
    Better,
    held_out,
    read_azulenes,
    read_qm8,
    read_quest,
    read_records,
    usable,
)
from scripts.training.response_fit import (
    Known,
    MoleculesToFit,
    Parameters,
    Prior,
    StateToFit,
    centres,
    found_targets,
    predicted_states,
    prepared,
    ridge,
    rows,
    solve,
    spread,
)

ENERGIES = "best estimates (QUEST MAIN), vertical, in vacuum"
"""Description of the energies of the fitted model."""

FOLDS = 5
ITERATIONS = 2


def fit(
    model: Surrogate,
    truth: Sequence[MoleculesToFit],
    others: Sequence[Sequence[StateToFit]],
    prior: Prior,
) -> Parameters:
    """Take Gauss–Newton steps from the labels' parameters; ``others`` adds rows at each step."""
    at = Parameters.zero(model)
    for known in others:
        at = ridge([*rows(model, truth, at), *known], at, prior)
    return at


def fit_all(
    model: Surrogate,
    truth: Sequence[MoleculesToFit],
    others: Sequence[MoleculesToFit],
    known: Known,
    prior: Prior,
) -> tuple[Parameters, list[list[StateToFit]]]:
    """Fit the parameters to all data; also return the rows of ``others`` at each step."""
    at = Parameters.zero(model)
    steps: list[list[StateToFit]] = []
    for step in range(ITERATIONS):
        steps.append(rows(model, others, at, known))
        at = ridge([*rows(model, truth, at), *steps[-1]], at, prior)
        print(f"step {step + 1} of {ITERATIONS}", flush=True)
    return at, steps


def folds(molecules: Sequence[Better]) -> list[list[Better]]:
    """Divide ``molecules`` into ``FOLDS`` groups at random."""
    order = np.random.default_rng(1).permutation(len(molecules))
    return [[molecules[i] for i in order[k::FOLDS]] for k in range(FOLDS)]


def computed(
    model: Surrogate, batches: Iterable[MoleculesToFit], parameters: Parameters
) -> dict[str, quest.Computed]:
    """Return the states of QUEST molecules by name, if they could be computed."""
    found = {}
    for batch in batches:
        with torch.no_grad():
            both = solve(model, batch, parameters)
        for index, molecule in enumerate(batch.molecules):
            if not bool(both[0].given[index]):
                continue
            singlet, triplet = (predicted_states(batch, x, index)[0] for x in both)
            found[molecule.name] = quest.Computed(
                singlet.energies, singlet.strengths, triplet.energies
            )
    return found


def summary(found: Sequence[StateToFit]) -> dict[str, dict[str, float]]:
    """Summarize the deviations of lowest singlets and triplets."""
    table = {}
    for name, triplet in (("singlets", False), ("triplets", True)):
        errors = [r.error for r in found if r.triplet == triplet]
        if errors:
            d = quest.Deviations.of(errors)
            table[name] = {
                "count": d.count,
                "mae": round(d.mae, 3),
                "mean": round(d.mean, 3),
                "median": round(d.median, 3),
            }
    return table


def method_errors(
    model: Surrogate, molecules: Sequence[quest.BenchmarkMolecule], found: dict[str, quest.Computed]
) -> dict[str, float]:
    """Return s (eV) for which ±1.645 √(u² + s²) holds 90 % of the errors of ``found`` on QUEST.

    u is the uncertainty that ``model`` gives for the state nearest in energy. |e| ≤ w √(u² + s²) is
    equivalent to e²/w² − u² ≤ s², so s² is a quantile of the left-hand side.
    """
    results = model.predict_many([m.atoms for m in molecules], 10, errors="return")
    stated = {m.name: r for m, r in zip(molecules, results, strict=True) if isinstance(r, Result)}
    errors = {}
    for name, multiplicity in (("singlets", 1), ("triplets", 3)):
        rest = []
        for p in quest.pairs_of(molecules, found):
            if p.place < 0 or p.multiplicity != multiplicity or p.molecule not in stated:
                continue
            states = getattr(stated[p.molecule], name)
            u = states.uncertainties[np.abs(states.energies - p.computed).argmin()]
            rest.append(((p.computed - p.estimate) / half_width(0.9)) ** 2 - u**2)
        errors[name] = round(float(np.sqrt(max(0.0, np.quantile(rest, 0.9)))), 3)
    return errors


def lowest(found: Sequence[StateToFit]) -> list[StateToFit]:
    """Return the lowest state of each molecule and multiplicity."""
    best: dict[tuple[str, bool], StateToFit] = {}
    for row in found:
        key = row.molecule.name, row.triplet
        if key not in best or row.target < best[key].target:
            best[key] = row
    return list(best.values())


def like_neighbours(table: Tensor, known: Sequence[int]) -> Tensor:
    """Give elements of ``table`` (elements, 11) that are not ``known`` the rows of similar ones."""
    source = [ELEMENTS.index(z if z in known else LIKE.get(z, z)) for z in ELEMENTS]
    return table[source]


def with_parameters(model: Surrogate, parameters: Parameters, known: Sequence[int]) -> Surrogate:
    """Return ``model`` with changed response parameters; ``known`` are the fitted elements."""
    hamiltonian = model.hamiltonian
    centre = centres(model).double() @ parameters.weight
    scale, shift = parameters.shared
    with torch.no_grad():
        hamiltonian.element_couplings.add_(like_neighbours(parameters.table, known) - centre)
        hamiltonian.couplings.weight.add_(parameters.weight.mT)
        hamiltonian.virtual_scale.add_(scale)
        hamiltonian.triplet_shift.add_(shift)
    return model


def movement(
    before: Sequence[StateToFit], after: Sequence[StateToFit]
) -> dict[str, dict[str, float]]:
    """Return the shifts of S1 and T1 (eV), and their change per heavy atom."""
    table = {}
    for name, triplet in (("S1", False), ("T1", True)):
        pairs = [
            (int((a.molecule.atoms.numbers > 1).sum()), b.predicted - a.predicted)
            for a, b in zip(before, after, strict=True)
            if a.triplet == triplet
        ]
        size, moved = np.array(pairs).T
        table[name] = {
            "count": len(pairs),
            "mean": round(float(moved.mean()), 3),
            "for_each_heavy_atom": round(float(np.polyfit(size, moved, 1)[0]), 4),
        }
    return table


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("quest", type=Path)
    parser.add_argument("qm8", type=Path)
    parser.add_argument("azulenes", type=Path)
    parser.add_argument(
        "--model", default="camb3lyp", help="model to start from, fitted to the labels"
    )
    parser.add_argument("--n-cc2", type=int, default=1500, help="number of CC2 molecules to fit")
    parser.add_argument("--n-test", type=int, default=300, help="number of CC2 molecules to test")
    parser.add_argument("--larger", type=Path, help="records of larger molecules")
    parser.add_argument("-o", "--output", type=Path, help="model file to write")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def cross_fit(
    model: Surrogate,
    molecules: Sequence[Better],
    azulenes: Sequence[Better],
    steps: Sequence[Sequence[StateToFit]],
    prior: Prior,
) -> tuple[dict[str, quest.Computed], list[StateToFit]]:
    """Return states of ``molecules`` and rows of ``azulenes`` from fits without them."""
    out_of_fold: dict[str, quest.Computed] = {}
    azulene_rows: list[StateToFit] = []
    for k, (group, left_out) in enumerate(zip(folds(molecules), folds(azulenes), strict=True)):
        apart = {m.name for m in (*group, *left_out)}
        rest = [m for m in molecules if m.name not in apart]
        without = [[r for r in step if r.molecule.name not in apart] for step in steps]
        at = fit(model, list(prepared(model, rest)), without, prior)
        out_of_fold |= computed(model, prepared(model, group), at)
        azulene_rows += rows(model, list(prepared(model, left_out)), at)
        print(f"fold {k + 1} of {FOLDS}", flush=True)
    return out_of_fold, azulene_rows


def save_best(
    best: Surrogate, path: Path, stated: object, out_of_fold: Mapping[str, quest.Deviations]
) -> None:
    """Write the model with its known errors: ``stated`` and a table for QUEST."""
    errors = {
        name: round(out_of_fold[f"{name} nπ* and ππ*"].mae, 3) for name in ("singlets", "triplets")
    }
    for key in ("uncertainty", "validation"):  # these refer to the labels
        best.metadata.pop(key, None)
    best.metadata |= {
        "name": path.stem,
        "energies": ENERGIES,
        "method_rmse_eV": stated,
        "truth": {"of": "QUEST MAIN, out of fold", "mae_eV": errors},
    }
    save_model(best, path)


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    model = esml.load_model(arguments.model, dtype=torch.float64)
    qm8 = read_qm8(arguments.qm8)
    fitted = usable([m for m in qm8 if not held_out(m)][: arguments.n_cc2])
    tested = usable([m for m in qm8 if held_out(m)][: arguments.n_test])
    azulenes = usable(read_azulenes(arguments.azulenes))
    molecules = usable(read_quest(arguments.quest))
    truth = list(prepared(model, molecules))
    others = [batch for group in (fitted, azulenes) for batch in prepared(model, group)]
    zero = Parameters.zero(model)
    prior = Prior(spread([*truth, *others]))
    known = found_targets(model, others, zero)
    final, steps = fit_all(model, truth, others, known, prior)

    out_of_fold, azulene_rows = cross_fit(model, molecules, azulenes, steps, prior)
    listed = quest.load(arguments.quest)
    methods = {
        "labels' parameters": computed(model, truth, zero),
        "out of fold": out_of_fold,
        "in fold": computed(model, truth, final),
    }
    pairs = {name: quest.pairs_of(listed, c) for name, c in methods.items()}
    tables = {name: quest.table(found) for name, found in pairs.items()}
    print(quest.format_tables(tables))
    figures: dict[str, object] = {}
    for name, found in pairs.items():
        groups = {**quest.by_kind_and_size(listed, found), **quest.strengths(found)}
        figures[f"quest, {name}"] = {row: asdict(d) for row, d in groups.items()}
    cc2 = list(prepared(model, tested))
    of_tested = found_targets(model, cc2, zero)
    for label, parameters in (("labels' parameters", zero), ("best estimate", final)):
        figures[f"cc2, {label}"] = summary(lowest(rows(model, cc2, parameters, of_tested)))
    figures["adc2, labels' parameters"] = summary(
        [r for r in steps[0] if r.molecule.source == "adc2"]
    )
    figures["adc2, out of fold"] = summary(azulene_rows)
    if arguments.larger:
        larger = list(prepared(model, usable(read_records(arguments.larger))))
        moved = movement(rows(model, larger, zero), rows(model, larger, final))
        figures["larger molecules move by"] = moved
    elements = {int(z) for b in (*truth, *others) for z in b.graph.numbers}
    best = with_parameters(esml.load_model(arguments.model), final, sorted(elements))
    figures["method error"] = stated = method_errors(best, listed, out_of_fold)
    print(json.dumps(figures, indent=1))
    if arguments.output:
        save_best(best, arguments.output, stated, tables["out of fold"])
    if arguments.json:
        figures["pairs"] = {name: [asdict(p) for p in found] for name, found in pairs.items()}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
