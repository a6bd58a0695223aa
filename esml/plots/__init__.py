"""Pictures and pages of results.

figures         spectra, levels, orbitals of a state, parity
spectrum_notes  what is drawn beside the curve of a spectrum
crystals        bands, densities of states, d-band centres
page            one molecule as a page for the browser
page_data       what the page is made of, as JSON
page_drawing    its structural formula
raster          molecules and surfaces as pixels
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
