"""Where is the model good and where does it fail? Errors by group, size, geometry, kind of state.

    python -m scripts.accuracy.where_it_fails [MODEL] [--data DIR ...] [--split test] [--most 10]
                                     [--without DIR ...]

Prints Markdown: S1 errors of structures by core (a held-out core is a chromophore that no training
molecule contains, reference/molecules.py), functional group, number of heavy atoms and geometry;
errors of all valence states below 8 eV by the character of the *label's* state; and the worst
molecules. --without leaves out the molecules of other data, such as a model's training data.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem

import esml
from esml.analysis.characters import characterize
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.training.evaluation import BATCH, partners, solve
from esml.training.scores import LEAST_WEIGHT
from esml.typing import MULTIPLICITIES
from reference.molecules import held_out_core, molecule_from_smiles
from scripts.accuracy.character_agreement import reference

GROUPS = {
    "C=O, aldehyde or ketone": "[CX3;$(C(=O)[#6,#1]);!$(C(=O)[O,N,S,F,Cl])](=O)",
    "acid, ester, amide or acid halide": "C(=O)[O,N,S,F,Cl]",
    "C=S": "[#6]=[SX1]",
    "C=N or N=N": "[#6,#7;!$([NX3](=O))]=[NX2]",
    "C≡N": "C#N",
    "C≡C": "C#C",
    "nitro": "[$([NX3](=O)=O),$([NX3+](=O)[O-])]",
    "nitroso": "[NX2]=O",
    "N–N or N–O": "[NX3]-[N,O;X2,X3]",
    "C=C–C=C": "[CX3]=[CX3]-[CX3]=[CX3]",
    "aromatic ring": "a",
    "amine": "[NX3;!$(N-C=[O,S]);!$(N~[O])]",
    "S, no C=S": "[#16;!$([SX1])]",
    "F or Cl": "[F,Cl]",
}
"""SMARTS of functional groups; a molecule counts in each group that it contains."""

FEW = 8
"""Smallest number of members of a class that is shown."""


@dataclass
class StructureErrors:
    """Errors of a structure, eV: S1 (NaN if not valence), and each valence state with its kind."""

    s1: float
    states: list[tuple[str, float]]


def kinds_of(record: Record, multiplicity: str) -> list[list[str]]:
    """Return for each label state the leading character and whether it is charge transfer."""
    found = []
    for character in characterize(reference(record, multiplicity)):
        leading = max(character.weights, key=lambda k: character.weights[k])
        kinds = [f"{multiplicity} {leading}"]
        if character.kind == "charge transfer":
            kinds.append(f"{multiplicity} charge transfer")
        found.append(kinds)
    return found


def deviations(model: Surrogate, records: Sequence[Record]) -> list[StructureErrors | None]:
    """Return the errors of each record in order; None if the model refuses the structure."""
    order = sorted(range(len(records)), key=lambda i: len(records[i].energies))
    result: list[StructureErrors | None] = [None] * len(records)
    for begin in range(0, len(order), BATCH):
        places = order[begin : begin + BATCH]
        group = [records[i] for i in places]
        _, solution, matches = solve(model, group)
        for m, (place, record) in enumerate(zip(places, group, strict=True)):
            if not bool(solution.singlets.given[m] & solution.triplets.given[m]):
                continue
            out = StructureErrors(float("nan"), [])
            states_of = (solution.singlets, solution.triplets)
            for multiplicity, found in zip(MULTIPLICITIES, states_of, strict=True):
                values, labels = (
                    found.energies[m].numpy(),
                    getattr(record, f"{multiplicity}_energies"),
                )
                states, index = partners(
                    record, multiplicity, matches[multiplicity][m], found.mask[m]
                )
                if multiplicity == "singlet" and record.singlet_valence_weights[0] >= LEAST_WEIGHT:
                    out.s1 = float(values[0] - labels[0])
                kinds = kinds_of(record, multiplicity)
                for state, i in zip(states, index, strict=True):
                    error = float(values[i] - labels[state])
                    out.states.extend((name, error) for name in kinds[state])
            result[place] = out
    return result


def table(title: str, classes: dict[str, list[float]], unit: str) -> str:
    """Format Markdown rows of mean absolute, mean, and median absolute error by class."""
    lines = [f"| {title} | {unit} | MAE | mean | median |", "|---|---|---|---|---|"]
    for name, errors in classes.items():
        if len(errors) >= FEW:
            e = np.array(errors)
            size = np.abs(e)
            columns = f"{size.mean():.3f} | {e.mean():+.3f} | {np.median(size):.3f}"
            lines.append(f"| {name} | {len(e)} | {columns} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="camb3lyp")
    parser.add_argument(
        "--data", nargs="+", default=["data/small", "data/pool", "data/chromophores"], type=Path
    )
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("--without", nargs="+", default=[], type=Path)
    args = parser.parse_args()
    known = {record.inchikey for record in read(args.without)} if args.without else set()
    records = [r for r in read(args.data, split=args.split) if r.inchikey not in known]
    patterns = {name: Chem.MolFromSmarts(smarts) for name, smarts in GROUPS.items()}
    cores: dict[str, list[float]] = {"known": [], "held out": []}
    groups: dict[str, list[float]] = {name: [] for name in GROUPS}
    sizes: dict[str, list[float]] = {}
    geometries: dict[str, list[float]] = {}
    states: dict[str, list[float]] = {}
    worst: list[tuple[float, Record]] = []
    for record, found in zip(
        records, deviations(esml.load_model(args.model), records), strict=True
    ):
        if found is None:
            print(f"no prediction: {record.smiles} ({record.geometry}), unstable\n")
            continue
        for kind, error in found.states:
            states.setdefault(kind, []).append(error)
        if np.isnan(found.s1):
            continue
        worst.append((found.s1, record))
        held_out = held_out_core(molecule_from_smiles(record.smiles)) is not None
        cores["held out" if held_out else "known"].append(found.s1)
        mol = Chem.MolFromSmiles(record.smiles)
        for name, pattern in patterns.items():
            if mol.HasSubstructMatch(pattern):
                groups[name].append(found.s1)
        sizes.setdefault(str((record.numbers > 1).sum()), []).append(found.s1)
        geometries.setdefault(record.geometry, []).append(found.s1)
    print(table("core, S1", cores, "structures") + "\n")
    print(table("functional group, S1", groups, "structures") + "\n")
    print(table("heavy atoms, S1", dict(sorted(sizes.items())), "structures") + "\n")
    print(table("geometry, S1", geometries, "structures") + "\n")
    ranked = dict(sorted(states.items(), key=lambda item: (item[0][:7], -len(item[1]))))
    print(table("what the label's state is", ranked, "states") + "\n")
    for error, record in sorted(worst, key=lambda e: -abs(e[0]))[: args.most]:
        print(f"    {error:+.3f} eV  {record.smiles} ({record.geometry})")


if __name__ == "__main__":
    main()
