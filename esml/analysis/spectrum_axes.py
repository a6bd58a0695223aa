"""Pictures of spectra: an axis of wavelengths or of energies, the curve, and labelled sticks.

ε(λ) = ε(hc/λ): an absorption coefficient belongs to a kind of light and not to an interval of an
axis, so that putting it on another axis takes no factor dE/dλ, as emission per nanometre would. An
absorbance measured over wavelengths is treated alike. Areas are oscillator strengths on the axis of
energies only.
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
"""nm; what the axis shows where the strongest band lies in it."""

LOWEST_ENERGY = 0.05
"""eV; lowest energy on an axis, so that wavelengths stay finite."""

FAINT = 1e-3
"""Oscillator strength a plot shows at least: rounding errors of dark states are not blown up."""

NAMED = 0.03
"""Height of the lowest stick that is labelled, of that of the curve."""

VISIBLE_IN = 0.5
"""The same, of the height of the curve at its place: others hide in the flank of a stronger one."""

LABEL_ROOM = 1.1
"""Height of the axes over that of the highest labelled place, at least."""

APART = 0.035
"""Distance of two labels at least, of the length of the axis."""

EDGE = 0.02
"""Distance from an end of the axis below which a label begins, or ends, at its stick and is not
centred on it, of the length of the axis: numbers of the next axis stand beyond."""

BESIDE = 5.0
"""Points between such a label and its stick: beyond the marks of the axis, which point inwards."""

POINTS = 1001
"""Of a curve on an axis that is longer than its own grid."""


class Drawable(Protocol):
    """What a spectrum has for its picture; see ``esml.analysis.spectrum.Spectrum``."""

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
    """Axes to draw a curve into, and the style of its line.

    An empty picture, or a new one for None, has the ``axis`` (``unit`` for None) from and to
    ``limits`` (``ends`` for None), and ``label`` beside it. Raises ValueError for another axis than
    that of a curve that is there, and for limits that cannot be, ImportError without matplotlib.
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
    """``"nm"`` where the strongest band lies in ``DYES``, as that of a dye does, else ``"eV"``."""
    top = strongest(bands)
    return "nm" if top is not None and DYES[0] <= top.wavelength <= DYES[1] else "eV"


def unit_of(ax: Axes) -> Unit:
    """The axis that spectra in ``ax`` have."""
    return "nm" if ax.get_xlabel().startswith("Wavelength") else "eV"


def on_axis(ax: Axes, energies: Array) -> Array:
    """``energies`` (P,) in eV as coordinates of ``ax``."""
    return HC / energies if unit_of(ax) == "nm" else energies


def fill(ax: Axes, energies: Array, low: Array, high: Array, **style: Any) -> None:
    """Fill between two curves (P,) over energies in eV, in 10³ L mol⁻¹ cm⁻¹, and make room."""
    inside = _inside(ax, energies)
    if not inside.any():
        return
    x = on_axis(ax, energies[inside])
    ax.fill_between(x, low[inside], high[inside], linewidth=0, **style)
    show_up_to(ax, 1.05 * float(high[inside].max()))


def show_up_to(ax: Axes, top: float) -> None:
    """Make room for heights from 0 to ``top``, and let a taller curve drawn later make more."""
    if ax.get_autoscaley_on():  # not where a user has set the limits
        ax.set_ylim(0.0, max(ax.get_ylim()[1], top), auto=True)


def check_limits(low: float, high: float, unit: Unit, name: str = "limits") -> None:
    """Raise ValueError unless these can be the ends of an axis."""
    if not 0.0 < low < high < math.inf:
        raise ValueError(
            f"{name} is {low:g} to {high:g} {unit}: expected a lower and a higher positive number; "
            "give both"
        )


def usual_ends(energies: Array) -> dict[Unit, tuple[float, float]]:
    """What an axis shows of a curve over ``energies`` (P,) eV: ``DYES``, or all of it in eV."""
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
    """Energies (eV) to draw a curve at: its own that are shown, and more where the axis goes on."""
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
    """Sticks as high as their lines would be alone, with their strengths on a right axis."""
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
    # What is dark beside the least height of the axes would have its label on the axis below.
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
    """Oscillator strengths to heights and back."""
    other: Array = factor * np.asarray(value, dtype=np.float64)
    return other


def _other_unit(value: ArrayLike) -> Array:
    """eV to nm and back; matplotlib asks about 0 too."""
    other: Array = HC / np.maximum(np.asarray(value, dtype=np.float64), 1e-9)
    return other


def _add_other_unit(ax: Axes, label: str) -> None:
    """An upper axis in the other unit of light, which follows when the limits change."""
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
    """Round wavelengths (nm) between two energies (eV), not crowded on the axis of energies.

    The other way round it gives round energies between two wavelengths.
    """
    shortest, longest = HC / high, HC / low
    ticks: list[float] = []
    # Roundest first; less round ones where there is room left, until there are enough.
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
