"""Plots with matplotlib: spectra, orbital energies, orbitals of a state, parity.

Every function draws into axes or a figure and returns it; nothing is shown or saved. Shapes of
orbitals are an illustration (``esml.analysis.orbital_shapes``).

Over 400 lines: one function for each kind of plot, with all its parameters described.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esml.analysis.orbital_shapes import Shapes, isovalue
from esml.analysis.spectrum import Shape, Spectrum, broaden, uncertainty_band
from esml.analysis.spectrum_axes import CURVE_COLOUR, Unit, fill, usual_unit
from esml.plots.raster import draw_scene
from esml.plots.spectrum_notes import draw_measured, mark_end, name_curves, state_maximum
from esml.plots.style import ATTACHMENT, DETACHMENT, ENCLOSED, NEGATIVE, POSITIVE, SERIES
from esml.typing import MultiplicityName, renamed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from esml.io.measured import MeasuredSpectrum
    from esml.results import Result

Array = NDArray[np.float64]

SAME_LEVEL = 0.02
"""eV; orbitals closer than this are drawn side by side."""


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('drawing needs matplotlib: pip install "esml[plot]"') from error
    return plt


def plot_spectrum(
    result: Result,
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    ax: Axes | None = None,
    axis: Unit | None = None,
    limits: tuple[float, float] | None = None,
    measured: MeasuredSpectrum | None = None,
) -> Axes:
    """Draw curve and labelled sticks of one molecule, with λmax, colour and a band of uncertainty.

    If uncertainties are known, the band holds 68 % of the curves that they allow
    (``spectrum.uncertainty_band``). The region beyond the last requested state is hatched, because
    more states absorb there.

    Parameters
    ----------
    result, fwhm, shape
        The result, and the width (eV) and shape of a line.
    ax
        Axes to draw into; new ones if None.
    axis, limits
        ``"nm"`` or ``"eV"`` and the ends of that axis; see ``Spectrum.plot``.
    measured
        A measured spectrum to draw over the predicted one. An absorbance is scaled to its height.

    Returns
    -------
    The axes of the curve.
    """
    curve = result.spectrum(fwhm=fwhm, shape=shape)
    axes = curve.plot(ax, axis=axis, limits=limits)
    draw_band(axes, result, curve)
    n_virtual = len(result.orbital_energies) - result.n_occupied
    if len(result.singlets) < result.n_occupied * n_virtual:
        mark_end(axes, float(result.singlets.energies[-1]), result.singlets.labels[-1])
    if measured is not None:
        draw_measured(axes, curve, measured)
    state_maximum(axes, curve, result.band_maximum)
    if measured is not None:
        name_curves(axes)
    return axes


def draw_band(axes: Axes, result: Result, curve: Spectrum, colour: str = CURVE_COLOUR) -> None:
    """Draw the band of uncertainty around ``curve``, the spectrum of ``result``."""
    band = uncertainty_band(
        result.singlets.energies,
        result.singlets.oscillator_strengths,
        result.singlets.uncertainties,
        curve,
    )
    if band is not None:
        low, high = (edge / 1e3 for edge in band)
        fill(axes, curve.energies, low, high, color=colour, alpha=0.22, zorder=0)


def plot_spectra(
    results: Mapping[str, Result],
    fwhm: float = 0.3,
    shape: Shape = "gaussian",
    ax: Axes | None = None,
    axis: Unit | None = None,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw the spectra of several molecules over each other, with uncertainty bands.

    Parameters
    ----------
    results
        The results, by their names in the legend.
    fwhm, shape
        Width (eV) and shape of a line.
    ax
        Axes to draw into; new ones if None.
    axis, limits
        ``"nm"`` or ``"eV"`` and the ends of that axis, as in ``Spectrum.plot``; if None, nm if
        the strongest band of every molecule lies at 200 to 800 nm.

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError
        If there is no molecule.
    """
    if not results:
        raise ValueError("there is no molecule to draw: expected at least one result")
    curves = {name: result.spectrum(fwhm=fwhm, shape=shape) for name, result in results.items()}
    if axis is None and limits is None:
        units = {usual_unit(curve.bands) for curve in curves.values()}
        axis = "nm" if units == {"nm"} else "eV"
    low = min(curve.energies[0] for curve in curves.values())
    high = max(curve.energies[-1] for curve in curves.values())
    grid = np.linspace(low, high, 1 + int(np.ceil(30.0 * (high - low) / fwhm)))
    axes = ax
    for k, (name, result) in enumerate(results.items()):
        singlets = result.singlets
        curve = broaden(
            singlets.energies, singlets.oscillator_strengths, fwhm=fwhm, shape=shape, energies=grid
        )
        colour = SERIES[k % len(SERIES)]
        view: dict[str, Any] = {"axis": axis, "limits": limits} if k == 0 else {}
        # In a label, a dollar sign starts mathematics and a leading underscore hides it.
        label = " " + name.replace("$", r"\$")
        axes = curve.plot(axes, sticks=False, color=colour, label=label, **view)
        draw_band(axes, result, curve, colour)
    assert axes is not None
    axes.legend(loc="best", fontsize="small", frameon=False)
    return axes


@dataclass(frozen=True)
class OrbitalsOfOneEnergy:
    """Degenerate orbitals."""

    energy: float  # their mean energy, eV
    orbitals: tuple[int, ...]
    occupied: bool


def levels(result: Result, window: int = 8) -> list[OrbitalsOfOneEnergy]:
    """Return ``window`` occupied and as many virtual frontier orbitals, grouped if degenerate."""
    first = max(0, result.n_occupied - window)
    last = min(len(result.orbital_energies), result.n_occupied + window)
    groups: list[list[int]] = []
    for k in range(first, last):
        energy = result.orbital_energies[k]
        apart = k == result.n_occupied
        if groups and not apart and energy - result.orbital_energies[groups[-1][-1]] < SAME_LEVEL:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [
        OrbitalsOfOneEnergy(
            float(np.mean(result.orbital_energies[group])),
            tuple(group),
            group[0] < result.n_occupied,
        )
        for group in groups
    ]


def plot_levels(result: Result, window: int = 8, ax: Axes | None = None) -> Axes:
    """Draw the orbital energies: occupations as arrows, degenerate orbitals side by side.

    Occupied levels too close to others for arrows are only marked by their colour.

    Parameters
    ----------
    result
        The result.
    window
        Number of orbitals on either side of the gap.
    ax
        Axes to draw into; new ones if None.

    Returns
    -------
    The axes.
    """
    if ax is None:
        _, ax = _pyplot().subplots(figsize=(3.4, 4.6), layout="constrained")
    found = levels(result, window)
    low = min(level.energy for level in found)
    high = max(level.energy for level in found)
    height = 0.024 * (high - low + 1.0)
    filled = np.array([level.energy for level in found if level.occupied])
    for level in found:
        n = len(level.orbitals)
        room = (np.abs(filled - level.energy) < 2.2 * height).sum() <= 1
        for place in range(n):
            x = (place - 0.5 * (n - 1)) * 0.62
            colour = CURVE_COLOUR if level.occupied else "#8a8a8a"
            ax.hlines(level.energy, x - 0.26, x + 0.26, color=colour, linewidth=2.0)
            for offset, sense in ((-0.08, 1.0), (0.08, -1.0)) if level.occupied and room else ():
                ax.annotate(
                    "",
                    (x + offset, level.energy + sense * height),
                    (x + offset, level.energy - sense * height),
                    arrowprops={"arrowstyle": "->", "color": "#222222", "linewidth": 0.9},
                )
    widest = max(len(level.orbitals) for level in found)
    right = 0.31 * widest + 0.05
    names = {result.n_occupied - 1: "HOMO", result.n_occupied: "LUMO"}
    for level in found:
        for orbital in level.orbitals:
            if orbital in names:
                text = f"{names[orbital]} {level.energy:.2f}".replace("-", "−")
                ax.text(right, level.energy, text, va="center", fontsize=8)
    ax.set_xlim(-right, right + 0.95)
    ax.set_ylim(low - 3.0 * height, high + 3.0 * height)
    ax.set_xticks([])
    ax.set_ylabel("Orbital energy (eV)")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return ax


@renamed(kind="multiplicity")
def plot_natural_orbitals(
    result: Result,
    state: int,
    multiplicity: MultiplicityName = "singlet",
    pairs: int = 1,
) -> Figure:
    """Draw hole and electron of the leading natural transition orbitals of a state.

    Surfaces enclose 70 % of each orbital's density. Needs scikit-image.

    Parameters
    ----------
    result
        A result with its wave functions.
    state
        The state, counted from 0.
    multiplicity
        ``"singlet"`` or ``"triplet"``.
    pairs
        Number of pairs.

    Returns
    -------
    The figure.
    """
    states = result.wavefunctions(multiplicity)
    if not 0 <= state < len(states):
        raise IndexError(f"state {state}: expected 0 to {len(states) - 1}")
    natural = states.natural_orbitals(state)
    pairs = min(pairs, len(natural.weights))
    character = result.named_characters(multiplicity)[state]
    shapes = Shapes(result.atoms)
    grid = shapes.grid(0.2)
    columns = np.hstack([natural.holes[:, :pairs], natural.electrons[:, :pairs]])
    values = shapes.values(columns, grid)
    figure: Figure
    figure, axes = _pyplot().subplots(
        pairs, 2, figsize=(7.0, 2.6 * pairs + 0.3), squeeze=False, layout="constrained"
    )
    for pair in range(pairs):
        for column, name in enumerate(("hole", "electron")):
            field = values[pair + column * pairs]
            value = isovalue(field, ENCLOSED)
            draw_scene(
                axes[pair, column],
                result,
                [(field, grid, value, POSITIVE), (field, grid, -value, NEGATIVE)],
            )
            axes[pair, column].set_title(
                f"{name}, weight {natural.weights[pair]:.2f}", fontsize=9, color="#333333"
            )
    label = f"{multiplicity[0].upper()}{state + 1}  {states.energies[state]:.2f} eV"
    figure.suptitle(f"{label}  {character.description}", fontsize=10)
    return figure


@renamed(kind="multiplicity")
def plot_densities(
    result: Result, state: int, multiplicity: MultiplicityName = "singlet"
) -> Figure:
    """Draw where the excited electron comes from (detachment) and where it goes (attachment).

    Surfaces enclose 70 % of each density. Needs scikit-image.

    Parameters
    ----------
    result
        A result with its wave functions.
    state
        The state, counted from 0.
    multiplicity
        ``"singlet"`` or ``"triplet"``.

    Returns
    -------
    The figure.
    """
    states = result.wavefunctions(multiplicity)
    if not 0 <= state < len(states):
        raise IndexError(f"state {state}: expected 0 to {len(states) - 1}")
    attachment, detachment = states.attachment_detachment(state)
    shapes = Shapes(result.atoms)
    grid = shapes.grid(0.2)
    figure: Figure
    figure, axes = _pyplot().subplots(1, 2, figsize=(7.0, 3.1), layout="constrained")
    for ax, matrix, colour, name in zip(
        axes,
        (detachment, attachment),
        (DETACHMENT, ATTACHMENT),
        ("detachment", "attachment"),
        strict=True,
    ):
        field = shapes.density(matrix, grid)
        # A density is already a square.
        value = isovalue(np.sqrt(field), ENCLOSED) ** 2
        draw_scene(ax, result, [(field, grid, value, colour)])
        ax.set_title(f"{name}, {np.trace(matrix):.2f} electrons", fontsize=9, color="#333333")
    label = f"{multiplicity[0].upper()}{state + 1}  {states.energies[state]:.2f} eV"
    figure.suptitle(
        f"{label}  {result.named_characters(multiplicity)[state].description}", fontsize=10
    )
    return figure


def plot_parity(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]],
    units: Mapping[str, str] | None = None,
    axes: tuple[str, str] = ("label", "model"),
) -> Figure:
    """Draw predictions against labels, one panel for each quantity.

    Parameters
    ----------
    pairs
        Labels and predictions of each quantity, by its name.
    units
        Units of the quantities, by name.
    axes
        Names of the two axes, labels and predictions.

    Returns
    -------
    The figure.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    kept = {name: (np.asarray(x), np.asarray(y)) for name, (x, y) in pairs.items() if np.size(x)}
    if not kept:
        raise ValueError("there is nothing to draw: expected labels and predictions")
    columns = 2 if len(kept) == 4 else min(3, len(kept))
    rows = -(-len(kept) // columns)
    figure: Figure
    figure, panels = _pyplot().subplots(
        rows, columns, figsize=(3.1 * columns, 3.4 * rows), squeeze=False, layout="constrained"
    )
    for ax, (name, (labels, found)) in zip(panels.flat, kept.items(), strict=False):
        everything = np.concatenate([labels, found])
        low, high = float(everything.min()), float(everything.max())
        margin = 0.04 * (high - low) + 1e-9
        limits = (low - margin, high + margin)
        ax.plot(limits, limits, color="#999999", linewidth=0.8, zorder=0)
        size = float(np.clip(4000.0 / len(labels), 2.0, 22.0))
        ax.scatter(labels, found, s=size, color=CURVE_COLOUR, alpha=0.45, linewidths=0)
        ax.set_xlim(limits)
        ax.set_ylim(limits)
        ax.set_box_aspect(1.0)
        ax.locator_params(nbins=5)
        ax.tick_params(direction="in")
        unit = (units or {}).get(name, "")
        ending = f" ({unit})" if unit else ""
        ax.set_xlabel(f"{axes[0]}{ending}")
        ax.set_ylabel(f"{axes[1]}{ending}")
        ax.set_title(name, fontsize=10)
        error = float(np.abs(found - labels).mean())
        text = f"n = {len(labels)}\nMAE {error:.3f} {unit}".rstrip()
        ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top", fontsize=8)
    for ax in list(panels.flat)[len(kept) :]:
        ax.set_visible(False)
    return figure
