"""Plots and HTML pages of results.

figures         spectra, orbital energies, orbitals of a state, parity
spectrum_notes  annotations of a spectrum: measured curve, λmax, colour
crystals        bands, densities of states, d-band centres
page            HTML page of one molecule for the browser
page_data       data of the page, as JSON
page_drawing    structural formula on the page
raster          software renderer of molecules and surfaces
bodies          balls, sticks and surfaces as triangles
style           colours
"""

from esml.plots.figures import (
    draw_band,
    levels,
    plot_densities,
    plot_levels,
    plot_natural_orbitals,
    plot_parity,
    plot_spectra,
    plot_spectrum,
)
from esml.plots.page import write_page
from esml.plots.raster import draw_scene

__all__ = [
    "draw_band",
    "draw_scene",
    "levels",
    "plot_densities",
    "plot_levels",
    "plot_natural_orbitals",
    "plot_parity",
    "plot_spectra",
    "plot_spectrum",
    "write_page",
]
