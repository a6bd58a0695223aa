"""``esml spectrum``: excited states and absorption spectrum of one molecule, or of a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml import __version__
from esml.commands.asked import Asked, check_effects
from esml.commands.dichroism import print_dichroism, with_mirror_image_warning
from esml.commands.mean_spectrum import conformer_spectrum, thermal_spectrum
from esml.commands.messages import console, note, refusing
from esml.commands.molecules import decisions, one_structure, other_molecule, predict_one
from esml.commands.options import (
    AveragedOption,
    CellOption,
    ChargeOption,
    ColumnOption,
    DeviceOption,
    GeometryOption,
    HerzbergTellerOption,
    IndexOption,
    LargestOption,
    ModelOption,
    MoleculeArgument,
    PointChargesOption,
    SolventColumnOption,
    SolventOption,
    StateOption,
    StatesOption,
    TemperatureOption,
    WidthOption,
    check_n_states,
    load,
    reading_options,
)
from esml.commands.outputs import Outputs, save_picture
from esml.commands.pictures import spectrum_picture, view_of
from esml.commands.spectrum_lines import print_lines
from esml.commands.state_details import details_of, print_details
from esml.commands.two_photon import print_two_photon, two_photon_of
from esml.commands.vibronic import Bands, print_bands, vibronic_bands_of, vibronic_notes

if TYPE_CHECKING:
    from esml.analysis.dichroism import Dichroism
    from esml.analysis.emission_spectrum import EmissionSpectrum
    from esml.analysis.spectrum import Spectrum
    from esml.io.comparison import Comparison
    from esml.io.structures import ReadingOptions, Structure
    from esml.predict.surrogate import Surrogate
    from esml.results import Result
    from esml.results.details import StateDetails


def spectrum(
    molecule: MoleculeArgument,
    n_states: StatesOption = 10,
    fwhm: WidthOption = None,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the spectrum here (.png, .pdf, .svg).")
    ] = None,
    axis: Annotated[
        str | None,
        typer.Option(
            help="Axis of the picture, nm or eV. If left out 200 to 800 nm where the strongest "
            "band lies there, else eV."
        ),
    ] = None,
    limits: Annotated[
        str | None,
        typer.Option("--range", metavar="LOW:HIGH", help="Ends of that axis: 250:500 or 2:6."),
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(
            help="Measured spectrum to lay over: a table of nm, eV or cm-1 and absorbance or ε."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the curve here.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the prediction here as esml predict does (.h5, .csv, .parquet, .json, "
            ".jsonl, .xyz).",
        ),
    ] = None,
    json_path: Annotated[
        Path | None,
        typer.Option("--json", help="Write states, bands, colour and the comparison here."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Reference calculation to show beside: JSON, or the output of a program."
        ),
    ] = None,
    index: IndexOption = None,
    geometry: GeometryOption = None,
    charge: ChargeOption = None,
    largest_fragment: LargestOption = False,
    smiles_column: ColumnOption = None,
    solvent: SolventOption = None,
    solvent_column: SolventColumnOption = None,
    point_charges: PointChargesOption = None,
    ignore_cell: CellOption = False,
    conformers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Boltzmann-averaged spectrum of up to N conformers of a SMILES."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page for the browser here (.html): states, orbitals, spectrum."),
    ] = None,
    molden: Annotated[
        Path | None, typer.Option(help="Write the orbitals here, as a Molden file.")
    ] = None,
    cubes: Annotated[
        Path | None,
        typer.Option(help="Write cubes of HOMO, LUMO and what makes S1 to S3 to this folder."),
    ] = None,
    average: Annotated[
        bool,
        typer.Option("--average", help="Mean spectrum of all structures of FILE, a trajectory."),
    ] = False,
    cd: Annotated[
        bool,
        typer.Option(
            "--cd",
            help="Circular dichroism: rotatory strengths and Δε; --plot, --csv, --json and "
            "--report have them.",
        ),
    ] = False,
    vibronic: Annotated[
        bool,
        typer.Option(
            "--vibronic",
            help="Vibrational structure of the bands and 0-0 energies, with modes of GFN2-xTB at "
            "its minimum; --plot, --report, --csv and --json have them.",
        ),
    ] = False,
    herzberg_teller: HerzbergTellerOption = False,
    averaged: AveragedOption = False,
    two_photon: Annotated[
        bool,
        typer.Option(
            "--two-photon",
            help="Two-photon absorption: strengths and cross-sections of singlets; --output, "
            "--json and --report have them.",
        ),
    ] = False,
    state: StateOption = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="Do not print the band maximum corrected by a fit to measured ones."
        ),
    ] = False,
    temperature: TemperatureOption = None,
) -> None:
    """Excited states and absorption spectrum of one molecule."""
    check_n_states(n_states)
    from esml.analysis.vibronic import TEMPERATURE, WIDTH

    vibronic = vibronic or herzberg_teller or averaged
    asked = Asked(
        n_states=n_states,
        fwhm=fwhm if fwhm is not None else WIDTH if vibronic else 0.3,
        temperature=TEMPERATURE if temperature is None else temperature,
        model=model,
        compare=compare,
        index=index,
        conformers=conformers,
        average=average,
        cd=cd,
        vibronic=vibronic,
        herzberg_teller=herzberg_teller,
        averaged=averaged,
        two_photon=two_photon,
        state=state,
        raw=raw,
    )
    asked.check_numbers()
    check_effects(
        molecule,
        vibronic,
        {"--temperature": temperature, "--index": index, "--smiles-column": smiles_column},
    )
    view = view_of(axis, limits, experiment)
    outputs = Outputs(plot, csv, report, molden, cubes, json_path, output, view)
    outputs.check(
        {
            "the molecule": molecule,
            "--experiment": experiment,
            "--compare": compare,
            "--point-charges": point_charges,
            "--model": model,
        }
    )
    surrogate = load(model, device)
    options = reading_options(
        geometry or ("xtb" if vibronic else None),
        charge,
        largest_fragment,
        smiles_column,
        ignore_cell,
        surrogate.elements,
        solvent,
        solvent_column,
        point_charges,
    )
    asked.check_together(outputs)
    if conformers is not None:
        conformer_spectrum(molecule, conformers, asked, surrogate, options, outputs)
    elif average:
        thermal_spectrum(Path(molecule), asked, surrogate, options, outputs)
    else:
        _one_spectrum(molecule, asked, surrogate, options, outputs)


def _one_spectrum(
    molecule: str,
    asked: Asked,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict one structure, write what is asked for, and print its states and bands."""
    outputs.check_report()
    from esml.io.comparison import read_comparison
    from esml.io.structures import InputError
    from esml.results.last_step import with_band_maximum

    with refusing(InputError):
        comparison = read_comparison(asked.compare) if asked.compare else None
    structure = one_structure(molecule, asked.index, options)
    n_states, fwhm = asked.n_states, asked.fwhm
    result = predict_one(surrogate, structure, n_states)
    if asked.two_photon:
        result = two_photon_of(surrogate, result)
    last_step = None if asked.raw else surrogate.last_step
    result = with_band_maximum(result, last_step)
    details = details_of(surrogate, result, asked.state) if asked.state else None
    if asked.cd:
        result = with_mirror_image_warning(result, structure.provenance)
    for warning in (*other_molecule(structure, comparison), *result.warnings):
        note(f"warning: {warning}")
    bands = None
    if asked.vibronic:
        extras = asked.herzberg_teller, asked.averaged
        bands = vibronic_bands_of(surrogate, structure, n_states, fwhm, asked.temperature, *extras)
    curve = bands.absorption if bands else result.spectrum(fwhm=fwhm)
    # Files first: the program that reads the tables from a pipe may close it early.
    with refusing(OSError):
        dichroism = result.dichroism(fwhm=fwhm) if asked.cd else None
        emission = bands.emission if bands else None
        _write_curves(result, curve, dichroism, emission, details, outputs, comparison)
        _write_orbitals(result, structure, asked, bands, outputs, details)
    outputs.write_prediction(result, structure, n_states, asked.model or "shipped")
    _print_tables(result, structure, comparison, ("rotatory_strengths",) if asked.cd else ())
    if dichroism is not None:
        print_dichroism(dichroism)
    if asked.two_photon:
        print_two_photon(result.singlets)
    if details is not None:
        print_details(details)
    if bands is not None:
        print_bands(bands)
    print_lines(curve, outputs.view, result.band_maximum, last_step)


def _write_curves(
    result: Result,
    curve: Spectrum,
    dichroism: Dichroism | None,
    emission: EmissionSpectrum | None,
    details: StateDetails | None,
    outputs: Outputs,
    comparison: Comparison | None,
) -> None:
    """Write the spectrum, or circular dichroism if there is one, and the numbers of both."""
    if dichroism is not None:
        outputs.write_curve(dichroism)
    else:
        if outputs.csv is not None:
            curve.to_csv(outputs.csv)
            note(f"curve: {outputs.csv}")
        if outputs.plot is not None:
            save_picture(spectrum_picture(result, curve, outputs.view, comparison), outputs.plot)
    if outputs.json is not None:
        from esml.export.spectra import write_spectrum_json

        measured = outputs.view.measured
        write_spectrum_json(outputs.json, result, curve, measured, details, dichroism, emission)
        note(f"numbers: {outputs.json}")


def _write_orbitals(
    result: Result,
    structure: Structure,
    asked: Asked,
    bands: Bands | None,
    outputs: Outputs,
    details: StateDetails | None,
) -> None:
    if outputs.report is not None:
        from esml.export.orbital_files import molden_text
        from esml.plots.page import write_page

        source = structure.source if structure.source != structure.name else "SMILES"
        notes = [f"Source: {source}. Model: {asked.model or 'shipped'}, esml {__version__}."]
        notes += [f"{what}: {said}." for what, said in decisions(structure)]
        notes += vibronic_notes(bands) if bands else []
        write_page(
            result,
            outputs.report,
            name=structure.name,
            fwhm=asked.fwhm,
            notes=notes,
            attachments={"orbitals.molden": molden_text(result)},
            vibronic=bands.absorption if bands else None,
            dichroism=asked.cd,
            details=details,
        )
        note(f"report: {outputs.report}")
    if outputs.molden is not None:
        from esml.export import write_molden

        write_molden(result, outputs.molden)
        note(f"orbitals: {outputs.molden}")
    if outputs.cubes is not None:
        from esml.export import write_cubes

        written = write_cubes(result, outputs.cubes)
        note(f"cubes: {', '.join(str(path) for path in written)}")


def _print_tables(
    result: Result,
    structure: Structure,
    comparison: Comparison | None,
    requested: Sequence[str] = (),
) -> None:
    from rich.text import Text

    from esml.commands.tables import ground_state_table, states_table

    screen = console()
    formula = structure.atoms.get_chemical_formula()
    # Text, because parts of a SMILES may look like markup.
    screen.print(Text.assemble((structure.name, "bold"), f"  {formula}"))
    if comparison:
        screen.print(Text(f"reference: {comparison.level}"))
    screen.print()
    screen.print(ground_state_table(result, comparison))
    screen.print()
    for what, said in decisions(structure):
        screen.print(Text(f"{what}: {said}"))
    screen.print()
    screen.print(states_table(result, comparison, requested))
