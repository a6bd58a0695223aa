"""Excitation energies at geometries made from SMILES, beside those at careful geometries.

    python -m scripts.accuracy.smiles_geometry [--list FILE.smi] [--first N] [--most 60]

The careful geometry is also relaxed with GFN2-xTB, but after a thorough search: up to 60 conformers
of every stereoisomer, each relaxed to 0.01 eV/Å, of which the lowest is used. Prints Markdown: for
each compound S1 at both geometries, the difference, and the time (s) for the geometry from SMILES
on one core; then means.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import esml
from esml.io.geometry import SETTINGS, Settings, Worker
from esml.io.provenance import InputError
from esml.predict.surrogate import Surrogate

COMPOUNDS = {
    "c1ccccc1/N=N/c1ccccc1": "azobenzene",
    "CN(C)c1ccc(cc1)/N=N/c1ccccc1": "methyl yellow",
    "c1ccccc1/C=C/c1ccccc1": "stilbene",
    "CN=C=S": "methyl isothiocyanate",
    "CS(C)=O": "dimethyl sulfoxide",
    "c1ccc2ccccc2c1": "naphthalene",
    "c1ccc2cc3ccccc3cc2c1": "anthracene",
    "O=c1ccc2ccccc2o1": "coumarin",
    "CCN(CC)c1ccc2c(C)cc(=O)oc2c1": "coumarin 1",
    "Nc1ccc(cc1)[N+](=O)[O-]": "p-nitroaniline",
    "O=Cc1ccccc1": "benzaldehyde",
    "O=C(c1ccccc1)c1ccccc1": "benzophenone",
    "CC(=O)c1ccccc1": "acetophenone",
    "O=C1C=CC(=O)C=C1": "p-benzoquinone",
    "O=C1c2ccccc2C(=O)c2ccccc12": "anthraquinone",
    "c1ccc(-c2ccccc2)cc1": "biphenyl",
    "c1csc(-c2cccs2)c1": "bithiophene",
    "C(=C/c1ccccc1)\\C=C\\c1ccccc1": "diphenylbutadiene",
    "COc1ccc(/C=C/C(=O)c2ccccc2)cc1": "methoxychalcone",
    "N#CC(C#N)=Cc1ccc(N(C)C)cc1": "dimethylaminobenzylidenemalononitrile",
    "c1ccc2[nH]ccc2c1": "indole",
    "O=C1/C(=C2/Nc3ccccc3C2=O)Nc2ccccc12": "indigo",
    "c1ccc2nc3ccccc3nc2c1": "phenazine",
    "CC(C)=O": "acetone",
    "NC=O": "formamide",
    "OC(=O)c1ccccc1O": "salicylic acid",
    "CC(=O)Oc1ccccc1C(=O)O": "aspirin",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C": "caffeine",
    "O=c1cc[nH]c(=O)[nH]1": "uracil",
    "COc1cc(C=O)ccc1O": "vanillin",
    "c1ccc(Nc2ccccc2)cc1": "diphenylamine",
    "CCCCOC(=O)c1ccc(N)cc1": "butamben",
}
"""Real compounds, including those of the field cases."""


def careful(settings: Settings, most: int) -> Settings:
    """Return settings for the most thorough search."""
    return replace(
        settings,
        conformers=most,
        tried=most,
        small=10_000,
        coarse_force=0.05,
        coarse_steps=200,
        force=0.01,
        steps=1000,
    )


def first_singlet(model: Surrogate, worker: Worker, smiles: str, settings: Settings) -> float:
    """Return S1 (eV) at the geometry from ``settings``. Raises InputError."""
    built = worker({"smiles": smiles}, settings)[0]
    built.atoms.info["charge"] = built.charge
    return float(model.predict(built.atoms, 1).singlets.energies[0])


def compounds(path: Path | None) -> dict[str, str]:
    """Read SMILES and names from a list; by default those of this module."""
    if path is None:
        return COMPOUNDS
    rows = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[-1].strip() for row in rows if row}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", type=Path, help="SMILES and a name on every line")
    parser.add_argument(
        "--first", type=int, help="number of compounds to try, from the first; all by default"
    )
    parser.add_argument("--most", type=int, default=60, help="conformers of a careful search")
    given = parser.parse_args(arguments)
    model, worker = esml.load_model(), Worker()
    worker({"smiles": "C"}, SETTINGS)  # starts the process
    print(f"Load of the machine when it began: {os.getloadavg()[0]:.1f}\n")
    print("| compound | S1 from SMILES (eV) | S1, careful (eV) | difference | seconds |")
    print("|---|---|---|---|---|")
    differences, seconds = [], []
    for smiles, name in list(compounds(given.list).items())[: given.first]:
        try:
            start = time.perf_counter()
            quick = first_singlet(model, worker, smiles, SETTINGS)
            seconds.append(time.perf_counter() - start)
            slow = first_singlet(model, worker, smiles, careful(SETTINGS, given.most))
        except (InputError, esml.StructureError, esml.InstabilityError) as error:
            print(f"| {name} | {error} | | | |", flush=True)
            continue
        differences.append(quick - slow)
        print(
            f"| {name} | {quick:.2f} | {slow:.2f} | {quick - slow:+.3f} | {seconds[-1]:.1f} |",
            flush=True,
        )
    worker.close()
    size = np.abs(differences)
    print(
        f"\n{len(size)} compounds: mean absolute difference {size.mean():.3f} eV, median "
        f"{np.median(size):.3f}, largest {size.max():.3f}; {np.mean(seconds):.1f} s per molecule "
        f"(median {np.median(seconds):.1f})"
    )


if __name__ == "__main__":
    main()
