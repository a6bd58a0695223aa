"""Input and output: structures of users, and records of reference calculations.

    provenance        a structure as it was read: its source, and decisions of the reader
    anything          one molecule from any description of it
    structures        structures from any file, SMILES or drawing
    paths             whether such a file can be read, and how many structures it holds
    formats           one reader for each kind of file
    geometry          3D geometries for SMILES and drawings
    structure_checks  whether the model can treat a structure
    surroundings      solvents and point charges
    measured          measured spectra and absorption maxima
    comparison        a reference calculation to compare a prediction with
    records           records of reference calculations, in HDF5
    files, text       writing files whole, reading text files of any encoding
    hdf5_guards       checks of an HDF5 file before it is trusted

``read_structures`` and ``from_smiles`` give structures, ``check_structure`` refuses those the model
cannot treat, ``write_whole`` writes a file whole or not at all. Each subpackage has its own public
functions.

The names in ``__all__`` are loaded on first use, so that importing one part stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "BusyError": "esml.io.files",
    "Comparison": "esml.io.comparison",
    "InputError": "esml.io.provenance",
    "Provenance": "esml.io.provenance",
    "ReadingOptions": "esml.io.provenance",
    "Structure": "esml.io.provenance",
    "StructureError": "esml.io.structure_checks",
    "SurroundingsError": "esml.io.provenance",
    "as_point_charges": "esml.io.surroundings.point_charges",
    "check_structure": "esml.io.structure_checks",
    "conformers": "esml.io.structures",
    "count_structures": "esml.io.paths",
    "from_smiles": "esml.io.structures",
    "molecular_charge": "esml.io.structure_checks",
    "read_comparison": "esml.io.comparison",
    "read_entries": "esml.io.structures",
    "read_structure": "esml.io.structures",
    "read_structures": "esml.io.structures",
    "sole_writer": "esml.io.files",
    "write_whole": "esml.io.files",
}

__all__ = [
    "BusyError",
    "Comparison",
    "InputError",
    "Provenance",
    "ReadingOptions",
    "Structure",
    "StructureError",
    "SurroundingsError",
    "as_point_charges",
    "check_structure",
    "conformers",
    "count_structures",
    "from_smiles",
    "molecular_charge",
    "read_comparison",
    "read_entries",
    "read_structure",
    "read_structures",
    "sole_writer",
    "write_whole",
]

if TYPE_CHECKING:
    from esml.io.comparison import Comparison, read_comparison
    from esml.io.files import BusyError, sole_writer, write_whole
    from esml.io.paths import count_structures
    from esml.io.provenance import (
        InputError,
        Provenance,
        ReadingOptions,
        Structure,
        SurroundingsError,
    )
    from esml.io.structure_checks import StructureError, check_structure, molecular_charge
    from esml.io.structures import (
        conformers,
        from_smiles,
        read_entries,
        read_structure,
        read_structures,
    )
    from esml.io.surroundings import as_point_charges


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'esml.io' has no attribute {name!r}")
