"""Read MOL and SD files with RDKit: V2000 and V3000, charges, isotopes, drawings and geometries.

Every record is a geometry, a drawing that needs a geometry, or an error that says what is wrong
with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from esml.io.formats.atom_tables import Table
from esml.io.provenance import ASSUMED, InputError
from esml.io.structure_checks.plausibility import implausible
from esml.io.text import LONGEST_RECORD, lines

END = "$$$$"


@dataclass(frozen=True)
class Drawing:
    """A bonded graph without a geometry."""

    mol: str
    """The molecule as a MOL block."""
    name: str
    charge: int
    note: str
    """Why it needs a geometry."""


def records(path: Path) -> Iterator[str]:
    """Yield the records of a MOL or SD file as text. Raises ValueError for other data, OSError."""
    held: list[str] = []
    size = 0
    for line in lines(path):
        if line.startswith(END):
            yield "\n".join(held) + "\n"
            held, size = [], 0
            continue
        held.append(line)
        size += len(line)
        if size > LONGEST_RECORD:
            raise InputError(
                f"'{path}' holds a record of more than {LONGEST_RECORD >> 20} MiB where a molecule "
                "is expected; check the file"
            )
    if any(line.strip() for line in held):
        yield "\n".join(held) + "\n"


def read_sdf(
    path: Path, add_hydrogens: bool = False, largest_fragment: bool = False
) -> Iterator[Table | Drawing | InputError]:
    """Yield the records of a MOL or SD file.

    A three-dimensional record without its hydrogens is refused, unless
    ``add_hydrogens`` asks for a new geometry. Raises InputError without RDKit.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise InputError(
            f"reading '{path}' needs RDKit: pip install \"esml[smiles]\", or write the geometry as "
            ".xyz"
        ) from error
    for k, text in enumerate(records(path)):
        # Some programs write an empty line before the header.
        with rdBase.BlockLogs():
            mol: Any = Chem.MolFromMolBlock(text, removeHs=False)
            understood = mol is not None
            if not understood:
                mol = Chem.MolFromMolBlock(text, removeHs=False, sanitize=False)
        if mol is None or mol.GetNumAtoms() == 0:
            yield InputError(
                f"cannot read record {k} of '{path}': expected a MOL block (V2000 or V3000) with "
                "atoms; fix the record"
            )
            continue
        yield _record(mol, text, understood, add_hydrogens, largest_fragment)


def record_of(
    mol: Any, new_geometry: bool = False, largest_fragment: bool = False
) -> Table | Drawing | InputError:
    """Return an RDKit ``Mol`` like a record of a file; without a conformer it is a drawing."""
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    mol = Chem.Mol(mol)
    mol.UpdatePropertyCache(strict=False)
    name = mol.GetProp("_Name").strip() if mol.HasProp("_Name") else ""
    if mol.GetNumAtoms() == 0:
        return InputError("the RDKit Mol has no atoms: expected a molecule; check its SMILES")
    if mol.GetNumConformers() == 0 or new_geometry:
        rdDepictor.Compute2DCoords(mol)
        charge = int(Chem.GetFormalCharge(mol))
        return Drawing(Chem.MolToMolBlock(mol), name, charge, "the RDKit Mol has no conformer")
    return _record(mol, Chem.MolToMolBlock(mol), True, False, largest_fragment)


def mol_formula(mol: Any) -> str:
    """Return the chemical formula of an RDKit ``Mol``, with implicit hydrogens."""
    from rdkit.Chem import rdMolDescriptors

    return str(rdMolDescriptors.CalcMolFormula(mol))


def _record(
    mol: Any, text: str, understood: bool, add_hydrogens: bool, largest_fragment: bool
) -> Table | Drawing | InputError:
    from rdkit import Chem

    name = mol.GetProp("_Name").strip() if mol.HasProp("_Name") else ""
    charge = int(Chem.GetFormalCharge(mol))
    atoms = _atoms(mol)
    missing = sum(atom.GetTotalNumHs() for atom in mol.GetAtoms()) if understood else 0
    if len(atoms) > 1 and _is_drawing(mol, text, atoms, missing):
        if not understood:
            return InputError(
                f"the drawing '{name}' has bonds that RDKit cannot interpret: expected usual "
                "valences; fix it or give a three-dimensional geometry"
            )
        return Drawing(text, name, charge, "the input is a two-dimensional drawing")
    if missing and add_hydrogens:
        note = f"the input lacked {missing} hydrogens, which were added"
        return Drawing(text, name, charge, note)
    if missing:
        return InputError(
            f"hydrogens are missing in '{name or 'the record'}': {missing} of them where a whole "
            "molecule is expected; add them, or choose --geometry xtb for a new geometry with them"
        )
    notes = () if understood else ("RDKit cannot interpret its bonds, which are left out",)
    if largest_fragment and (parts := Chem.GetMolFrags(mol)) and len(parts) > 1:
        chosen = list(max(parts, key=lambda part: sum(atoms.numbers[list(part)] > 1)))
        charge = sum(mol.GetAtomWithIdx(k).GetFormalCharge() for k in chosen)
        notes = (*notes, f"the largest of {len(parts)} molecules is kept")
        atoms = atoms[chosen]
    radicals = sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
    if radicals and understood:
        atoms.info["multiplicity"] = radicals + 1
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        notes = (*notes, "isotopes are read as their elements")
    # Bonds that RDKit cannot interpret often are those of ions whose charges got lost.
    stated = understood or any(atom.GetFormalCharge() for atom in mol.GetAtoms())
    return Table(atoms, name, charge, "formal charges of the record" if stated else ASSUMED, notes)


def _atoms(mol: Any) -> Atoms:
    atoms = Atoms(
        [atom.GetAtomicNum() for atom in mol.GetAtoms()], mol.GetConformer().GetPositions()
    )
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        atoms.set_masses([atom.GetMass() for atom in mol.GetAtoms()])
    return atoms


def _is_drawing(mol: Any, text: str, atoms: Atoms, missing: int) -> bool:
    """Whether a record is flat and says so, lacks hydrogens, or has no realistic bond lengths."""
    if abs(atoms.positions[:, 2]).max() > 1e-4:
        return False
    dimensions = re.match(r".{20}(2D|3D)", [*text.split("\n"), "", ""][1])
    if dimensions:
        return dimensions[1] == "2D" or bool(missing)
    return bool(missing) or implausible(atoms) is not None
