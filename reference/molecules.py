"""What to sample: a seeded enumeration of small, mostly unsaturated molecules.

The space is built, not downloaded. A molecule is a *core* (a chromophore, a ring, a short chain)
whose hydrogen-bearing atoms carry zero, one or two *substituents*; a smaller share of saturated
cores with saturated substituents gives breadth. The products hold H C N O F S Cl only, are neutral
and closed-shell, have 2 to 9 heavy atoms, pass a filter against unstable groups, and are unique by
InChIKey. Stereochemistry is left open on purpose: one entry stands for all stereoisomers, the
conformer's seed draws one of them, and all fall into the same split.

Three guards keep the numbers honest:

* molecules of the external benchmark (``benchmark_inchikeys.txt``) are never enumerated, compared
  by connectivity (the first block of the InChIKey), so isomers in the stereochemical and
  mobile-hydrogen sense and charged forms are left out too;
* :func:`assign_split` depends on connectivity alone, so no two geometries or stereoisomers of a
  molecule are ever on two sides;
* whole cores (:data:`HELD_OUT`) occur in the test split only, which makes a "new scaffold" share;
  and :data:`EXTRAPOLATION` names larger molecules that are never enumerated.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from rdkit import Chem, RDLogger

from . import coverage
from .families import Family

RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]

Split = Literal["train", "validation", "test"]
Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""

SYMBOLS: Final = frozenset({"H", "C", "N", "O", "F", "S", "Cl"})
MAX_HEAVY: Final = 9

# --- building blocks ------------------------------------------------------------------------------

CHAINS: Final[dict[str, str]] = {
    "methane": "C",
    "ethane": "CC",
    "ethene": "C=C",
    "ethyne": "C#C",
    "propene": "CC=C",
    "allene": "C=C=C",
    "butatriene": "C=C=C=C",
    "butadiene": "C=CC=C",
    "enyne": "C=CC#C",
    "diyne": "C#CC#C",
    "hexatriene": "C=CC=CC=C",
    "dienyne": "C=CC=CC#C",
    "triyne": "C#CC#CC#C",
    "carbonyl": "C=O",
    "thiocarbonyl": "C=S",
    "sulfine": "C=S=O",
    "ketene": "C=C=O",
    "thioketene": "C=C=S",
    "vinylketene": "C=CC=C=O",
    "glyoxal": "O=CC=O",
    "dithioglyoxal": "S=CC=S",
    "thioglyoxal": "O=CC=S",
    "enone": "C=CC=O",
    "thioenone": "C=CC=S",
    "ynone": "C#CC=O",
    "ynethione": "C#CC=S",
    "dienone": "C=CC=CC=O",
    "divinyl_ketone": "C=CC(=O)C=C",
    "enedione": "O=CC=CC=O",
    "acid": "OC=O",
    "thioacid": "SC=O",
    "thionoacid": "OC=S",
    "dithioacid": "SC=S",
    "amide": "NC=O",
    "thioamide": "NC=S",
    "imide": "O=CNC=O",
    "urea": "NC(N)=O",
    "thiourea": "NC(N)=S",
    "nitrile": "C#N",
    "acrylonitrile": "C=CC#N",
    "malononitrile": "N#CCC#N",
    "cyanoformyl": "N#CC=O",
    "isocyanate": "N=C=O",
    "isothiocyanate": "N=C=S",
    "carbodiimide": "N=C=N",
    "ketenimine": "C=C=N",
    "imine": "C=N",
    "azadiene_1": "C=CC=N",
    "azadiene_2": "C=CN=C",
    "azine": "C=NN=C",
    "diimine": "N=CC=N",
    "iminoketone": "N=CC=O",
    "azoalkene": "C=CN=N",
    "azo": "N=N",
    "oxime": "C=NO",
    "hydrazone": "C=NN",
    "amidine": "NC=N",
    "guanidine": "NC(N)=N",
    "nitrone": "C=[NH+][O-]",
    "nitroso": "N=O",
    "nitrosamine": "NN=O",
    "nitrosoethene": "C=CN=O",
    "nitro": "C[N+](=O)[O-]",
    "nitroethene": "C=C[N+](=O)[O-]",
    "nitrite": "CON=O",
    "nitrate": "CO[N+](=O)[O-]",
    "diazo": "C=[N+]=[N-]",
    "azide": "N=[N+]=[N-]",
    "sulfoxide": "CS(C)=O",
    "sulfone": "CS(C)(=O)=O",
    "sulfinylamine": "N=S=O",
    "disulfide": "CSSC",
    "enamine": "NC=C",
    "enol": "OC=C",
    "vinylogous_amide": "NC=CC=O",
    "vinylogous_acid": "OC=CC=O",
    "aminoacrylonitrile": "NC=CC#N",
    "nitroenamine": "NC=C[N+](=O)[O-]",
    "merocyanine": "NC=CC=CC=O",
}
"""Open-chain chromophores (name: SMILES)."""

RINGS: Final[dict[str, str]] = {
    "cyclopropene": "C1=CC1",
    "cyclopropenone": "O=C1C=C1",
    "methylenecyclopropene": "C=C1C=C1",
    "methylenecyclopropane": "C=C1CC1",
    "cyclopropanone": "O=C1CC1",
    "azirine": "C1=NC1",
    "diazirine": "C1N=N1",
    "cyclobutene": "C1=CCC1",
    "cyclobutenone": "O=C1C=CC1",
    "cyclobutenedione": "O=C1C=CC1=O",
    "cyclobutanone": "O=C1CCC1",
    "azetinone": "O=C1CCN1",
    "cyclopentene": "C1=CCCC1",
    "cyclopentadiene": "C1=CCC=C1",
    "cyclopentadienone": "O=C1C=CC=C1",
    "cyclopentadienethione": "S=C1C=CC=C1",
    "fulvene": "C=C1C=CC=C1",
    "cyclopentenone": "O=C1C=CCC1",
    "cyclopentanone": "O=C1CCCC1",
    "furan": "c1ccoc1",
    "pyrrole": "c1cc[nH]c1",
    "thiophene": "c1ccsc1",
    "imidazole": "c1c[nH]cn1",
    "pyrazole": "c1cc[nH]n1",
    "oxazole": "c1cocn1",
    "thiazole": "c1cscn1",
    "isoxazole": "c1cnoc1",
    "isothiazole": "c1cnsc1",
    "triazole_123": "c1c[nH]nn1",
    "triazole_124": "c1nc[nH]n1",
    "tetrazole": "c1nn[nH]n1",
    "oxadiazole_134": "c1nnco1",
    "oxadiazole_125": "c1cnon1",
    "thiadiazole_134": "c1nncs1",
    "thiadiazole_125": "c1cnsn1",
    "pyrroline_1": "C1=NCCC1",
    "pyrroline_3": "C1=CCNC1",
    "dihydrofuran": "C1=COCC1",
    "oxazoline": "C1=NCCO1",
    "imidazoline": "C1=NCCN1",
    "pyrazoline": "C1=NNCC1",
    "dioxole": "C1=COCO1",
    "dithiolethione": "S=C1SC=CS1",
    "vinylene_carbonate": "O=C1OC=CO1",
    "imidazolone": "O=C1NC=CN1",
    "furanone": "O=C1C=CCO1",
    "furanone_3": "O=C1C=COC1",
    "pyrrolone": "O=C1C=CCN1",
    "maleimide": "O=C1C=CC(=O)N1",
    "maleic_anhydride": "O=C1C=CC(=O)O1",
    "succinimide": "O=C1CCC(=O)N1",
    "lactone": "O=C1CCCO1",
    "lactam": "O=C1CCCN1",
    "benzene": "c1ccccc1",
    "pyridine": "c1ccncc1",
    "pyridazine": "c1ccnnc1",
    "pyrimidine": "c1cncnc1",
    "pyrazine": "c1cnccn1",
    "triazine_135": "c1ncncn1",
    "triazine_124": "c1cnncn1",
    "tetrazine": "c1nncnn1",
    "pyridine_oxide": "[O-][n+]1ccccc1",
    "pyridone_2": "O=c1cccc[nH]1",
    "pyridone_4": "O=c1cc[nH]cc1",
    "pyrimidinone_2": "O=c1nccc[nH]1",
    "pyrimidinone_4": "O=c1ccnc[nH]1",
    "pyridazinone": "O=c1cccn[nH]1",
    "uracil": "O=c1cc[nH]c(=O)[nH]1",
    "cytosine": "Nc1cc[nH]c(=O)n1",
    "thiouracil": "S=c1[nH]ccc(=O)[nH]1",
    "pyran_2": "C1=CCOC=C1",
    "pyran_4": "C1=COC=CC1",
    "pyranone_2": "O=c1cccco1",
    "pyranone_4": "O=c1ccocc1",
    "thiopyranone": "O=c1ccscc1",
    "pyranthione": "S=c1ccocc1",
    "dihydropyridine": "C1=CNC=CC1",
    "dioxin": "C1=COC=CO1",
    "dithiin": "C1=CSC=CS1",
    "cyclohexene": "C1=CCCCC1",
    "cyclohexadiene_13": "C1=CCCC=C1",
    "cyclohexadiene_14": "C1=CCC=CC1",
    "cyclohexenone": "O=C1C=CCCC1",
    "cyclohexadienone_24": "O=C1C=CC=CC1",
    "cyclohexadienone_25": "O=C1C=CCC=C1",
    "quinone_para": "O=C1C=CC(=O)C=C1",
    "quinone_ortho": "O=C1C=CC=CC1=O",
    "quinone_methide": "C=C1C=CC(=O)C=C1",
    "quinodimethane": "C=C1C=CC(=C)C=C1",
    "quinone_imine": "N=C1C=CC(=O)C=C1",
    "cycloheptatriene": "C1=CC=CCC=C1",
    "tropone": "O=c1cccccc1",
    "heptafulvene": "C=C1C=CC=CC=C1",
    "azepine": "C1=CC=CNC=C1",
    "norbornadiene": "C1=CC2C=CC1C2",
}
"""Single rings, aromatic or conjugated (name: SMILES)."""

FUSED: Final[dict[str, str]] = {
    "styrene": "C=Cc1ccccc1",
    "phenylacetylene": "C#Cc1ccccc1",
    "benzaldehyde": "O=Cc1ccccc1",
    "thiobenzaldehyde": "S=Cc1ccccc1",
    "nitrosobenzene": "O=Nc1ccccc1",
    "benzonitrile": "N#Cc1ccccc1",
    "indole": "c1ccc2[nH]ccc2c1",
    "benzofuran": "c1ccc2occc2c1",
    "benzothiophene": "c1ccc2sccc2c1",
    "indazole": "c1ccc2[nH]ncc2c1",
    "benzimidazole": "c1ccc2[nH]cnc2c1",
    "benzoxazole": "c1ccc2ocnc2c1",
    "benzothiazole": "c1ccc2scnc2c1",
    "benzisoxazole": "c1ccc2oncc2c1",
    "benzotriazole": "c1ccc2[nH]nnc2c1",
    "anthranil": "c1ccc2nocc2c1",
    "indene": "C1=Cc2ccccc2C1",
    "indolizine": "c1ccn2cccc2c1",
    "imidazopyridine": "c1ccn2ccnc2c1",
    "pyrazolopyridine": "c1ccn2nccc2c1",
    "azaindole": "c1cnc2[nH]ccc2c1",
    "purine": "c1ncc2nc[nH]c2n1",
    "furopyridine": "c1cnc2occc2c1",
    "thienopyridine": "c1cnc2sccc2c1",
    "thienofuran": "c1cc2occc2s1",
    "thienopyrrole": "c1cc2[nH]ccc2s1",
    "furopyrrole": "c1cc2[nH]ccc2o1",
    "thienothiophene_23": "c1cc2ccsc2s1",
    "pyrrolizine": "C1=Cc2cccn2C1",
    "pyrrolopyrazole": "c1cc2cn[nH]c2[nH]1",
    "imidazothiazole": "c1cn2ccsc2n1",
    "cyclooctatetraene": "C1=CC=CC=CC=C1",
}
"""Fused rings and aromatic cores of 8 or 9 heavy atoms (name: SMILES)."""

SATURATED: Final[dict[str, str]] = {
    "alkane_1": "C",
    "alkane_2": "CC",
    "alkane_3": "CCC",
    "alkane_4": "CCCC",
    "isobutane": "CC(C)C",
    "alkane_5": "CCCCC",
    "neopentane": "CC(C)(C)C",
    "methanol": "CO",
    "methylamine": "CN",
    "methanethiol": "CS",
    "ether": "COC",
    "ethyl_ether": "CCOC",
    "sulfide": "CSC",
    "amine_2": "CNC",
    "amine_3": "CN(C)C",
    "hydrazine": "NN",
    "hydroxylamine": "NO",
    "acetal": "COCOC",
    "cyclopropane": "C1CC1",
    "cyclobutane": "C1CCC1",
    "cyclopentane": "C1CCCC1",
    "cyclohexane": "C1CCCCC1",
    "oxirane": "C1CO1",
    "aziridine": "C1CN1",
    "thiirane": "C1CS1",
    "oxetane": "C1COC1",
    "azetidine": "C1CNC1",
    "thietane": "C1CSC1",
    "oxolane": "C1CCOC1",
    "pyrrolidine": "C1CCNC1",
    "thiolane": "C1CCSC1",
    "dioxolane": "C1COCO1",
    "oxane": "C1CCOCC1",
    "piperidine": "C1CCNCC1",
    "morpholine": "C1COCCN1",
    "dioxane": "C1COCCO1",
    "bicyclobutane": "C1C2CC12",
    "bicyclopentane": "C1C2CC1C2",
    "spiropentane": "C1CC12CC2",
    "norbornane": "C1CC2CCC1C2",
}
"""Saturated cores (name: SMILES); they take saturated substituents only."""

SMALL_SUBSTITUENTS: Final = ("C", "N", "O", "F", "Cl", "S", "C=O", "C#N", "C=C", "C#C")
"""Substituents that combine in pairs on every core; the first atom binds."""

SUBSTITUENTS: Final = (
    *SMALL_SUBSTITUENTS,
    *("CC", "NC", "N(C)C", "OC", "SC", "C(C)C", "C1CC1", "C(F)(F)F"),
    *("C(C)=O", "C(=O)O", "C(N)=O", "C(=O)OC", "C(F)=O", "C(Cl)=O", "C=S", "C(C)=S", "C(N)=S"),
    *("[N+](=O)[O-]", "N=O", "[N+]#[C-]", "N=C=O", "N=C=S", "N=[N+]=[N-]", "SC#N", "NC#N"),
    *("C=N", "C=NO", "C=NC", "N=C", "N=NC", "NC=O", "OC=O", "OC=C", "SC=C", "NN"),
    *("C=CC", "C(C)=C", "C#CC", "C=C=C", "C=CF", "C=CC#N", "C=CC=O", "CC#N", "CC=O", "CC=C"),
    *("S(C)=O", "S(C)(=O)=O", "C=C=O", "C=CN", "C=CO", "C(=O)C=O", "C(=O)C=C", "C(=O)C#C"),
    *("c1ccccc1", "c1ccco1", "c1cccs1", "c1ccc[nH]1", "c1ccncc1", "c1ccccn1", "n1cccc1"),
)
"""All substituents, by SMILES; the first atom binds."""

SATURATED_SUBSTITUENTS: Final = (
    *("C", "CC", "C(C)C", "C(C)(C)C", "C1CC1", "O", "OC", "OCC", "N", "NC", "N(C)C"),
    *("F", "Cl", "S", "SC", "CF", "CCl", "C(F)F", "C(F)(F)F", "CO", "CN", "CS", "CCO", "COC"),
)

UNSTABLE: Final[dict[str, str]] = {
    "peroxide": "[OX2][OX2]",
    "oxygen on divalent sulfur": "[OX2][SX2]",
    "polysulfide": "[SX2][SX2][SX2]",
    "hydrogen disulfide": "[SX2;!H0][SX2]",
    "N-halogen": "[#7][F,Cl]",
    "O-halogen": "[#8][F,Cl]",
    "S-halogen": "[#16][F,Cl]",
    "chain of three nitrogens": "[#7;!a;!$([#7]~[#7+]~[#7])]~[#7;!a;!$([#7+])]~[#7;!a]",
    "azide on a heteroatom": "[!#6;!#1]-[NX2]=[N+]=[N-]",
    "two azides or diazo groups": "[N+]=[N-].[N+]=[N-]",
    "sulfur on nitrogen": "[SX2;!a]-[#7]",
    "nitrogen between oxygens": "[OX2][NX3][OX2]",
    "N-oxygen chain": "[OX2][NX3][NX3,NX2]",
    "O-O through nitrogen": "[OX2H][NX2]=O",
    "azo on a heteroatom": "[NX2;!a]([#7,#8,#16])=[NX2;!a]",
    "geminal diol and kin": "[CX4]([OX2H,SX2H,NX3;!H0])[OX2H,SX2H,NX3;!H0]",
    "alpha-halo alcohol or amine": "[CX4]([F,Cl])[OX2H,SX2H,NX3;!H0]",
    "alpha-hydroxy ether or amine": "[CX4]([OX2H,SX2H])[OX2,NX3,SX2]",
    "carbonic acid": "[CX3](=[O,S])([OX2H,SX2H])[OX2H,SX2H,F,Cl]",
    "orthoacid": "[CX4]([#7,#8,#16])([#7,#8,#16])[#7,#8,#16]",
    "ynol": "C#C[OX2H,SX2H,NX3;!H0]",
    "fluoroalkyne": "C#C[F]",
    "cyanate, fulminate": "[OX2]C#N",
    "hydroxy or amino isocyanate": "[OX2,SX2,NX3,F,Cl]N=C=[O,S]",
    "isocyanide on a heteroatom": "[!#6;!#1][N+]#[C-]",
    "nitroso on a heteroatom other than N or O": "[S,F,Cl]N=O",
    "two nitrogen oxides": "[NX2,NX3+](=O)[NX2,NX3+]=O",
    "two nitroso groups": "[NX2;!a]=O.[NX2;!a]=O",
    "anhydride of nitrogen acids": "O=[N,N+]O[N,N+]=O",
    "acyl nitrite or nitrate": "O=C[OX2][N,N+]=O",
    "hetero-substituted ketene": "[F,Cl,OX2H,SX2H]C=C=[O,S]",
    "hetero-substituted diazo": "[#7,#8,#16,F,Cl]C=[N+]=[N-]",
    "hetero-substituted sulfinylamine": "[#7,#8,#16,F,Cl]N=S=O",
    "O-acyl hydroxylamine": "[NX3H2][OX2]C=O",
    "heteroatom on nitrone": "[#7,#8,#16,F,Cl;!a]-[N+;!a](=[#6])[O-]",
    "heteroatom chain": "[#7,#8,#16;!a;X2,X3]-[#7,#8,#16;!a]-[#7,#8,#16;!a;X2,X3]",
    "allenol": "[OX2H,SX2H]C=C=C",
}
"""Unstable or absurd groups (what it is: SMARTS); a molecule that matches any is left out."""

HELD_OUT: Final[dict[str, str]] = {
    "isoxazole": "c1cnoc1",
    "1,3,4-thiadiazole": "c1nncs1",
    "fulvene": "[#6]=[#6]1[#6]=[#6][#6]=[#6]1",
    "cyclobutenedione": "O=[#6]1~[#6]~[#6]~[#6]1=O",
    "1,2,4-triazine": "c1cnncn1",
    "tropone": "O=c1cccccc1",
    "azine": "[#6;!a]=[N;!a]-[N;!a]=[#6;!a]",
    "thioketene": "C=C=S",
    "indolizine": "c1ccn2cccc2c1",
}
"""Cores of the test split only (name: SMARTS): no molecule that contains one is trained on."""

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
"""Default share of each heavy-atom count in a sample, as long as its molecules last."""

SATURATED_SHARE: Final = 0.15
"""Share of saturated molecules in a sample, as long as they last."""

SINGLE_KEPT: Final[dict[int, float]] = {8: 0.5, 9: 0.3}
"""Fraction kept of the singly substituted products of a heavy-atom count (the smaller: all)."""

DOUBLE_KEPT: Final[dict[int, float]] = {6: 0.3, 7: 0.04, 8: 0.01, 9: 0.003}
"""The same for doubly substituted products of cores of up to four atoms."""

CORE_BONUS: Final[dict[int, float]] = {5: 4.0, 6: 10.0, 7: 10.0, 8: 10.0}
"""How many times more of the doubly substituted products of larger cores are kept."""

TRAIN_SHARE: Final = 0.83
VALIDATION_SHARE: Final = 0.08
"""Of the molecules without a held-out core; the rest and all held-out cores make the test split."""


# --- molecules ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Molecule:
    """One molecule of the reference space, up to stereochemistry.

    ``smiles`` is RDKit's canonical SMILES, ``name`` the same string, ``scaffold`` the core it was
    built on, ``n_heavy`` the number of atoms other than hydrogen.
    """

    smiles: str
    inchikey: str
    name: str
    scaffold: str
    n_heavy: int

    @property
    def connectivity(self) -> str:
        """First block of the InChIKey: the same for stereoisomers, tautomers InChI merges, ions."""
        return self.inchikey[:14]


def fraction(*words: object) -> float:
    """A number in [0, 1), uniform and reproducible: a hash of ``words``."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def parse(smiles: str) -> Mol:
    """An RDKit molecule from ``smiles``; raises ValueError, naming the string, if it is not one."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ValueError(f"'{smiles}' is not a valid SMILES string.")
    return mol


def _inchikey(mol: Mol) -> str:
    """InChIKey of ``mol``, empty if it has none."""
    return str(Chem.MolToInchiKey(mol))


def molecule_from_smiles(smiles: str, name: str | None = None) -> Molecule:
    """A :class:`Molecule` of one's own, outside the enumeration (scaffold ``"named"``)."""
    mol = parse(smiles)
    canonical = Chem.MolToSmiles(mol)
    return Molecule(
        smiles=canonical,
        inchikey=_inchikey(mol),
        name=canonical if name is None else name,
        scaffold="named",
        n_heavy=mol.GetNumHeavyAtoms(),
    )


@cache
def benchmark_connectivities() -> frozenset[str]:
    """First InChIKey blocks of the molecules no training set may hold."""
    lines = (Path(__file__).parent / "benchmark_inchikeys.txt").read_text().splitlines()
    return frozenset(line[:14] for line in lines if line and not line.startswith("#"))


@cache
def _patterns(which: str) -> dict[str, Mol]:
    """Compiled SMARTS of ``UNSTABLE`` or ``HELD_OUT``."""
    held_out = HELD_OUT | coverage.held_out_patterns()
    source = {"unstable": UNSTABLE, "held_out": held_out}[which]
    return {name: Chem.MolFromSmarts(smarts) for name, smarts in source.items()}


def unstable_group(mol: Mol) -> str | None:
    """The first group of :data:`UNSTABLE` that ``mol`` carries, or None."""
    for name, pattern in _patterns("unstable").items():
        if mol.HasSubstructMatch(pattern):
            return name
    return None


def held_out_core(molecule: Molecule) -> str | None:
    """The first core of :data:`HELD_OUT` or held-out group of the coverage inside ``molecule``."""
    mol = parse(molecule.smiles)
    for name, pattern in _patterns("held_out").items():
        if mol.HasSubstructMatch(pattern):
            return name
    return None


# --- enumeration ----------------------------------------------------------------------------------


def _open_atoms(mol: Mol, n_core: int) -> list[int]:
    """Atoms of the core (the first ``n_core``) that carry hydrogen, one per symmetry class."""
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    found: dict[int, int] = {}
    for index in range(n_core):
        if mol.GetAtomWithIdx(index).GetTotalNumHs() > 0:
            found.setdefault(ranks[index], index)
    return sorted(found.values())


def _attach(mol: Mol, position: int, substituent: Mol) -> Mol | None:
    """``mol`` with a hydrogen of atom ``position`` replaced by ``substituent``, or None."""
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
    """The core itself and its singly and doubly substituted products up to ``max_heavy``.

    Large products are thinned, by a hash of how they are made, before they are built: there would
    be more than can be told apart in a reasonable time.
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
    """Neutral, closed-shell, of the supported elements, with no unstable group."""
    if Chem.GetFormalCharge(mol) != 0:
        return False
    for atom in mol.GetAtoms():
        if atom.GetSymbol() not in SYMBOLS or atom.GetNumRadicalElectrons():
            return False
    return unstable_group(mol) is None


@cache
def _enumerate(max_heavy: int) -> tuple[Molecule, ...]:
    # Larger cores first, so that a molecule two cores lead to belongs to the more telling one.
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
        inchikey = _inchikey(mol)
        if inchikey and inchikey[:14] not in benchmark_connectivities():
            found = Molecule(smiles, inchikey, smiles, scaffold, mol.GetNumHeavyAtoms())
            molecules.setdefault(inchikey, found)
    return tuple(sorted(molecules.values(), key=lambda m: (m.n_heavy, m.smiles)))


def enumerate_molecules(max_heavy: int = MAX_HEAVY) -> list[Molecule]:
    """All molecules of the space with 2 to ``max_heavy`` heavy atoms, sorted by size and SMILES.

    The list for a smaller ``max_heavy`` is the beginning of that for a larger one. Raises
    ValueError for a ``max_heavy`` outside 2 to 9.
    """
    if not 2 <= max_heavy <= MAX_HEAVY:
        raise ValueError(f"max_heavy must be between 2 and {MAX_HEAVY}, not {max_heavy}.")
    return list(_enumerate(max_heavy))


# --- sampling -------------------------------------------------------------------------------------

_BENZENOID = Chem.MolFromSmarts("a1aaaaa1")
_CONJUGATED = frozenset({Chem.HybridizationType.SP, Chem.HybridizationType.SP2})


def _weights(molecules: list[Molecule], size_weights: Mapping[int, float]) -> list[float]:
    """Sampling weights: by size and family, and within them evenly between scaffolds' square roots.

    A scaffold with k molecules of one size gets a share proportional to sqrt(k), so that ethene,
    say, with its many products does not crowd out the rare cores.
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
    """Whether ``molecule`` is of ``family``. Raises ValueError for one that is not there."""
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
    """``n`` distinct molecules (None: all) drawn without replacement, in the order drawn.

    With ``family`` only molecules of it.

    Molecule m with weight w_m gets the key -ln(u_m) / w_m, u_m a hash of the seed and its InChIKey,
    and the smallest keys win (Efraimidis and Spirakis, Inf. Process. Lett. 97, 181 (2006)). So a
    sample is the beginning of every longer one with the same seed: a set can grow. Raises
    ValueError if the space holds fewer than ``n`` molecules of positive weight.
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


def assign_split(molecule: Molecule) -> Split:
    """The split of a molecule, the same on every machine and for every set.

    Hashed from the connectivity block of the InChIKey, so stereoisomers and tautomers that InChI
    merges go together; a Murcko scaffold would be too coarse a key here (it puts all benzenes in
    one split). Molecules with a core of :data:`HELD_OUT`, those of the external benchmark and
    those of :data:`EXTRAPOLATION` are always ``"test"``. Of the others 83 % are ``"train"``, 8 %
    ``"validation"``, 9 % ``"test"``.
    """
    if molecule.connectivity in benchmark_connectivities() | extrapolation_connectivities():
        return "test"
    if held_out_core(molecule) is not None:
        return "test"
    u = fraction("split", molecule.connectivity)
    if u < TRAIN_SHARE:
        return "train"
    return "validation" if u < TRAIN_SHARE + VALIDATION_SHARE else "test"


# --- larger molecules, for extrapolation only -----------------------------------------------------


def _polyene(n_carbons: int) -> tuple[str, str]:
    """Name and SMILES of the all-trans polyene with ``n_carbons`` carbons."""
    return f"polyene-C{n_carbons}", "C=C" + "/C=C" * (n_carbons // 2 - 1)


EXTRAPOLATION: Final[tuple[tuple[str, str], ...]] = (
    *(_polyene(n) for n in (10, 12, 14, 16, 18, 20)),
    # polycyclic hydrocarbons
    ("naphthalene", "c1ccc2ccccc2c1"),
    ("azulene", "c1ccc2cccc-2cc1"),
    ("anthracene", "c1ccc2cc3ccccc3cc2c1"),
    ("tetracene", "c1ccc2cc3cc4ccccc4cc3cc2c1"),
    ("pentacene", "c1ccc2cc3cc4cc5ccccc5cc4cc3cc2c1"),
    ("phenanthrene", "c1ccc2c(c1)ccc1ccccc12"),
    ("pyrene", "c1cc2ccc3cccc4ccc(c1)c2c34"),
    ("fluorene", "c1ccc2c(c1)Cc1ccccc1-2"),
    ("1-methylazulene", "Cc1ccc2cccccc1-2"),
    ("azulene-1-carbaldehyde", "O=Cc1ccc2cccccc1-2"),
    # linked rings
    ("biphenyl", "c1ccc(-c2ccccc2)cc1"),
    ("p-terphenyl", "c1ccc(-c2ccc(-c3ccccc3)cc2)cc1"),
    ("trans-stilbene", "C(=C/c1ccccc1)\\c1ccccc1"),
    ("cis-stilbene", "C(=C\\c1ccccc1)\\c1ccccc1"),
    ("diphenylacetylene", "C(#Cc1ccccc1)c1ccccc1"),
    ("1,4-diphenylbutadiene", "C(/C=C/c1ccccc1)=C\\c1ccccc1"),
    ("trans-azobenzene", "c1ccc(/N=N/c2ccccc2)cc1"),
    ("cis-azobenzene", "c1ccc(/N=N\\c2ccccc2)cc1"),
    ("benzylideneaniline", "C(=N/c1ccccc1)\\c1ccccc1"),
    ("bithiophene", "c1csc(-c2cccs2)c1"),
    ("terthiophene", "c1csc(-c2ccc(-c3cccs3)s2)c1"),
    ("1,2-dithienylethene", "C(=C/c1cccs1)\\c1cccs1"),
    ("2,2'-bipyridine", "c1ccc(-c2ccccn2)nc1"),
    ("N-phenylpyrrole", "c1ccc(-n2cccc2)cc1"),
    # heterocycles
    ("quinoline", "c1ccc2ncccc2c1"),
    ("isoquinoline", "c1ccc2cnccc2c1"),
    ("acridine", "c1ccc2nc3ccccc3cc2c1"),
    ("phenazine", "c1ccc2nc3ccccc3nc2c1"),
    ("3-methylindole", "Cc1c[nH]c2ccccc12"),
    ("carbazole", "c1ccc2c(c1)[nH]c1ccccc12"),
    ("dibenzofuran", "c1ccc2c(c1)oc1ccccc12"),
    ("dibenzothiophene", "c1ccc2c(c1)sc1ccccc12"),
    ("phenothiazine", "c1ccc2c(c1)Nc1ccccc1S2"),
    ("alloxazine", "O=c1[nH]c(=O)c2nc3ccccc3nc2[nH]1"),
    ("porphine", "C1=Cc2cc3ccc(cc4nc(cc5ccc(cc1n2)[nH]5)C=C4)[nH]3"),
    # relatives of the nucleobases
    ("9-methyladenine", "Cn1cnc2c(N)ncnc21"),
    ("9-methylguanine", "Cn1cnc2c(=O)[nH]c(N)nc21"),
    ("1-methylthymine", "Cc1cn(C)c(=O)[nH]c1=O"),
    ("caffeine", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"),
    # carbonyls and quinones
    ("cinnamaldehyde", "O=C/C=C/c1ccccc1"),
    ("benzophenone", "O=C(c1ccccc1)c1ccccc1"),
    ("fluorenone", "O=C1c2ccccc2-c2ccccc21"),
    ("1,4-naphthoquinone", "O=C1C=CC(=O)c2ccccc21"),
    ("2-chloro-1,4-naphthoquinone", "O=C1C=C(Cl)C(=O)c2ccccc21"),
    ("9,10-anthraquinone", "O=C1c2ccccc2C(=O)c2ccccc21"),
    ("coumarin", "O=c1ccc2ccccc2o1"),
    ("7-amino-4-methylcoumarin", "Cc1cc(=O)oc2cc(N)ccc12"),
    ("chromone", "O=c1ccoc2ccccc12"),
    ("flavone", "O=c1cc(-c2ccccc2)oc2ccccc12"),
    ("indigo", "O=C1/C(=C2\\Nc3ccccc3C2=O)Nc2ccccc21"),
    ("indigo core", "O=C1C=CN/C1=C1/NC=CC1=O"),
    ("retinal", "CC1=C(/C=C/C(C)=C/C=C/C(C)=C/C=O)C(C)(C)CCC1"),
    # push-pull dyes
    ("2-nitroaniline", "Nc1ccccc1[N+](=O)[O-]"),
    ("N,N-dimethyl-4-nitroaniline", "CN(C)c1ccc([N+](=O)[O-])cc1"),
    ("4-amino-4'-nitrobiphenyl", "Nc1ccc(-c2ccc([N+](=O)[O-])cc2)cc1"),
    ("4-amino-4'-nitrostilbene", "Nc1ccc(/C=C/c2ccc([N+](=O)[O-])cc2)cc1"),
    ("DMABN", "CN(C)c1ccc(C#N)cc1"),
    ("4-(dimethylamino)benzaldehyde", "CN(C)c1ccc(C=O)cc1"),
    ("4-aminobenzylidenemalononitrile", "N#CC(C#N)=Cc1ccc(N)cc1"),
    ("4-aminoazobenzene", "Nc1ccc(/N=N/c2ccccc2)cc1"),
    ("merocyanine-C7", "CN(C)/C=C/C=C/C=C/C=O"),
    ("TCNQ", "N#CC(C#N)=C1C=CC(=C(C#N)C#N)C=C1"),
    # halogens
    ("1-fluoronaphthalene", "Fc1cccc2ccccc12"),
    ("9,10-dichloroanthracene", "Clc1c2ccccc2c(Cl)c2ccccc12"),
)
"""Larger molecules (name, SMILES), 10 to 24 heavy atoms: for testing transfer, never sampled."""


@cache
def extrapolation_molecules() -> tuple[Molecule, ...]:
    """:data:`EXTRAPOLATION` as molecules, under their names (scaffold ``"named"``)."""
    return tuple(molecule_from_smiles(smiles, name) for name, smiles in EXTRAPOLATION)


@cache
def coverage_molecules() -> tuple[Molecule, ...]:
    """The molecules of ``coverage.csv`` in the order of ``coverage.interleaved``.

    Their scaffold is the name of their group.
    """
    return tuple(
        replace(molecule_from_smiles(smiles), scaffold=group.name)
        for smiles, group in coverage.interleaved()
    )


@cache
def extrapolation_connectivities() -> frozenset[str]:
    """First InChIKey blocks of :data:`EXTRAPOLATION`."""
    return frozenset(molecule.connectivity for molecule in extrapolation_molecules())
