"""Lines printed about a spectrum: λmax, strongest band, colour, and a measured spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esml.commands.messages import console
from esml.units import HC

if TYPE_CHECKING:
    from rich.text import Text

    from esml.analysis.spectrum import Spectrum
    from esml.commands.pictures import View
    from esml.io.measured import MeasuredSpectrum
    from esml.results import Result
    from esml.results.last_step import LastStep


def band_lines(curve: Spectrum) -> list[Text]:
    """Describe λmax, the strongest band if it is another one, and the colour with a patch."""
    from rich.text import Text

    from esml.analysis.absorption import Band, strongest

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
    colour = curve.colour()
    lines.append(
        Text.assemble("colour: ", ("■", colour.hex), f" {colour} at 0.05 mmol/L behind 1 cm")
    )
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


def last_step_line(result: Result, last: LastStep | None) -> list[Text]:
    """Describe the band maximum after the last step, in a solvent and if the model has one."""
    from rich.text import Text

    found = last(result) if last is not None and result.solvent is not None else None
    if last is None or found is None:
        return []
    return [
        Text(
            f"band maximum to expect: {found.wavelength:.0f} ± {found.spread_nm:.0f} nm, "
            f"{found.energy:.2f} ± {found.uncertainty:.2f} eV, by the {last.describe()} "
            f"(--raw leaves it out){'; ' if found.beyond else ''}{found.doubt}"
        )
    ]


def print_lines(curve: Spectrum, view: View, more: Sequence[Text] = ()) -> None:
    """Print the lines about the bands, then ``more``, then those about a measured spectrum."""

    lines = [*band_lines(curve), *more]
    if view.measured is not None:
        lines += measured_lines(curve, view.measured)
    screen = console()
    screen.print()
    for line in lines:
        screen.print(line, soft_wrap=True)
