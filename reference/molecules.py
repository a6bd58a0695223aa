"""Reference molecules, their splits, and the molecules excluded from training.

Stereochemistry is left open on purpose: one entry stands for all stereoisomers, the seed of the
conformer draws one of them, and all are in the same split. ``enumeration`` builds the molecules.

Three rules keep tests independent of the training data:

* molecules of the external benchmark (``benchmark_inchikeys.txt``) are never enumerated; they are
  compared by connectivity (the first block of the InChIKey), which also excludes their
  stereoisomers, mobile-hydrogen tautomers and charged forms;
* :func:`assign_split` depends on the connectivity only, so all geometries and stereoisomers of a
  molecule are in the same split;
* whole cores (``building_blocks.HELD_OUT``) occur in the test split only, as new scaffolds, and
  the larger molecules of ``building_blocks.EXTRAPOLATION`` are never enumerated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from rdkit import Chem, RDLogger

from . import coverage
from .building_blocks import DYES, EXTRAPOLATION, HELD_OUT, LARGER, UNSTABLE

RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]

Split = Literal["train", "validation", "test"]
Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""

TRAIN_SHARE: Final = 0.83
VALIDATION_SHARE: Final = 0.08
"""Share of the molecules without a held-out core that are in the validation split."""


@dataclass(frozen=True)
class Molecule:
    """One reference molecule, with its stereochemistry left open.

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
        """First InChIKey block, shared by stereoisomers, ions and tautomers that InChI merges."""
        return self.inchikey[:14]


def fraction(*words: object) -> float:
    """Hash ``words`` to a number in [0, 1), uniform and reproducible."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def parse(smiles: str) -> Mol:
    """Return the RDKit molecule of ``smiles``; ValueError, naming the string, if it is invalid."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ValueError(f"'{smiles}' is not a valid SMILES string.")
    return mol


def inchikey_of(mol: Mol) -> str:
    """Return the InChIKey of ``mol``, empty if it has none."""
    return str(Chem.MolToInchiKey(mol))


def molecule_from_smiles(smiles: str, name: str | None = None) -> Molecule:
    """Make a :class:`Molecule` outside the enumeration (scaffold ``"named"``)."""
    mol = parse(smiles)
    canonical = Chem.MolToSmiles(mol)
    return Molecule(
        smiles=canonical,
        inchikey=inchikey_of(mol),
        name=canonical if name is None else name,
        scaffold="named",
        n_heavy=mol.GetNumHeavyAtoms(),
    )


@cache
def benchmark_connectivities() -> frozenset[str]:
    """Return the first InChIKey blocks of the benchmark's molecules, excluded from training."""
    lines = (Path(__file__).parent / "benchmark_inchikeys.txt").read_text().splitlines()
    return frozenset(line[:14] for line in lines if line and not line.startswith("#"))


@cache
def _patterns(which: str) -> dict[str, Mol]:
    """Compile the SMARTS of ``UNSTABLE`` or ``HELD_OUT``."""
    held_out = HELD_OUT | coverage.held_out_patterns()
    source = {"unstable": UNSTABLE, "held_out": held_out}[which]
    return {name: Chem.MolFromSmarts(smarts) for name, smarts in source.items()}


def unstable_group(mol: Mol) -> str | None:
    """Return the first group of ``building_blocks.UNSTABLE`` that ``mol`` contains, or None."""
    for name, pattern in _patterns("unstable").items():
        if mol.HasSubstructMatch(pattern):
            return name
    return None


def held_out_core(molecule: Molecule) -> str | None:
    """Return the first held-out core or held-out coverage group in ``molecule``, or None."""
    mol = parse(molecule.smiles)
    for name, pattern in _patterns("held_out").items():
        if mol.HasSubstructMatch(pattern):
            return name
    return None


def assign_split(molecule: Molecule) -> Split:
    """Return the split of a molecule, the same on every machine and for every set.

    It is a hash of the connectivity block of the InChIKey, so stereoisomers and tautomers that
    InChI merges are in the same split; a Murcko scaffold would be too coarse (all benzenes would be
    in one split). Molecules with a held-out core, the benchmark's molecules and the larger
    molecules for extrapolation are always ``"test"``. Of the others 83 % are ``"train"``, 8 %
    ``"validation"`` and 9 % ``"test"``.
    """
    if molecule.connectivity in benchmark_connectivities() | extrapolation_connectivities():
        return "test"
    if held_out_core(molecule) is not None:
        return "test"
    u = fraction("split", molecule.connectivity)
    if u < TRAIN_SHARE:
        return "train"
    return "validation" if u < TRAIN_SHARE + VALIDATION_SHARE else "test"


# --- larger molecules ----------------------------------------------------------------------------


@cache
def extrapolation_molecules() -> tuple[Molecule, ...]:
    """Return ``building_blocks.EXTRAPOLATION`` as named molecules (scaffold ``"named"``)."""
    return tuple(molecule_from_smiles(smiles, name) for name, smiles in EXTRAPOLATION.items())


@cache
def dye_molecules() -> tuple[Molecule, ...]:
    """Return ``building_blocks.DYES`` as named molecules (scaffold ``"named"``)."""
    return tuple(molecule_from_smiles(smiles, name) for name, smiles in DYES.items())


@cache
def larger_molecules() -> tuple[Molecule, ...]:
    """Return ``building_blocks.LARGER``, which are to be trained on like the sampled molecules."""
    return tuple(molecule_from_smiles(smiles) for smiles in LARGER)


@cache
def coverage_molecules() -> tuple[Molecule, ...]:
    """Return the molecules of ``coverage.csv`` in the order of ``coverage.interleaved``.

    Their scaffold is the name of their group.
    """
    return tuple(
        replace(molecule_from_smiles(smiles), scaffold=group.name)
        for smiles, group in coverage.interleaved()
    )


@cache
def extrapolation_connectivities() -> frozenset[str]:
    """Return the first InChIKey blocks of ``building_blocks.EXTRAPOLATION`` and ``DYES``."""
    larger = extrapolation_molecules() + dye_molecules()
    return frozenset(molecule.connectivity for molecule in larger)
