"""Lines printed about a spectrum: λmax, strongest band, colour, and a measured spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esml.commands.messages import console
from esml.units import HC

if TYPE_CHECKING:
    from rich.text import Text

    from esml.analysis.spectrum import Spectrum
    from esml.commands.pictures import View
    from esml.io.measured import MeasuredSpectrum
    from esml.results.band_maximum import BandMaximum
    from esml.results.last_step import LastStep


def band_lines(curve: Spectrum, expected: BandMaximum | None = None) -> list[Text]:
    """Describe λmax, the strongest band if it is another one, and the colour with a patch.

    The colour is that with the lowest maximum at the ``expected`` one, if there is one.
    """
    from rich.text import Text

    from esml.analysis.absorption import Band, strongest
    from esml.results.band_maximum import expected_colour

    def said(what: str, band: Band) -> Text:
        return Text(
            f"{what}: {band.wavelength:.0f} nm, {band.energy:.2f} eV, {band.height:,.0f} L/mol/cm"
        )

    found = curve.bands
    top = strongest(found)
    if top is None:
        return [Text(f"absorption maximum: {_none_found(curve)}")]
    lowest = curve.absorption_max
    assert lowest is not None
    lines = [said("absorption maximum", lowest)]
    if top != lowest:
        lines.append(said("strongest band", top))
    colour = expected_colour(curve, expected)
    where = "colour (at the band maximum to expect): " if expected else "colour: "
    lines.append(Text.assemble(where, ("■", colour.hex), f" {colour} at 0.05 mmol/L behind 1 cm"))
    return lines


def _none_found(curve: Spectrum) -> str:
    """Describe the absence of a band, which may lie beyond the states that were asked for."""
    from esml.analysis.absorption import SHORTEST

    highest = max(curve.stick_energies, default=0.0)
    if 0.0 < highest < HC / SHORTEST:
        return (
            f"none among the states asked for (down to {HC / highest:.0f} nm); ask for more with "
            "--n-states"
        )
    return f"none at {SHORTEST:.0f} nm or beyond"


def measured_lines(curve: Spectrum, measured: MeasuredSpectrum) -> list[Text]:
    """Describe the measured spectrum, its peaks, and its similarity to the predicted one."""
    from rich.text import Text

    from esml.analysis.likeness import likeness

    found = likeness(curve.at, measured.energies, measured.values)
    absolute = measured.quantity == "molar absorption coefficient"
    peaks = ", ".join(
        f"{peak.wavelength:.0f} nm "
        + (f"({peak.height:,.0f} L/mol/cm)" if absolute else f"({peak.height:.3g})")
        for peak in found.peaks
    )
    return [
        Text(f"measured: {measured.source}: {'; '.join(measured.notes)}"),
        Text(f"measured peaks: {peaks or 'none'}"),
        Text(
            f"similarity: {found.similarity:.2f} from {measured.wavelengths[-1]:.0f} to "
            f"{measured.wavelengths[0]:.0f} nm; {found.shifted_similarity:.2f} with the prediction "
            f"shifted by {found.shift:+.2f} eV"
        ),
    ]


def last_step_line(expected: BandMaximum, last: LastStep) -> Text:
    """Describe the band maximum after the last step."""
    from rich.text import Text

    return Text(
        f"band maximum to expect: {expected}, by the {last.describe()} "
        f"(--raw leaves it out){'; ' if expected.beyond else ''}{expected.doubt}"
    )


def print_lines(
    curve: Spectrum,
    view: View,
    expected: BandMaximum | None = None,
    last: LastStep | None = None,
) -> None:
    """Print the lines about the bands and the maximum to expect, then about a measured spectrum."""

    lines = band_lines(curve, expected)
    if expected is not None and last is not None:
        lines.append(last_step_line(expected, last))
    if view.measured is not None:
        lines += measured_lines(curve, view.measured)
    screen = console()
    screen.print()
    for line in lines:
        screen.print(line, soft_wrap=True)
