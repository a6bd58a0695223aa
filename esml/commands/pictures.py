"""The picture of ``esml spectrum``: axis, range, and a reference or measured spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from esml.commands.messages import fail, refusing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from esml.analysis.dichroism import Dichroism
    from esml.analysis.spectrum import Spectrum
    from esml.analysis.spectrum_axes import Unit
    from esml.analysis.vibronic import VibronicSpectrum
    from esml.io.comparison import Comparison
    from esml.io.measured import MeasuredSpectrum
    from esml.results import Result
    from esml.results.band_maximum import BandMaximum

LARGEST_ENERGY = 30.0
"""Without ``--axis``, a range whose upper end exceeds this number is in nm, otherwise in eV."""


@dataclass(frozen=True)
class View:
    """Axis and range of a picture; if None, ``Spectrum.plot`` chooses them."""

    axis: Unit | None = None
    limits: tuple[float, float] | None = None
    measured: MeasuredSpectrum | None = None
    """Measured spectrum to draw over the predicted one."""


def view_of(axis: str | None, limits: str | None, experiment: Path | None = None) -> View:
    """Parse ``--axis``, ``--range`` and ``--experiment``; end the command if one is invalid."""
    measured = None
    if experiment is not None:
        from esml.io.measured import read_measured
        from esml.io.structures import InputError

        with refusing(InputError):
            measured = read_measured(experiment)
    unit: Unit | None
    if axis is None:
        unit = None
    elif axis.lower() == "nm":
        unit = "nm"
    elif axis.lower() == "ev":
        unit = "eV"
    else:
        fail(f"--axis is '{axis}': expected nm or eV; choose one")
    if limits is None:
        return View(unit, None, measured)
    from esml.analysis.spectrum_axes import check_limits

    try:
        low, high = (float(part) for part in limits.split(":"))
    except ValueError:
        fail(f"--range is '{limits}': expected two numbers such as 200:800 (nm) or 1.5:6 (eV)")
    unit = unit or ("nm" if high > LARGEST_ENERGY else "eV")
    with refusing(ValueError):
        check_limits(low, high, unit, "--range")
    return View(unit, (low, high), measured)


def spectrum_picture(
    result: Result, curve: Spectrum, view: View, comparison: Comparison | None
) -> Axes:
    """Draw the predicted spectrum and, if given, the reference's or a measured one over it."""
    from esml.analysis.vibronic import VibronicSpectrum
    from esml.plots.figures import plot_spectrum

    if isinstance(curve, VibronicSpectrum):
        return _vibronic_picture(result, curve, view)
    axes = plot_spectrum(
        result, fwhm=curve.fwhm, axis=view.axis, limits=view.limits, measured=view.measured
    )
    if comparison is not None and comparison.singlets.oscillator_strengths:
        _add_reference(axes, curve, comparison)
    return axes


def _vibronic_picture(result: Result, curve: VibronicSpectrum, view: View) -> Axes:
    """Draw the vibronic bands, and the broadened vertical transitions as a dashed line."""
    from esml.plots.spectrum_notes import name_curves

    axes = mean_picture(curve, view, result.band_maximum)
    axes.get_lines()[0].set_label("vibronic")
    vertical = result.spectrum(fwhm=0.3)
    vertical.plot(axes, sticks=False, color="#6b6b6b", linestyle="--", label="vertical, 0.3 eV")
    name_curves(axes)
    return axes


def _add_reference(axes: Axes, spectrum: Spectrum, comparison: Comparison) -> None:
    """Draw the spectrum of the reference's singlets with the same line width."""
    from esml.analysis.spectrum import broaden
    from esml.plots.spectrum_notes import name_curves

    reference = broaden(
        comparison.singlets.energies,
        comparison.singlets.oscillator_strengths or [],
        fwhm=spectrum.fwhm,
        shape=spectrum.shape,
        energies=spectrum.energies,
    )
    axes.get_lines()[0].set_label("esml")
    reference.plot(axes, sticks=False, color="#6b6b6b", linestyle="--", label=comparison.level)
    name_curves(axes)


def curve_picture(curve: Spectrum | Dichroism, view: View) -> Axes:
    """Draw a mean spectrum (``mean_picture``) or circular dichroism."""
    from esml.analysis.dichroism import Dichroism

    if isinstance(curve, Dichroism):
        return curve.plot(axis=view.axis, limits=view.limits)
    return mean_picture(curve, view)


def mean_picture(curve: Spectrum, view: View, expected: BandMaximum | None = None) -> Axes:
    """Draw a mean spectrum, without sticks, and a measured one over it."""
    from esml.plots.spectrum_notes import draw_measured, name_curves, state_maximum

    axes = curve.plot(axis=view.axis, limits=view.limits)
    if view.measured is not None:
        draw_measured(axes, curve, view.measured)
        name_curves(axes)
    state_maximum(axes, curve, expected)
    return axes
