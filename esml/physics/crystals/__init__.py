"""Crystals: bands and derived properties of any Hermitian matrix in an orthonormal basis.

    shells          which valence shells an atom carries in a crystal, and their order
    bloch           k meshes; H(R) → H(k) and back
    k_path          paths between special points
    pair_blocks     H(k) directly from blocks of pairs of atoms
    filling         Fermi level and occupations
    bands           energies and states on a mesh; populations, densities of states, band centres
    bonding         crystal orbital Hamilton populations: contributions of bonds to the band energy
    two_centre      blocks between atoms from ten integrals
    congruence      W H W: non-orthogonality and three-centre terms
    spectral_sums   populations and centres with exact gradients, for training
    neutrality      shifts of levels that keep atoms neutral

No network, no files. Shape letters: N atoms of the cell, n orbitals of the cell, K k points, T
lattice vectors. Energies in eV, lengths in Å; k points in fractions of the reciprocal lattice
vectors. Two electrons fill a state: crystals here are non-magnetic.
"""

from esml.physics.crystals.bands import Bands
from esml.physics.crystals.bloch import (
    Eigenstates,
    KPoints,
    PeriodicHamiltonian,
    RealSpaceHamiltonian,
    eigenstates,
    k_mesh,
)
from esml.physics.crystals.bonding import hamilton_population
from esml.physics.crystals.congruence import CongruentHamiltonian
from esml.physics.crystals.filling import fermi_level, occupations
from esml.physics.crystals.neutrality import (
    NeutralityError,
    ShiftedHamiltonian,
    neutral_shifts,
    shifted,
)
from esml.physics.crystals.pair_blocks import PairHamiltonian
from esml.physics.crystals.shells import Shell, atom_of_orbital, orbitals_of, shells_of
from esml.physics.crystals.spectral_sums import Smooth, moment, spectral_sums, step_down
from esml.physics.crystals.two_centre import INTEGRALS, two_centre_blocks

__all__ = [
    "INTEGRALS",
    "Bands",
    "CongruentHamiltonian",
    "Eigenstates",
    "KPoints",
    "NeutralityError",
    "PairHamiltonian",
    "PeriodicHamiltonian",
    "RealSpaceHamiltonian",
    "Shell",
    "ShiftedHamiltonian",
    "Smooth",
    "atom_of_orbital",
    "eigenstates",
    "fermi_level",
    "hamilton_population",
    "k_mesh",
    "moment",
    "neutral_shifts",
    "occupations",
    "orbitals_of",
    "shells_of",
    "shifted",
    "spectral_sums",
    "step_down",
    "two_centre_blocks",
]
