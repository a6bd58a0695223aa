"""Plots of crystals: bands beside densities of states, and d-band centres on the structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers

from esml.physics.crystals import shells_of
from esml.plots.style import SERIES
from esml.results.crystal import SHELLS, TRAINED_UP_TO, BandPath, Crystal
from esml.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW, HIGH = -8.0, TRAINED_UP_TO
"""Range of energies drawn for metals, eV from the zero."""
DEEP, ABOVE_GAP = -9.0, 1.0
"""The same for insulators, eV: from the top of the valence bands, and from the bottom of the
conduction bands."""


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('drawing needs matplotlib: pip install "esml[plot]"') from error
    return plt


def element_colour(crystal: Crystal, element: str) -> str:
    """Return a colour of the shared series, by the order in which elements appear."""
    return SERIES[list(dict.fromkeys(crystal.atoms.symbols)).index(element) % len(SERIES)]


def _range(crystal: Crystal) -> tuple[float, float]:
    """Range of energies drawn, eV from the zero."""
    return (DEEP, crystal.gap + ABOVE_GAP) if crystal.mesh.insulating else (LOW, HIGH)


def draw_bands(axes: Axes, crystal: Crystal, bands: BandPath) -> None:
    """Draw the bands as lines, darker where the states are on d orbitals."""
    metal = bool(bands.d_shares.any())
    colour = "0.75" if metal else SERIES[0]
    axes.plot(bands.distances, bands.energies, color=colour, linewidth=0.7, zorder=1)
    x = np.repeat(bands.distances[:, None], bands.energies.shape[1], 1)
    sizes = 6.0 * bands.d_shares
    axes.scatter(x, bands.energies, s=sizes, color=SERIES[0], linewidths=0, zorder=2)
    places, names = zip(*bands.ticks, strict=True)
    for at in places:
        axes.axvline(at, color="0.6", linewidth=0.6)
    axes.axhline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    axes.set_xticks(places, [name.replace("G", "Γ") for name in names])
    axes.set_xlim(bands.distances[0], bands.distances[-1])
    axes.set_ylabel(f"energy from the {crystal.zero} (eV)")


def draw_dos(
    axes: Axes, crystal: Crystal, energies: Array, projected: Array, upright: bool = False
) -> None:
    """Draw the total in grey, and the outermost shell of each element in its colour.

    With ``upright``, energies are on the y axis, as for bands. ``projected`` is (N, 3, G).
    """
    symbols = np.array(crystal.atoms.symbols)
    curves = [("all", "0.6", projected.sum((0, 1)))]
    for element in dict.fromkeys(symbols.tolist()):
        shell = shells_of(atomic_numbers[element])[-1]
        own = projected[symbols == element, SHELLS.index(shell)].sum(0)
        curves.append((f"{element} {shell}", element_colour(crystal, element), own))
    for name, colour, values in curves:
        x, y = (values, energies) if upright else (energies, values)
        axes.plot(x, y, color=colour, label=name, linewidth=1.2)
    line = axes.axhline if upright else axes.axvline
    line(0.0, color="0.3", linewidth=0.8, linestyle="--")
    said = "states / eV / cell"
    if upright:
        axes.set_xlabel(said)
        axes.set_xlim(left=0.0)
    else:
        axes.set_xlabel(f"energy from the {crystal.zero} (eV)")
        axes.set_ylabel(said)
        axes.set_xlim(*_range(crystal))
        axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, fontsize="small")


def bands_figure(crystal: Crystal, bands: BandPath, energies: Array, projected: Array) -> Figure:
    """Draw bands beside the densities of states.

    Parameters
    ----------
    crystal
        The prediction.
    bands
        Its bands along a path.
    energies, projected
        Energies (eV) and densities of states on atoms and shells, (G,) and (N, 3, G).

    Returns
    -------
    The figure.
    """
    plt = _pyplot()
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, figsize=(8.0, 4.5), width_ratios=(2.2, 1.0), layout="constrained"
    )
    draw_bands(left, crystal, bands)
    draw_dos(right, crystal, energies, projected, upright=True)
    left.set_ylim(*_range(crystal))
    left.set_title(crystal.name)
    found: Figure = figure
    return found


def dos_figure(crystal: Crystal, energies: Array, projected: Array) -> Figure:
    """Draw densities of states beside the structure, coloured by d-band centres or by element.

    Parameters
    ----------
    crystal
        The prediction.
    energies, projected
        Energies (eV) and densities of states on atoms and shells, (G,) and (N, 3, G).

    Returns
    -------
    The figure.
    """
    plt = _pyplot()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.0, 4.0), width_ratios=(1.6, 1.0), layout="constrained"
    )
    draw_dos(left, crystal, energies, projected)
    left.set_title(crystal.name)
    draw_structure(right, crystal)
    found: Figure = figure
    return found


def draw_structure(axes: Axes, crystal: Crystal) -> None:
    """Draw the structure, coloured by d-band centres or, without d orbitals, by element."""
    from ase.visualize.plot import plot_atoms
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    looks: dict[str, Any] = {"rotation": "10x,15y,0z", "radii": 0.9}
    axes.set_axis_off()
    if crystal.mesh.insulating:
        colours = [element_colour(crystal, element) for element in crystal.atoms.symbols]
        plot_atoms(crystal.atoms, axes, colors=colours, **looks | {"radii": 0.5})
        return
    centres = crystal.d_band_centres
    scale = Normalize(float(centres.min()), float(centres.max()) + 1e-9)
    plot_atoms(crystal.atoms, axes, colors=colormaps["viridis"](scale(centres)), **looks)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.colorbar(
        ScalarMappable(scale, "viridis"), ax=axes, label="d-band centre (eV)", shrink=0.8
    )
