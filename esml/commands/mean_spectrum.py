"""The mean spectrum of the conformers of a molecule, or of the frames of a trajectory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from esml.commands.frames import Frames
from esml.commands.messages import SOME_FAILED, fail, note, refusing
from esml.commands.molecules import decisions, predict_one
from esml.commands.spectrum_lines import print_lines
from esml.units import HC

if TYPE_CHECKING:
    from esml.analysis.spectrum import AveragedSpectrum
    from esml.commands.outputs import Outputs
    from esml.io.structures import ReadingOptions
    from esml.predict.surrogate import Surrogate

# The mean spectrum of conformers


def conformer_spectrum(
    smiles: str,
    n: int,
    n_states: int,
    fwhm: float,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict conformers of a molecule; print and write their Boltzmann-averaged spectrum."""
    import numpy as np

    from esml.analysis.spectrum import broaden
    from esml.io.paths import looks_like_file
    from esml.io.structures import InputError, conformers

    with refusing(InputError):
        if looks_like_file(smiles):
            raise InputError(
                f"'{smiles}' is a file: expected a SMILES, whose conformers --conformers searches; "
                "give one, or take --average for the structures of a file"
            )
        found = conformers(smiles, n, options)
    energies, strengths, warnings = [], [], []
    for structure, weight in found:
        result = predict_one(surrogate, structure, n_states)
        singlets = result.singlets
        warnings.append(result.warnings)
        energies.append(singlets.energies)
        # A spectrum is linear in the strengths: the mean spectrum has weighted strengths.
        strengths.append(weight * singlets.oscillator_strengths)
        typer.echo(
            f"conformer {structure.index + 1}: weight {weight:.3f}, S1 {singlets.energies[0]:.2f} "
            f"eV, f {singlets.oscillator_strengths[0]:.3f}"
        )
    _warn(warnings, "conformers")
    order = np.argsort(np.concatenate(energies), kind="stable")
    curve = broaden(np.concatenate(energies)[order], np.concatenate(strengths)[order], fwhm=fwhm)
    outputs.write_curve(curve)
    typer.echo(f"{smiles}: mean of {len(found)} conformers at 298 K")
    print_lines(curve, outputs.view)
    for what, said in decisions(found[0][0]):
        typer.echo(f"{what}: {said}")


# The mean spectrum of a trajectory


def thermal_spectrum(
    path: Path,
    n_states: int,
    fwhm: float,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict all frames of a trajectory; print and write their mean spectrum."""
    import numpy as np

    from esml.analysis.spectrum import average as mean_spectrum
    from esml.io.structures import InputError
    from esml.results import Failure

    transitions, lowest, failures = [], [], []
    warnings: list[Sequence[str]] = []
    frames = Frames(path, options)
    with refusing(InputError):
        for result in surrogate.predict_many(frames, n_states=n_states, errors="return"):
            if isinstance(result, Failure):
                failures.append(result.reason)
            else:
                transitions.append((result.singlets.energies, result.singlets.oscillator_strengths))
                lowest.append(float(result.singlets.energies[0]))
                formula = result.atoms.get_chemical_formula()
                warnings.append(result.warnings)
    if not transitions:
        fail(f"no structure of '{path}' could be predicted: {failures[0]}", SOME_FAILED)
    _warn(warnings, "structures")
    if doubt := frames.doubt():
        note(f"warning: {doubt}")
    curve = mean_spectrum(transitions, fwhm=fwhm)
    outputs.write_curve(curve)
    typer.echo(f"{path}: {formula}, mean of {curve.n_frames} structures")
    typer.echo(f"S1 {np.mean(lowest):.2f} eV, standard deviation {np.std(lowest):.2f} eV")
    print_lines(curve, outputs.view)
    if error := _standard_error(curve):
        typer.echo(error)
    if frames.first is not None:
        for what, said in decisions(frames.first):
            typer.echo(f"{what}: {said}")
    if failures:
        note(f"failed: {len(failures)} structures left out, the first because {failures[0]}")
        raise typer.Exit(SOME_FAILED)


def _warn(warnings: Sequence[Sequence[str]], what: str) -> None:
    """Print the kinds of warnings, each with the first of its kind and how many have it.

    ``warnings`` are those of every structure; those that differ in numbers alone are of one kind.
    """
    kinds: dict[str, list[str]] = {}
    for each in warnings:
        for kind, said in {re.sub(r"[0-9.]+", "", text): text for text in each}.items():
            kinds.setdefault(kind, []).append(said)
    for same in kinds.values():
        where = f"in {len(same)} of {len(warnings)} {what}: " if len(warnings) > 1 else ""
        note(f"warning: {where}{same[0]}")


def _standard_error(curve: AveragedSpectrum) -> str:
    """Describe the standard error of the height of the strongest band, or of the highest point."""
    import numpy as np

    from esml.analysis.absorption import strongest

    if not np.isfinite(curve.standard_error).all():
        return ""
    top = strongest(curve.bands)
    energy = top.energy if top else float(curve.energies[curve.absorption.argmax()])
    error = float(np.interp(energy, curve.energies, curve.standard_error))
    return f"standard error of the mean: ± {error:,.0f} L/mol/cm at {HC / energy:.0f} nm"
