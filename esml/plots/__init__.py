"""Pictures and pages of results."""

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
