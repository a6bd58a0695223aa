"""Emission of small rigid dyes in solution, beside measured maxima.

    python -m scripts.accuracy.emission TABLE.csv.gz --store FILE.jsonl [--vibronic] [--first N]
    python -m scripts.accuracy.emission TABLE.csv.gz --store FILE.jsonl --drawn 40 [--vibronic]

Takes ten dyes of ``DYES``, chosen by size, stiffness and spread of colour before anything was
computed, or with ``--drawn`` dyes drawn at random (neutral, of H, C, N, O, F, S and Cl, at most 20
heavy atoms, one of each Bemis–Murcko scaffold, each in one solvent). It relaxes S1 of each in its
solvent on GFN2-xTB + ω, and compares the vertical emission energy with the measured maximum of this
dye and solvent in TABLE (columns ``chromophore_smiles``, ``solvent_smiles``, ``absorption_max_nm``,
``emission_max_nm``; the mean if there are several).
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

import esml
from esml.dynamics import CrossingError, relaxed_state
from esml.io.provenance import ReadingOptions
from esml.io.structures import from_smiles
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


def predicted(model: esml.Surrogate, smiles: str, solvent: str, vibronic: bool) -> dict[str, Any]:
    """Predict the energies (eV) of one dye, or return why that failed."""
    structure = from_smiles(smiles, ReadingOptions(solvent=solvent))
    try:
        found = relaxed_state(model, structure.atoms, "S1", vibronic=vibronic)
    except (CrossingError, esml.InstabilityError, esml.StructureError, ValueError) as error:
        return {"failed": str(error)}
    return {
        "absorption": found.absorption_energy,
        "emission": found.emission_energy,
        "maximum": HC / found.spectrum().emission_max_nm if vibronic else None,
        "strength": found.strength,
        "lifetime": found.radiative_lifetime(),
        "converged": found.relaxation.converged,
        "steps": found.relaxation.steps,
    }


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
        "| dye | absorption | emission | measured absorption | measured emission | f |",
        "|---|---|---|---|---|---|",
    ]
    pairs = []
    for key, name in dyes.items():
        entry, (up, down) = done.get(key), known.get(key, (math.nan, math.nan))
        if entry is None:
            continue
        if "failed" in entry:
            lines.append(f"| {name} | – | {entry['failed']} | {up:.2f} | {down:.2f} | |")
            continue
        note = "" if entry["converged"] else " (not converged)"
        lines.append(
            f"| {name}{note} | {entry['absorption']:.2f} | {entry['emission']:.2f} | {up:.2f} | "
            f"{down:.2f} | {entry['strength']:.3f} |"
        )
        pairs.append((entry["absorption"], entry["emission"], up, down))
    values = np.array([pair for pair in pairs if not any(math.isnan(v) for v in pair)])
    if len(values) > 2:
        absorbed, emitted, up, down = values.T
        lines += [
            "",
            f"{len(values)} dyes: correlation of emission {_correlation(emitted, down):.2f}, of "
            f"absorption {_correlation(absorbed, up):.2f}, of the Stokes shift "
            f"{_correlation(absorbed - emitted, up - down):.2f}; mean difference of emission "
            f"{(emitted - down).mean():+.2f} eV, absolute {np.abs(emitted - down).mean():.2f}; of "
            f"the Stokes shift {(absorbed - emitted - up + down).mean():+.2f}.",
        ]
    return "\n".join(lines)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the dyes that are missing in the store, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path, help="table of measured maxima")
    parser.add_argument(
        "--store", type=Path, required=True, help="file that keeps results between runs (.jsonl)"
    )
    parser.add_argument(
        "--vibronic", action="store_true", help="compute modes and the maximum of the band"
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
        entry |= predicted(model, dye, solvent, given.vibronic)
        done[dye, solvent] = entry
        add_line(given.store, entry)
    print(report(done, known, dyes))


if __name__ == "__main__":
    main()
