from __future__ import annotations

import numpy as np
import pytest

from esml.analysis.colour import VISIBLE, matching_functions, transmitted
from esml.analysis.spectrum import broaden
from esml.units import HC

VISIBLE_GRID = np.arange(VISIBLE[0], VISIBLE[1] + 1.0)

OBSERVER = {  # CIE 1931 2° standard observer, CIE 15
    400: (0.01431, 0.000396, 0.06785),
    450: (0.3362, 0.0380, 1.77211),
    500: (0.0049, 0.3230, 0.2720),
    550: (0.43345, 0.99495, 0.00875),
    600: (1.0622, 0.6310, 0.0008),
    650: (0.2835, 0.1070, 0.0),
}


def test_the_standard_observer() -> None:
    """The tables of the CIE, within the error its authors state for the fit."""
    found = matching_functions(np.array(list(OBSERVER), dtype=np.float64))
    assert np.abs(found - np.array(list(OBSERVER.values())).T).max() < 0.02 * 1.78
    areas = np.trapezoid(matching_functions(VISIBLE_GRID), VISIBLE_GRID)
    np.testing.assert_allclose(areas, 106.86, rtol=0.01)  # equal by definition of the observer


def test_clear_and_grey_filters_have_no_colour() -> None:
    assert str(transmitted(VISIBLE_GRID, np.ones_like(VISIBLE_GRID))) == "colourless (#ffffff)"
    grey = transmitted(VISIBLE_GRID, np.full_like(VISIBLE_GRID, 0.2140))
    assert grey.name == "grey"
    # 21.4 % of the light is the middle of the scale of sRGB.
    assert grey.hex in ("#7f7f7f", "#808080")
    black = transmitted(VISIBLE_GRID, np.zeros_like(VISIBLE_GRID))
    assert str(black) == "black (#000000)"


@pytest.mark.parametrize(
    ("wavelength", "names"),
    [
        (420.0, {"yellow"}),
        (470.0, {"orange", "yellow"}),
        (520.0, {"red", "purple", "pink"}),
        (570.0, {"violet", "purple"}),
        (620.0, {"blue", "blue-green"}),
        (670.0, {"blue-green", "green"}),
        (280.0, {"colourless"}),
        (1000.0, {"colourless"}),
    ],
)
def test_a_band_shows_the_complementary_colour(wavelength: float, names: set[str]) -> None:
    """As in the colour wheel of textbooks: what absorbs blue light is orange."""
    dye = broaden([HC / wavelength], [0.8], fwhm=0.25)
    assert dye.colour(concentration=2e-4).name.removeprefix("pale ") in names


def test_dilution_makes_pale() -> None:
    dye = broaden([HC / 450.0], [0.6], fwhm=0.3)
    lightness = [
        sum((c.red, c.green, c.blue)) for c in (dye.colour(10.0**-k) for k in (3, 4, 5, 7))
    ]
    assert lightness == sorted(lightness)
    assert dye.colour(1e-7).name == "colourless"
    # Twice the path is twice the concentration.
    assert dye.colour(1e-5, path=2.0) == dye.colour(2e-5)


def test_a_moved_curve_has_the_colour_of_its_new_place() -> None:
    energies, strengths = np.array([3.6, 4.4]), [0.7, 0.3]
    curve = broaden(energies, strengths, fwhm=0.3)
    assert curve.colour(shift=0.0) == curve.colour()
    for shift in (-1.4, -0.8, 0.5):
        moved = broaden(energies + shift, strengths, fwhm=0.3).colour()
        found = curve.colour(shift=shift)
        assert found.name == moved.name
        expected = (moved.red, moved.green, moved.blue)
        np.testing.assert_allclose((found.red, found.green, found.blue), expected, atol=1e-9)
    assert curve.colour().name == "colourless" != curve.colour(shift=-0.8).name
