"""Hamiltonians of crystals from their structures.

    periodic_pairs     pairs of atoms within a cutoff, across cell boundaries
    neighbourhood      those pairs, their directions and radial functions
    two_centre_model   levels, crystal field and hopping from tables of Slater–Koster integrals
    crystal_model      W H W with a second table: what is trained and shipped

Tables are fitted and trained by ``esml.training.crystals``.
There is no network here.
"""

from esml.model.crystals.crystal_model import CrystalConfig, CrystalModel, crystal_model
from esml.model.crystals.neighbourhood import Neighbourhood
from esml.model.crystals.periodic_pairs import PeriodicPairs, periodic_pairs
from esml.model.crystals.two_centre_model import Tables, TwoCentreModel

__all__ = [
    "CrystalConfig",
    "CrystalModel",
    "Neighbourhood",
    "PeriodicPairs",
    "Tables",
    "TwoCentreModel",
    "crystal_model",
    "periodic_pairs",
]
