"""Solvers for the lowest excited states; every threshold is in :mod:`esml.physics.strategy`.

problem          chooses the method
dense            builds and diagonalizes the matrices
davidson         iterates without building them
space            the vectors of the iterations
projection       the problem projected on these vectors
preconditioners  turn residuals into corrections
representations  the problem between relaxed or local orbitals
near_pairs       the problem of pairs of local orbitals that are near each other
local_orbitals   local orbitals of a large molecule
banded           matrices that are zero outside a band
pair_model       a small model of a large molecule, from which iterations start
driven           response of the orbitals to light of a given frequency, without states
"""
