"""Emission of small rigid dyes in solution, beside measured maxima.

    python -m scripts.accuracy.emission TABLE.csv.gz --store FILE.jsonl [--first N]
    python -m scripts.accuracy.emission TABLE.csv.gz --store FILE.jsonl --drawn 40

Takes ten dyes of ``DYES``, chosen by size, stiffness and spread of colour before anything was
computed, or with ``--drawn`` dyes drawn at random (neutral, of H, C, N, O, F, S and Cl, at most 20
heavy atoms, one of each Bemis–Murcko scaffold, each in one solvent). Emission is predicted in two
ways: as the vertical energy after S1 has relaxed in its solvent on GFN2-xTB + ω, and as the maximum
of the mirror image of S1's absorption (``esml.analysis.emission_spectrum``), beside which the
absorption is the maximum of the vibronic spectrum. Both are compared with the measured maxima of
this dye and solvent in TABLE (columns ``chromophore_smiles``, ``solvent_smiles``,
``absorption_max_nm``, ``emission_max_nm``; the mean if there are several).
Prints Markdown and Pearson's correlations. The store has a line for every finished dye, so an
interrupted run can continue. The table is not part of the project.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

import esml
from esml.analysis.emission_spectrum import mirror_image
from esml.analysis.vibronic import vibronic_spectrum
from esml.dynamics import CrossingError, relaxed_state
from esml.io.geometry import xtb_calculator
from esml.io.provenance import ReadingOptions
from esml.io.structure_checks import molecular_charge
from esml.io.structures import from_smiles
from esml.predict.vibronic import vibronic_bands
from esml.units import HC
from scripts.accuracy.last_step import scaffold_of
from scripts.accuracy.measured_maxima import is_listed
from scripts.stores import add_line, lines_of, rows_of

DYES = {
    ("c1cc2sccc2s1", "ClCCl"): "thieno[3,2-b]thiophene",
    ("COc1nnc(Cl)nn1", "ClCCl"): "chloromethoxytetrazine",
    ("c1ccc2c(c1)[nH]c1ccccc12", "CCCCCC"): "carbazole",
    ("c1ccc2cc3ccccc3cc2c1", "C1CCCCC1"): "anthracene",
    ("N#Cc1cc2ccccc2oc1=O", "CC#N"): "3-cyanocoumarin",
    ("Nc1ccc2cc3ccccc3cc2c1", "C1CCCCC1"): "2-aminoanthracene",
    ("c1cc2ccc3cccc4ccc(c1)c2c34", "C1CCCCC1"): "pyrene",
    ("Cn1c2ccccc2c(=O)c2ccccc21", "CS(C)=O"): "N-methylacridone",
    ("Nc1cccc2c1C(=O)c1ccccc1C2=O", "ClCCl"): "1-aminoanthraquinone",
    ("CCN(CC)c1ccc2c(C)cc(=O)oc2c1", "C1CCCCC1"): "coumarin 1",
}
"""SMILES of dye and solvent, as in the table, and their names."""

Dye = tuple[str, str]
"""SMILES of a dye and its solvent."""

ELEMENTS = frozenset(["H", "C", "N", "O", "F", "S", "Cl"])
LARGEST = 20
"""What dyes drawn at random consist of, and most heavy atoms of one."""

MEASURED = ("absorption_max_nm", "emission_max_nm")

N_STATES = 4
"""Singlets in the vibronic spectrum, among which is the lowest band."""

RELAXED, MIRRORED = ("absorption", "emission"), ("maximum", "mirrored")
"""Names of absorption and emission in the store, in the two ways of prediction."""


def measured(path: Path) -> dict[Dye, tuple[float, float]]:
    """Read mean absorption and emission maxima (eV) by dye and solvent; nan if unknown."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for row in rows_of(path):
        energies = [HC / float(row[column]) for column in MEASURED]
        found.setdefault((row["chromophore_smiles"], row["solvent_smiles"]), []).append(energies)
    return {key: (_mean(rows, 0), _mean(rows, 1)) for key, rows in found.items()}


def drawn(known: Mapping[Dye, tuple[float, float]], n: int, seed: int) -> dict[Dye, str]:
    """Draw ``n`` dyes with both maxima at random; their SMILES is their name."""
    from rdkit import Chem, rdBase

    solvents: dict[str, list[str]] = {}
    for (smiles, solvent), maxima in sorted(known.items()):
        if np.isfinite(maxima).all():
            solvents.setdefault(smiles, []).append(solvent)
    rng = random.Random(seed)
    order = sorted(solvents)
    rng.shuffle(order)
    chosen: dict[Dye, str] = {}
    scaffolds: set[str] = set()
    for smiles in order:
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
        if molecule is None or len(chosen) == n or not _small(molecule):
            continue
        scaffold = scaffold_of(smiles)
        listed = [each for each in solvents[smiles] if is_listed(each)]
        if scaffold not in scaffolds and listed:
            scaffolds.add(scaffold)
            chosen[smiles, rng.choice(listed)] = smiles
    return chosen


def _small(molecule: Any) -> bool:
    from rdkit import Chem

    return (
        molecule.GetNumHeavyAtoms() <= LARGEST
        and Chem.GetFormalCharge(molecule) == 0
        and len(Chem.GetMolFrags(molecule)) == 1
        and {atom.GetSymbol() for atom in molecule.GetAtoms()} <= ELEMENTS
    )


def _mean(rows: Sequence[Sequence[float]], column: int) -> float:
    known = [row[column] for row in rows if not math.isnan(row[column])]
    return float(np.mean(known)) if known else math.nan


def predicted(model: esml.Surrogate, smiles: str, solvent: str) -> dict[str, Any]:
    """Predict the energies (eV) of one dye, or return why a part of them failed."""
    atoms = from_smiles(smiles, ReadingOptions(solvent=solvent)).atoms
    failures = (CrossingError, esml.InstabilityError, esml.StructureError, ValueError)
    try:
        entry = _relaxed(model, atoms)
    except failures as error:
        entry = {"failed": str(error)}
    try:
        return entry | _mirrored(model, atoms)
    except failures as error:
        return entry | {"no mirror image": str(error)}


def _relaxed(model: esml.Surrogate, atoms: Atoms) -> dict[str, Any]:
    found = relaxed_state(model, atoms, "S1")
    return {
        "absorption": found.absorption_energy,
        "emission": found.emission_energy,
        "strength": found.strength,
        "converged": found.relaxation.converged,
        "steps": found.relaxation.steps,
    }


def _mirrored(model: esml.Surrogate, atoms: Atoms) -> dict[str, Any]:
    ground = xtb_calculator(molecular_charge(atoms))
    curve = vibronic_spectrum(vibronic_bands(model, atoms, ground, N_STATES))
    found, emission = curve.absorption_max, mirror_image(curve)
    if found is None or emission is None:
        return {"no mirror image": "no band"}
    return {"maximum": found.energy, "mirrored": HC / emission.emission_max_nm}


def kept(path: Path) -> dict[Dye, dict[str, Any]]:
    """Read the store by dye and solvent."""
    return {(each["dye"], each["solvent"]): each for each in lines_of(path)}


def report(
    done: Mapping[Dye, Mapping[str, Any]],
    known: Mapping[Dye, tuple[float, float]],
    dyes: Mapping[Dye, str] = DYES,
) -> str:
    """Make a Markdown table (eV) of ``dyes`` with the correlations of emission and Stokes shift."""
    lines = [
        "| dye | absorption | relaxed emission | f | maximum | mirror image | "
        "measured absorption | measured emission |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = []
    for key, name in dyes.items():
        entry, (up, down) = done.get(key), known.get(key, (math.nan, math.nan))
        if entry is None:
            continue
        values = [float(entry.get(column, math.nan)) for column in (*RELAXED, *MIRRORED)]
        rows.append([*values, up, down])
        note = "" if entry.get("converged", True) else " (not converged)"
        absorbed, emitted, maximum, mirrored = map(_shown, values)
        strength = _shown(entry.get("strength", math.nan), ".3f")
        lines.append(
            f"| {name}{note} | {absorbed} | {entry.get('failed', emitted)} | {strength} | "
            f"{maximum} | {mirrored} | {up:.2f} | {down:.2f} |"
        )
    table = np.array(rows).reshape(-1, 6)
    for title, columns in (
        ("vertical energies, S1 relaxed", table[:, [0, 1, 4, 5]]),
        ("maxima, emission as mirror image", table[:, 2:]),
    ):
        complete = columns[~np.isnan(columns).any(1)]
        if len(complete) > 2:
            lines += ["", f"{title}: {_compared(complete)}"]
    return "\n".join(lines)


def _shown(value: float, form: str = ".2f") -> str:
    return "–" if math.isnan(value) else f"{value:{form}}"


def _compared(table: np.ndarray) -> str:
    """Compare absorption and emission, predicted and measured (n, 4), in a sentence."""
    absorbed, emitted, up, down = table.T
    shift, measured_shift = absorbed - emitted, up - down

    def errors(predicted: np.ndarray, known: np.ndarray) -> str:
        wrong = predicted - known
        return f"{np.abs(wrong).mean():.2f} eV off (mean {wrong.mean():+.2f})"

    return (
        f"{len(table)} dyes: correlation of emission {np.corrcoef(emitted, down)[0, 1]:.2f}, of "
        f"absorption {np.corrcoef(absorbed, up)[0, 1]:.2f}, of the Stokes shift "
        f"{np.corrcoef(shift, measured_shift)[0, 1]:.2f} (Spearman "
        f"{spearmanr(shift, measured_shift).statistic:.2f}); emission {errors(emitted, down)}, "
        f"Stokes shift {errors(shift, measured_shift)}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the dyes that are missing in the store, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path, help="table of measured maxima")
    parser.add_argument(
        "--store", type=Path, required=True, help="file that keeps results between runs (.jsonl)"
    )
    parser.add_argument("--first", type=int, help="number of dyes, from the first; all by default")
    parser.add_argument("--drawn", type=int, help="number of dyes to draw in place of the ten")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    given = parser.parse_args(arguments)
    known, done = measured(given.table), kept(given.store)
    dyes = drawn(known, given.drawn, given.seed) if given.drawn else DYES
    model = esml.load_model()
    for dye, solvent in list(dyes)[: given.first]:
        if (dye, solvent) in done:
            continue
        entry = {"dye": dye, "solvent": solvent}
        entry |= predicted(model, dye, solvent)
        done[dye, solvent] = entry
        add_line(given.store, entry)
    print(report(done, known, dyes))


if __name__ == "__main__":
    main()
