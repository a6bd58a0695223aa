"""``esml spectrum``: excited states and absorption spectrum of one molecule, or of a trajectory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esml import __version__
from esml.commands.messages import SOME_FAILED, fail, note, refusing
from esml.commands.molecules import decisions, for_commands, one_structure
from esml.commands.options import (
    CellOption,
    ChargeOption,
    ColumnOption,
    GeometryOption,
    LargestOption,
    ModelOption,
    StatesOption,
    check_n_states,
    check_output,
    check_packages,
    check_picture,
    load,
    reading_options,
)

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes

    from esml.analysis.spectrum import AveragedSpectrum, Spectrum
    from esml.io.comparison import Comparison
    from esml.io.structures import ReadingOptions, Structure
    from esml.predict.surrogate import Surrogate
    from esml.results import Result


@dataclass(frozen=True)
class Outputs:
    """The files asked for."""

    plot: Path | None
    csv: Path | None
    report: Path | None
    molden: Path | None
    cubes: Path | None

    def check(self) -> None:
        """Refuse what cannot be written, before the work is done."""
        check_output(self.plot, "--plot")
        check_output(self.csv, "--csv")
        check_output(self.report, "--report")
        check_output(self.molden, "--molden")
        if self.cubes is not None and self.cubes.exists() and not self.cubes.is_dir():
            fail(
                f"--cubes '{self.cubes}' is a file: expected a folder to write to; choose another "
                "name"
            )
        check_picture(self.plot)

    def check_report(self) -> None:
        """Refuse a page that is no .html or that lacks the packages it needs."""
        if self.report is None:
            return
        if self.report.suffix.lower() not in (".html", ".htm"):
            fail(
                f"--report '{self.report}' ends in '{self.report.suffix}': expected .html; "
                "rename it"
            )
        check_packages("plotly", "skimage.measure", option="--report", extra="report")


def spectrum(
    molecule: Annotated[
        str, typer.Argument(metavar="FILE|SMILES", help="Geometry in any usual format, or SMILES.")
    ],
    n_states: StatesOption = 10,
    fwhm: Annotated[float, typer.Option(help="Full width of a line at half maximum, eV.")] = 0.3,
    model: ModelOption = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the spectrum here (.png, .pdf, .svg).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the curve here.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Reference calculation to show beside: JSON, or the output of a program."
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(help="Structure of the file, from 0; the last if left out.")
    ] = None,
    geometry: GeometryOption = None,
    charge: ChargeOption = None,
    largest_fragment: LargestOption = False,
    smiles_column: ColumnOption = None,
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
) -> None:
    """Excited states and absorption spectrum of one molecule."""
    check_n_states(n_states)
    from esml.analysis.spectrum import check_width
    from esml.physics.basis import ELEMENTS

    with refusing(ValueError):
        check_width(fwhm, "--fwhm")
    outputs = Outputs(plot, csv, report, molden, cubes)
    outputs.check()
    options = reading_options(
        geometry, charge, largest_fragment, smiles_column, ignore_cell, ELEMENTS
    )
    if conformers is not None:
        _check_single("--conformers", compare, index, outputs)
        if average:
            fail("--conformers and --average are two averages: expected one; leave one out")
        _conformers(molecule, conformers, n_states, fwhm, load(model), options, outputs)
        return
    if average:
        _check_single("--average", compare, index, outputs)
        _average(Path(molecule), n_states, fwhm, load(model), options, outputs)
        return
    outputs.check_report()
    from esml.io.comparison import read_comparison
    from esml.io.structures import InputError

    with refusing(InputError):
        comparison = read_comparison(compare) if compare else None
    structure = one_structure(molecule, index, options)
    result = _predict(load(model), structure, n_states)
    for warning in result.warnings:
        note(f"warning: {warning}")
    # Files first: a reader of the tables may hang up early.
    with refusing(OSError):
        _write_curve(result.spectrum(fwhm=fwhm), outputs, result, comparison)
        _write_orbitals(result, structure, fwhm, model, outputs)
    _print_tables(result, structure, comparison)


def _check_single(many: str, compare: Path | None, index: int | None, outputs: Outputs) -> None:
    """Refuse options about one structure beside one about many."""
    single = {"--compare": compare, "--index": index, "--report": outputs.report}
    single |= {"--molden": outputs.molden, "--cubes": outputs.cubes}
    for option, given in single.items():
        if given is not None:
            fail(f"{option} is about one structure and {many} about many: leave one out")


def _predict(surrogate: Surrogate, structure: Structure, n_states: int) -> Result:
    from esml.io.structure_checks import StructureError
    from esml.physics.excitations import InstabilityError

    with refusing(InstabilityError, code=SOME_FAILED):
        try:
            return surrogate.predict(structure.atoms, n_states=n_states)
        except StructureError as error:
            fail(for_commands(str(error)))


def _write_curve(
    curve: Spectrum, outputs: Outputs, result: Result, comparison: Comparison | None
) -> None:
    if outputs.csv is not None:
        curve.to_csv(outputs.csv)
        note(f"curve: {outputs.csv}")
    if outputs.plot is not None:
        from esml.plots.figures import draw_band

        if comparison is not None and comparison.singlets.oscillator_strengths:
            axes = _plot_comparison(curve, comparison)
        else:
            axes = curve.plot()
            draw_band(axes, result, curve)
        _save(axes, outputs.plot)


def _plot_comparison(spectrum: Spectrum, comparison: Comparison) -> Axes:
    """The predicted spectrum, and over it that of the reference's singlets, broadened alike."""
    from esml.analysis.spectrum import broaden

    reference = broaden(
        comparison.singlets.energies,
        comparison.singlets.oscillator_strengths or [],
        fwhm=spectrum.fwhm,
        shape=spectrum.shape,
        energies=spectrum.energies,
    )
    axes = spectrum.plot(label="esml")
    reference.plot(axes, sticks=False, color="#6b6b6b", linestyle="--", label=comparison.level)
    axes.relim()
    axes.autoscale(axis="y")
    # Room for the legend, above the curves and above the sticks on their own axes.
    for each in axes.get_figure(root=True).axes:  # type: ignore[union-attr]
        each.set_ylim(0.0, 1.25 * each.get_ylim()[1])
    axes.legend(loc="upper left", fontsize="small", framealpha=0.9, edgecolor="none")
    return axes


def _save(axes: Axes, path: Path) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=200)
    note(f"picture: {path}")


def _write_orbitals(
    result: Result, structure: Structure, fwhm: float, model: str | None, outputs: Outputs
) -> None:
    if outputs.report is not None:
        from esml.plots.page import write_page

        source = structure.source if structure.source != structure.name else "SMILES"
        notes = [f"Source: {source}. Model: {model or 'shipped'}, esml {__version__}."]
        notes += [f"{what}: {said}." for what, said in decisions(structure)]
        notes += [f"Warning: {warning}." for warning in result.warnings]
        write_page(result, outputs.report, name=structure.name, fwhm=fwhm, notes=notes)
        note(f"report: {outputs.report}")
    if outputs.molden is not None:
        from esml.export import write_molden

        write_molden(result, outputs.molden)
        note(f"orbitals: {outputs.molden}")
    if outputs.cubes is not None:
        from esml.export import write_cubes

        written = write_cubes(result, outputs.cubes)
        note(f"cubes: {', '.join(str(path) for path in written)}")


def _print_tables(result: Result, structure: Structure, comparison: Comparison | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from esml.commands.tables import ground_state_table, states_table

    console = Console()
    formula = structure.atoms.get_chemical_formula()
    # Text, for a SMILES may hold what looks like markup.
    console.print(Text.assemble((structure.name, "bold"), f"  {formula}"))
    if comparison:
        console.print(Text(f"reference: {comparison.level}"))
    console.print()
    console.print(ground_state_table(result, comparison))
    console.print()
    for what, said in decisions(structure):
        console.print(Text(f"{what}: {said}"))
    console.print()
    console.print(states_table(result, comparison))


# The mean spectrum of conformers


def _conformers(
    smiles: str,
    n: int,
    n_states: int,
    fwhm: float,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict conformers of a molecule and give their Boltzmann-averaged spectrum."""
    import numpy as np

    from esml.analysis.spectrum import broaden
    from esml.io.structures import InputError, conformers, looks_like_file

    with refusing(InputError):
        if looks_like_file(smiles):
            raise InputError(
                f"'{smiles}' is a file: expected a SMILES, whose conformers --conformers searches; "
                "give one, or take --average for the structures of a file"
            )
        found = conformers(smiles, n, options)
    energies, strengths = [], []
    for structure, weight in found:
        singlets = _predict(surrogate, structure, n_states).singlets
        energies.append(singlets.energies)
        # Strengths add up, so a mean of spectra is a spectrum of weighted strengths.
        strengths.append(weight * singlets.oscillator_strengths)
        typer.echo(
            f"conformer {structure.index + 1}: weight {weight:.3f}, S1 {singlets.energies[0]:.2f} "
            f"eV, f {singlets.oscillator_strengths[0]:.3f}"
        )
    order = np.argsort(np.concatenate(energies), kind="stable")
    curve = broaden(np.concatenate(energies)[order], np.concatenate(strengths)[order], fwhm=fwhm)
    with refusing(OSError):
        if outputs.csv is not None:
            curve.to_csv(outputs.csv)
            note(f"curve: {outputs.csv}")
        if outputs.plot is not None:
            _save(curve.plot(), outputs.plot)
    top = int(curve.absorption.argmax())
    typer.echo(
        f"{smiles}: mean of {len(found)} conformers at 298 K, absorption maximum "
        f"{curve.energies[top]:.2f} eV, {curve.wavelengths[top]:.0f} nm, "
        f"{curve.absorption[top]:.0f} L/mol/cm"
    )
    for what, said in decisions(found[0][0]):
        typer.echo(f"{what}: {said}")


# The mean spectrum of a trajectory


def _average(
    path: Path,
    n_states: int,
    fwhm: float,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict all frames of a trajectory and give their mean spectrum."""
    from esml.analysis.spectrum import average as mean_spectrum
    from esml.io.structures import InputError
    from esml.results import Failure

    transitions, lowest, failures = [], [], []
    warnings: list[str] = []
    frames = _frames(path, options)
    with refusing(InputError):
        for result in surrogate.predict_many(frames, n_states=n_states, errors="return"):
            if isinstance(result, Failure):
                failures.append(result.reason)
            else:
                transitions.append((result.singlets.energies, result.singlets.oscillator_strengths))
                lowest.append(float(result.singlets.energies[0]))
                formula = result.atoms.get_chemical_formula()
                warnings += result.warnings[:1]
    if not transitions:
        fail(f"no structure of '{path}' could be predicted: {failures[0]}", SOME_FAILED)
    if warnings:
        note(f"warning: in {len(warnings)} of {len(lowest)} structures, first {warnings[0]}")
    curve = mean_spectrum(transitions, fwhm=fwhm)
    with refusing(OSError):
        if outputs.csv is not None:
            curve.to_csv(outputs.csv)
            note(f"curve: {outputs.csv}")
        if outputs.plot is not None:
            _save(curve.plot(), outputs.plot)
    typer.echo(f"{path}: {formula}, mean of {curve.n_frames} structures")
    _print_average(curve, lowest)
    if failures:
        note(f"failed: {len(failures)} structures left out, the first because {failures[0]}")
        raise typer.Exit(SOME_FAILED)


def _frames(path: Path, options: ReadingOptions) -> Iterator[Atoms]:
    """The geometries of one molecule in a file; InputError where they are of several."""
    from esml.io.structures import InputError, read_structures

    formulas: set[str] = set()
    for structure in read_structures(path, options):
        formulas.add(structure.atoms.get_chemical_formula())
        if len(formulas) > 1:
            raise InputError(
                f"'{path}' holds different molecules ({', '.join(sorted(formulas))}): expected "
                "one molecule in many geometries; take esml predict for a set"
            )
        yield structure.atoms


def _print_average(curve: AveragedSpectrum, lowest: list[float]) -> None:
    import numpy as np

    top = int(curve.absorption.argmax())
    typer.echo(f"S1 {np.mean(lowest):.2f} eV, standard deviation {np.std(lowest):.2f} eV")
    error = curve.standard_error[top]
    spread = f" ± {error:.0f}" if np.isfinite(error) else ""
    typer.echo(
        f"absorption maximum {curve.energies[top]:.2f} eV, {curve.wavelengths[top]:.0f} nm, "
        f"{curve.absorption[top]:.0f}{spread} L/mol/cm (standard error of the mean)"
    )
