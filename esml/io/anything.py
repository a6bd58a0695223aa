"""One molecule from any description of it.

A path, a SMILES, ASE ``Atoms``, an RDKit ``Mol``, a PySCF ``Mole`` or a ``Structure``. Objects of
other packages are recognized by the modules of their classes, so none of these need be installed.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from esml.io.formats import Table
from esml.io.paths import looks_like_file
from esml.io.provenance import InputError, ReadingOptions, Structure
from esml.io.structures import DEFAULT, from_rdkit, from_smiles, from_table, read_structure


def as_structure(molecule: Any, options: ReadingOptions = DEFAULT) -> Structure:
    """Return the structure of one molecule.

    Parameters
    ----------
    molecule
        A path, whose last structure is used, with a warning if there are several; a SMILES; ASE
        ``Atoms``, used as they are; an RDKit ``Mol``, with its conformer or, without one, a new
        geometry; a PySCF ``Mole``; a ``Structure``.
    options
        How structures are read.

    Raises
    ------
    InputError
        For any other object, or if it cannot be read.
    """
    if isinstance(molecule, Structure):
        return molecule
    if isinstance(molecule, Atoms):
        name = str(molecule.info.get("name", "")) or str(molecule.get_chemical_formula())
        return Structure(molecule, name, "", 0)
    if isinstance(molecule, Path) or (isinstance(molecule, str) and looks_like_file(molecule)):
        return _last_of(Path(molecule), options)
    if isinstance(molecule, str):
        return from_smiles(molecule, options)
    home = {base.__module__.split(".")[0] for base in type(molecule).__mro__}
    if "rdkit" in home and hasattr(molecule, "GetAtoms"):
        return from_rdkit(molecule, options)
    if "pyscf" in home and hasattr(molecule, "atom_coords"):
        return from_table(_of_pyscf(molecule), "PySCF", options)
    raise InputError(
        f"a molecule is given as {_named(molecule)}: expected the path of a geometry file, a "
        "SMILES, ASE Atoms, an RDKit Mol or a PySCF Mole; give one"
    )


def as_atoms(molecule: Any, options: ReadingOptions = DEFAULT) -> Atoms:
    """Return the atoms of ``as_structure``."""
    return as_structure(molecule, options).atoms


def _named(thing: Any) -> str:
    kind = type(thing).__name__
    if isinstance(thing, list | tuple):
        return f"a {kind} of {len(thing)}"
    return "None" if thing is None else f"an object of type {kind}"


def _last_of(path: Path, options: ReadingOptions) -> Structure:
    found = read_structure(path, None, options)
    if found.index > 0:
        warnings.warn(
            f"'{path}' holds {found.index + 1} structures; the last one is taken: "
            "esml.io.read_structures gives all",
            UserWarning,
            stacklevel=4,
        )
    return found


def _of_pyscf(mol: Any) -> Table:
    """Atoms, charge and spin of a PySCF ``Mole``."""
    if not mol.natm:
        raise InputError(
            "the PySCF Mole has no atoms: expected one that is built; call mol.build() first"
        )
    symbols = [mol.atom_pure_symbol(k) for k in range(mol.natm)]
    if ghosts := [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0]:
        raise InputError(
            f"the PySCF Mole has {len(ghosts)} ghost atoms ({ghosts[0]}): expected only atoms with "
            "nuclei; build one without them"
        )
    atoms = Atoms(symbols, mol.atom_coords(unit="ANG"))
    if hasattr(mol, "lattice_vectors"):  # a Cell
        atoms.set_cell(mol.lattice_vectors())
        atoms.set_pbc(True)
    if mol.spin:
        atoms.info["multiplicity"] = int(mol.spin) + 1
    name = atoms.get_chemical_formula()
    return Table(atoms, name, int(mol.charge), "charge of the PySCF Mole")
