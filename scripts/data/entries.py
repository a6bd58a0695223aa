"""Data of the committed records and their molecules for the data card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from rdkit import Chem

from esml.io.records import Record, iterate

ENDS = (6.0, 8.0)
"""Upper ends (eV) of the spectra that are examined."""
LARGEST_SAMPLED = 9
"""Largest number of heavy atoms in the sample; larger molecules test extrapolation."""

GROUPS = {
    "C=C outside aromatic rings": "[C;!a]=[C;!a]",
    "C≡C": "C#C",
    "cumulated double bonds": "*=[C;!a]=*",
    "benzene ring": "c1ccccc1",
    "five-membered heteroaromatic ring": "[a;r5;!#6]",
    "six-membered heteroaromatic ring": "[a;r6;!#6]",
    "aldehyde or ketone": "[CX3;!a;!$(C[#7,#8,#16,F,Cl])]=[OX1]",
    "carbonyl on N, O, S or halogen": "[CX3;!a](=O)[#7,#8,#16,F,Cl]",
    "C=S": "[#6]=S",
    "C=N outside aromatic rings": "[C;!a]=[N;!a]",
    "nitrile": "C#N",
    "N=N": "[N;!a]=[N;!a]",
    "nitroso": "[*][NX2]=O",
    "nitro": "[NX3+](=O)[O-]",
    "S=O": "S=O",
    "NH, NR₂": "[NX3;!a;!$(*~O);!$(*C=O)]",
    "OH, OR outside carbonyls": "[OX2;!a;!$(*C=O)]",
    "SH, SR outside aromatic rings": "[SX2;!a]",
    "F, Cl": "[F,Cl]",
}
"""Features that are counted in molecules (name: SMARTS)."""


@dataclass(frozen=True)
class Entry:
    """Data of one record for the card."""

    directory: str
    molecule: str
    smiles: str
    split: str
    geometry: str
    symbols: frozenset[str]
    charge: int
    n_heavy: int
    singlets: np.ndarray  # eV
    strengths: np.ndarray
    singlet_weights: np.ndarray
    triplets: np.ndarray  # eV
    triplet_weights: np.ndarray
    level: str
    provenance: dict[str, object]

    @classmethod
    def of(cls, directory: str, record: Record) -> Entry:
        return cls(
            directory,
            record.inchikey or record.name,
            record.smiles,
            record.split,
            record.geometry,
            frozenset(chemical_symbols[z] for z in record.numbers),
            int(record.charge),
            int((record.numbers > 1).sum()),
            record.singlet_energies,
            record.singlet_strengths,
            record.singlet_valence_weights,
            record.triplet_energies,
            record.triplet_valence_weights,
            record.level,
            json.loads(record.provenance or "{}"),
        )

    @property
    def is_larger(self) -> bool:
        return self.n_heavy > LARGEST_SAMPLED

    @property
    def seconds(self) -> float:
        return float(str(self.provenance.get("seconds_total", "nan")))

    def reaches(self, end: float) -> bool:
        """Whether all singlets below ``end`` (eV) are stored."""
        every = len(self.singlets) < json.loads(self.level)["n_singlets"]
        return every or bool(self.singlets[-1] >= end)


def collect(directories: Sequence[Path]) -> list[Entry]:
    """Return one entry for every distinct record, those of the first directory first."""
    entries, seen = [], set()
    for directory in directories:
        for record in iterate(directory):
            if record.key not in seen:
                seen.add(record.key)
                entries.append(Entry.of(directory.name, record))
    return entries


def molecules(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return one entry for every molecule."""
    return {entry.molecule: entry for entry in reversed(entries)}


def is_zwitterion(smiles: str) -> bool:
    """Whether opposite charges are on non-adjacent atoms, unlike in nitro groups and N-oxides.

    True only for a molecule that is neutral as a whole.
    """
    mol: Any = Chem.MolFromSmiles(smiles)
    if mol is None or Chem.GetFormalCharge(mol):
        return False
    charged = [atom for atom in mol.GetAtoms() if atom.GetFormalCharge()]
    return any(
        all(n.GetFormalCharge() * atom.GetFormalCharge() >= 0 for n in atom.GetNeighbors())
        for atom in charged
    )


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"
