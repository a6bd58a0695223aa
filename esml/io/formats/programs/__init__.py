"""Inputs and outputs of quantum-chemistry programs.

calculation  the molecule and the excited states of an output
inputs       inputs of Gaussian and ORCA
orca         outputs of ORCA
pyscf        outputs of PySCF
outputs      outputs of any program, most of them by cclib
"""

from esml.io.formats.programs.calculation import CalculatedState, Calculation
from esml.io.formats.programs.inputs import read_gaussian_input, read_orca_input
from esml.io.formats.programs.outputs import multiplicity_of, program_of, read_calculation

__all__ = [
    "CalculatedState",
    "Calculation",
    "multiplicity_of",
    "program_of",
    "read_calculation",
    "read_gaussian_input",
    "read_orca_input",
]
