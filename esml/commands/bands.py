"""What is said of a spectrum: λmax, the strongest band, the colour, and a measured one beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from esml.analysis.spectrum import Spectrum
    from esml.commands.pictures import View
    from esml.io.measured import MeasuredSpectrum


def band_lines(curve: Spectrum) -> list[Text]:
    """λmax, the strongest band where it is another, and the colour with a patch of it."""
    from rich.text import Text

    from esml.analysis.absorption import SHORTEST, Band, strongest

    def said(what: str, band: Band) -> Text:
        return Text(
            f"{what}: {band.wavelength:.0f} nm, {band.energy:.2f} eV, {band.height:,.0f} L/mol/cm"
        )

    found = curve.bands
    top = strongest(found)
    if top is None:
        return [Text(f"absorption maximum: none at {SHORTEST:.0f} nm or beyond")]
    lowest = curve.absorption_max
    assert lowest is not None
    lines = [said("absorption maximum", lowest)]
    if top != lowest:
        lines.append(said("strongest band", top))
    colour = curve.colour()
    lines.append(
        Text.assemble("colour: ", ("■", colour.hex), f" {colour} at 0.05 mmol/L behind 1 cm")
    )
    return lines


def measured_lines(curve: Spectrum, measured: MeasuredSpectrum) -> list[Text]:
    """What was read, its peaks, and how alike the two spectra are."""
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


def print_lines(curve: Spectrum, view: View) -> None:
    """Print all of it, a measured spectrum where there is one."""
    from rich.console import Console

    lines = band_lines(curve)
    if view.measured is not None:
        lines += measured_lines(curve, view.measured)
    console = Console()
    console.print()
    for line in lines:
        console.print(line, soft_wrap=True)
