"""Interfaces to other programs.

ase    calculators: properties by name, and surfaces of excited states
pyscf  initial density matrix for a PySCF calculation
"""

from esml.interfaces.ase import ExcitedStateCalculator, SurrogateCalculator
from esml.interfaces.pyscf import pyscf_guess

__all__ = ["ExcitedStateCalculator", "SurrogateCalculator", "pyscf_guess"]
