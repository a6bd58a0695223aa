"""Molecules for timing: three families of any size, ten typical ones, two large ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import molecule

from esml.io.structures import ReadingOptions, from_smiles

TYPICAL = (  # 15 to 20 atoms
    "CC(=O)c1ccccc1",
    "c1ccc2[nH]ccc2c1",
    "NC(=O)c1ccccc1",
    "C=CC=CC=CC=O",
    "Nc1ccc(C#N)cc1",
    "c1ccc2ncccc2c1",
    "COc1ccccc1",
    "C=Cc1ccccc1",
    "O=C1C=CC(=O)c2ccccc12",
    "CN(C)C=CC=O",
)
QUICK = ReadingOptions(geometry="mmff")
"""Force-field geometries, because only the size of a molecule matters here."""

BETA_CAROTENE = (
    "CC1=C(C(CCC1)(C)C)/C=C/C(=C/C=C/C(=C/C=C/C=C(/C=C/C=C(/C=C/C2=C(CCCC2(C)C)C)\\C)\\C)/C)/C"
)


def polyene(n_atoms: int) -> Atoms:
    """Make all-trans CₙHₙ₊₂ with alternating bonds, of the nearest size (4k + 2 atoms)."""
    n_carbon = 2 * max(1, round((n_atoms - 2) / 4))
    carbons = [np.zeros(3)]
    for bond in range(n_carbon - 1):
        length = 1.34 if bond % 2 == 0 else 1.45
        angle = math.radians(28.0 if bond % 2 == 0 else -28.0)
        carbons.append(carbons[-1] + length * np.array([math.cos(angle), math.sin(angle), 0.0]))
    hydrogens = []
    for k, carbon in enumerate(carbons):
        away = np.array([0.0, -1.09 if k % 2 == 0 else 1.09, 0.0])
        hydrogens.append(carbon + away)
    for end, inner in ((0, 1), (-1, -2)):
        direction = carbons[end] - carbons[inner]
        turn = math.radians(-60.0)
        c, s = math.cos(turn), math.sin(turn)
        turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ direction
        hydrogens.append(carbons[end] + 1.09 * turned / np.linalg.norm(turned))
    return Atoms(f"C{n_carbon}H{n_carbon + 2}", np.array([*carbons, *hydrogens]))


def glycines(n_atoms: int) -> Atoms:
    """Make an extended chain H–(NH–CH₂–CO)ₙ–H of the nearest size (7 n + 2 atoms)."""
    n_residues = max(1, round((n_atoms - 2) / 7))
    symbols: list[str] = []
    places: list[np.ndarray] = []

    def add(symbol: str, a: int, b: int, c: int, length: float, angle: float, turn: float) -> int:
        """Add an atom bound to ``a``, at an angle to ``b`` and a dihedral to ``c``."""
        theta, phi = math.radians(angle), math.radians(turn)
        along = places[a] - places[b]
        along /= np.linalg.norm(along)
        normal = np.cross(places[b] - places[c], along)
        normal /= np.linalg.norm(normal)
        side = np.cross(normal, along)
        local = (-math.cos(theta), math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi))
        places.append(places[a] + length * (local[0] * along + local[1] * side + local[2] * normal))
        symbols.append(symbol)
        return len(places) - 1

    symbols += ["H", "N", "C"]
    places += [np.array([-0.5, 0.88, 0.0]), np.zeros(3), np.array([1.45, 0.0, 0.0])]
    before, nitrogen, alpha = 0, 1, 2
    for residue in range(n_residues):
        add("H", alpha, nitrogen, before, 1.09, 109.5, 60.0)
        add("H", alpha, nitrogen, before, 1.09, 109.5, -60.0)
        carbonyl = add("C", alpha, nitrogen, before, 1.52, 111.0, 180.0)
        oxygen = add("O", carbonyl, alpha, nitrogen, 1.23, 120.5, 0.0)
        if residue == n_residues - 1:
            add("H", carbonyl, alpha, nitrogen, 1.10, 115.0, 180.0)
            break
        following = add("N", carbonyl, alpha, nitrogen, 1.34, 116.0, 180.0)
        add("H", following, carbonyl, oxygen, 1.01, 120.0, 180.0)
        alpha = add("C", following, carbonyl, alpha, 1.45, 122.0, 180.0)
        nitrogen, before = following, carbonyl
    add("H", 1, 2, 0, 1.01, 110.0, 115.0)
    return Atoms(symbols, np.array(places))


def cluster(n_atoms: int) -> Atoms:
    """Make a cluster of randomly oriented formaldehyde molecules on a grid of 4.5 Å."""
    n_molecules = max(1, n_atoms // 4)
    side = math.ceil(n_molecules ** (1 / 3))
    generator = np.random.default_rng(0)
    found = Atoms()
    for place in list(np.ndindex(side, side, side))[:n_molecules]:
        unit = molecule("H2CO")
        unit.positions -= unit.positions.mean(0)
        unit.rotate(generator.uniform(0, 360), generator.normal(size=3))
        unit.positions += 4.5 * np.array(place)
        found += unit
    return found


FAMILIES: dict[str, Callable[[int], Atoms]] = {
    "polyene": polyene,
    "glycines": glycines,
    "cluster": cluster,
}


def named(name: str) -> Atoms:
    """Make the molecule ``family-size``, "C60" or "beta-carotene"."""
    if name == "C60":
        fullerene: Atoms = molecule("C60")
        return fullerene
    if name == "beta-carotene":
        return from_smiles(BETA_CAROTENE, QUICK).atoms
    family, _, size = name.partition("-")
    return FAMILIES[family](int(size))


def typical() -> list[Atoms]:
    return [from_smiles(smiles, QUICK).atoms for smiles in TYPICAL]
