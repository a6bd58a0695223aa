"""What orbitals and excited states are: bonds, symmetry, characters, spectra, shapes in space."""

from esml.analysis.absorption import Band, strongest
from esml.analysis.bonding import Bonding, FragmentError, analyze
from esml.analysis.characters import (
    Character,
    MissingWavefunctionsError,
    Wavefunctions,
    characterize,
)
from esml.analysis.colour import Colour
from esml.analysis.irreps import StateSymmetry, state_symmetries
from esml.analysis.likeness import Likeness, likeness, peaks
from esml.analysis.orbital_shapes import Grid, Shapes, isovalue, surface
from esml.analysis.point_group import PointGroup, point_group
from esml.analysis.spectrum import AveragedSpectrum, Spectrum, average, broaden

__all__ = [
    "AveragedSpectrum",
    "Band",
    "Bonding",
    "Character",
    "Colour",
    "FragmentError",
    "Grid",
    "Likeness",
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
    "likeness",
    "peaks",
    "point_group",
    "state_symmetries",
    "strongest",
    "surface",
]
