"""Other programs: calculators for ASE, and a density to start a PySCF calculation from."""

from esml.interfaces.ase import ExcitedStateCalculator, SurrogateCalculator
from esml.interfaces.pyscf import pyscf_guess

__all__ = ["ExcitedStateCalculator", "SurrogateCalculator", "pyscf_guess"]
