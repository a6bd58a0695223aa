"""Pictures: what is drawn is what was predicted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from surrogate_cases import read_one

import esml
from esml.results import Result
from esml.units import HC

pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.text import Annotation

from esml.analysis.spectrum import average, broaden, uncertainty_band
from esml.io.measured import MeasuredSpectrum
from esml.plots.figures import (
    levels,
    plot_densities,
    plot_levels,
    plot_natural_orbitals,
    plot_parity,
    plot_spectra,
    plot_spectrum,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


def legend_texts(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@cache
def result(name: str) -> Result:
    return esml.load_model().predict(read_one(EXAMPLES / f"{name}.xyz"), n_states=5)


@pytest.fixture(autouse=True)
def _no_window() -> None:
    plt.switch_backend("Agg")
    plt.close("all")


# Spectra


def test_the_band_is_that_of_an_exactly_known_case() -> None:
    # One narrow line of uncertain place: at the place itself the curve is highest where the draw
    # is within the inner third of draws, and zero far outside all of them.
    energy, sigma, fwhm = 4.0, 0.2, 0.3
    curve = broaden([energy], [1.0], fwhm=fwhm, energies=np.linspace(2.0, 6.0, 401))
    band = uncertainty_band([energy], [1.0], [sigma], curve)
    assert band is not None
    low, high = band
    # |N(0, 1)| < 0.2019 with probability 0.16: the 84 % quantile at the centre.
    width = fwhm / np.sqrt(8.0 * np.log(2.0))
    centre = np.argmax(curve.absorption)
    expected = curve.absorption.max() * np.exp(-0.5 * (0.2019 * sigma / width) ** 2)
    assert high[centre] == pytest.approx(expected, rel=0.01)
    # |N(0, 1)| < 1.405 with probability 0.84.
    expected = curve.absorption.max() * np.exp(-0.5 * (1.405 * sigma / width) ** 2)
    assert low[centre] == pytest.approx(expected, rel=0.02)
    assert (low <= high).all()
    assert high[0] == pytest.approx(0.0, abs=1e-6)


def test_there_is_no_band_where_uncertainties_are_unknown() -> None:
    curve = broaden([4.0], [1.0])
    assert uncertainty_band([4.0], [1.0], [np.nan], curve) is None
    low_high = uncertainty_band([4.0], [1.0], [0.0], curve)
    assert low_high is not None
    np.testing.assert_allclose(low_high[0], curve.absorption, rtol=1e-12)
    np.testing.assert_allclose(low_high[1], curve.absorption, rtol=1e-12)


def test_spectra_of_several_molecules_share_axes() -> None:
    both = {"azobenzene": result("azobenzene"), "_b $x$": result("benzene")}
    axes = plot_spectra(both, axis="nm", limits=(150.0, 800.0))
    lines = axes.get_lines()
    assert len(lines) == 2
    assert len({line.get_color() for line in lines}) == 2
    texts = [text.strip() for text in legend_texts(axes)]
    assert texts == ["azobenzene", r"_b \$x\$"]
    for line, name in zip(lines, ("azobenzene", "benzene"), strict=True):
        peak = HC / np.asarray(line.get_xdata())[np.argmax(np.asarray(line.get_ydata()))]
        singlets = result(name).singlets
        brightest = singlets.energies[singlets.oscillator_strengths.argmax()]
        assert peak == pytest.approx(brightest, abs=0.1)
        assert np.asarray(line.get_ydata()).max() <= axes.get_ylim()[1]
    axes.figure.canvas.draw()
    with pytest.raises(ValueError, match="no molecule"):
        plot_spectra({})


def test_a_spectrum_has_sticks_and_a_band() -> None:
    axes = plot_spectrum(result("azobenzene"))
    areas = [c for c in axes.collections if not isinstance(c, LineCollection)]
    assert len(areas) == 2  # under the curve, and around it
    (sticks,) = (c for c in axes.collections if isinstance(c, LineCollection))
    # 200 to 800 nm, for the strongest band lies there; the bright state has its label.
    assert axes.get_xlabel() == "Wavelength (nm)"
    assert axes.get_xlim() == (200.0, 800.0)
    found = result("azobenzene").singlets
    place = HC / found.energies[found.oscillator_strengths.argmax()]
    assert len(sticks.get_segments()) == (HC / found.energies >= 200.0).sum()
    (label,) = [t for t in axes.texts if isinstance(t, Annotation) and t.xy[0] == place]
    assert label.get_text() == f"S{found.oscillator_strengths.argmax() + 1}"
    curve = result("azobenzene").spectrum()
    assert f"{curve.absorption_max_nm:.0f} nm" in axes.texts[-1].get_text()


def test_the_same_light_has_the_same_absorption_on_both_axes() -> None:
    spectrum = broaden([3.0, 4.4], [0.5, 0.8])
    over_nm = spectrum.plot(axis="nm", limits=(250.0, 600.0)).get_lines()[0]
    over_ev = spectrum.plot(axis="eV").get_lines()[0]
    x, y = (np.asarray(values) for values in over_ev.get_data())
    heights = np.interp(HC / np.asarray(over_nm.get_xdata()), x, y)
    np.testing.assert_allclose(np.asarray(over_nm.get_ydata()), heights, atol=1e-3 * heights.max())
    # A curve on a longer axis than its own grid goes on, here at zero.
    longer = spectrum.plot(axis="eV", limits=(0.5, 9.0)).get_lines()[0]
    assert np.asarray(longer.get_xdata())[[0, -1]] == pytest.approx([0.5, 9.0])
    assert np.asarray(longer.get_ydata())[0] < 1e-6


def test_heights_fit_what_is_shown() -> None:
    far_and_near = broaden([7.2, 4.4], [2.0, 0.3])  # 172 nm, nobody's window, and 282 nm
    axes = far_and_near.plot()
    assert axes.get_xlim() == (200.0, 800.0)
    shown = far_and_near.at(4.4 * np.ones(1))[0] / 1e3
    assert shown <= axes.get_ylim()[1] < 1.3 * shown


@pytest.mark.parametrize("quantity", ["absorbance", "molar absorption coefficient"])
def test_a_measured_spectrum_lies_over_the_predicted_one(quantity: Any) -> None:
    predicted = result("azobenzene")
    energies = np.linspace(2.5, 5.0, 200)
    values = 0.5 * predicted.spectrum().at(energies) / (1e4 if quantity == "absorbance" else 1.0)
    measured = MeasuredSpectrum(energies, values, quantity, "a.csv", ())
    axes = plot_spectrum(predicted, measured=measured)
    _, over = axes.get_lines()
    assert legend_texts(axes)[0] == "predicted"
    top = predicted.spectrum().at(energies).max() / 1e3
    expected = top if quantity == "absorbance" else 0.5 * top
    assert np.asarray(over.get_ydata()).max() == pytest.approx(expected, rel=0.01)


def test_a_picture_refuses_what_cannot_be() -> None:
    spectrum = broaden([3.0], [0.5])
    with pytest.raises(ValueError, match="expected 'nm' or 'eV'"):
        spectrum.plot(axis="cm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limits is 5 to 2 eV"):
        spectrum.plot(axis="eV", limits=(5.0, 2.0))
    axes = spectrum.plot(axis="eV")
    with pytest.raises(ValueError, match="first spectrum"):
        spectrum.plot(axes, axis="nm")


# Thermal spectra


def test_the_mean_spectrum_is_the_mean_and_its_error_that_of_the_mean() -> None:
    rng = np.random.default_rng(5)
    grid = np.linspace(2.0, 6.0, 201)
    frames = [(rng.normal(4.0, 0.2, 1), np.array([0.5])) for _ in range(1600)]
    found = average(frames, fwhm=0.2, energies=grid)
    curves = np.array([broaden(e, f, 0.2, energies=grid).absorption for e, f in frames])
    np.testing.assert_allclose(found.absorption, curves.mean(0))
    # Independent frames: the error of blocks is that of frames.
    simple = curves.std(0, ddof=1) / np.sqrt(len(curves))
    bright = found.absorption > 0.1 * found.absorption.max()
    ratio = found.standard_error[bright] / simple[bright]
    assert 0.75 < ratio.mean() < 1.25
    # The exact mean of a Gaussian line at a Gaussian place: widths add in squares.
    width = np.sqrt(0.2**2 + (np.sqrt(8.0 * np.log(2.0)) * 0.2) ** 2)
    exact = broaden([4.0], [0.5], width, energies=grid).absorption
    deviations = np.abs(found.absorption - exact) / found.standard_error
    assert deviations[bright].max() < 4.5


def test_frames_that_resemble_their_neighbours_count_less() -> None:
    rng = np.random.default_rng(6)
    independent = rng.normal(4.0, 0.2, 40)
    grid = np.linspace(3.0, 5.0, 101)
    alone = average([(np.array([e]), np.ones(1)) for e in independent], energies=grid)
    held = [(np.array([e]), np.ones(1)) for e in np.repeat(independent, 40)]
    repeated = average(held, energies=grid)
    np.testing.assert_allclose(repeated.absorption, alone.absorption)
    # Forty copies of each frame are no more information; without blocks it would seem six-fold.
    ratio = repeated.standard_error.mean() / alone.standard_error.mean()
    assert 0.7 < ratio < 1.4


def test_a_single_frame_has_no_error() -> None:
    found = average([([4.0], [1.0])])
    assert np.isnan(found.standard_error).all()
    assert found.n_frames == 1
    found.plot()
    with pytest.raises(ValueError, match="no frame"):
        average([])


def test_a_taller_curve_over_an_average_is_not_clipped() -> None:
    axes = average([([4.0], [0.1]), ([4.1], [0.1])]).plot()
    broaden([4.0], [2.0]).plot(axes, sticks=False)
    bottom, top = axes.get_ylim()
    assert bottom == 0.0
    assert top > max(np.asarray(line.get_ydata()).max() for line in axes.get_lines())


def test_the_average_is_written_with_its_error(tmp_path: Path) -> None:
    found = average([([4.0], [1.0]), ([4.2], [0.8])])
    found.to_csv(tmp_path / "mean.csv")
    table = np.genfromtxt(tmp_path / "mean.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["energy_eV"], found.energies, rtol=1e-8)
    np.testing.assert_allclose(table["standard_error_L_mol1_cm1"], found.standard_error, rtol=1e-8)


# Orbitals


def test_degenerate_levels_stand_side_by_side() -> None:
    benzene = result("benzene")
    found = levels(benzene)
    by_orbital = {k: level for level in found for k in level.orbitals}
    n = benzene.n_occupied
    assert by_orbital[n - 1].orbitals == (n - 2, n - 1)
    assert by_orbital[n].orbitals == (n, n + 1)
    assert by_orbital[n - 1].occupied
    assert not by_orbital[n].occupied
    axes = plot_levels(benzene)
    arrows = [t for t in axes.texts if isinstance(t, Annotation) and not t.get_text()]
    low, high = axes.get_ylim()
    lengths = {float(abs(arrow.xy[1] - arrow.xyann[1])) for arrow in arrows}
    assert max(lengths) < 0.1 * (high - low)
    # Two for each occupied orbital that has room; those of different levels do not overlap.
    occupied = [level for level in found if level.occupied]
    alone = [
        level
        for level in occupied
        if all(o is level or abs(o.energy - level.energy) > 1.1 * max(lengths) for o in occupied)
    ]
    assert len(arrows) == 2 * sum(len(level.orbitals) for level in alone)
    assert by_orbital[n - 1] in alone
    names = [text.get_text() for text in axes.texts if text.get_text()]
    assert [name.partition(" ")[0] for name in names] == ["HOMO", "LUMO"]
    assert names[0] == f"HOMO −{-benzene.homo:.2f}"


def test_pictures_of_states_show_lobes_where_the_charge_is() -> None:
    pytest.importorskip("skimage")
    states = result("p-nitroaniline").singlets
    bright = int(states.oscillator_strengths[:5].argmax())  # charge transfer; nπ* states lie below
    figure = plot_natural_orbitals(result("p-nitroaniline"), bright)
    assert "nitro" in figure.get_suptitle()
    images = [ax.get_images()[0].get_array() for ax in figure.axes]
    # Blue and orange lobes: colour away from grey, left (amine) in the hole, right (nitro) in the
    # electron, whichever way round the molecule lies.
    coloured = [np.ptp(np.asarray(image), axis=2) > 0.25 for image in images]
    columns = [np.flatnonzero(mask.any(0)) for mask in coloured]
    assert all(len(c) for c in columns)
    centres = [(mask.sum(0) * np.arange(mask.shape[1])).sum() / mask.sum() for mask in coloured]
    widths = [mask.shape[1] for mask in coloured]
    assert abs(centres[0] / widths[0] - centres[1] / widths[1]) > 0.1
    with pytest.raises(IndexError, match="state 99"):
        plot_natural_orbitals(result("p-nitroaniline"), 99)


def test_densities_of_a_state_are_drawn() -> None:
    pytest.importorskip("skimage")
    figure = plot_densities(result("p-nitroaniline"), 0)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0].startswith("detachment, 1.0")
    assert titles[1].startswith("attachment, 1.0")


# Parity


def test_parity_shows_every_pair_and_the_error() -> None:
    labels = np.array([1.0, 2.0, 3.0])
    four = plot_parity(dict.fromkeys("abcd", (labels, labels)))
    place = four.axes[0].get_subplotspec()
    assert place is not None
    assert place.get_gridspec().get_geometry() == (2, 2)
    figure = plot_parity({"S1": (labels, labels + 0.1), "none": ([], [])}, {"S1": "eV"})
    (ax,) = [ax for ax in figure.axes if ax.get_visible()]
    np.testing.assert_allclose(
        np.asarray(ax.collections[0].get_offsets()), np.stack([labels, labels + 0.1], 1)
    )
    assert "MAE 0.100 eV" in ax.texts[0].get_text()
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_parity({"none": ([], [])})
