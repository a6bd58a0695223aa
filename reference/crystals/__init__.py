"""Reference data of crystals: bands, minimal-basis H(R), d-band centres. Non-magnetic.

cell          level of theory, k divisions, the PySCF cell
grid          Bloch functions on the uniform grid, computed once; densities and potentials
ground_state  Kohn–Sham by density mixing with Fermi smearing
downfold      k-dependent intrinsic atomic orbitals with a frozen window, H(k)
record        one structure → one record
alloys        structures of fcc and bcc alloys
validate      checks of a set
commands      ``python -m reference crystals``
"""
