"""Measured absorption spectra, and lists of measured absorption maxima.

spectra       a spectrum from a table or from the export of a spectrometer
maxima        SMILES, solvent and λmax, one row each
dye_families  families of dyes, to sort such lists
"""

from esml.io.measured.dye_families import FAMILIES, OTHER, family_of
from esml.io.measured.maxima import MeasuredMaximum, read_maxima
from esml.io.measured.spectra import MeasuredSpectrum, read_measured

__all__ = [
    "FAMILIES",
    "OTHER",
    "MeasuredMaximum",
    "MeasuredSpectrum",
    "family_of",
    "read_maxima",
    "read_measured",
]
