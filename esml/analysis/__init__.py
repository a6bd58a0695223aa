"""What orbitals and excited states are: bonds, symmetry, characters, spectra, shapes in space."""

from esml.analysis.bonding import Bonding, FragmentError, analyze
from esml.analysis.characters import (
    Character,
    MissingWavefunctionsError,
    Wavefunctions,
    characterize,
)
from esml.analysis.irreps import StateSymmetry, state_symmetries
from esml.analysis.orbital_shapes import Grid, Shapes, isovalue, surface
from esml.analysis.point_group import PointGroup, point_group
from esml.analysis.spectrum import AveragedSpectrum, Spectrum, average, broaden

__all__ = [
    "AveragedSpectrum",
    "Bonding",
    "Character",
    "FragmentError",
    "Grid",
    "MissingWavefunctionsError",
    "PointGroup",
    "Shapes",
    "Spectrum",
    "StateSymmetry",
    "Wavefunctions",
    "analyze",
    "average",
    "broaden",
    "characterize",
    "isovalue",
    "point_group",
    "state_symmetries",
    "surface",
]
