"""Reference data for esml: minimal-basis Hamiltonians and excitation labels from PySCF."""
