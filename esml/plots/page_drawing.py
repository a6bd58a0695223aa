"""The structural formula of a molecule, and what chemists call its fragments; both with RDKit.

The graph is that of the model's density (``Result.bonding``): its bonds, to which RDKit assigns
orders. A fragment is cut out with open ends (``*c1ccccc1``) and looked up among the groups and
rings below; what is not there keeps its formula.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from esml.analysis.characters import Character
from esml.io.structure_checks import molecular_charge
from esml.typing import MULTIPLICITIES, Multiplicity

if TYPE_CHECKING:
    from esml.results import Result

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""

TRIES = 100_000
"""Assignments of bond orders that RDKit looks at before it gives up."""

COLOURS = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#b07aa1",
    "#c9a227",
    "#76b7b2",
    "#e15759",
    "#9c755f",
)
"""Colours of fragments, in their order, from the first again after the last."""

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


def molecular_graph(result: Result) -> Mol | None:
    """The RDKit molecule of ``result``, atoms in order and hydrogens among them.

    Bonds are single where RDKit finds no orders that fit the charge. None without RDKit.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDetermineBonds
    except ImportError:
        return None
    drawn = Chem.RWMol()
    for k, number in enumerate(result.atoms.numbers):
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        atom.SetIntProp("number", k + 1)
        drawn.AddAtom(atom)
    for a, b in result.bonding.bonds:
        drawn.AddBond(a, b, Chem.BondType.SINGLE)
    plain = drawn.GetMol()
    mol = Chem.Mol(plain)
    charge = molecular_charge(result.atoms)
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


def named_characters(result: Result, mol: Mol | None) -> dict[Multiplicity, list[Character]]:
    """Characters of the states by multiplicity, under the ``fragment_names``.

    Raises as ``Result.characters``.
    """
    names = fragment_names(result, mol)
    return {
        each: [found.renamed(names) for found in result.characters(each)] for each in MULTIPLICITIES
    }


def fragment_names(result: Result, mol: Mol | None) -> list[str]:
    """Names of the fragments of ``result.bonding``: ``phenyl``, ``nitro``, else the formula.

    Those that share a name are told apart by their first heavy atom (from 1): ``phenyl (C9)``.
    """
    fragments = result.bonding.fragments
    if mol is None:
        return [fragment.name for fragment in fragments]
    found = [_name(mol, fragment.atoms) for fragment in fragments]
    shared = Counter(found)
    names = []
    for name, fragment in zip(found, fragments, strict=True):
        if not name:
            names.append(fragment.name)
            continue
        symbols = result.atoms.symbols
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


def colour_of(fragment: int) -> str:
    """Colour of a fragment, by its place."""
    return COLOURS[fragment % len(COLOURS)]


def drawing(result: Result, mol: Mol) -> str:
    """The structural formula as SVG: atoms numbered from 1 as in the input, fragments coloured.

    Hydrogens bonded to other elements are not drawn. Black is ``currentColor``.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    place = {a: k for k, part in enumerate(result.bonding.fragments) for a in part.atoms}
    with rdBase.BlockLogs():
        flat = Chem.RemoveHs(mol, sanitize=False)
        rdDepictor.Compute2DCoords(flat)
        of: dict[int, int] = {}
        for atom in flat.GetAtoms():
            atom.SetProp("atomNote", str(atom.GetIntProp("number")))
            of[atom.GetIdx()] = place[atom.GetIntProp("number") - 1]
        shades = {k: _shade(colour_of(part)) for k, part in of.items()}
        bonds = {
            bond.GetIdx(): shades[bond.GetBeginAtomIdx()]
            for bond in flat.GetBonds()
            if of[bond.GetBeginAtomIdx()] == of[bond.GetEndAtomIdx()]
        }
        drawer = rdMolDraw2D.MolDraw2DSVG(460, 320)
        options: Any = drawer.drawOptions()
        options.clearBackground = False
        options.annotationFontScale = 0.6
        options.bondLineWidth = 2
        options.useBWAtomPalette()
        # Orders of bonds are as found; rings are drawn with alternating ones.
        ready = rdMolDraw2D.PrepareMolForDrawing(
            flat, kekulize=_has_orders(flat), addChiralHs=False
        )
        options.prepareMolsBeforeDrawing = False
        drawer.DrawMolecule(
            ready,
            highlightAtoms=list(shades),
            highlightAtomColors=shades,
            highlightBonds=list(bonds),
            highlightBondColors=bonds,
        )
        drawer.FinishDrawing()
    text = str(drawer.GetDrawingText())
    svg = text[text.index("<svg") :]
    return svg.replace("#000000", "currentColor")


def _has_orders(mol: Mol) -> bool:
    return any(bond.GetBondTypeAsDouble() > 1.0 for bond in mol.GetBonds())


def _shade(colour: str) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255.0 for k in (1, 3, 5))
    return red, green, blue, 0.42
