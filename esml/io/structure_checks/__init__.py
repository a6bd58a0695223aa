"""Which structures a model can treat, and what is wrong with the others.

charge_and_spin  total charge and spin as structures state them
plausibility     missing hydrogens, lengths in bohr, drawings, molecules on top of each other
molecules        what a model of molecules refuses
crystals         what a model of crystals refuses
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
