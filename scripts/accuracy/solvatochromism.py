"""Measured solvatochromic shifts beside predicted ones, for dyes and solvents of the literature.

    python -m scripts.accuracy.solvatochromism
    python -m scripts.accuracy.solvatochromism "coumarin 153" "Nile red"

Band maxima are converted to eV; shifts are relative to the first solvent of each dye. ``MEASURED``
names the articles; values of those given by DOI were collected by Joung et al., Sci. Data 7, 295
(2020).
The predictions are vertical energies of the lowest bright singlet at the GFN2-xTB geometry in
vacuum, without (``ω``) and with the state-specific polarization (``ω + p``,
``esml.analysis.solvation``), and the maximum to expect after the last step, which is for solvents
only. The order of solvents is compared over all solvents and over those that donate no hydrogen
bonds, of which a continuum has only a mean.

    python -m scripts.accuracy.solvatochromism --markdown

writes the table of docs/solvents.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import spearmanr

import esml
from esml.io import from_smiles
from esml.io.surroundings import find_solvent, solvent_class
from esml.results import Result
from esml.units import HC

N_STATES = 10

BRIGHT = 0.05
"""Smallest oscillator strength of a state that counts as a band."""

SCATTER = 0.015
"""Maxima closer than this (eV) count as equal: nine of ten repeated measurements of a dye in a
solvent agree within 3 nm (213 in the table of Joung et al., Sci. Data 7, 295 (2020))."""

MEASURED: dict[str, tuple[str, str, dict[str, float]]] = {
    "acetone": (
        "CC(C)=O",
        "Renge, J. Phys. Chem. A 113, 10678 (2009): shifts in 1/cm from the vapour",
        {"vacuum": 0.0, "carbon tetrachloride": -280.0, "acetonitrile": 465.0, "water": 1785.0},
    ),
    "DMABN": (
        "CN(C)c1ccc(C#N)cc1",
        "bright band, quoted by Georgieva et al., J. Phys. Chem. A 119, 6232 (2015), Table 2, eV",
        {"vacuum": 4.57, "acetonitrile": 4.24},
    ),
    "p-nitroaniline": (
        "Nc1ccc([N+](=O)[O-])cc1",
        "quoted by Ji et al., Chin. J. Chem. Phys. 27, 181 (2014), eV",
        {"vacuum": 4.24, "water": 3.26},
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
    "stilbazolium betaine": (
        "C[n+]1ccc(/C=C/c2ccc([O-])cc2)cc1",
        "10.1016/j.molstruc.2005.06.010, nm",
        {
            "dichloromethane": 595.0,
            "acetone": 585.0,
            "N,N-dimethylformamide": 580.0,
            "dimethyl sulfoxide": 573.0,
            "acetonitrile": 569.0,
            "ethanol": 515.0,
            "methanol": 484.0,
            "water": 442.0,
        },
    ),
    "pyridinium phenolate": (
        "C[n+]1ccc(-c2ccc([O-])cc2)cc1",
        "10.1016/j.tetlet.2005.05.031, nm",
        {
            "acetone": 479.0,
            "dimethyl sulfoxide": 473.0,
            "acetonitrile": 472.0,
            "2-propanol": 457.0,
            "1-propanol": 441.0,
            "methanol": 418.0,
            "water": 394.0,
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
"""SMILES, source and unit, and measured maxima by solvent, for each dye."""


def energy(value: float, source: str) -> float:
    """Convert a value to eV from the unit that ends ``source``: nm, eV or a shift in 1/cm."""
    if source.endswith("eV"):
        return value
    return value * HC * 1e-7 if "1/cm" in source else HC / value


@dataclass(frozen=True)
class DyeShifts:
    """Shifts of a dye in a solvent relative to its first solvent, eV."""

    solvent: str
    measured: float
    linear: float  # ω
    specific: float  # ω + p
    maximum: float  # after the last step; nan relative to the vapour

    @property
    def bonds(self) -> bool:
        """Whether the solvent donates hydrogen bonds."""
        return solvent_class(find_solvent(self.solvent)) == "hydrogen bonding"


def shifts(name: str, model: esml.Surrogate) -> list[DyeShifts]:
    """Return measured and predicted shifts of a dye, of which the first are zero."""
    smiles, source, measured = MEASURED[name]
    atoms = from_smiles(smiles).atoms
    found = []
    for solvent in measured:
        result = model.predict(atoms, N_STATES, n_triplets=1, solvent=solvent)
        states = result.singlets
        # The lowest state for acetone, whose nπ* band is dark.
        bright = states.oscillator_strengths > (-1.0 if name == "acetone" else BRIGHT)
        k = int(bright.argmax())
        polarization = float(result.solvation().polarization[k])
        energy_k = float(states.energies[k])
        found.append((energy_k, energy_k + polarization, _maximum(model, result)))
    truth = np.array([energy(value, source) for value in measured.values()])
    ours = np.array(found)
    moved = np.column_stack([truth - truth[0], ours - ours[0]])
    return [DyeShifts(solvent, *values) for solvent, values in zip(measured, moved, strict=True)]


def _maximum(model: esml.Surrogate, result: Result) -> float:
    """Return the maximum after the last step, eV; nan in vacuum, or without a band."""
    if model.last_step is None:
        return math.nan
    found = model.last_step(result)
    return math.nan if found is None else found.energy


def orders(rows: list[DyeShifts]) -> str:
    """Format Spearman's correlations of ω, ω + p and maxima, with and without O–H donors."""
    said = []
    solvents = [row for row in rows if row.solvent != "vacuum"]
    for title, kept in (
        ("all", solvents),
        ("without O–H", [row for row in solvents if not row.bonds]),
    ):
        if len(kept) > 2:
            truth, predicted = _columns(kept)
            ranks = [spearmanr(truth, ours).statistic for ours in predicted]
            said.append(f"{title} {' / '.join(_shown(rank) for rank in ranks)}")
    return ", ".join(said)


def pairs(rows: list[DyeShifts]) -> str:
    """Count the pairs of solvents apart by more than ``SCATTER``, in order by ω, ω + p, maxima."""
    truth, predicted = _columns([row for row in rows if row.solvent != "vacuum"])
    apart = [
        (i, j) for i, j in combinations(range(len(truth)), 2) if abs(truth[i] - truth[j]) > SCATTER
    ]
    right = [
        "–"
        if np.isnan(ours).any()
        else str(sum((ours[i] - ours[j]) * (truth[i] - truth[j]) > 0 for i, j in apart))
        for ours in predicted
    ]
    return f"{' / '.join(right)} of {len(apart)}" if len(truth) > 2 else ""


def _columns(rows: list[DyeShifts]) -> tuple[np.ndarray, np.ndarray]:
    """Return what was measured (n,), and ω, ω + p and maxima (3, n), eV."""
    truth = np.array([row.measured for row in rows])
    return truth, np.array([[row.linear, row.specific, row.maximum] for row in rows]).T


def _shown(value: float, form: str = ".2f") -> str:
    return "–" if math.isnan(value) else f"{value:{form}}".replace("-", "−")


def table(name: str, rows: list[DyeShifts]) -> str:
    """Format the table of one dye for the screen."""
    lines = [f"{name} ({MEASURED[name][1]}): measured, ω, ω + p, maximum"]
    for row in rows:
        values = (row.measured, row.linear, row.specific, row.maximum)
        shown = "".join(f"{_shown(value, '+.3f'):>8}" for value in values)
        lines.append(f"  {row.solvent:<24}{shown}")
    said = orders(rows)
    return "\n".join(lines + ([f"  Spearman: {said}; pairs: {pairs(rows)}"] if said else []))


def markdown(name: str, rows: list[DyeShifts]) -> str:
    """Format rows of the table in the documentation."""
    first = rows[0].solvent
    lines = []
    for k, row in enumerate(rows[1:]):
        begin = f"| {name} | {first} " if k == 0 else "| | "
        values = (row.measured, row.linear, row.specific, row.maximum)
        cells = " | ".join(_shown(value, "+.2f") for value in values)
        lines.append(f"{begin}| {row.solvent} | {cells} |")
    said = orders(rows)
    return "\n".join(
        lines
        + ([f"| | | *order (Spearman)* | | {said}; pairs {pairs(rows)} | | |"] if said else [])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"molecules to compute, of {', '.join(MEASURED)}"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of docs/solvents.md"
    )
    parser.add_argument("--model", help="name or file of a model; the default one if left out")
    given = parser.parse_args()
    model = esml.load_model(given.model)
    if given.markdown:
        print("| | from | to | measured | ω | ω + p | maximum |\n|---|---|---|---|---|---|---|")
    for name in given.names or MEASURED:
        rows = shifts(name, model)
        print((markdown if given.markdown else table)(name, rows), flush=True)


if __name__ == "__main__":
    main()
