"""Measured absorption spectra, and lists of measured absorption maxima.

spectra              a spectrum from a table or from the export of a spectrometer
spectrum_tables      headings and numbers of its table
spectrum_quantities  what its columns hold, by their headings
light_units          units of light in headings
maxima               SMILES, solvent and λmax, one row each
dye_families         families of dyes, to sort such lists
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
