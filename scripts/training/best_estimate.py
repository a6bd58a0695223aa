"""Fit response parameters to best estimates, and say how far from the truth that leaves the model.

    python -m scripts.training.best_estimate QUEST QM8 AZULENES --model camb3lyp -o MODEL [--json J]

QUEST is the JSON list of QUEST MAIN, QM8 and AZULENES are files of energies at CC2 and ADC(2) (see
``better_levels``). Only what acts on excited states changes: orbitals, charges and dipoles stay
those of the labels. Figures on QUEST are out of fold: five folds of molecules, each predicted with
parameters fitted without it. A fifth of QM8, by scaffold, and a fifth of the azulenes are never
fitted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

import esml
from esml.predict.model_files import save_model
from esml.predict.surrogate import Surrogate
from esml.results import half_width
from scripts.accuracy import quest
from scripts.training.better_levels import (
    Better,
    held_out,
    read_azulenes,
    read_qm8,
    read_quest,
    usable,
)
from scripts.training.response_fit import (
    Batch,
    Parameters,
    Prior,
    Row,
    predicted_states,
    prepared,
    ridge,
    rows,
    solve,
)

ENERGIES = "best estimates (QUEST MAIN), vertical, in vacuum"
"""What the energies of the fitted model mean."""

FOLDS = 5
ITERATIONS = 3


def fit(
    model: Surrogate,
    truth: Sequence[Batch],
    others: Sequence[Sequence[Row]],
    prior: Prior,
) -> tuple[Parameters, float]:
    """Gauss–Newton steps from the labels' parameters; ``others`` are further rows at each step."""
    at, offset = Parameters.zero(model), 0.0
    for known in others:
        at, offset = ridge([*rows(model, truth, at), *known], at, prior)
    return at, offset


def fit_all(
    model: Surrogate, truth: Sequence[Batch], others: Sequence[Batch], prior: Prior
) -> tuple[Parameters, float, list[list[Row]]]:
    """The parameters fitted to everything, and the rows of ``others`` at each step on the way."""
    at, offset = Parameters.zero(model), 0.0
    steps: list[list[Row]] = []
    for step in range(ITERATIONS):
        steps.append(rows(model, others, at))
        at, offset = ridge([*rows(model, truth, at), *steps[-1]], at, prior)
        print(f"step {step + 1}: mean error of CC2 {offset:+.3f} eV", flush=True)
    return at, offset, steps


def folds(molecules: Sequence[Better]) -> list[list[Better]]:
    """``molecules`` dealt into ``FOLDS`` groups at random."""
    order = np.random.default_rng(1).permutation(len(molecules))
    return [[molecules[i] for i in order[k::FOLDS]] for k in range(FOLDS)]


def computed(
    model: Surrogate, batches: Iterable[Batch], parameters: Parameters
) -> dict[str, quest.Computed]:
    """States of QUEST molecules by name, those that have an answer."""
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


def by_kind_and_size(
    molecules: Sequence[quest.Molecule], found: dict[str, quest.Computed]
) -> list[dict[str, str | int | float]]:
    """Deviations of nπ* and ππ* states of small and of larger molecules."""
    heavy = {m.name: int((m.atoms.numbers > 1).sum()) for m in molecules}
    pairs = [p for p in quest.pairs_of(molecules, found) if p.place >= 0]
    table: list[dict[str, str | int | float]] = []
    for multiplicity in (1, 3):
        for kind in quest.SCORED:
            for label, larger in (("up to 4 heavy atoms", False), ("above 4", True)):
                errors = [
                    p.computed - p.estimate
                    for p in pairs
                    if (p.multiplicity, p.type, heavy[p.molecule] > 4)
                    == (multiplicity, kind, larger)
                ]
                d = quest.Deviations.of(errors)
                table.append(
                    {
                        "multiplicity": multiplicity,
                        "kind": kind,
                        "size": label,
                        "count": d.count,
                        "mae": round(d.mae, 3),
                        "mean": round(d.mean, 3),
                        "median": round(d.median, 3),
                    }
                )
    return table


def summary(found: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Deviations of lowest singlets and triplets."""
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


def expected_errors(
    molecules: Sequence[quest.Molecule], found: dict[str, quest.Computed]
) -> dict[str, float]:
    """Standard deviations u (eV) of which ±1.645 u hold 90 % of the errors on QUEST."""
    pairs = [p for p in quest.pairs_of(molecules, found) if p.place >= 0]
    return {
        name: round(
            float(
                np.quantile(
                    [abs(p.computed - p.estimate) for p in pairs if p.multiplicity == multiplicity],
                    0.9,
                )
            )
            / half_width(0.9),
            3,
        )
        for name, multiplicity in (("singlets", 1), ("triplets", 3))
    }


def lowest(found: Sequence[Row]) -> list[Row]:
    """The lowest state of each molecule and multiplicity."""
    best: dict[tuple[str, bool], Row] = {}
    for row in found:
        key = row.molecule.name, row.triplet
        if key not in best or row.target < best[key].target:
            best[key] = row
    return list(best.values())


def with_parameters(model: Surrogate, parameters: Parameters) -> Surrogate:
    """``model`` with its response parameters changed and its uncertainties forgotten.

    They were those against the labels. What is to be expected of the errors against the truth goes
    into ``metadata["validation_rmse_eV"]`` once it is known.
    """
    hamiltonian = model.hamiltonian
    model.error_model = None
    with torch.no_grad():
        hamiltonian.element_couplings.add_(parameters.table)
        hamiltonian.couplings.weight.add_(parameters.weight.mT)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("quest", type=Path)
    parser.add_argument("qm8", type=Path)
    parser.add_argument("azulenes", type=Path)
    parser.add_argument("--model", default="camb3lyp", help="the label-faithful model")
    parser.add_argument("--n-cc2", type=int, default=1500, help="CC2 molecules fitted")
    parser.add_argument("--n-test", type=int, default=600, help="CC2 molecules tested")
    parser.add_argument("-o", "--output", type=Path, help="model file to write")
    parser.add_argument("--json", type=Path, help="figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    model = esml.load_model(arguments.model, dtype=torch.float64)
    prior = Prior()
    qm8 = usable(read_qm8(arguments.qm8)[: 2 * (arguments.n_cc2 + arguments.n_test)])
    known = [m for m in qm8 if not held_out(m)][: arguments.n_cc2]
    unknown = [m for m in qm8 if held_out(m)][: arguments.n_test]
    azulenes = usable(read_azulenes(arguments.azulenes))
    molecules = usable(read_quest(arguments.quest))
    everything = list(prepared(model, molecules))
    zero = Parameters.zero(model)
    others = [
        *prepared(model, known),
        *prepared(model, [m for m in azulenes if not held_out(m)]),
    ]
    final, offset, steps = fit_all(model, everything, others, prior)

    out_of_fold: dict[str, quest.Computed] = {}
    groups = folds(molecules)
    for k, group in enumerate(groups):
        rest = [m for other in groups if other is not group for m in other]
        at, _ = fit(model, list(prepared(model, rest)), steps, prior)
        out_of_fold |= computed(model, prepared(model, group), at)
        print(f"fold {k + 1} of {FOLDS}", flush=True)

    listed = quest.load(arguments.quest)
    methods = {
        "labels' parameters": computed(model, everything, zero),
        "out of fold": out_of_fold,
        "in fold": computed(model, everything, final),
    }
    tables = {name: quest.table(quest.pairs_of(listed, c)) for name, c in methods.items()}
    print(quest.format_tables(tables))
    figures: dict[str, object] = {"cc2_mean_error": round(offset, 3)}
    figures["quest"] = {name: by_kind_and_size(listed, c) for name, c in methods.items()}
    for name, group in (("cc2", unknown), ("adc2", [m for m in azulenes if held_out(m)])):
        batches = list(prepared(model, group))
        for label, parameters in (("labels' parameters", zero), ("best estimate", final)):
            figures[f"{name}, {label}"] = summary(lowest(rows(model, batches, parameters)))
    figures["standard_deviation"] = stated = expected_errors(listed, out_of_fold)
    print(json.dumps(figures, indent=1))
    if arguments.output:
        fitted = with_parameters(esml.load_model(arguments.model), final)
        for key in ("uncertainty", "validation"):  # said of the labels
            fitted.metadata.pop(key, None)
        fitted.metadata |= {
            "name": arguments.output.stem,
            "energies": ENERGIES,
            "validation_rmse_eV": stated,
        }
        save_model(fitted, arguments.output)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
