"""The mean spectrum of the conformers of a molecule, or of the frames of a trajectory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from esml.commands.dichroism import print_dichroism, with_mirror_image_warning
from esml.commands.frames import Frames
from esml.commands.messages import SOME_FAILED, fail, note, refusing
from esml.commands.molecules import decisions, predict_one
from esml.commands.spectrum_lines import print_lines
from esml.units import HC

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from esml.analysis.dichroism import Dichroism
    from esml.analysis.spectrum import AveragedSpectrum
    from esml.commands.asked import Asked
    from esml.commands.outputs import Outputs
    from esml.io.structures import ReadingOptions
    from esml.predict.surrogate import Surrogate
    from esml.results import States

# The mean spectrum of conformers


def conformer_spectrum(
    smiles: str,
    n: int,
    asked: Asked,
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
    singlets, strengths, warnings = [], [], []
    for structure, weight in found:
        result = predict_one(surrogate, structure, asked.n_states)
        if asked.cd:
            result = with_mirror_image_warning(result, structure.provenance)
        states = result.singlets
        warnings.append(result.warnings)
        singlets.append(states)
        # A spectrum is linear in the strengths: the mean spectrum has weighted strengths.
        strengths.append(weight * states.oscillator_strengths)
        rotatory = f", R {states.rotatory_strengths[0]:+.1f}·10⁻⁴⁰ cgs" if asked.cd else ""
        typer.echo(
            f"conformer {structure.index + 1}: weight {weight:.3f}, S1 {states.energies[0]:.2f} "
            f"eV, f {states.oscillator_strengths[0]:.3f}{rotatory}"
        )
    _warn(warnings, "conformers")
    energies = np.concatenate([states.energies for states in singlets])
    order = np.argsort(energies, kind="stable")
    curve = broaden(energies[order], np.concatenate(strengths)[order], fwhm=asked.fwhm)
    dichroism = _mean_dichroism(singlets, [weight for _, weight in found], asked)
    outputs.write_curve(dichroism or curve)
    typer.echo(f"{smiles}: mean of {len(found)} conformers at 298 K")
    print_lines(curve, outputs.view)
    if dichroism is not None:
        print_dichroism(dichroism)
    for what, said in decisions(found[0][0]):
        typer.echo(f"{what}: {said}")


# The mean spectrum of a trajectory


def thermal_spectrum(
    path: Path,
    asked: Asked,
    surrogate: Surrogate,
    options: ReadingOptions,
    outputs: Outputs,
) -> None:
    """Predict all frames of a trajectory; print and write their mean spectrum."""
    import numpy as np

    from esml.analysis.spectrum import average as mean_spectrum
    from esml.io.structures import InputError
    from esml.results import Failure

    singlets, failures = [], []
    warnings: list[Sequence[str]] = []
    frames = Frames(path, options)
    with refusing(InputError):
        for result in surrogate.predict_many(frames, n_states=asked.n_states, errors="return"):
            if isinstance(result, Failure):
                failures.append(result.reason)
            else:
                singlets.append(result.singlets)
                formula = result.atoms.get_chemical_formula()
                warnings.append(result.warnings)
    if not singlets:
        fail(f"no structure of '{path}' could be predicted: {failures[0]}", SOME_FAILED)
    _warn(warnings, "structures")
    if doubt := frames.doubt():
        note(f"warning: {doubt}")
    transitions = [(states.energies, states.oscillator_strengths) for states in singlets]
    curve = mean_spectrum(transitions, fwhm=asked.fwhm)
    dichroism = _mean_dichroism(singlets, np.full(len(singlets), 1.0 / len(singlets)), asked)
    outputs.write_curve(dichroism or curve)
    typer.echo(f"{path}: {formula}, mean of {curve.n_frames} structures")
    lowest = [float(states.energies[0]) for states in singlets]
    typer.echo(f"S1 {np.mean(lowest):.2f} eV, standard deviation {np.std(lowest):.2f} eV")
    print_lines(curve, outputs.view)
    if error := _standard_error(curve):
        typer.echo(error)
    if dichroism is not None:
        print_dichroism(dichroism)
    if frames.first is not None:
        for what, said in decisions(frames.first):
            typer.echo(f"{what}: {said}")
    if failures:
        note(f"failed: {len(failures)} structures left out, the first because {failures[0]}")
        raise typer.Exit(SOME_FAILED)


def _mean_dichroism(
    singlets: Sequence[States], weights: ArrayLike, asked: Asked
) -> Dichroism | None:
    """The mean circular dichroism; None unless asked for."""
    from esml.analysis.dichroism import mean_dichroism

    if not asked.cd:
        return None
    transitions = [(states.energies, states.rotatory_strengths) for states in singlets]
    return mean_dichroism(transitions, weights, asked.fwhm)


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
