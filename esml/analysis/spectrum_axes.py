"""Plots of spectra: a wavelength or energy axis, the curve, and labelled sticks.

ε(λ) = ε(hc/λ): an absorption coefficient is not a density per interval of an axis, so changing the
axis brings no factor dE/dλ, unlike emission per nanometre. The same holds for a measured
absorbance. Only on the energy axis are areas oscillator strengths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esml.analysis.absorption import Band, strongest
from esml.units import HC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

Unit = Literal["nm", "eV"]

CURVE_COLOUR = "#1f4e79"
STICK_COLOUR = "#b3402a"

DYES = (200.0, 800.0)
"""nm; range of the axis if the strongest band lies in it."""

LOWEST_ENERGY = 0.05
"""eV; lowest energy on an axis, so that wavelengths stay finite."""

FAINT = 1e-3
"""Smallest oscillator strength at the top of a plot: rounding errors of dark states stay small."""

NAMED = 0.03
"""Height of the lowest labelled stick, relative to the highest point of the curve."""

VISIBLE_IN = 0.5
"""The same, relative to the curve at the stick; lower ones lie in the flank of a stronger line."""

LABEL_ROOM = 1.1
"""Least height of the axes, relative to the highest labelled point."""

APART = 0.035
"""Least distance of two labels, relative to the length of the axis."""

EDGE = 0.02
"""A label this close to an end of the axis, relative to its length, starts or ends at its stick
instead of being centred, so as not to overlap the numbers of the next axis."""

BESIDE = 5.0
"""Distance of such a label from its stick, in points, to clear the ticks, which point inwards."""

POINTS = 1001
"""Number of points of a curve on an axis that is longer than its own grid."""


class Drawable(Protocol):
    """Members that ``draw`` needs of a spectrum; see ``esml.analysis.spectrum.Spectrum``."""

    @property
    def energies(self) -> Array: ...
    @property
    def stick_energies(self) -> Array: ...
    @property
    def stick_strengths(self) -> Array: ...
    @property
    def stick_labels(self) -> tuple[str, ...]: ...
    @property
    def bands(self) -> tuple[Band, ...]: ...
    @property
    def line_height(self) -> float: ...
    def at(self, energies: ArrayLike) -> Array: ...


def begin(
    ax: Axes | None,
    label: str,
    unit: Unit,
    ends: Mapping[Unit, tuple[float, float]],
    axis: Unit | None,
    limits: tuple[float, float] | None,
) -> tuple[Axes, dict[str, Any]]:
    """Return the axes to draw a curve into, and the style of its line.

    Empty or new (None) axes get ``axis`` (``unit`` if None) with ``limits`` (``ends`` if None) and
    ``label``. Raises ValueError if ``axis`` differs from that of an existing curve or limits are
    impossible, ImportError without matplotlib.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("drawing a spectrum needs matplotlib: pip install matplotlib") from error
    if axis is not None and axis not in get_args(Unit):
        raise ValueError(f"axis is {axis!r}: expected 'nm' or 'eV'; choose one")
    if ax is None:
        ax = plt.subplots(figsize=(5.0, 3.4), layout="constrained")[1]
    if not ax.has_data():
        unit = axis or unit
        low, high = limits or ends[unit]
        check_limits(low, high, unit)
        _prepare(ax, unit, low, high, label)
        return ax, {"linewidth": 1.6, "color": CURVE_COLOUR}
    if (axis is not None and axis != unit_of(ax)) or limits is not None:
        raise ValueError(
            "axis and limits are those of the first spectrum in a picture: expected none for a "
            "spectrum drawn over another; leave them out"
        )
    return ax, {"linewidth": 1.6}


def draw(
    spectrum: Drawable,
    ax: Axes | None,
    sticks: bool,
    axis: Unit | None,
    limits: tuple[float, float] | None,
    style: dict[str, Any],
) -> Axes:
    """Draw ``spectrum``; see ``Spectrum.plot``."""
    label = r"$\varepsilon$ ($10^3$ L mol$^{-1}$ cm$^{-1}$)"
    ends = usual_ends(spectrum.energies)
    ax, line = begin(ax, label, usual_unit(spectrum.bands), ends, axis, limits)
    grid = _grid(spectrum, ax)
    height = spectrum.at(grid) / 1e3
    (curve,) = ax.plot(on_axis(ax, grid), height, **line | style)
    fill(ax, grid, np.zeros_like(grid), height, color=curve.get_color(), alpha=0.12)
    if sticks:
        _draw_sticks(ax, spectrum)
    show_up_to(ax, FAINT * spectrum.line_height / 1e3)
    return ax


def usual_unit(bands: tuple[Band, ...]) -> Unit:
    """Return ``"nm"`` if the strongest band lies in ``DYES``, else ``"eV"``."""
    top = strongest(bands)
    return "nm" if top is not None and DYES[0] <= top.wavelength <= DYES[1] else "eV"


def unit_of(ax: Axes) -> Unit:
    """Return the unit of the axis in ``ax``."""
    return "nm" if ax.get_xlabel().startswith("Wavelength") else "eV"


def on_axis(ax: Axes, energies: Array) -> Array:
    """Convert ``energies`` (P,) in eV to coordinates of ``ax``."""
    return HC / energies if unit_of(ax) == "nm" else energies


def fill(ax: Axes, energies: Array, low: Array, high: Array, **style: Any) -> None:
    """Fill between two curves (P,) in 10³ L mol⁻¹ cm⁻¹ over energies in eV, and make room."""
    inside = _inside(ax, energies)
    if not inside.any():
        return
    x = on_axis(ax, energies[inside])
    ax.fill_between(x, low[inside], high[inside], linewidth=0, **style)
    show_up_to(ax, 1.05 * float(high[inside].max()))


def show_up_to(ax: Axes, top: float) -> None:
    """Extend the axes to heights from 0 to ``top``; a taller curve can extend them later."""
    if ax.get_autoscaley_on():  # not where a user has set the limits
        ax.set_ylim(0.0, max(ax.get_ylim()[1], top), auto=True)


def check_limits(low: float, high: float, unit: Unit, name: str = "limits") -> None:
    """Raise ValueError unless ``low`` and ``high`` are possible ends of an axis."""
    if not 0.0 < low < high < math.inf:
        raise ValueError(
            f"{name} is {low:g} to {high:g} {unit}: expected a lower and a higher positive number; "
            "give both"
        )


def usual_ends(energies: Array) -> dict[Unit, tuple[float, float]]:
    """Return the default ends for a curve over ``energies`` (P,) eV: ``DYES``, or all in eV."""
    return {"nm": DYES, "eV": (float(energies[0]), float(energies[-1]))}


def _ends(ax: Axes) -> tuple[float, float]:
    """Lower and upper energy (eV) that ``ax`` shows."""
    low, high = sorted(ax.get_xlim())
    return (HC / high, HC / low) if unit_of(ax) == "nm" else (low, high)


def _inside(ax: Axes, energies: Array) -> NDArray[np.bool_]:
    low, high = _ends(ax)
    inside: NDArray[np.bool_] = (energies >= low * (1 - 1e-9)) & (energies <= high * (1 + 1e-9))
    return inside


def _grid(spectrum: Drawable, ax: Axes) -> Array:
    """Energies (eV) to draw a curve at: its own grid, and more where the axis extends beyond it."""
    own = spectrum.energies
    more = np.linspace(*_ends(ax), POINTS)
    beyond = more[(more < own[0]) | (more > own[-1])]
    grid: Array = np.union1d(own[_inside(ax, own)], beyond)
    return grid


def _prepare(ax: Axes, unit: Unit, low: float, high: float, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("Wavelength (nm)" if unit == "nm" else "Energy (eV)")
    ax.set_ylabel(label)
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    ax.tick_params(direction="in")
    _add_other_unit(ax, "Energy (eV)" if unit == "nm" else "Wavelength (nm)")


def _draw_sticks(ax: Axes, spectrum: Drawable) -> None:
    """Draw sticks, each as high as its line alone, with strengths on the right axis."""
    height = spectrum.line_height / 1e3  # of a line of strength 1
    inside = _inside(ax, spectrum.stick_energies)
    energies, strengths = spectrum.stick_energies[inside], spectrum.stick_strengths[inside]
    places = on_axis(ax, energies)
    ax.vlines(places, 0.0, height * strengths, color=STICK_COLOUR, linewidth=1.4, zorder=1.5)
    right = ax.secondary_yaxis(
        "right", functions=(partial(_times, 1 / height), partial(_times, height))
    )
    right.set_ylabel("Oscillator strength", color=STICK_COLOUR)
    right.tick_params(axis="y", colors=STICK_COLOUR, direction="in")
    if not spectrum.stick_labels:
        return
    low, high = ax.get_xlim()
    labels = [text for text, there in zip(spectrum.stick_labels, inside, strict=True) if there]
    tops = spectrum.at(energies) / 1e3
    # Labels of dark states would lie on the lower axis.
    tallest = max(float(tops.max(initial=0.0)), FAINT * height)
    named: list[float] = []
    for k in np.argsort(-strengths, kind="stable"):
        faint = height * strengths[k] < max(NAMED * tallest, VISIBLE_IN * tops[k])
        if faint or any(abs(places[k] - other) < APART * (high - low) for other in named):
            continue
        named.append(float(places[k]))
        near = EDGE * (high - low)
        side = (
            "left" if places[k] < low + near else "right" if places[k] > high - near else "center"
        )
        ax.annotate(
            labels[k],
            (places[k], tops[k]),
            ({"left": BESIDE, "right": -BESIDE}.get(side, 0.0), 2.0),
            textcoords="offset points",
            ha=side,
            fontsize=8,
            color=STICK_COLOUR,
        )
    show_up_to(ax, LABEL_ROOM * float(tops.max(initial=0.0)))


def _times(factor: float, value: ArrayLike) -> Array:
    """Convert oscillator strengths to heights, or back."""
    other: Array = factor * np.asarray(value, dtype=np.float64)
    return other


def _other_unit(value: ArrayLike) -> Array:
    """Convert eV to nm, or back; matplotlib also calls this with 0."""
    other: Array = HC / np.maximum(np.asarray(value, dtype=np.float64), 1e-9)
    return other


def _add_other_unit(ax: Axes, label: str) -> None:
    """Add an upper axis in the other unit, which follows when the limits change."""
    from matplotlib.ticker import Locator

    class RoundNumbers(Locator):
        def __call__(self) -> list[float]:
            return self.tick_values(*ax.get_xlim())

        def tick_values(self, vmin: float, vmax: float) -> list[float]:
            low, high = sorted((vmin, vmax))
            return wavelength_ticks(max(low, LOWEST_ENERGY), max(high, 2.0 * LOWEST_ENERGY))

    above = ax.secondary_xaxis("top", functions=(_other_unit, _other_unit))
    above.set_xlabel(label)
    above.xaxis.set_major_locator(RoundNumbers())
    above.minorticks_off()
    above.tick_params(direction="in")


def wavelength_ticks(low: float, high: float) -> list[float]:
    """Return round wavelengths (nm) between two energies (eV), well spaced on an energy axis.

    With wavelengths as input it returns round energies.
    """
    shortest, longest = HC / high, HC / low
    ticks: list[float] = []
    # Start with the roundest numbers; add less round ones while there is room.
    step = 10.0 ** math.floor(math.log10(longest))
    for divisor in (1, 2, 5, 10, 20, 50, 100):
        if len(ticks) >= 7:
            break
        fine = step / divisor
        count = np.arange(math.ceil(shortest / fine), math.floor(longest / fine) + 1)
        for tick in (count * fine).tolist():
            if all(abs(HC / tick - HC / other) > 0.09 * (high - low) for other in ticks):
                ticks.append(tick)
    return sorted(ticks)
