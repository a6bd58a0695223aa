"""Other programs: ASE and PySCF."""
