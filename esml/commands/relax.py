"""``esml relax``: relax an excited state to its minimum and predict its emission there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from esml.commands.messages import SOME_FAILED, console, fail, note, refusing
from esml.commands.molecules import decisions, one_structure
from esml.commands.options import (
    CellOption,
    ChargeOption,
    DeviceOption,
    GeometryOption,
    HerzbergTellerOption,
    IndexOption,
    LargestOption,
    ModelOption,
    MoleculeArgument,
    PointChargesOption,
    SolventOption,
    TemperatureOption,
    WidthOption,
    check_apart,
    check_output,
    check_picture,
    load,
    reading_options,
)
from esml.commands.outputs import save_picture

if TYPE_CHECKING:
    from ase import Atoms
    from rich.table import Table

    from esml.analysis.emission_spectrum import EmissionSpectrum
    from esml.dynamics import RelaxedState

LIFETIME_DECIMALS = 15
"""Decimals of numbers in JSON: lifetimes in seconds to a femtosecond."""


def relax(
    molecule: MoleculeArgument,
    state: Annotated[str, typer.Option(help="S1, T1, S2, …, by energy.")] = "S1",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the relaxed structure here (extended xyz)."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers and both structures here.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the emission spectrum here (.png, .pdf, .svg).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the emission spectrum here.")] = None,
    vibronic: Annotated[
        bool,
        typer.Option("--vibronic", help="Vibrational structure of the band, by modes of GFN2-xTB."),
    ] = False,
    herzberg_teller: HerzbergTellerOption = False,
    frequencies: Annotated[
        bool,
        typer.Option(
            "--frequencies",
            help="Modes of the excited state too (6N gradients): is it a minimum, 0-0 energy from "
            "both minima.",
        ),
    ] = False,
    fwhm: WidthOption = None,
    temperature: TemperatureOption = None,
    force: Annotated[
        float, typer.Option(help="Largest force on an atom where the relaxation stops, eV/Å.")
    ] = 0.02,
    steps: Annotated[int, typer.Option(help="Largest number of steps.")] = 300,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    index: IndexOption = None,
    geometry: GeometryOption = None,
    charge: ChargeOption = None,
    largest_fragment: LargestOption = False,
    solvent: SolventOption = None,
    point_charges: PointChargesOption = None,
    ignore_cell: CellOption = False,
) -> None:
    """Relax an excited state; print emission, lifetime, adiabatic energy and Stokes shift."""
    from esml.analysis.vibronic import TEMPERATURE
    from esml.dynamics import CrossingError, relaxed_state
    from esml.io.geometry import converging
    from esml.io.structure_checks import StructureError
    from esml.io.structures import InputError
    from esml.io.surroundings import SurroundingsError
    from esml.physics.excitations import InstabilityError

    _check_numbers(force, steps)
    _check_band(fwhm, temperature, vibronic or herzberg_teller or frequencies)
    outputs = {"--output": output, "--json": json_path, "--plot": plot, "--csv": csv}
    for option, path in outputs.items():
        check_output(path, option)
    inputs = {"the molecule": molecule, "--point-charges": point_charges, "--model": model}
    check_apart(outputs, inputs)
    check_picture(plot)
    surrogate = load(model, device)
    options = reading_options(
        geometry,
        charge,
        largest_fragment,
        None,
        ignore_cell,
        surrogate.elements,
        solvent,
        point_charges=point_charges,
    )
    structure = one_structure(molecule, index, options)
    refused = (InputError, StructureError, SurroundingsError, ValueError)
    with refusing(*refused), refusing(InstabilityError, code=SOME_FAILED), converging():
        try:
            found = relaxed_state(
                surrogate,
                structure.atoms,
                state,
                force=force,
                steps=steps,
                vibronic=vibronic,
                frequencies=frequencies,
                herzberg_teller=herzberg_teller,
            )
        except CrossingError as error:
            if output is not None:
                _write_structure(output, error.atoms, state, {"steps": error.steps})
            fail(error, SOME_FAILED)
    curve = found.spectrum(fwhm, TEMPERATURE if temperature is None else temperature)
    _warn(found)
    with refusing(OSError):
        _write(found, curve, output, json_path, plot, csv)
    _print(found, curve, structure.name, decisions(structure))


def _check_numbers(force: float, steps: int) -> None:
    if not 0.0 < force < 10.0:
        fail(f"--force is {force:g}: expected a positive number of eV/Å such as 0.02; choose one")
    if steps < 1:
        fail(f"--steps is {steps}: expected at least 1; choose a larger number")


def _check_band(fwhm: float | None, temperature: float | None, vibrations: bool) -> None:
    from esml.analysis.spectrum import check_width
    from esml.analysis.vibronic import check_temperature

    if temperature is not None and not vibrations:
        fail(
            "--temperature is about the vibrations of --vibronic: expected --vibronic beside it; "
            "add that or leave --temperature out"
        )
    with refusing(ValueError):
        if fwhm is not None:
            check_width(fwhm, "--fwhm")
        if temperature is not None:
            check_temperature(temperature, "--temperature")


def _warn(found: RelaxedState) -> None:
    """Warn of problems that the numbers alone do not show."""
    ended = found.relaxation
    if not ended.converged:
        note(
            f"warning: {found.state} is not relaxed after {ended.steps} steps, forces reach "
            f"{ended.force:.2f} eV/Å; states may cross there: allow more --steps"
        )
    modes = found.excited_modes
    if modes is not None and modes.imaginary:
        note(
            f"warning: {modes.imaginary} modes of {found.state} lead downhill, so the structure is "
            "no minimum"
        )
    for warning in (*found.ground.warnings, *found.excited.warnings, *found.warnings):
        note(f"warning: {warning}")


def numbers_of(found: RelaxedState, curve: EmissionSpectrum) -> dict[str, Any]:
    """Collect energies (eV), wavelengths (nm), lifetimes (s), warnings and how relaxation ended."""
    ended = found.relaxation
    return {
        "state": found.state,
        "converged": ended.converged,
        "steps": ended.steps,
        "largest_force_eV_A": ended.force,
        "ground_state_method": found.method,
        "absorption_eV": found.absorption_energy,
        "absorption_uncertainty_eV": found.absorption_uncertainty,
        "emission_eV": found.emission_energy,
        "emission_uncertainty_eV": found.emission_uncertainty,
        "stokes_shift_eV": found.stokes_shift,
        "solvent_reorganization_eV": found.reorganization_energy,
        "adiabatic_eV": found.adiabatic_energy,
        "zero_zero_eV": found.zero_zero_energy,
        "temperature_K": None if found.modes is None else curve.temperature,
        "oscillator_strength": found.strength,
        "thermal_oscillator_strength": curve.band.thermal_strength(curve.temperature),
        "radiative_lifetime_s": found.radiative_lifetime(curve.temperature),
        "emission_max_nm": curve.emission_max_nm,
        "warnings": list(found.warnings),
    }


def _write(
    found: RelaxedState,
    curve: EmissionSpectrum,
    output: Path | None,
    json_path: Path | None,
    plot: Path | None,
    csv: Path | None,
) -> None:
    numbers = numbers_of(found, curve)
    if output is not None:
        _write_structure(output, found.excited.atoms, found.state, numbers)
    if json_path is not None:
        from esml.export.plain import rounded, to_plain
        from esml.io.files import write_whole

        entry = {"format": "esml-emission-json", "schema_version": 3}
        entry |= rounded(numbers, LIFETIME_DECIMALS)
        results = {"ground": to_plain(found.ground), "excited": to_plain(found.excited)}
        text = json.dumps(entry | rounded(results), ensure_ascii=False, indent=1)
        write_whole(json_path, (text + "\n").encode("utf-8"))
        note(f"numbers: {json_path}")
    if csv is not None:
        curve.to_csv(csv)
        note(f"curve: {csv}")
    if plot is not None:
        save_picture(curve.plot(), plot)


def _write_structure(path: Path, atoms: Atoms, state: str, numbers: dict[str, Any]) -> None:
    """Write extended xyz; the comment line holds the state and whether it is converged."""
    from ase.io import write

    from esml.io.structure_checks import molecular_charge
    from esml.io.surroundings import surroundings_of

    alone = atoms.copy()
    told: dict[str, Any] = {"state": state, "converged": False, "charge": molecular_charge(atoms)}
    told |= numbers
    told["warnings"] = "; ".join(told.get("warnings", ())) or None
    solvent = surroundings_of(atoms).solvent
    told["solvent"] = None if solvent is None else solvent.label
    alone.info = {key: value for key, value in told.items() if value is not None}
    write(path, alone, format="extxyz")
    note(f"structure: {path}")


def _print(
    found: RelaxedState,
    curve: EmissionSpectrum,
    name: str,
    told: list[tuple[str, str]],
) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text.assemble((name, "bold"), f"  {found.excited.atoms.get_chemical_formula()}"))
    screen.print()
    screen.print(_energies(found, curve))
    screen.print()
    for line in _lines(found, curve) + [f"{what}: {said}" for what, said in told]:
        screen.print(Text(line), soft_wrap=True)


def _energies(found: RelaxedState, curve: EmissionSpectrum) -> Table:
    """Make a table of energies with what the model states of their errors."""
    from rich.table import Table

    from esml.units import HC

    table = Table(show_edge=False, pad_edge=False)
    for heading in (found.state, "eV", "± (eV)", "nm"):
        table.add_column(heading, justify="left" if heading == found.state else "right")
    rows = {
        "vertical absorption": (found.absorption_energy, found.absorption_uncertainty),
        "vertical emission": (found.emission_energy, found.emission_uncertainty),
        "emission maximum": (HC / curve.emission_max_nm, None),
        "adiabatic": (found.adiabatic_energy, None),
        "0-0 (both minima)": (found.zero_zero_energy, None),
    }
    for what, (energy, error) in rows.items():
        if energy is not None:
            stated = "" if error is None else f"{error:.2f}"
            length = f"{HC / energy:.0f}" if energy > 0 else "–"
            table.add_row(what, f"{energy:.2f}", stated, length)
    return table


def _lines(found: RelaxedState, curve: EmissionSpectrum) -> list[str]:
    from esml.analysis.emission import lifetime_text

    ended, singlet = found.relaxation, found.state.startswith("S")
    how = "relaxed" if ended.converged else "not relaxed"
    characters = found.excited.named_characters("singlet" if singlet else "triplet")
    band = f"{curve.fwhm:g} eV wide"
    if found.modes is not None:
        model = f"vertical-gradient model at {curve.temperature:g} K"
        band = f"{model}, modes: {found.modes.describe()}; lines {band}"
    strength = f"oscillator strength of the emission: {found.strength:.3f}{_lent(curve)}"
    lifetime = lifetime_text(found.radiative_lifetime(curve.temperature))
    caveat = "" if singlet else ", without vibrations, which planar hydrocarbons need"
    solvent = (
        f"solvent: at rest around the state for emission, reorganization energy "
        f"{found.reorganization_energy:.2f} eV"
    )
    return [
        f"state: {characters[int(found.state[1:]) - 1].description}",
        f"relaxation: {how} in {ended.steps} steps on {found.method} + ω, forces up to "
        f"{ended.force:.3f} eV/Å",
        f"Stokes shift: {found.stokes_shift:.2f} eV between vertical energies",
        *([strength] if singlet else []),
        f"radiative lifetime: {lifetime}{caveat}",
        f"band: {band}",
        *([solvent] if found.excited.solvent is not None else []),
    ]


def _lent(curve: EmissionSpectrum) -> str:
    """Describe how vibrations change the oscillator strength, if that was asked for."""
    if curve.band.expansion is None:
        return ""
    strength = curve.band.thermal_strength(curve.temperature)
    main = ", ".join(
        f"{place:.0f} ({lent:.2g})"
        for place, lent in curve.band.promoting_modes(3, curve.temperature)
    )
    return f", {strength:.2g} with vibrations at {curve.temperature:g} K; cm⁻¹ (f): {main}"
