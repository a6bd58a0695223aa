"""Outputs of programs, for tests of what reads them: formaldehyde by PySCF, shortened.

What PySCF writes with verbose=4, in the parts that a script prints one after another.
"""

from __future__ import annotations

PYSCF = """PySCF version 2.14.0
[INPUT] num. atoms = 4
[INPUT] charge = 0
[INPUT] spin (= nelec alpha-beta = 2S) = 0
[INPUT]  1 O      0.000000000000   0.000000000000   0.000000000000 AA    0.0   0.0   0.0 Bohr   0.0
[INPUT]  2 C      0.000000000000   0.000000000000   1.200000000000 AA    0.0   0.0   2.3 Bohr   0.0
[INPUT]  3 H      0.940000000000   0.000000000000   1.780000000000 AA    1.8   0.0   3.4 Bohr   0.0
[INPUT]  4 H     -0.940000000000   0.000000000000   1.780000000000 AA   -1.8   0.0   3.4 Bohr   0.0
basis = sto-3g
"""
SCF = """XC functionals = camb3lyp
  HOMO = -0.228672941747861  LUMO = 0.136103284810938  gap/eV = 9.92607
converged SCF energy = -112.894131753651
"""
TDDFT = """
******** <class 'pyscf.tdscf.rks.TDDFT'> for <class 'pyscf.dft.rks.RKS'> ********
nstates = 4 singlet
conv_tol = 1e-05

Excitation energies (eV)
[ 4.03365993  9.5111732  12.03711966 12.21430606]
"""
TRIPLETS = """
******** <class 'pyscf.tdscf.rks.TDA'> for <class 'pyscf.dft.rks.RKS'> ********
nstates = 4 triplet
conv_tol = 1e-05

Excitation energies (eV)
[ 3.06444243  6.12827767  7.81818828 11.52159034]
"""
ANALYSED = """
** Singlet excitation energies and oscillator strengths **
Excited State   1:      4.03366 eV    307.37 nm  f=0.0000
       8 -> 9        -0.70742
Excited State   2:      9.51117 eV    130.36 nm  f=0.0096
Excited State   3:     12.03712 eV    103.00 nm  f=0.1214
Excited State   4:     12.21431 eV    101.51 nm  f=0.0000
"""
