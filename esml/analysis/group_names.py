"""What chemists call the fragments of a molecule; with RDKit.

The graph is that of the model's density (``Bonding``): its bonds, to which RDKit assigns orders. A
fragment is cut out with open ends (``*c1ccccc1``) and looked up among the groups and rings below;
what is not there keeps its formula.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from ase import Atoms

from esml.analysis.bonding import Fragment
from esml.io.structure_checks import molecular_charge

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""

TRIES = 100_000
"""Assignments of bond orders that RDKit looks at before it gives up."""

GROUPS = {
    "*C": "methyl",
    "*CC": "ethyl",
    "*C(C)C": "isopropyl",
    "*C(C)(C)C": "tert-butyl",
    "*C*": "methylene",
    "*CC*": "ethylene bridge",
    "*C(F)(F)F": "trifluoromethyl",
    "*F": "fluoro",
    "*Cl": "chloro",
    "*Br": "bromo",
    "*I": "iodo",
    "*O": "hydroxy",
    "*[O-]": "oxido",
    "*O*": "ether O",
    "*OC": "methoxy",
    "*OCC": "ethoxy",
    "*N": "amino",
    "*[NH3+]": "ammonio",
    "*N*": "imino NH",
    "*NC": "methylamino",
    "*N(C)C": "dimethylamino",
    "*N(CC)CC": "diethylamino",
    "*N(*)*": "amine N",
    "*[N+](=O)[O-]": "nitro",
    "*N=O": "nitroso",
    "*N=N*": "azo",
    "*C#N": "cyano",
    "*[N+]#[C-]": "isocyano",
    "*N=C=O": "isocyanato",
    "*N=C=S": "isothiocyanato",
    "*N=[N+]=[N-]": "azido",
    "*C=O": "formyl",
    "*C(*)=O": "carbonyl",
    "*C(*)=S": "thiocarbonyl",
    "*C=C": "vinyl",
    "*C=C*": "vinylene",
    "*C(*)=C": "vinylidene",
    "*C#C": "ethynyl",
    "*C#C*": "ethynylene",
    "*C=N*": "azomethine",
    "*C=NC": "methyliminomethyl",
    "*S": "sulfanyl",
    "*S*": "thioether S",
    "*SC": "methylsulfanyl",
    "*S(*)(=O)=O": "sulfonyl",
    "*S(C)(=O)=O": "methylsulfonyl",
    "*S(*)=O": "sulfinyl",
    "*P(*)*": "phosphine P",
    "*B(*)*": "boryl",
    "*[Si](C)(C)C": "trimethylsilyl",
    "*c1ccccc1": "phenyl",
    "*c1ccc(*)cc1": "1,4-phenylene",
    "*c1cccc(*)c1": "1,3-phenylene",
    "*c1ccccc1*": "1,2-phenylene",
}
"""Groups by their SMILES, open ends as ``*``."""

RINGS = {
    "c1ccccc1": "benzene",
    "c1ccncc1": "pyridine",
    "c1ccnnc1": "pyridazine",
    "c1cncnc1": "pyrimidine",
    "c1cnccn1": "pyrazine",
    "c1ncncn1": "triazine",
    "c1nncnn1": "tetrazine",
    "c1cc[nH]c1": "pyrrole",
    "c1ccoc1": "furan",
    "c1ccsc1": "thiophene",
    "c1c[nH]cn1": "imidazole",
    "c1cn[nH]c1": "pyrazole",
    "c1cocn1": "oxazole",
    "c1cscn1": "thiazole",
    "c1nnco1": "oxadiazole",
    "c1nncs1": "thiadiazole",
    "c1c[nH]nn1": "triazole",
    "c1ccc2ccccc2c1": "naphthalene",
    "c1ccc2cc3ccccc3cc2c1": "anthracene",
    "c1ccc2c(c1)ccc1ccccc12": "phenanthrene",
    "c1cc2ccc3cccc4ccc(c1)c2c34": "pyrene",
    "c1ccc2c(c1)Cc1ccccc1-2": "fluorene",
    "c1ccc2[nH]ccc2c1": "indole",
    "c1ccc2occc2c1": "benzofuran",
    "c1ccc2sccc2c1": "benzothiophene",
    "c1ccc2[nH]cnc2c1": "benzimidazole",
    "c1ccc2ocnc2c1": "benzoxazole",
    "c1ccc2scnc2c1": "benzothiazole",
    "c1ccc2nsnc2c1": "benzothiadiazole",
    "c1ccc2ncccc2c1": "quinoline",
    "c1ccc2cnccc2c1": "isoquinoline",
    "c1ccc2nccnc2c1": "quinoxaline",
    "c1ccc2c(c1)[nH]c1ccccc12": "carbazole",
    "c1ccc2c(c1)oc1ccccc12": "dibenzofuran",
    "c1ccc2nc3ccccc3cc2c1": "acridine",
    "c1ccc2nc3ccccc3nc2c1": "phenazine",
    "c1ccc2c(c1)Nc1ccccc1S2": "phenothiazine",
    "c1ccc2c(c1)Nc1ccccc1O2": "phenoxazine",
    "O=c1ccc2ccccc2o1": "coumarin",
    "O=c1ccoc2ccccc12": "chromone",
    "O=C1C=CC(=O)C=C1": "quinone",
    "O=C1C=CC(=O)c2ccccc21": "naphthoquinone",
    "O=C1c2ccccc2C(=O)c2ccccc21": "anthraquinone",
    "O=C1C=CC(=O)N1": "maleimide",
    "C1CCCCC1": "cyclohexane",
    "C1CCCC1": "cyclopentane",
    "C1CC1": "cyclopropane",
    "C1CCNCC1": "piperidine",
    "C1CCNC1": "pyrrolidine",
    "C1COCCN1": "morpholine",
    "C1CNCCN1": "piperazine",
    "c1ccc2cccc-2cc1": "azulene",
}
"""Rings by the SMILES of the whole compound, whatever is bonded to them."""


def molecular_graph(atoms: Atoms, bonds: Sequence[tuple[int, int]]) -> Mol | None:
    """The RDKit molecule of ``atoms`` with these ``bonds``, in order and hydrogens among them.

    Bonds are single where RDKit finds no orders that fit the charge. None without RDKit.
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
    """Names of the ``fragments`` of ``mol``: ``phenyl``, ``nitro``, else the formula.

    Those that share a name are told apart by their first heavy atom (from 1): ``phenyl (C9)``.
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
    """What the group of ``atoms`` is called; empty if it is in no table."""
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
        except (ValueError, RuntimeError):  # what RDKit cannot interpret has no name
            return ""
    groups, rings = _tables()
    return groups.get(group) or rings.get(ring, "")


def _canonical(mol: Mol) -> str:
    from rdkit import Chem

    text = Chem.MolToSmiles(mol, isomericSmiles=False)
    whole = Chem.MolFromSmiles(text)
    return text if whole is None else str(Chem.MolToSmiles(whole))


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """``GROUPS`` and ``RINGS`` by canonical SMILES."""
    from rdkit import Chem

    return tuple(  # type: ignore[return-value]  # of two
        {_canonical(Chem.MolFromSmiles(smiles)): name for smiles, name in table.items()}
        for table in (GROUPS, RINGS)
    )
