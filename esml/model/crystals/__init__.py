"""Hamiltonians of crystals from their structures.

    periodic_pairs     pairs of atoms within a cutoff, across cell boundaries
    two_centre_model   levels, crystal field and hopping from tables of Slater–Koster integrals

The tables are fitted by ``esml.training.two_centre_fit``. There is no network here yet.
"""

from esml.model.crystals.periodic_pairs import PeriodicPairs, periodic_pairs
from esml.model.crystals.two_centre_model import TwoCentreModel

__all__ = ["PeriodicPairs", "TwoCentreModel", "periodic_pairs"]
