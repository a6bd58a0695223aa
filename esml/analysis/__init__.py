"""Analysis of orbitals and excited states: bonds, symmetry, characters, spectra, orbital shapes.

bonding            bonds, fragments, π systems and lone pairs
group_names        what chemists call the fragments
characters         character of a state: nπ*, charge transfer, natural transition orbitals
point_group        the symmetry of a molecule
irreps             the symmetry of its states
orbital_shapes     orbitals drawn in space
spectrum           absorption spectra
spectrum_axes      pictures of spectra
curve_files        curves as tables
absorption         bands and their maxima
colour             the colour of a solution
likeness           similarity of a predicted and a measured spectrum
dichroism          circular dichroism
two_photon         two-photon strengths and cross-sections
normal_modes       normal modes and motion along them
vibronic           vibronic bands
herzberg_teller    intensity borrowed through vibrations (Herzberg–Teller)
emission           rates and lifetimes of emission
emission_spectrum  emission spectra
spin_orbit         spin–orbit coupling, phosphorescence
transitions        dipoles between excited states, and excited-state absorption
solvation          state-specific terms of a solvent
"""

from esml.analysis.absorption import Band, strongest
from esml.analysis.bonding import Bonding, FragmentError, analyze
from esml.analysis.characters import (
    Character,
    MissingWavefunctionsError,
    Wavefunctions,
    characterize,
)
from esml.analysis.colour import Colour
from esml.analysis.dichroism import Dichroism, broaden_dichroism, mean_dichroism
from esml.analysis.emission import radiative_lifetime, radiative_rate
from esml.analysis.irreps import StateSymmetry, state_symmetries
from esml.analysis.likeness import Likeness, likeness, peaks
from esml.analysis.orbital_shapes import Grid, Shapes, isovalue, surface
from esml.analysis.point_group import PointGroup, point_group
from esml.analysis.solvation import Solvation, solvation
from esml.analysis.spectrum import AveragedSpectrum, Spectrum, average, broaden
from esml.analysis.spin_orbit import SpinOrbit, spin_orbit
from esml.analysis.transitions import ExcitedStateAbsorption, excited_state_absorption
from esml.analysis.two_photon import TwoPhotonAbsorption

__all__ = [
    "AveragedSpectrum",
    "Band",
    "Bonding",
    "Character",
    "Colour",
    "Dichroism",
    "ExcitedStateAbsorption",
    "FragmentError",
    "Grid",
    "Likeness",
    "MissingWavefunctionsError",
    "PointGroup",
    "Shapes",
    "Solvation",
    "Spectrum",
    "SpinOrbit",
    "StateSymmetry",
    "TwoPhotonAbsorption",
    "Wavefunctions",
    "analyze",
    "average",
    "broaden",
    "broaden_dichroism",
    "characterize",
    "excited_state_absorption",
    "isovalue",
    "likeness",
    "mean_dichroism",
    "peaks",
    "point_group",
    "radiative_lifetime",
    "radiative_rate",
    "solvation",
    "spin_orbit",
    "state_symmetries",
    "strongest",
    "surface",
]
