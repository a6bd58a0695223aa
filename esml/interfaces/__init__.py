"""Other programs that ask the model.

ase    calculators: properties by name, and surfaces of excited states
pyscf  a density to start a PySCF calculation from
"""

from esml.interfaces.ase import ExcitedStateCalculator, SurrogateCalculator
from esml.interfaces.pyscf import pyscf_guess

__all__ = ["ExcitedStateCalculator", "SurrogateCalculator", "pyscf_guess"]
