"""Measured solvatochromic shifts beside predicted ones, for dyes and solvents of the literature.

    python -m scripts.accuracy.solvatochromism
    python -m scripts.accuracy.solvatochromism "coumarin 153" "Nile red"

Band maxima, converted to eV; the first solvent of a dye is the one that others are compared with.
Dyes: collected by Joung et al., Sci. Data 7, 295 (2020), from the articles named in ``MEASURED``.
Predicted are vertical energies of the brightest of the lowest singlets, at the GFN2-xTB geometry in
vacuum.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import spearmanr

import esml
from esml.io import from_smiles
from esml.units import HC

N_STATES = 4

MEASURED: dict[str, tuple[str, str, dict[str, float]]] = {
    "acetone": (
        "CC(C)=O",
        "Renge, J. Phys. Chem. A 113, 10678 (2009): shifts in 1/cm from the vapour",
        {"vacuum": 0.0, "carbon tetrachloride": -280.0, "acetonitrile": 465.0, "water": 1785.0},
    ),
    "coumarin 153": (
        "O=c1cc(C(F)(F)F)c2cc3c4c(c2o1)CCCN4CCC3",
        "10.1021/j100248a024, nm",
        {"cyclohexane": 393.0, "ethyl acetate": 409.0, "acetonitrile": 418.0, "ethanol": 421.0},
    ),
    "Nile red": (
        "CCN(CC)c1ccc2nc3c4ccccc4c(=O)cc-3oc2c1",
        "10.1021/acs.joc.5b01987, nm",
        {
            "hexane": 508.0,
            "toluene": 524.0,
            "ethyl acetate": 524.0,
            "dichloromethane": 539.0,
            "acetone": 533.0,
            "acetonitrile": 535.0,
            "dimethyl sulfoxide": 552.0,
            "ethanol": 549.0,
            "methanol": 553.0,
        },
    ),
    "Reichardt's dye": (
        "[O-]c1c(-c2ccccc2)cc(-[n+]2c(-c3ccccc3)cc(-c3ccccc3)cc2-c2ccccc2)cc1-c1ccccc1",
        "Reichardt, Chem. Rev. 94, 2319 (1994) (10.1021/cr00032a005), nm",
        {
            "toluene": 843.4,
            "diethyl ether": 828.7,
            "tetrahydrofuran": 764.5,
            "acetone": 677.5,
            "acetonitrile": 627.0,
            "ethanol": 550.9,
            "methanol": 516.1,
            "water": 453.0,
        },
    ),
}
"""Name → SMILES, source and unit, and the measured maximum by solvent."""


def energy(value: float, source: str) -> float:
    """eV of a value in nm, or of a shift in 1/cm."""
    return value * HC * 1e-7 if "1/cm" in source else HC / value


def table(name: str, model: esml.Surrogate) -> str:
    """Measured and predicted shifts of a dye, eV, and how alike their orders are."""
    smiles, source, measured = MEASURED[name]
    atoms = from_smiles(smiles).atoms
    found = []
    for solvent in measured:
        states = model.predict(atoms, N_STATES, n_triplets=1, solvent=solvent).singlets
        # The lowest state for acetone, whose nπ* band is dark.
        k = 0 if name == "acetone" else int(states.oscillator_strengths.argmax())
        found.append(float(states.energies[k]))
    truth = np.array([energy(value, source) for value in measured.values()])
    ours = np.array(found)
    lines = [f"{name} ({source})"]
    for solvent, a, b in zip(measured, truth - truth[0], ours - ours[0], strict=True):
        lines.append(f"  {solvent:<24}{a:+8.3f}{b:+8.3f}")
    lines.append(
        f"  Spearman {spearmanr(truth, ours).statistic:.2f}; predicted {ours[0]:.2f} eV first"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURED)}")
    names = parser.parse_args().names or list(MEASURED)
    model = esml.load_model()
    for name in names:
        print(table(name, model), flush=True)


if __name__ == "__main__":
    main()
