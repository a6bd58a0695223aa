"""Rotatory strengths of chiral molecules beside those of the label's level, band by band.

    python -m scripts.accuracy.circular_dichroism [NAME ...] --output dichroism.json
    python -m scripts.accuracy.circular_dichroism --show dichroism.json ...

PySCF computes the labels (CAM-B3LYP/def2-SVP) at the same geometry, in the velocity gauge and in
the length gauge about the centre of mass. The difference of the gauges is a measure of the label's
own error, which a larger basis would reduce. A state of the model is compared with the label state
whose transition density in the minimal basis is most similar; ``likeness`` is their overlap.
Needs the packages of the extra ``reference`` and one to ten minutes of a core for each molecule,
for those of ``WOUND`` an hour.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import esml
from esml.physics.optical_activity import ROTATORY
from esml.results import Result
from esml.units import BOHR, HARTREE
from scripts.accuracy.measured_dichroism import binaphthyl, heptalene, hexahelicene

LIKE = 0.7
"""Smallest overlap of transition densities at which two states count as the same."""

STRONG = 2.0
"""Smallest rotatory strength (10⁻⁴⁰ cgs) of a label at which signs are compared."""

MOLECULES: tuple[tuple[str, str, tuple[int, int, int, int] | None, float], ...] = (
    # name, SMILES, torsion to set and its angle
    ("methyloxirane", "C[C@@H]1CO1", None, 0.0),
    ("butadiene, twisted by 30°", "C=CC=C", (0, 1, 2, 3), 30.0),
    ("ethene, twisted by 20°", "C=C", (2, 0, 1, 4), 20.0),
    ("glyoxal, twisted by 60°", "O=CC=O", (0, 1, 2, 3), 60.0),
    ("alanine", "C[C@H](N)C(=O)O", None, 0.0),
    ("3-methylcyclopentanone", "C[C@@H]1CCC(=O)C1", None, 0.0),
    ("norcamphor", "O=C1C[C@@H]2CC[C@H]1C2", None, 0.0),
    ("2,2'-bifuran, twisted by 45°", "c1ccoc1c2ccco2", (3, 4, 5, 9), 45.0),
    ("camphor", "C[C@@]12CC[C@@H](C1(C)C)CC2=O", None, 0.0),
    ("biphenyl, twisted by 45°", "c1ccccc1c2ccccc2", (4, 5, 6, 7), 45.0),
)
WOUND: dict[str, Callable[[], Atoms]] = {
    "(P)-[6]helicene": hexahelicene,
    "(R)-2,2'-dimethoxy-1,1'-binaphthyl": binaphthyl,
    "(P)-heptalene diester": heptalene,
}
"""Molecules whose helicity SMILES cannot express; ``measured_dichroism`` builds them."""


@dataclass(frozen=True)
class LabelledState:
    """One state of the model and the label state most like it."""

    molecule: str
    state: int
    energy: float  # eV
    rotatory: float  # 10⁻⁴⁰ cgs
    label_energy: float
    label_velocity: float
    label_length: float
    likeness: float


def geometry(smiles: str, torsion: tuple[int, int, int, int] | None, angle: float) -> Atoms:
    """Make the MMFF94 minimum with a torsion set; without stereo marks, of either enantiomer."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolTransforms

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(mol, randomSeed=7)
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    conformer = mol.GetConformer()
    if torsion is not None:
        rdMolTransforms.SetDihedralDeg(conformer, *torsion, angle)
    name = ", ".join(f"{atom}{mark}" for atom, mark in Chem.FindMolChiralCenters(mol))
    return Atoms(
        [atom.GetAtomicNum() for atom in mol.GetAtoms()],
        conformer.GetPositions(),
        info={"centres": name},
    )


def label(atoms: Atoms) -> tuple[Any, ...]:
    """Compute energies, R in both gauges and minimal-basis densities (S, n, n) with PySCF."""
    from reference.downfold import downfold
    from reference.record import _labels, project
    from reference.scf import Level, ground_state, molecule

    level = Level(n_singlets=10, n_triplets=1)
    mol = molecule(atoms, level.basis)
    mean_field = ground_state(mol, level.functional, level)
    minimal = downfold(mean_field)
    space, singlets, _ = _labels(mean_field, level, 5000)
    origin = atoms.get_center_of_mass() / BOHR
    with mol.with_common_orig(tuple(origin)):
        position = mol.intor("int1e_r", comp=3)
        angular = mol.intor("int1e_cg_irxp", comp=3)  # ⟨i|r×∇|j⟩: +1 between x and y for z
    gradient = -mol.intor("int1e_ipovlp", comp=3)  # ⟨i|∇|j⟩ = −⟨∇i|j⟩
    minus, plus = singlets.x - singlets.y, singlets.x + singlets.y

    def moments(operator: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
        between = np.einsum("xuv,ui,va->xia", operator, space.occupied, space.virtual)
        return np.asarray(2**0.5 * np.einsum("sia,xia->sx", amplitudes, between))

    r, p, rxp = moments(position, plus), moments(gradient, minus), moments(angular, minus)
    omega = singlets.energies / HARTREE
    velocity = 0.5 * ROTATORY * (p * rxp).sum(1) / omega
    length = 0.5 * ROTATORY * (r * rxp).sum(1)
    x, y, _ = project(singlets, space, minimal, mean_field.get_ovlp())
    o = minimal.n_occupied
    occupied, virtual = minimal.coefficients[:, :o], minimal.coefficients[:, o:]
    densities = np.einsum("ui,sia,va->suv", occupied, x + y, virtual)
    return singlets.energies, velocity, length, densities


def bands(name: str, atoms: Atoms, result: Result, found: tuple[Any, ...]) -> list[LabelledState]:
    """Pair the model's four lowest states with the label states that are most like them."""
    energies, velocity, length, densities = found
    densities = densities / np.linalg.norm(densities, axis=(1, 2))[:, None, None]
    rows = []
    states = result.wavefunctions()
    for k in range(4):
        likeness = np.abs(np.einsum("suv,uv->s", densities, states.transition_density(k)))
        match = int(likeness.argmax())
        rows.append(
            LabelledState(
                name,
                k + 1,
                float(result.singlets.energies[k]),
                float(result.singlets.rotatory_strengths[k]),
                float(energies[match]),
                float(velocity[match]),
                float(length[match]),
                float(likeness[match]),
            )
        )
    return rows


def show(rows: list[LabelledState]) -> str:
    """Format a readable table, with the number of signs that agree."""
    lines = [
        "| molecule | state | E | label E | R | label R (velocity) | label R (length) | likeness |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for b in rows:
        lines.append(
            f"| {b.molecule} | S{b.state} | {b.energy:.2f} | {b.label_energy:.2f} | "
            f"{b.rotatory:+.1f} | {b.label_velocity:+.1f} | {b.label_length:+.1f} | "
            f"{b.likeness:.2f} |"
        )
    same = [b for b in rows if b.likeness >= LIKE and abs(b.label_velocity) >= STRONG]
    right = sum(b.rotatory * b.label_velocity > 0 for b in same)
    gauges = sum(b.label_length * b.label_velocity > 0 for b in same)
    lines.append("")
    lines.append(
        f"Of {len(same)} bands with a likeness of at least {LIKE} and a label of at least {STRONG} "
        f"in size, {right} have the label's sign; the label's own two gauges agree in {gauges}."
    )
    if same:
        pairs = np.array([(b.rotatory, b.label_velocity, b.label_length) for b in same])
        ours, own = (np.corrcoef(pairs[:, 1], pairs[:, j])[0, 1] for j in (0, 2))
        lines.append(f"Correlation with the label {ours:.2f}; of its gauges {own:.2f}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    every = [m[0] for m in MOLECULES]
    parser.add_argument("names", nargs="*", metavar="NAME", default=every)
    parser.add_argument("--output", type=Path, default=Path("dichroism.json"))
    parser.add_argument("--show", type=Path, nargs="+", help="print the table of earlier runs")
    arguments = parser.parse_args()
    if arguments.show:
        earlier = [row for path in arguments.show for row in json.loads(path.read_text())]
        print(show([LabelledState(**row) for row in earlier]))
        return
    model = esml.load_model("camb3lyp")
    rows: list[LabelledState] = []
    wanted = {m[0]: geometry(*m[1:]) for m in MOLECULES if m[0] in arguments.names}
    wanted |= {name: build() for name, build in WOUND.items() if name in arguments.names}
    for name, atoms in wanted.items():
        found = atoms.info.get("centres")
        centres = f"{name} ({found})" if found else name
        result = model.predict(atoms, n_states=8, n_triplets=1)
        rows += bands(centres, atoms, result, label(atoms))
        arguments.output.write_text(json.dumps([asdict(row) for row in rows], indent=1))
        print(show(rows[-4:]), flush=True)
    print(show(rows))


if __name__ == "__main__":
    main()
