"""Common names of the fragments of a molecule; with RDKit.

The bonds are those of the model's density (``Bonding``); RDKit assigns their orders. A fragment is
cut out with open ends (``*c1ccccc1``) and looked up among the groups and rings of the table
``group_names.csv`` beside this module. A fragment that is not in the table keeps its formula.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ase import Atoms

from esml.analysis.bonding import Fragment
from esml.io.structure_checks import molecular_charge

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""

TRIES = 100_000
"""Number of bond-order assignments that RDKit tries before it gives up."""

KINDS = ("group", "ring")
"""Kinds of names in the table, in the order in which they are looked up."""


def molecular_graph(atoms: Atoms, bonds: Sequence[tuple[int, int]]) -> Mol | None:
    """Return the RDKit molecule of ``atoms`` with ``bonds``, hydrogens included, atoms in order.

    All bonds are single if RDKit finds no orders that fit the charge. None without RDKit.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDetermineBonds
    except ImportError:
        return None
    drawn = Chem.RWMol()
    for k, number in enumerate(atoms.numbers):
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        atom.SetIntProp("number", k + 1)
        drawn.AddAtom(atom)
    for a, b in bonds:
        drawn.AddBond(a, b, Chem.BondType.SINGLE)
    plain = drawn.GetMol()
    mol = Chem.Mol(plain)
    charge = molecular_charge(atoms)
    with rdBase.BlockLogs():
        try:
            rdDetermineBonds.DetermineBondOrders(
                mol, charge=charge, embedChiral=False, maxIterations=TRIES
            )
            Chem.SanitizeMol(mol)
        except (ValueError, RuntimeError):
            plain.UpdatePropertyCache(strict=False)
            return plain
    return mol


def group_names(fragments: Sequence[Fragment], mol: Mol | None) -> list[str]:
    """Return the names of the ``fragments`` of ``mol``: ``phenyl``, ``nitro``, else the formula.

    Fragments with the same name also get their first heavy atom (from 1): ``phenyl (C9)``.
    """
    if mol is None:
        return [fragment.name for fragment in fragments]
    found = [_name(mol, fragment.atoms) for fragment in fragments]
    shared = Counter(found)
    names = []
    for name, fragment in zip(found, fragments, strict=True):
        if not name:
            names.append(fragment.name)
            continue
        symbols = {a: mol.GetAtomWithIdx(a).GetSymbol() for a in fragment.atoms}
        heavy = next((a for a in fragment.atoms if symbols[a] != "H"), fragment.atoms[0])
        names.append(name if shared[name] == 1 else f"{name} ({symbols[heavy]}{heavy + 1})")
    return names


def _name(mol: Mol, atoms: Sequence[int]) -> str:
    """Name of the group of ``atoms``; empty if it is not in the table."""
    from rdkit import Chem, rdBase

    inside = set(atoms)
    ends = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if (bond.GetBeginAtomIdx() in inside) != (bond.GetEndAtomIdx() in inside)
    ]
    with rdBase.BlockLogs():
        try:
            cut = mol
            if ends:
                cut = Chem.FragmentOnBonds(mol, ends, dummyLabels=[(0, 0)] * len(ends))
            parts = Chem.GetMolFrags(cut, asMols=True)
            places = Chem.GetMolFrags(cut)
            (part,) = (p for p, place in zip(parts, places, strict=True) if atoms[0] in place)
            group = _canonical(Chem.RemoveHs(part))
            closed = Chem.ReplaceSubstructs(
                part, Chem.MolFromSmarts("[#0]"), Chem.MolFromSmiles("[H]"), replaceAll=True
            )[0]
            Chem.SanitizeMol(closed)
            ring = _canonical(Chem.RemoveHs(closed))
        except (ValueError, RuntimeError):  # RDKit cannot interpret the group
            return ""
    groups, rings = _tables()
    return groups.get(group) or rings.get(ring, "")


def _canonical(mol: Mol) -> str:
    from rdkit import Chem

    text = Chem.MolToSmiles(mol, isomericSmiles=False)
    whole = Chem.MolFromSmiles(text)
    return text if whole is None else str(Chem.MolToSmiles(whole))


def table() -> list[dict[str, str]]:
    """Return the lines of ``group_names.csv``: kind, name and smiles."""
    text = (files("esml.analysis") / "group_names.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@cache
def _tables() -> tuple[dict[str, str], ...]:
    """Names by canonical SMILES, for each of ``KINDS``."""
    from rdkit import Chem

    rows = table()
    return tuple(
        {
            _canonical(Chem.MolFromSmiles(row["smiles"])): row["name"]
            for row in rows
            if row["kind"] == kind
        }
        for kind in KINDS
    )
