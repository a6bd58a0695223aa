"""Starting conformers of molecules, of all stereoisomers that an input leaves open.

ETKDG, which uses torsions from crystal structures, makes the conformers. MMFF94 corrects their
bonds and angles while torsions between conjugated parts are fixed, because it twists many that are
planar. Of the lowest conformer there is also a copy with these torsions planar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from esml.io.provenance import MIRROR_IMAGE, GeometryKind, InputError

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""
Array = NDArray[np.float64]

HOLD = 200.0
"""Force constant that holds a torsion (kcal/mol/rad²)."""

KCAL = 23.06
"""kcal/mol per eV."""

BONDED, CONTACT = 1.3, 1.15
"""Reduced distances at a minimum: longest bond, and closest contact of other pairs."""


@dataclass(frozen=True)
class Settings:
    """How geometries are made."""

    geometry: GeometryKind = "xtb"
    largest_fragment: bool = False
    draft: bool = False
    """Return the first conformer with planar conjugated torsions instead of a relaxation, for a
    first look within tenths of a second."""
    elements: tuple[int, ...] = ()
    """Allowed atomic numbers; all if empty."""
    most_atoms: int | None = None
    """Largest number of atoms, hydrogens included; no limit if None."""
    seed: int = 7
    """Seed of the embedding, so that a SMILES always gives the same geometry."""
    attempts: int = 50
    """Largest number of attempts at one conformer with each embedding method."""
    embedding_seconds: int = 200
    """Longest time for a conformer; attempts end earlier, so that machine load has no effect."""
    conformers: int = 30
    """Largest number of conformers to choose from."""
    tried: int = 4
    """Number of conformers, lowest in force-field energy, that are relaxed coarsely …"""
    small: int = 50
    """… for molecules of so many atoms; larger ones get fewer, in inverse proportion."""
    medium: int = 60
    """Largest number of atoms for which conformers are searched at all."""
    isomers: int = 8
    """Largest number of stereoisomers compared; with more, all open double bonds are made E."""
    coarse_force: float = 0.3
    force: float = 0.05
    """Largest force (eV/Å) where a coarse and a final relaxation stop."""
    coarse_steps: int = 25
    steps: int = 400
    largest: int = 220
    """Largest number of atoms for GFN2-xTB; larger molecules keep MMFF94."""
    gap: float = 1.0
    """Distance between van der Waals surfaces of molecules placed apart, Å."""
    prefer_e: float = 0.2
    """eV by which an isomer must be lower for each Z double bond: the possible error of GFN2-xTB
    between E and Z (azobenzene: 0.11 eV in the wrong order)."""
    prefer_planar: float = 0.0125
    """eV, half k_B T, by which a conjugated molecule must be lower if it is twisted. GFN2-xTB has
    flat double wells where the molecule is planar on average."""


SETTINGS = Settings()


@dataclass
class Candidate:
    """A conformer of one molecule during relaxation."""

    mol: Mol
    positions: Array
    isomer: int
    order: float
    """Sort key: the force-field energy, if available."""
    energy: float = 0.0
    """Energy (eV) from GFN2-xTB, else from the force field."""
    converged: bool = True
    bias: float = 0.0
    """Added to the energy (eV) when candidates are compared."""
    planar: bool = False
    """Whether its conjugated torsions were made planar at the start."""
    reacted: bool = False
    """Whether GFN2-xTB changed its bonds, so that the geometry before was kept."""


# --- stereoisomers --------------------------------------------------------------------------------


def isomers_of(mol: Mol, settings: Settings) -> tuple[list[Mol], str]:
    """Return the stereoisomers that ``mol`` leaves open, and a remark on the choice."""
    from rdkit import Chem
    from rdkit.Chem import EnumerateStereoisomers

    # Typed, with functions that are not.
    rdkit: Any = EnumerateStereoisomers
    options = rdkit.StereoEnumerationOptions(
        onlyUnassigned=True, unique=True, maxIsomers=settings.isomers
    )
    count = int(rdkit.GetStereoisomerCount(mol, options=options))
    if count <= 1:
        return [mol], ""
    if count <= settings.isomers:
        listed = list(rdkit.EnumerateStereoisomers(mol, options=options))
        found = _without_mirror_images(listed)
        if len(listed) == 1:
            return found, ""
        if len(found) == 1:
            taken = Chem.MolToSmiles(found[0])
            return found, f"a stereocentre was left open, {taken} is taken; {MIRROR_IMAGE}"
        mirrored = f"; {MIRROR_IMAGE}" if len(found) < len(listed) else ""
        return found, (
            f"stereo was left open, of {len(found)} isomers the lowest is taken (E unless Z is "
            f"lower by {settings.prefer_e:g} eV{mirrored})"
        )
    chosen = Chem.Mol(mol)
    Chem.FindPotentialStereoBonds(chosen)
    n_bonds = 0
    for bond in chosen.GetBonds():
        if bond.GetStereo() == Chem.BondStereo.STEREOANY:
            bond.SetStereo(Chem.BondStereo.STEREOE)
            n_bonds += 1
    Chem.AssignStereochemistry(chosen, cleanIt=False, force=True)
    said = f"stereo was left open with {count} isomers, too many to compare"
    said += f": {n_bonds} double bonds are made E" if n_bonds else ""
    return [chosen], f"{said}; open stereocentres are as embedded"


def _without_mirror_images(isomers: list[Mol]) -> list[Mol]:
    """One of each pair of enantiomers, which have the same energy and absorb alike."""
    from rdkit import Chem

    seen: set[str] = set()
    kept = []
    for isomer in isomers:
        if _mirrored_smiles(isomer) not in seen:
            kept.append(isomer)
        seen.add(Chem.MolToSmiles(isomer))
    return kept


def _mirrored_smiles(mol: Mol) -> str:
    """Canonical SMILES of the mirror image of ``mol``."""
    from rdkit import Chem

    tags = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
    mirror = Chem.Mol(mol)
    for atom in mirror.GetAtoms():
        if atom.GetChiralTag() in tags:
            atom.InvertChirality()
    return str(Chem.MolToSmiles(mirror))


def is_own_mirror_image(mol: Mol) -> bool:
    """Return whether a graph does not tell its molecule from the mirror image.

    It is achiral, or leaves its stereocentres open, or is chiral about an axis, which is not in it.
    """
    from rdkit import Chem

    return _mirrored_smiles(mol) == str(Chem.MolToSmiles(mol))


# --- conformers -----------------------------------------------------------------------------------


def candidates_of(mol: Mol, name: str, settings: Settings) -> tuple[list[Candidate], str]:
    """Return conformers of all stereoisomers that ``mol`` leaves open, and a remark on them."""
    isomers, said = isomers_of(mol, settings)
    try:
        return _conformers(isomers, name, settings), said
    except InputError:
        if not said:
            raise
        # Bridgeheads of small cages count as stereocentres, and no choice of them embeds.
        return _conformers([mol], name, settings), "open stereocentres are as embedded"


def _conformers(isomers: Sequence[Mol], name: str, settings: Settings) -> list[Candidate]:
    """Conformers of ``isomers``, in the order in which to try them."""
    found: list[Candidate] = []
    failed: InputError | None = None
    for place, isomer in enumerate(isomers):
        try:
            found += _embedded(isomer, place if len(isomers) > 1 else -1, name, settings)
        except InputError as error:
            failed = error  # one strained isomer of several may have no geometry at all
    if not found:
        assert failed is not None
        raise failed
    return sorted(found, key=lambda c: c.order + c.bias)


def _embedded(mol: Mol, isomer: int, name: str, settings: Settings) -> list[Candidate]:
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdForceFieldHelpers, rdMolDescriptors

    with rdBase.BlockLogs():
        whole = Chem.AddHs(mol)
        if whole.GetNumAtoms() == 1:
            return [Candidate(whole, np.zeros((1, 3)), isomer, 0.0)]
        turning = int(rdMolDescriptors.CalcNumRotatableBonds(mol))
        turning += int(rdMolDescriptors.CalcNumAliphaticRings(mol))
        # Large molecules have too many conformers to sample.
        most = settings.conformers if whole.GetNumAtoms() <= settings.medium else 1
        ids = _embed(whole, min(1 + 4 * turning, most), name, settings)
        known = bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(whole))
        # If the final geometry is from the force field, so are its torsions.
        free = settings.geometry == "mmff" or is_large(whole, settings)
        held = [] if free else _conjugated_torsions(whole)
        orders = {k: _settle(whole, k, held) if known else 0.0 for k in ids}
    n_z = sum(bond.GetStereo() == Chem.BondStereo.STEREOZ for bond in mol.GetBonds())
    found = [
        Candidate(
            whole,
            np.array(whole.GetConformer(k).GetPositions()),
            isomer,
            orders[k],
            orders[k],
            bias=settings.prefer_e * n_z,
        )
        for k in ids
    ]
    return _distinct(sorted(found, key=lambda c: c.order))


Torsion = tuple[int, int, int, int]


def _conjugated_torsions(mol: Mol) -> list[Torsion]:
    """One torsion about every single bond between conjugated parts, except in rings."""
    found = []
    for bond in mol.GetBonds():
        if bond.GetBondTypeAsDouble() > 1.0 or bond.IsInRing() or not bond.GetIsConjugated():
            continue
        i, j = bond.GetBeginAtom(), bond.GetEndAtom()
        before = [n.GetIdx() for n in i.GetNeighbors() if n.GetIdx() != j.GetIdx()]
        after = [n.GetIdx() for n in j.GetNeighbors() if n.GetIdx() != i.GetIdx()]
        if before and after and not _straight(i) and not _straight(j):
            found.append((before[0], i.GetIdx(), j.GetIdx(), after[0]))
    return found


def _straight(atom: Any) -> bool:
    """Whether the bonds of an atom are linear, so that they have no torsion."""
    orders = [bond.GetBondTypeAsDouble() for bond in atom.GetBonds()]
    return 3.0 in orders or orders.count(2.0) == 2


def _settle(mol: Mol, conformer: int, held: Sequence[Torsion]) -> float:
    """Relax a conformer in place with MMFF94, torsions ``held``; return its energy, eV."""
    from rdkit.Chem import rdForceFieldHelpers

    parameters = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, parameters, confId=conformer)
    for torsion in held:
        field.MMFFAddTorsionConstraint(*torsion, True, 0.0, 0.0, HOLD)
    field.Initialize()
    field.Minimize(maxIts=2000)
    return float(field.CalcEnergy()) / KCAL


def is_large(mol: Mol, settings: Settings) -> bool:
    return int(mol.GetNumAtoms()) > settings.largest


def _embed(mol: Mol, n: int, name: str, settings: Settings) -> list[int]:
    """Indices of up to ``n`` conformers, by the first method that gives any."""
    from rdkit.Chem import rdDistGeom

    # Large molecules embed from random coordinates only; the knowledge of straight cumulated
    # bonds forbids bent N=S=O.
    ways = [(False, True), (True, True), (True, False)]
    if mol.GetNumAtoms() > settings.medium:
        ways = ways[1:]
    for random, knowledge in ways:
        how: Any = rdDistGeom.ETKDGv3()
        how.randomSeed = settings.seed
        how.useRandomCoords = random
        how.useBasicKnowledge = knowledge
        how.maxIterations = settings.attempts
        how.timeout = settings.embedding_seconds
        # Try one first: if it fails, others would fail, too.
        for count in dict.fromkeys((1, n)):
            rdDistGeom.EmbedMultipleConfs(mol, count, how)
            # It may return indices of conformers that failed.
            if not (ids := [conformer.GetId() for conformer in mol.GetConformers()]):
                break
        if ids:
            return ids
    raise InputError(
        f"no three-dimensional conformer of '{name}' was found, also from random coordinates: "
        "expected a molecule that can exist; give a geometry file"
    )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Candidates in order, without those equal in energy and shape to an earlier one."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if not any(alike(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def alike(a: Candidate, b: Candidate) -> bool:
    """Return whether two conformers are the same: equal energies and sorted distances."""
    return (
        a.isomer == b.isomer
        and abs(a.energy - b.energy) < 0.003
        and bool(np.abs(_shape(a) - _shape(b)).max() < 0.3)
    )


def _shape(candidate: Candidate) -> Array:
    """Sorted distances of heavy atoms from their centre, independent of numbering."""
    heavy = np.array([atom.GetAtomicNum() > 1 for atom in candidate.mol.GetAtoms()])
    places = candidate.positions[heavy] if heavy.any() else candidate.positions
    return np.sort(np.linalg.norm(places - places.mean(axis=0), axis=1))


def planar_copy(candidate: Candidate) -> list[Candidate]:
    """Return ``candidate`` with planar torsions between conjugated parts; empty without any."""
    from rdkit import Chem
    from rdkit.Chem import rdForceFieldHelpers, rdMolTransforms

    mol = Chem.Mol(candidate.mol, False, candidate.mol.GetConformers()[0].GetId())
    torsions = _conjugated_torsions(mol)
    if not torsions:
        return []
    places = mol.GetConformer()
    places.SetPositions(np.ascontiguousarray(candidate.positions))
    for torsion in torsions:
        angle = rdMolTransforms.GetDihedralDeg(places, *torsion)
        rdMolTransforms.SetDihedralDeg(places, *torsion, 0.0 if abs(angle) < 90.0 else 180.0)
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        _settle(mol, places.GetId(), torsions)
    positions = np.array(places.GetPositions())
    if not same_bonds(mol, positions):
        return []
    return [replace(candidate, positions=positions, planar=True)]


def same_bonds(mol: Mol, positions: Array) -> bool:
    """Return whether exactly the bonded pairs of ``mol`` are at bond distance."""
    radii = covalent_radii[[atom.GetAtomicNum() for atom in mol.GetAtoms()]]
    delta = np.linalg.norm(positions[:, None] - positions[None, :], axis=-1)
    reduced = delta / (radii[:, None] + radii[None, :])
    bonded = np.zeros(reduced.shape, dtype=bool)
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonded[i, j] = bonded[j, i] = True
    np.fill_diagonal(reduced, BONDED)
    others = ~bonded & ~np.eye(len(radii), dtype=bool)
    return bool((reduced[bonded] < BONDED).all() and (reduced[others] > CONTACT).all())
