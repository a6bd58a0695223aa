"""Compute and describe vibronic bands for ``esml spectrum --vibronic``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from esml.commands.messages import console, note, refusing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from esml.analysis.emission_spectrum import EmissionSpectrum
    from esml.analysis.vibronic import VibronicBand, VibronicSpectrum
    from esml.io.structures import Structure
    from esml.predict.surrogate import Surrogate


@dataclass(frozen=True)
class Bands:
    """A vibronic spectrum, and the emission that is the mirror image of its lowest band."""

    absorption: VibronicSpectrum
    emission: EmissionSpectrum | None  # None if it would lie below zero


def vibronic_bands_of(
    surrogate: Surrogate,
    structure: Structure,
    n_states: int,
    fwhm: float,
    temperature: float,
    herzberg_teller: bool = False,
    averaged: bool = False,
) -> Bands:
    """Compute a vibronic spectrum with GFN2-xTB modes; end the command if that fails."""
    from esml.analysis.emission_spectrum import mirror_image
    from esml.analysis.normal_modes import FORCE, normal_modes
    from esml.analysis.vibronic import vibronic_spectrum
    from esml.io.geometry import METHOD, converging, xtb_calculator
    from esml.io.structure_checks import StructureError, molecular_charge
    from esml.io.structures import InputError
    from esml.physics.excitations import InstabilityError
    from esml.predict.vibrational_averages import AverageError
    from esml.predict.vibronic import vibronic_bands

    atoms = structure.atoms
    refused = (AverageError, InputError, InstabilityError, StructureError)
    with refusing(*refused), converging():
        ground = xtb_calculator(molecular_charge(atoms))
        modes = normal_modes(atoms, ground, METHOD)
        bands = vibronic_bands(
            surrogate,
            atoms,
            ground,
            n_states,
            modes,
            herzberg_teller=herzberg_teller,
            averaged=averaged,
            temperature=temperature,
        )
    if not modes.at_minimum:
        note(
            f"warning: forces of {METHOD} on this geometry reach {modes.force:.2f} eV/Å where at "
            f"most {FORCE} are expected of a minimum, so its modes and bands are doubtful; choose "
            "--geometry xtb"
        )
    for warning in dict.fromkeys(each for band in bands for each in band.warnings):
        note(f"warning: {warning}")
    curve = vibronic_spectrum(bands, fwhm, temperature)
    return Bands(curve, mirror_image(curve))


def bands_table(bands: Sequence[VibronicBand]) -> Table:
    """Make a table of vertical and 0-0 energies of all bands and their main modes."""
    from rich.table import Table

    from esml.units import HC

    averaged = any(band.averaging for band in bands)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("band")
    table.add_column("vertical (eV)", justify="right")
    if averaged:
        table.add_column("mean (eV)", justify="right")
    for heading in ("0-0 (eV)", "0-0 (nm)", "λ (eV)"):
        table.add_column(heading, justify="right")
    table.add_column("main modes, cm⁻¹ (S)", overflow="fold")
    for band in bands:
        main = ", ".join(f"{place:.0f} ({factor:.2f})" for place, factor in band.main_modes())
        table.add_row(
            band.label,
            f"{band.vertical:.2f}",
            *([f"{band.vertical + band.averaging:.2f}"] if averaged else []),
            f"{band.zero_zero:.2f}",
            f"{HC / band.zero_zero:.0f}" if band.zero_zero > 0 else "–",
            f"{band.reorganization:.2f}",
            main,
        )
    return table


def strengths_table(bands: Sequence[VibronicBand], temperature: float) -> Table:
    """Make a table of strengths without and with vibrational contributions, and the main modes."""
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("band")
    for heading in ("f at rest", f"f at {temperature:g} K"):
        table.add_column(heading, justify="right")
    table.add_column("lent by modes, cm⁻¹ (f)", overflow="fold")
    for band in bands:
        lent = band.promoting_modes(3, temperature)
        table.add_row(
            band.label,
            f"{band.strength:.4f}",
            "–" if band.expansion is None else f"{band.thermal_strength(temperature):.4f}",
            ", ".join(f"{place:.0f} ({strength:.4f})" for place, strength in lent),
        )
    return table


def vibronic_notes(bands: Bands) -> list[str]:
    """Describe modes and temperature of vibronic bands, and the emission if there is one."""
    curve = bands.absorption
    lowest = curve.transitions[0]
    lent = any(band.expansion is not None for band in curve.transitions)
    model = "vertical-gradient model" + (" with Herzberg–Teller term" if lent else "")
    if any(band.averaging for band in curve.transitions):
        model += " about means over zero-point and thermal motion"
    notes = [
        f"modes: {lowest.modes.describe()}, in vacuum",
        f"vibronic bands: {model} at {curve.temperature:g} K, lines "
        f"{curve.fwhm:g} eV wide, 0-0 of {lowest.label} at {lowest.zero_zero:.2f} eV",
    ]
    if bands.emission is not None:
        shift = bands.emission.stokes_shift(curve)
        between = "" if shift is None else f", Stokes shift {shift:.2f} eV between maxima"
        notes.append(
            f"emission as mirror image of {bands.emission.band.label}: maximum at "
            f"{bands.emission.emission_max_nm:.0f} nm{between}"
        )
    return notes


def print_bands(bands: Bands) -> None:
    """Print the table of bands, and the modes and the temperature they were computed with."""
    from rich.text import Text

    screen, curve = console(), bands.absorption
    screen.print()
    screen.print(bands_table(curve.transitions))
    screen.print()
    if any(band.expansion is not None for band in curve.transitions):
        screen.print(strengths_table(curve.transitions, curve.temperature))
        screen.print()
    for line in vibronic_notes(bands):
        screen.print(Text(line), soft_wrap=True)
