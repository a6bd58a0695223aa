"""Families of dyes by chromophore, to sort tables of measured maxima.

A molecule belongs to the first family of ``FAMILIES`` whose pattern it contains, so larger
chromophores are listed before their parts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

FAMILIES = {
    "BODIPY and other B–N": "[B,b]~[N,n]",
    "porphyrin, pyrrole chain": "[#7]1~[#6]~[#6]~[#6]~[#6]~1~[#6]~[#6]1~[#7]~[#6]~[#6]~[#6]~1",
    "squaraine": "C1(=O)C(=*)C([O-,OH,O])=C1",
    "cyanine": "[#7;+]=,:[#6]~[#6]~[#6]~[#7]",
    "xanthene, oxazine, acridine": "[#6]1~[#6]~[#6]~[#6]2~[#6](~[#6]~1)~[#6,#7]~[#6]1~[#6]"
    "(~[#8,#7,#16,#14]~2)~[#6]~[#6]~[#6]~[#6]~1",
    "azo": "[#6]N=N[#6]",
    "imide, anhydride": "C(=O)[N,O]C(=O)",
    "quinone": "O=C1[#6]~[#6]C(=O)[#6]~[#6]1",
    "coumarin": "O=c1cc*2****c2o1",
    "stilbene, styryl": "c[CH]=[CH]c",
    "thiadiazole, selenadiazole": "n[s,se]n",
    "nitro": "[N+](=O)[O-]",
    "triarylamine, carbazole": "c[N,n](c)c",
    "thiophene": "c1ccsc1",
    "azole": "[n,o,s]1c[n]cc1",
    "azine": "n1aaaaa1",
    "polycyclic arene": "c1ccc2ccccc2c1",
    "benzene": "c1ccccc1",
}
"""Name → SMARTS."""

OTHER = "other"


@cache
def _patterns() -> dict[str, Any]:
    from rdkit import Chem

    return {name: Chem.MolFromSmarts(smarts) for name, smarts in FAMILIES.items()}


def family_of(smiles: str) -> str:
    """Return the family of a molecule; ``"other"`` if none fits or the SMILES cannot be read."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if smiles else None
    if molecule is None:
        return OTHER
    found = (name for name, each in _patterns().items() if molecule.HasSubstructMatch(each))
    return next(found, OTHER)
