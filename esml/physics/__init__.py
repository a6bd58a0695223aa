"""Orbitals and excited states in the minimal basis.

Works on any real symmetric matrix in an orthonormal basis: no network, no files.

    basis             which orbitals an atom carries, and their places in padded matrices
    orbitals          a Hamiltonian's orbitals, density, charges, dipole
    interaction       the effective two-electron interaction
    kernel            the field of a transition density
    response          the matrices A and B of linear response, applied without building them
    excitations       singlets and triplets
    strategy          every threshold of the solvers
    solvers           find the lowest states; ``solvers.problem`` chooses the method
    medium            what surrounds the molecules: solvents, point charges, a field, or nothing
    solvent           a solvent as a dielectric continuum
    point_charges     the potential of point charges on the orbitals of an atom
    optical_activity  rotatory strengths
    two_photon        strengths of two-photon absorption
    couplings         nonadiabatic couplings between states
    surface_hopping   electronic amplitudes along a trajectory, and hops between surfaces
    slopes            derivatives of many sums at once
    copies            copies of one molecule, for the derivatives of several numbers at once
    crystals          bands, densities of states and bonds of periodic Hamiltonians
"""

from esml.physics.basis import OrbitalLayout
from esml.physics.excitations import (
    Excitations,
    InstabilityError,
    singlets,
    singlets_and_triplets,
    triplets,
)
from esml.physics.interaction import Interaction
from esml.physics.orbitals import Orbitals, diagonalize
from esml.physics.response import Response
from esml.physics.solvers.davidson import ConvergenceError
from esml.physics.strategy import Strategy

__all__ = [
    "ConvergenceError",
    "Excitations",
    "InstabilityError",
    "Interaction",
    "OrbitalLayout",
    "Orbitals",
    "Response",
    "Strategy",
    "diagonalize",
    "singlets",
    "singlets_and_triplets",
    "triplets",
]
