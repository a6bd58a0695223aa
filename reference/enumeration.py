"""Enumeration of small, mostly unsaturated molecules, and seeded samples of them.

The chemical space is built, not downloaded. A molecule is a *core* (a chromophore, a ring or a
short chain) with zero, one or two *substituents* on its hydrogen-bearing atoms; a smaller share of
saturated cores with saturated substituents adds variety. The products contain H C N O F S Cl only,
are neutral and closed-shell, have 2 to 9 heavy atoms, contain no unstable group, and are unique
by InChIKey.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain, zip_longest
from typing import Final, get_args

from rdkit import Chem

from . import coverage
from .building_blocks import (
    CHAINS,
    FUSED,
    RINGS,
    SATURATED,
    SATURATED_SUBSTITUENTS,
    SMALL_SUBSTITUENTS,
    SUBSTITUENTS,
)
from .families import Family
from .molecules import (
    Mol,
    Molecule,
    benchmark_connectivities,
    coverage_molecules,
    fraction,
    inchikey_of,
    molecule_from_smiles,
    parse,
    unstable_group,
)

SYMBOLS: Final = frozenset({"H", "C", "N", "O", "F", "S", "Cl"})
MAX_HEAVY: Final = 9

SIZE_WEIGHTS: Final[dict[int, float]] = {
    2: 0.02,
    3: 0.07,
    4: 0.14,
    5: 0.20,
    6: 0.22,
    7: 0.18,
    8: 0.11,
    9: 0.06,
}
"""Default share of each heavy-atom count in a sample, until its molecules run out."""

SATURATED_SHARE: Final = 0.15
"""Share of saturated molecules in a sample, until they run out."""

SINGLE_KEPT: Final[dict[int, float]] = {8: 0.5, 9: 0.3}
"""Fraction of singly substituted products kept, by heavy-atom count (smaller ones: all)."""

DOUBLE_KEPT: Final[dict[int, float]] = {6: 0.3, 7: 0.04, 8: 0.01, 9: 0.003}
"""Fraction of doubly substituted products kept, for cores of up to four atoms."""

CORE_BONUS: Final[dict[int, float]] = {5: 4.0, 6: 10.0, 7: 10.0, 8: 10.0}
"""Factor on ``DOUBLE_KEPT`` for larger cores, by number of core atoms."""


def _open_atoms(mol: Mol, n_core: int) -> list[int]:
    """Return the core atoms (the first ``n_core``) that carry hydrogen, one per symmetry class."""
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    found: dict[int, int] = {}
    for index in range(n_core):
        if mol.GetAtomWithIdx(index).GetTotalNumHs() > 0:
            found.setdefault(ranks[index], index)
    return sorted(found.values())


def _attach(mol: Mol, position: int, substituent: Mol) -> Mol | None:
    """Replace a hydrogen of atom ``position`` by ``substituent``; None if that is impossible."""
    joined = Chem.RWMol(Chem.CombineMols(mol, substituent))
    atom = joined.GetAtomWithIdx(position)
    if atom.GetNumExplicitHs() > 0:
        atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
    joined.AddBond(position, mol.GetNumAtoms(), Chem.BondType.SINGLE)
    try:
        Chem.SanitizeMol(joined)
    except (Chem.AtomValenceException, Chem.KekulizeException):
        return None
    return joined.GetMol()


@cache
def _substituent(smiles: str) -> Mol:
    # Unsanitized: the first atom's open valence is filled only when it binds.
    return Chem.MolFromSmiles(smiles, sanitize=False)


def _products(core: str, smiles: str, saturated: bool, max_heavy: int) -> Iterator[Mol]:
    """Yield the core and its singly and doubly substituted products of up to ``max_heavy`` atoms.

    Only a fraction of the large products is built, chosen by a hash of core, substituents and
    positions: comparing all of them would take too long.
    """
    mol = parse(smiles)
    n_core = mol.GetNumAtoms()
    if n_core > max_heavy:
        return
    yield mol
    first_choice = SATURATED_SUBSTITUENTS if saturated else SUBSTITUENTS
    bonus = CORE_BONUS.get(n_core, 1.0)
    second_choice = SATURATED_SUBSTITUENTS if saturated else SMALL_SUBSTITUENTS
    for first in first_choice:
        n_first = n_core + _substituent(first).GetNumAtoms()
        if n_first > max_heavy:
            continue
        for position in _open_atoms(mol, n_core):
            if fraction("single", core, first, position) >= SINGLE_KEPT.get(n_first, 1.0):
                continue
            single = _attach(mol, position, _substituent(first))
            if single is None:
                continue
            yield single
            for second in second_choice:
                n_second = n_first + _substituent(second).GetNumAtoms()
                if n_second > max_heavy:
                    continue
                for place in _open_atoms(single, n_core):
                    chance = bonus * DOUBLE_KEPT.get(n_second, 1.0)
                    if fraction("double", core, first, position, second, place) >= chance:
                        continue
                    double = _attach(single, place, _substituent(second))
                    if double is not None:
                        yield double


def _is_saturated(mol: Mol) -> bool:
    return all(bond.GetBondType() == Chem.BondType.SINGLE for bond in mol.GetBonds())


def _is_admissible(mol: Mol) -> bool:
    """Whether ``mol`` is neutral and closed-shell, of supported elements and no unstable group."""
    if Chem.GetFormalCharge(mol) != 0:
        return False
    for atom in mol.GetAtoms():
        if atom.GetSymbol() not in SYMBOLS or atom.GetNumRadicalElectrons():
            return False
    return unstable_group(mol) is None


@cache
def _enumerate(max_heavy: int) -> tuple[Molecule, ...]:
    # Larger cores first: a molecule that two cores lead to counts under the larger.
    cores = [(n, s, False) for table in (FUSED, RINGS, CHAINS) for n, s in table.items()]
    cores.sort(key=lambda core: -parse(core[1]).GetNumAtoms())
    cores += [(name, smiles, True) for name, smiles in SATURATED.items()]
    scaffold_of: dict[str, str] = {}
    for name, smiles, saturated in cores:
        for mol in _products(name, smiles, saturated, max_heavy):
            canonical = Chem.MolToSmiles(mol)
            if canonical in scaffold_of or mol.GetNumHeavyAtoms() < 2:
                continue
            if saturated == _is_saturated(mol) and _is_admissible(mol):
                scaffold_of[canonical] = name
    molecules: dict[str, Molecule] = {}
    for smiles, scaffold in scaffold_of.items():
        mol = parse(smiles)
        inchikey = inchikey_of(mol)
        if inchikey and inchikey[:14] not in benchmark_connectivities():
            found = Molecule(smiles, inchikey, smiles, scaffold, mol.GetNumHeavyAtoms())
            molecules.setdefault(inchikey, found)
    return tuple(sorted(molecules.values(), key=lambda m: (m.n_heavy, m.smiles)))


def enumerate_molecules(max_heavy: int = MAX_HEAVY) -> list[Molecule]:
    """Return all molecules with 2 to ``max_heavy`` heavy atoms, sorted by size and SMILES.

    The list for a smaller ``max_heavy`` is the beginning of the list for a larger one. Raises
    ValueError for a ``max_heavy`` outside 2 to 9.
    """
    if not 2 <= max_heavy <= MAX_HEAVY:
        raise ValueError(f"max_heavy must be between 2 and {MAX_HEAVY}, not {max_heavy}.")
    return list(_enumerate(max_heavy))


# --- molecules of the coverage table with one more substituent -----------------------------------


@cache
def _substituted(group: coverage.Group, seed: int) -> tuple[Molecule, ...]:
    """Return products of the group's molecules that show the group too, in seeded order."""
    pattern = Chem.MolFromSmarts(group.pattern)
    known = {molecule.inchikey for molecule in coverage_molecules()}
    found: dict[str, Molecule] = {}
    for smiles in group.molecules:
        parent = parse(smiles)
        for substituent in SMALL_SUBSTITUENTS:
            for position in _open_atoms(parent, parent.GetNumAtoms()):
                mol = _attach(parent, position, _substituent(substituent))
                if mol is None or mol.GetNumHeavyAtoms() > MAX_HEAVY or unstable_group(mol):
                    continue
                molecule = replace(molecule_from_smiles(Chem.MolToSmiles(mol)), scaffold=group.name)
                alike = parse(molecule.smiles).HasSubstructMatch(pattern)
                excluded = molecule.connectivity in benchmark_connectivities()
                if alike and not excluded and molecule.inchikey not in known:
                    found.setdefault(molecule.inchikey, molecule)
    return tuple(sorted(found.values(), key=lambda m: fraction("substituted", seed, m.inchikey)))


def substituted_coverage(kinds: Collection[str], n: int, seed: int = 0) -> list[Molecule]:
    """Return ``n`` molecules of ``coverage.csv`` with one more of ``SMALL_SUBSTITUENTS``.

    A molecule of every group of ``kinds`` (classes of the table) comes first, then a second of
    every group, and so on. They show their group, are not in the table themselves, and have at most
    nine heavy atoms. Raises ValueError for an unknown class and if there are fewer than ``n``.
    """
    classes = {group.kind for group in coverage.groups()}
    if unknown := set(kinds) - classes:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: expected classes of {coverage.TABLE}, which are "
            f"{', '.join(sorted(classes))}."
        )
    rows = [_substituted(group, seed) for group in coverage.groups() if group.kind in kinds]
    in_rounds = chain.from_iterable(zip_longest(*rows))
    chosen = {m.inchikey: m for m in in_rounds if m is not None}
    if n > len(chosen):
        raise ValueError(f"n must be at most {len(chosen)}, the molecules there are, not {n}.")
    return list(chosen.values())[:n]


# --- sampling -------------------------------------------------------------------------------------

_BENZENOID = Chem.MolFromSmarts("a1aaaaa1")
_CONJUGATED = frozenset({Chem.HybridizationType.SP, Chem.HybridizationType.SP2})


def _weights(molecules: list[Molecule], size_weights: Mapping[int, float]) -> list[float]:
    """Return the sampling weights of ``molecules``, by size, saturation and scaffold.

    A scaffold with k molecules of one size gets a share proportional to sqrt(k), so that ethene,
    for example, with its many products does not crowd out the rare cores.
    """
    group = [(m.n_heavy, m.scaffold in SATURATED) for m in molecules]
    in_scaffold = Counter((m.n_heavy, m.scaffold) for m in molecules)
    raw = [1.0 / math.sqrt(in_scaffold[m.n_heavy, m.scaffold]) for m in molecules]
    total: dict[tuple[int, bool], float] = {}
    for key, value in zip(group, raw, strict=True):
        total[key] = total.get(key, 0.0) + value
    family = {True: SATURATED_SHARE, False: 1.0 - SATURATED_SHARE}
    return [
        size_weights.get(key[0], 0.0) * family[key[1]] * value / total[key]
        for key, value in zip(group, raw, strict=True)
    ]


def belongs_to(molecule: Molecule, family: Family) -> bool:
    """Whether ``molecule`` belongs to ``family``. Raises ValueError for an unknown family."""
    mol = parse(molecule.smiles)
    match family:
        case "benzenoid":
            return bool(mol.HasSubstructMatch(_BENZENOID))
        case "hydrocarbon":
            atoms = mol.GetAtoms()
            return all(a.GetSymbol() == "C" and a.GetHybridization() in _CONJUGATED for a in atoms)
        case "fused":
            return molecule.scaffold in FUSED
    raise ValueError(f"family must be one of {', '.join(get_args(Family))}, not '{family}'.")


def sample_molecules(
    n: int | None,
    seed: int,
    max_heavy: int = MAX_HEAVY,
    size_weights: Mapping[int, float] = SIZE_WEIGHTS,
    family: Family | None = None,
) -> list[Molecule]:
    """Draw ``n`` distinct molecules (None: all) without replacement; return them in that order.

    ``family`` restricts the sample to that family.

    Molecule m of weight w_m gets the key -ln(u_m) / w_m, with u_m a hash of the seed and its
    InChIKey; the molecules with the smallest keys are drawn (Efraimidis and Spirakis, Inf. Process.
    Lett. 97, 181 (2006)). A sample is therefore the beginning of every longer one with the same
    seed, and a set can grow. Raises ValueError if there are fewer than ``n`` molecules of positive
    weight.
    """
    molecules = enumerate_molecules(max_heavy)
    keyed = []
    for molecule, weight in zip(molecules, _weights(molecules, size_weights), strict=True):
        if weight > 0.0 and (family is None or belongs_to(molecule, family)):
            u = 1.0 - fraction("sample", seed, molecule.inchikey)  # in (0, 1]
            keyed.append((-math.log(u) / weight, molecule))
    if n is None:
        n = len(keyed)
    if not 0 <= n <= len(keyed):
        raise ValueError(f"n must be between 0 and {len(keyed)}, the molecules there are, not {n}.")
    keyed.sort(key=lambda pair: (pair[0], pair[1].inchikey))
    return [molecule for _, molecule in keyed[:n]]
