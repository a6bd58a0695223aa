"""Signs of circular dichroism beside measured ones, band by band.

    python -m scripts.accuracy.measured_dichroism

Each molecule, in the configuration that was measured, is relaxed with GFN2-xTB. A measured band is
compared with the nearest extremum of the predicted curve, if that lies within ``FAR`` of it. If
the source gives only the signs in a region, they are compared in order with the extrema predicted
there, starting at long wavelengths. Prints Markdown. Needs the extra ``smiles``.

Sources. Camphor: (1S)-(+)-10-camphorsulfonic acid, whose ring has the configuration of (1R)-(+)-
camphor, Δε +2.36 at 290.5 and −4.72 at 192.5 nm (G. C. Chen and J. T. Yang, Anal. Lett. 10, 1195,
1977). Hexahelicene: F. Furche, R. Ahlrichs, C. Wachsmann, E. Weber, A. Sobanski, F. Vögtle and
S. Grimme, J. Am. Chem. Soc. 122, 1717 (2000): of the P enantiomer, positive near 325 and negative
near 246 nm.

Heptalene: the abstract of Helv. Chim. Acta 68, 415 (1985), "First optically active heptalenes and
their absolute configuration", which resolves this ester: characteristic of the P skeleton are two
negative Cotton effects between 450 and 300 nm, then an intense positive one at about 300 nm or
below. Binaphthyl: the abstract of J. Phys. Chem. A 115, 5488 (2011), on 1,1'-binaphthyls and their
axial chirality: of (R)-2,2'-dimethoxy-1,1'-binaphthyl, Cotton effects positive, positive, negative
in the 1Lb–1La region, and a strong negative couplet at the 1Bb band. It gives no wavelengths; the
border between these regions, 250 nm, is ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

import esml
from esml.io import from_smiles
from esml.io.geometry import relaxed
from esml.io.provenance import ReadingOptions
from esml.typing import Array
from esml.units import HC
from scripts.pages import table

FAR = 1.0
"""Largest distance (eV) of a measured band from the extremum it is compared with."""

SMALLEST = 1.0
"""Smallest |Δε| of a band, L mol⁻¹ cm⁻¹."""

FWHM = 0.4
"""Width of the predicted bands (eV)."""

N_STATES = 40

HELIX = 3.4
"""Initial height of a turn (Å)."""


def camphor() -> Atoms:
    """Return (1R)-camphor."""
    smiles = "C[C@@]12CC[C@@H](C1(C)C)CC2=O"
    return from_smiles(smiles, ReadingOptions(geometry="xtb")).atoms


def hexahelicene() -> Atoms:
    """Return relaxed (P)-[6]helicene, built from hexagons that climb anticlockwise."""
    turns = np.radians(60.0 * np.arange(7) - 30.0)
    outer = np.radians(60.0 * np.arange(6))[:, None] + [-0.19, 0.19]
    angle = np.concatenate([turns, turns, outer.ravel()])
    radius = np.repeat([1.40, 2.80, 3.70], [7, 7, 12])
    ring = np.concatenate([[0, *range(6)], [0, *range(6)], np.repeat(range(6), 2)])
    bare = np.isin(np.arange(26), [0, 6, 7, 13, *range(14, 26)])  # carbon atoms with a hydrogen

    def helix(r: Array, a: Array) -> Array:
        return np.stack([r * np.cos(a), r * np.sin(a), HELIX * a / (2.0 * np.pi)], 1)

    carbons = helix(radius, angle)
    away = carbons - helix(np.full(26, 2.42), np.radians(60.0 * ring))
    hydrogens = (carbons + 1.08 * away / np.linalg.norm(away, axis=1)[:, None])[bare]
    numbers = [6] * 26 + [1] * 16
    found, _, _ = relaxed(numbers, np.concatenate([carbons, hydrogens]), 0, 0.02, 500)
    return Atoms(numbers, found)


def wound(smiles: str, torsion: tuple[int, int, int, int], sign: int) -> Atoms:
    """Return the relaxed molecule whose ``torsion`` (atoms numbered as in ``smiles``) has ``sign``.

    SMILES do not specify the handedness of an axis or a helix; if it was embedded the wrong way, it
    is mirrored.
    """
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(mol, randomSeed=7)
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    numbers, charge = [atom.GetAtomicNum() for atom in mol.GetAtoms()], Chem.GetFormalCharge(mol)
    found, _, _ = relaxed(numbers, mol.GetConformer().GetPositions(), charge, 0.02, 500)
    atoms = Atoms(numbers, found, info={"charge": charge})
    if sign * np.sin(np.radians(atoms.get_dihedral(*torsion))) < 0:
        atoms.positions[:, 2] *= -1.0
    return atoms


def binaphthyl() -> Atoms:
    """Return (R)-2,2'-dimethoxy-1,1'-binaphthyl.

    The torsion C2–C1–C1'–C2', between the carbon atoms that bear oxygen, is negative: for axial
    chirality M corresponds to R.
    """
    return wound("COc1ccc2ccccc2c1-c1c(OC)ccc2ccccc12", (2, 11, 12, 13), -1)


def heptalene() -> Atoms:
    """Return (P)-dimethyl 5,6,8,10-tetramethylheptalene-1,2-dicarboxylate.

    P means, as for any single bond, that the smaller torsions about the central bond, such as
    C1–C10a–C5a–C5, are positive.
    """
    smiles = "COC(=O)C1=C(C(=O)OC)C=CC(C)=C2C(C)=CC(C)=CC(C)=C12"
    return wound(smiles, (4, 23, 14, 12), 1)


@dataclass(frozen=True)
class Region:
    """Signs of the bands between two wavelengths, starting at the longest."""

    longest: float  # nm
    shortest: float
    signs: tuple[int, ...]


@dataclass(frozen=True)
class MeasuredEnantiomer:
    """The enantiomer that was measured, and the signs of its bands."""

    name: str
    made: Callable[[], Atoms]
    signs: tuple[tuple[float, int], ...] = ()  # nm and sign
    regions: tuple[Region, ...] = ()


MOLECULES = (
    MeasuredEnantiomer("(1R)-camphor", camphor, ((290.5, 1), (192.5, -1))),
    MeasuredEnantiomer("(P)-[6]helicene", hexahelicene, ((325.0, 1), (246.0, -1))),
    MeasuredEnantiomer(
        "(R)-2,2'-dimethoxy-1,1'-binaphthyl",
        binaphthyl,
        regions=(Region(350.0, 250.0, (1, 1, -1)), Region(250.0, 190.0, (-1, 1))),
    ),
    MeasuredEnantiomer("(P)-heptalene", heptalene, regions=(Region(450.0, 250.0, (-1, -1, 1)),)),
)


def extrema(energies: Array, curve: Array) -> list[tuple[float, float]]:
    """Return energy and height of every extremum of ``curve`` that is a band."""
    size = np.abs(curve)
    turns = (size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:]) & (size[1:-1] > SMALLEST)
    return [(float(energies[k]), float(curve[k])) for k in 1 + np.flatnonzero(turns)]


def nearest(energies: Array, curve: Array, place: float) -> tuple[float, float]:
    """Return energy and height of the extremum of ``curve`` nearest to ``place``."""
    return min(extrema(energies, curve), key=lambda band: abs(band[0] - place))


def in_turn(energies: Array, curve: Array, region: Region) -> tuple[list[tuple[float, float]], int]:
    """Return as many extrema of ``region`` as were measured, and how many have the right sign."""
    low, high = HC / region.longest, HC / region.shortest
    found = [band for band in extrema(energies, curve) if low <= band[0] <= high]
    found = found[: len(region.signs)]
    right = sum(height * sign > 0 for (_, height), sign in zip(found, region.signs, strict=False))
    return found, right


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.parse_args()
    model = esml.load_model()
    rows: list[tuple[object, ...]] = []
    for molecule in MOLECULES:
        result = model.predict(molecule.made(), N_STATES, n_triplets=1)
        curve = result.dichroism(FWHM)
        for nm, sign in molecule.signs:
            energy, height = nearest(curve.energies, curve.dichroism, HC / nm)
            far = abs(energy - HC / nm) > FAR
            right = "no band" if far else "yes" if height * sign > 0 else "no"
            ours = "" if far else f"{height:+.1f} at {HC / energy:.0f} nm"
            rows.append((molecule.name, f"{'+-'[sign < 0]} at {nm:g} nm", ours, right))
        for region in molecule.regions:
            found, n_right = in_turn(curve.energies, curve.dichroism, region)
            measured = " ".join("+-"[sign < 0] for sign in region.signs)
            measured += f" from {region.longest:g} to {region.shortest:g} nm"
            ours = ", ".join(f"{height:+.1f} at {HC / energy:.0f} nm" for energy, height in found)
            n = len(region.signs)
            right = "yes" if n_right == n else f"{n_right} of {n}"
            rows.append((molecule.name, measured, ours, right))
    print(table(("molecule", "measured", "predicted Δε", "same sign"), rows))


if __name__ == "__main__":
    main()
