from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from esml.analysis.spectrum import WAVENUMBERS, Spectrum, broaden

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENERGIES = [3.1, 4.4, 4.5, 6.7]
STRENGTHS = [0.002, 0.8, 0.1, 0.3]


def integral(spectrum: Spectrum) -> float:
    """∫ ε dν̃ over wavenumbers."""
    return float(np.trapezoid(spectrum.absorption, spectrum.energies * WAVENUMBERS))


def save(ax: Axes, path: Path) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(path)


def test_one_electronvolt_in_wavenumbers() -> None:
    assert pytest.approx(8065.54394, rel=1e-8) == WAVENUMBERS


@pytest.mark.parametrize("fwhm", [0.05, 0.3, 0.8])
def test_a_gaussian_spectrum_integrates_to_the_strengths(fwhm: float) -> None:
    spectrum = broaden(ENERGIES, STRENGTHS, fwhm)
    assert integral(spectrum) == pytest.approx(sum(STRENGTHS) / 4.319e-9, rel=1e-6)


def test_a_lorentzian_spectrum_integrates_to_the_strengths() -> None:
    centre, width = 50.0, 0.3
    grid = np.linspace(0.01, 100, 400001)
    spectrum = broaden([centre], [0.5], width, "lorentzian", grid)
    inside = 2 / math.pi * math.atan(2 * (centre - 0.01) / width)
    assert integral(spectrum) == pytest.approx(0.5 * inside / 4.319e-9, rel=1e-6)


@pytest.mark.parametrize("shape", ["gaussian", "lorentzian"])
def test_the_width_is_the_full_width_at_half_maximum(shape: Any) -> None:
    top, half = broaden([4.0], [1.0], 0.4, shape, [4.0, 4.2]).absorption
    assert half == pytest.approx(top / 2)


def test_height_of_a_gaussian_band() -> None:
    """ε_max = f / (4.319e-9 · fwhm[cm⁻¹]) · 2 √(ln 2 / π), the textbook relation."""
    fwhm = 0.4
    height = 2 * math.sqrt(math.log(2) / math.pi) / (4.319e-9 * fwhm * 8065.54394)
    assert broaden([4.0], [1.0], fwhm, energies=[4.0]).absorption[0] == pytest.approx(height)


def test_spectra_add_up() -> None:
    grid = np.linspace(2, 8, 100)
    whole = broaden(ENERGIES, STRENGTHS, energies=grid).absorption
    parts = [
        broaden([e], [f], energies=grid).absorption
        for e, f in zip(ENERGIES, STRENGTHS, strict=True)
    ]
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-13)


def test_wavelengths() -> None:
    spectrum = broaden([4.0], [1.0], energies=[1.0, 2.0, 4.0])
    np.testing.assert_allclose(spectrum.wavelengths, [1239.841984, 619.920992, 309.960496])


def test_padding_is_left_out() -> None:
    padded = broaden([*ENERGIES, math.nan], [*STRENGTHS, 0.0])
    plain = broaden(ENERGIES, STRENGTHS)
    np.testing.assert_array_equal(padded.absorption, plain.absorption)
    np.testing.assert_array_equal(padded.stick_energies, ENERGIES)


def test_a_low_state_keeps_the_grid_positive() -> None:
    spectrum = broaden([0.2, 0.03], [1.0, 1.0], fwhm=0.5)
    assert spectrum.energies[0] > 0
    assert np.isfinite(spectrum.wavelengths).all()


def test_csv_reads_back(tmp_path: Path) -> None:
    spectrum = broaden(ENERGIES, STRENGTHS)
    path = tmp_path / "spectrum.csv"
    spectrum.to_csv(path)
    table = np.genfromtxt(path, delimiter=",", names=True, deletechars="")
    assert table.dtype.names == ("energy_eV", "wavelength_nm", "absorption_L_mol-1_cm-1")
    np.testing.assert_allclose(table["energy_eV"], spectrum.energies, rtol=1e-9)
    np.testing.assert_allclose(table["wavelength_nm"], spectrum.wavelengths, rtol=1e-9)
    np.testing.assert_allclose(table["absorption_L_mol-1_cm-1"], spectrum.absorption, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ENERGIES, STRENGTHS, 0.0), "fwhm is 0: expected a width of 0.001 to 100 eV"),
        ((ENERGIES, STRENGTHS, -1.0), "expected a width of 0.001 to 100 eV"),
        ((ENERGIES, STRENGTHS, math.nan), "expected a width of 0.001 to 100 eV"),
        ((ENERGIES, STRENGTHS, 0.3, "voigt"), "shape must be 'gaussian' or 'lorentzian'"),
        ((ENERGIES, STRENGTHS[1:]), r"two \(S,\) arrays, got \(4,\) and \(3,\)"),
        (([-1.0], [0.1]), "excitation energies must be positive, got -1.0 eV"),
        (([1.0], [-0.1]), "strengths must be finite and not negative"),
        (([], []), "no excited state"),
        (([math.nan], [0.0]), "no excited state"),
        ((ENERGIES, STRENGTHS, 0.3, "gaussian", [2.0, 1.0]), "positive and ascending"),
        ((ENERGIES, STRENGTHS, 0.3, "gaussian", [0.0, 1.0]), "positive and ascending"),
        ((ENERGIES, STRENGTHS, 0.3, "gaussian", []), "positive and ascending"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        broaden(*arguments)


def test_plot_has_both_scales_sticks_and_curve(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.collections import LineCollection

    matplotlib.use("Agg")
    spectrum = broaden(ENERGIES, STRENGTHS)
    ax = spectrum.plot(axis="eV", label="acrolein")
    save(ax, tmp_path / "spectrum.png")
    assert ax.get_xlabel() == "Energy (eV)"
    np.testing.assert_allclose(1e3 * np.asarray(ax.lines[0].get_ydata()), spectrum.absorption)
    above, right = ax.child_axes
    assert above.get_xlabel() == "Wavelength (nm)"
    ticks = above.get_xticks()
    assert 4 <= len(ticks) <= 12
    assert all(tick % 5 == 0 for tick in ticks)
    # A stick is as high as its line would be alone, and the right axis says its strength.
    assert right.get_ylabel() == "Oscillator strength"
    (segments,) = (c.get_segments() for c in ax.collections if isinstance(c, LineCollection))
    heights = [segment[1][1] for segment in segments]
    alone = [
        broaden([e], [f], energies=[e]).absorption[0] / 1e3
        for e, f in zip(ENERGIES, STRENGTHS, strict=True)
    ]
    np.testing.assert_allclose(heights, alone)
    scale = heights[1] / STRENGTHS[1]
    np.testing.assert_allclose(right.get_ylim(), np.array(ax.get_ylim()) / scale)
    # The upper axis follows the lower one.
    ax.set_xlim(4.0, 5.0)
    assert min(above.get_xticks()) >= 1239.85 / 5.0
    assert max(above.get_xticks()) <= 1239.84 / 4.0
    matplotlib.pyplot.close(ax.figure)


@pytest.mark.parametrize("shape", ["gaussian", "lorentzian"])
def test_a_plot_of_dark_states_is_flat(tmp_path: Path, shape: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    spectrum = broaden(ENERGIES, [0.0, 1e-17, 3e-12, 2e-15], shape=shape)
    ax = spectrum.plot()
    save(ax, tmp_path / "dark.png")
    # Both axes reach a strength of at least 0.001, where rounding errors cannot be seen.
    right = ax.child_axes[1]
    assert right.get_ylim()[1] == pytest.approx(1e-3)
    visible = broaden([4.0], [1e-3], shape=shape, energies=[4.0]).absorption[0] / 1e3
    bottom, top = ax.get_ylim()
    assert bottom == 0
    assert top == pytest.approx(visible)
    # A bright spectrum laid over it sets the scale.
    broaden(ENERGIES, STRENGTHS, shape=shape).plot(ax, sticks=False)
    assert ax.get_ylim()[1] > 100 * visible
    matplotlib.pyplot.close(ax.figure)


def test_plots_lie_over_each_other(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = broaden(ENERGIES, STRENGTHS).plot(sticks=False)
    same = broaden([4.0], [1.5]).plot(ax, sticks=False, color="C1")
    assert same is ax
    bottom, top = ax.get_ylim()
    assert bottom == 0
    assert top > max(np.max(line.get_ydata()) for line in ax.lines)
    ax.set_ylim(0.0, 7.0)
    broaden([4.0], [0.5]).plot(ax, sticks=False)
    assert ax.get_ylim() == (0.0, 7.0)
    ax.lines[-1].remove()
    assert len(ax.lines) == 2
    assert len(ax.child_axes) == 1
    assert ax.figure.axes == [ax]
    save(ax, tmp_path / "both.png")
    matplotlib.pyplot.close(ax.figure)


def test_labels_of_states_stay_off_the_numbers_beside_the_axes() -> None:
    """At both ends of the axis, and where a dark state would have its label on the axis below."""
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    edges = broaden([3.52, 4.5, 6.18], [0.3, 0.5, 0.3], labels=["S1", "S2", "S3"])
    ax = edges.plot(axis="eV", limits=(3.5, 6.2))
    ax.figure.canvas.draw()
    inside = ax.get_window_extent()
    assert [text.get_text() for text in ax.texts] == ["S2", "S1", "S3"]
    for text in ax.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
    assert not broaden([4.0], [1e-6], labels=["S1"]).plot(axis="eV", limits=(3.0, 5.0)).texts
    plt.close("all")
