"""Measured absorption maxima beside predicted ones: what each step gives, by solvent and family.

    python -m scripts.accuracy.measured_maxima TABLE.csv.gz [--store FILE.jsonl] [--n 600]
        [--seed 0] [--heavy 30] [--solvents 2] [--model NAME] [--picture FILE.png]
        [--only-geometries] [--vibrations FILE.jsonl] [--shard 1/2]
    python -m scripts.accuracy.measured_maxima TABLE.csv.gz --seed 3 --n 120 --apart-from 0

Draws different dyes from TABLE (columns ``chromophore_smiles``, ``solvent_smiles``,
``absorption_max_nm``; gzip or not), some solvents of each, and predicts λmax in vacuum, in the
solvent, with the state-specific polarization, and with the last step. The numbers of the last step
(``esml.results.last_step``) are fitted here by five-fold cross-validation over Bemis–Murcko
scaffolds, so that its errors are those of unseen scaffolds.

With --vibrations it also tells what zero-point and thermal motion and the shape of the bands do
(``esml.predict.vibronic.vibrational_shift``), which takes the modes of each dye (10 to 30 s); FILE
keeps them by dye, solvent and model. --shard 1/2 computes every second dye and prints nothing, so
that several processes can share the work.

With --apart-from 0 dyes with a scaffold among those of --seed 0 are left out of the draw, and the
last step is the model's own: how far off it is on dyes it was not fitted to.

Prints Markdown. Geometries of these dyes are in data/maxima. Those of others are kept in the store,
a line for each dye, so that an interrupted run can continue and another model takes seconds less
per dye. The table is not part of the project.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

import esml
from esml.io.measured import family_of
from esml.io.surroundings import SolventError, find_solvent, solvent_class
from esml.results import Result
from esml.results.last_step import Band, LastStep, lowest_band_state
from esml.typing import Array
from esml.units import HC
from scripts.accuracy.dye_coverage import SETTINGS, geometries
from scripts.accuracy.last_step import (
    MeasuredDye,
    PredictedMaxima,
    energies,
    last_step,
    out_of_fold,
    raw,
    scaffold_of,
)
from scripts.accuracy.vibrational_shifts import VibrationalShifts
from scripts.stores import rows_of

HEAD = "mean absolute | mean | after a line | Spearman |"
"""Of the cells that ``scores`` returns."""

N_STATES = 10
FITTED = 600
"""Number of dyes drawn for the fit of the shipped last step."""


# --- measured -------------------------------------------------------------------------------------


def drawn(path: Path, given: argparse.Namespace) -> list[MeasuredDye]:
    """Draw ``given.n`` dyes of up to ``given.heavy`` atoms, each in up to ``given.solvents``."""
    from rdkit import Chem, rdBase

    found: dict[str, dict[str, list[float]]] = {}
    for row in rows_of(path):
        value = float(row["absorption_max_nm"] or "nan")
        if not math.isnan(value) and row["chromophore_smiles"] != row["solvent_smiles"]:
            of_dye = found.setdefault(row["chromophore_smiles"], {})
            of_dye.setdefault(row["solvent_smiles"], []).append(HC / value)
    order = sorted(found)
    random.Random(given.seed).shuffle(order)
    avoided = _scaffolds_of_other_draw(path, given)
    chosen: list[MeasuredDye] = []
    n_dyes = 0
    for smiles in order:
        known = [s for s in sorted(found[smiles]) if is_listed(s)]
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
        if not known or molecule is None or molecule.GetNumHeavyAtoms() > given.heavy:
            continue
        if avoided and scaffold_of(smiles) in avoided:
            continue
        random.Random(smiles).shuffle(known)
        for solvent in known[: given.solvents]:
            chosen.append(MeasuredDye(smiles, solvent, float(np.median(found[smiles][solvent]))))
        n_dyes += 1
        if n_dyes == given.n:
            break
    return chosen


def _scaffolds_of_other_draw(path: Path, given: argparse.Namespace) -> set[str]:
    """Return the scaffolds of the dyes that the seed ``given.apart_from`` draws, if given."""
    if given.apart_from is None:
        return set()
    fitted = {"seed": given.apart_from, "apart_from": None, "n": FITTED}
    other = argparse.Namespace(**vars(given) | fitted)
    return {each.scaffold for each in drawn(path, other)}


def is_listed(solvent: str) -> bool:
    """Whether a solvent is known, so that dyes in it can be predicted."""
    try:
        return find_solvent(solvent) is not None
    except SolventError:
        return False


# --- predicted ------------------------------------------------------------------------------------


def predicted(
    model: esml.Surrogate, entries: dict[str, dict[str, Any]], measured: Sequence[MeasuredDye]
) -> list[PredictedMaxima]:
    """Predict the dyes; those without geometry, prediction or band are left out."""
    found = []
    for one in measured:
        entry = entries[one.smiles]
        if "error" in entry:
            continue
        atoms = Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})
        vacuum, inside = (_solved(model, atoms, s) for s in ("vacuum", one.solvent))
        if vacuum is None or inside is None:
            continue
        state, band = lowest_band_state(inside), Band.of(inside)
        if state is None or band is None:
            continue
        of_solvent = solvent_class(find_solvent(one.solvent))
        at = HC / vacuum.absorption_max_nm
        moved = float(inside.solvation().polarization[state])
        found.append(PredictedMaxima(one, at, moved, band, of_solvent, family_of(one.smiles)))
    return found


def _solved(model: esml.Surrogate, atoms: Atoms, solvent: str) -> Result | None:
    try:
        return model.predict(atoms, N_STATES, n_triplets=1, solvent=solvent)
    except (ValueError, RuntimeError):
        return None


# --- told -----------------------------------------------------------------------------------------


def scores(found: Array, measured: Array) -> str:
    """Return table cells: mean absolute error, mean error, error after a linear fit, Spearman."""
    errors = found - measured
    after, ranks = "–", "–"
    if len(found) > 9:
        line = np.polynomial.Polynomial.fit(found, measured, 1)
        after = f"{np.abs(line(found) - measured).mean():.2f}"
        ranks = f"{spearmanr(found, measured).statistic:.2f}"
    return f"{np.abs(errors).mean():.2f} | {errors.mean():+.2f} | {after} | {ranks}".replace(
        "-", "−"
    )


def steps_table(steps: Mapping[str, Array], measured: Array) -> list[str]:
    """Return the lines of a table with the scores of each step's maxima."""
    lines = [f"| λmax, eV | {HEAD}", "|---|---|---|---|---|"]
    return lines + [f"| {name} | {scores(found, measured)} |" for name, found in steps.items()]


def report(compared: Sequence[PredictedMaxima]) -> str:
    """Format tables by step, solvent class and family, and the coefficients."""
    measured, vertical, last = energies(compared), raw(compared), out_of_fold(compared)
    polarization = np.array([each.polarization for each in compared])
    steps = {
        "vertical, vacuum": np.array([each.vacuum for each in compared]),
        "+ solvent (`--raw`)": vertical,
        "+ state-specific polarization": vertical + polarization,
        "solvent and last step, scaffolds left out": last,
    }
    vibrations = np.array([each.vibrations.energy for each in compared])
    lines = steps_table(steps, measured)
    if (known := np.isfinite(vibrations)).any():
        steps["+ solvent and vibrations"] = vertical + vibrations
        doubtful = sum(bool(each.vibrations.doubts) for each in compared)
        lines += ["", f"{known.sum()} maxima whose vibrations are known ({doubtful} doubtful):", ""]
        among_known = {name: found[known] for name, found in steps.items()}
        lines += steps_table(among_known, measured[known])
    groups: dict[str, Callable[[PredictedMaxima], str]] = {
        "solvent": lambda each: each.solvent_class,
        "family": lambda each: each.family,
    }
    for title, group in groups.items():
        names = [group(each) for each in compared]
        counts = {name: names.count(name) for name in dict.fromkeys(names)}
        lines += ["", f"| {title} | maxima | raw: {HEAD} last step: {HEAD}", "|---" * 10 + "|"]
        for name in sorted(counts, key=lambda n: -counts[n]):
            inside = np.array([each == name for each in names])
            both = [scores(found[inside], measured[inside]) for found in (vertical, last)]
            lines.append(f"| {name} | {counts[name]} | {' | '.join(both)} |")
    step = last_step(compared)
    lines += ["", f"{step.n_maxima} maxima of {step.n_dyes} dyes that have a prediction."]
    lines += ["", f"{step.describe()}: {step.plain()['coefficients']}, ± {step.uncertainty:.2f} eV"]
    return "\n".join(lines)


def report_of_unseen(compared: Sequence[PredictedMaxima], step: LastStep) -> str:
    """Format what a last step that was fitted to other dyes gives."""
    measured, vertical = energies(compared), raw(compared)
    found = np.array([step.maximum(each.band).energy for each in compared])
    off = np.abs(found - measured)
    held = float((off < 1.645 * step.uncertainty).mean())
    steps = {"+ solvent (`--raw`)": vertical}
    vibrations = np.array([each.vibrations.energy for each in compared])
    if np.isfinite(vibrations).all():
        steps["+ solvent and vibrations"] = vertical + vibrations
    steps["solvent and the model's last step"] = found
    lines = steps_table(steps, measured)
    n_dyes = len({each.measured.smiles for each in compared})
    lines += ["", f"{len(compared)} maxima of {n_dyes} dyes; median {np.median(off):.2f} eV; "]
    lines[-1] += f"90 % intervals hold {100 * held:.0f} %."
    return "\n".join(lines)


def draw(compared: Sequence[PredictedMaxima], path: Path) -> None:
    from esml.plots import plot_parity

    measured = energies(compared).tolist()
    last = out_of_fold(compared).tolist()
    panels = {"raw": raw(compared).tolist(), "with the last step": last}
    points = {name: (measured, found) for name, found in panels.items()}
    figure = plot_parity(points, dict.fromkeys(points, "eV"), ("measured", "predicted"))
    figure.savefig(path, dpi=150)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options for the dyes to draw and the store of geometries."""
    parser.add_argument("table", type=Path)
    parser.add_argument("--store", type=Path, help="file that keeps more geometries (.jsonl)")
    parser.add_argument("--n", type=int, default=FITTED, help="number of dyes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--apart-from", type=int, help="leave out scaffolds of the dyes that this seed draws"
    )
    parser.add_argument("--heavy", type=int, default=30, help="most heavy atoms of a dye")
    parser.add_argument("--solvents", type=int, default=2, help="most solvents of a dye")
    parser.add_argument("--seconds", type=float, default=120.0, help="time limit for each geometry")
    parser.add_argument(
        "--tried", type=int, default=SETTINGS.tried, help="number of conformers to relax"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--model", default=None)
    parser.add_argument("--vibrations", type=Path, help="file that keeps shifts by vibrations")
    parser.add_argument("--shard", default="1/1", help="part of the dyes, and of how many")


def compared_as_asked(
    given: argparse.Namespace, model: esml.Surrogate | None
) -> list[PredictedMaxima]:
    """Predict what the options of ``add_arguments`` ask for; without ``model`` only geometries."""
    part, parts = map(int, given.shard.split("/"))
    measured = drawn(given.table, given)
    own = list(dict.fromkeys(each.smiles for each in measured))[part - 1 :: parts]
    measured = [each for each in measured if each.smiles in own]
    smiles = list(dict.fromkeys(each.smiles for each in measured))
    settings = replace(SETTINGS, tried=given.tried)
    entries = dict(zip(smiles, geometries(smiles, settings, given), strict=True))
    if model is None:
        return []
    compared = predicted(model, entries, measured)
    if given.vibrations:
        name = given.model or "shipped"
        known = VibrationalShifts(given.vibrations, model, name)
        compared = [
            replace(each, vibrations=known(entries[each.measured.smiles], each.measured.solvent))
            for each in compared
        ]
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--picture", type=Path, help="picture of predicted over measured maxima")
    parser.add_argument("--only-geometries", action="store_true", help="fill the store")
    given = parser.parse_args()
    model = None if given.only_geometries else esml.load_model(given.model)
    compared = compared_as_asked(given, model)
    if model is None or given.shard != "1/1":
        return
    if given.apart_from is not None:
        assert model.last_step is not None
        print(report_of_unseen(compared, model.last_step))
        return
    print(report(compared))
    if given.picture:
        draw(compared, given.picture)


if __name__ == "__main__":
    main()
