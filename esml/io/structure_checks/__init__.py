"""Checks of structures, with messages on what is wrong.

charge_and_spin  total charge and spin stated by structures
plausibility     missing hydrogens, lengths in bohr, drawings, overlapping molecules
cells            molecules torn by the boundary of a periodic cell
molecules        checks for models of molecules
crystals         checks for models of crystals
"""

from esml.io.structure_checks.charge_and_spin import StructureError, molecular_charge
from esml.io.structure_checks.crystals import check_crystal
from esml.io.structure_checks.molecules import check_structure

__all__ = [
    "StructureError",
    "check_crystal",
    "check_structure",
    "molecular_charge",
]
