"""How the lowest excited states are found; every threshold is in :mod:`esml.physics.strategy`.

problem          chooses the way
dense            matrices, built and diagonalized
davidson         iterations
space            the vectors that iterations have
projection       the problem within these
preconditioners  what turns residuals into corrections
representations  the problem between relaxed or local orbitals
near_pairs       the problem of pairs of local orbitals that are near each other
local_orbitals   local orbitals of a large molecule
banded           matrices that are zero but for a band
pair_model       a small model of a large molecule, where iterations start
driven           no states, but orbitals driven by light of a given frequency
"""
