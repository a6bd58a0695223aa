"""Compare predicted with measured λmax: a row for each compound, and errors over all.

The prediction is the maximum of the lowest band of the broadened vertical spectrum
(``Result.absorption_max_nm``), in the solvent of the row if the table has a column of solvents,
otherwise in vacuum. Effects missing from it, such as vibrations, lower a measured maximum by some
0.1 to 0.3 eV. In a solvent the model's last step (``esml.results.last_step``) corrects for them, if
the model has one and the raw maximum is not asked for. Vibrations can be computed instead
(``esml.predict.vibronic.vibrational_shift``), for GFN2-xTB's modes of every compound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from esml.analysis.normal_modes import normal_modes
from esml.io.formats.smiles_lists import read_rows
from esml.io.geometry import METHOD, xtb_calculator
from esml.io.measured import OTHER, MeasuredMaximum, family_of, read_maxima
from esml.io.provenance import InputError, ReadingOptions, Structure
from esml.io.structure_checks import molecular_charge
from esml.io.structures import DEFAULT, read_entries
from esml.io.surroundings import solvent_class
from esml.jobs import progress_bar
from esml.predict.surrogate import Surrogate
from esml.predict.vibronic import vibrational_shift
from esml.results import Failure, Result
from esml.results.last_step import LastStep
from esml.units import HC

VACUUM = "vacuum"
"""The medium of a prediction without a solvent."""

NO_BAND = "no band at 180 nm or beyond"

AHEAD = 64
"""Number of molecules whose geometries are made before they are predicted together."""


@dataclass(frozen=True)
class Compared:
    """A compound in a solvent."""

    name: str  # as in the table
    smiles: str  # of the compound
    solvent: str
    """Solvent of the measurement, as named in the table."""
    medium: str
    """Solvent of the prediction, or vacuum; empty for a molecule that was not predicted."""
    measured_nm: float  # λmax of the table, nm
    predicted_nm: float
    """Predicted λmax, nm; nan if there is no prediction."""
    in_domain: bool = True  # whether it is like the training molecules
    reason: str = ""
    """Why there is no prediction."""
    solvent_class: str = VACUUM
    """Class of the medium: nonpolar, polar or hydrogen bonding (``esml.io.surroundings``); empty
    without a medium."""
    family: str = OTHER
    """Family of the dye, by its chromophore (``esml.io.measured.dye_families``); empty if the
    molecule was not read."""
    raw_nm: float = math.nan
    """λmax of the vertical spectrum, nm, without last step and vibrations."""
    doubts: tuple[str, ...] = ()
    """A sentence on each doubt about what vibrations or the last step do."""

    @property
    def error(self) -> float:
        """Predicted − measured, eV."""
        return HC / self.predicted_nm - HC / self.measured_nm


@dataclass(frozen=True)
class Maximum:
    """A predicted λmax, or why there is none."""

    wavelength: float  # nm; nan without one
    reason: str = ""  # why there is none
    doubts: tuple[str, ...] = ()
    """A sentence on each doubt about what vibrations or the last step do."""


@dataclass(frozen=True)
class Further:
    """What follows on the maximum of the vertical spectrum."""

    last_step: LastStep | None  # in solvents
    vibrations: bool  # those of GFN2-xTB

    def maximum(self, model: Surrogate, result: Result) -> Maximum:
        """Return λmax, or why there is none.

        Parameters
        ----------
        model
            The model.
        result
            Its prediction, with a band.
        """
        if self.vibrations:
            return _vibrating(model, result)
        found = None if self.last_step is None else self.last_step(result)
        if found is None:
            return Maximum(result.absorption_max_nm)
        return Maximum(found.wavelength, doubts=(found.doubt,) if found.beyond else ())


def _vibrating(model: Surrogate, result: Result) -> Maximum:
    """Return λmax with GFN2-xTB's vibrations, or why there is none."""
    modes = normal_modes(result.atoms, xtb_calculator(molecular_charge(result.atoms)), METHOD)
    if not modes.at_minimum:
        return Maximum(math.nan, f"the geometry is no minimum of {METHOD}, so it has no modes")
    try:
        shift = vibrational_shift(model, result.atoms, modes, result.solvent)
    except (ValueError, RuntimeError) as error:
        return Maximum(math.nan, f"vibrations: {error}")
    assert shift is not None  # a result with a band
    return Maximum(HC / (HC / result.absorption_max_nm + shift.energy), doubts=shift.doubts)


@dataclass(frozen=True)
class ExperimentScores:
    """Errors of predicted maxima against measured ones, in eV except counts and ranks."""

    n: int  # compounds compared
    n_failed: int  # compounds without a prediction
    n_unmeasured: int
    """Number of rows without a measured maximum."""
    mae: float  # mean absolute error
    mean: float
    """Mean of predicted − measured."""
    spearman: float  # rank correlation
    after_line: float
    """Mean absolute error that remains after fitting a straight line to the points."""
    n_vacuum: int
    """Number of compounds predicted in vacuum."""


def compare_with_experiment(
    model: Surrogate,
    path: str | Path,
    options: ReadingOptions = DEFAULT,
    n_states: int = 10,
    raw: bool = False,
    progress: bool = False,
    vibrations: bool = False,
) -> tuple[list[Compared], ExperimentScores]:
    """Predict λmax of all compounds in a table and compare it with the measured one.

    Parameters
    ----------
    model
        The model.
    path
        A table of SMILES, solvent and λmax (``esml.io.measured.maxima``).
    options
        Options for reading structures.
    n_states
        Number of singlets per molecule: enough to include the lowest band.
    raw
        Leave out the last step.
    progress
        Show progress on standard error.
    vibrations
        In place of the last step add what vibrations do, which takes 10 to 30 s per compound.

    Raises
    ------
    InputError
        If the table cannot be read, holds no measured maximum, or has no heading in its first row.
    """
    path = Path(path)
    maxima = _maxima(path, options)
    if not any(math.isfinite(each.wavelength) for each in maxima):
        raise InputError(
            f"'{path}' holds no measured maximum: expected wavelengths in nm; check its columns"
        )
    further = Further(None if raw or vibrations else model.last_step, vibrations)
    unmeasured = sum(not math.isfinite(each.wavelength) for each in maxima)
    rows = []
    with progress_bar(enabled=progress) as display:
        task = display.add_task("predicting", total=len(maxima) - unmeasured, remark="")
        for row in _rows(model, path, maxima, options, n_states, further):
            rows.append(row)
            display.advance(task)
    return rows, scores(rows, unmeasured)


def scores(rows: list[Compared], n_unmeasured: int = 0) -> ExperimentScores:
    """Compute the scores of compounds; nan if there are too few."""
    from scipy.stats import spearmanr

    known = [row for row in rows if math.isfinite(row.predicted_nm)]
    measured = np.array([HC / row.measured_nm for row in known])
    predicted = np.array([HC / row.predicted_nm for row in known])
    errors = predicted - measured
    spearman = after = math.nan
    if len(known) > 2 and np.ptp(predicted) > 0.0 and np.ptp(measured) > 0.0:
        spearman = float(spearmanr(measured, predicted).statistic)
        line = np.polynomial.Polynomial.fit(predicted, measured, 1)
        after = float(np.abs(line(predicted) - measured).mean())
    return ExperimentScores(
        n=len(known),
        n_failed=len(rows) - len(known),
        n_unmeasured=n_unmeasured,
        mae=float(np.abs(errors).mean()) if len(known) else math.nan,
        mean=float(errors.mean()) if len(known) else math.nan,
        spearman=spearman,
        after_line=after,
        n_vacuum=sum(row.medium == VACUUM for row in known),
    )


def grouped(rows: list[Compared]) -> dict[str, dict[str, ExperimentScores]]:
    """Return scores by solvent class and by dye family, the largest groups first.

    A molecule that was not predicted has no class, and one that was not read has no family.
    """
    found = {}
    for name in ("solvent_class", "family"):
        groups: dict[str, list[Compared]] = {}
        for row in rows:
            if group := getattr(row, name):
                groups.setdefault(group, []).append(row)
        order = sorted(groups, key=lambda group: (-len(groups[group]), group))
        found[name] = {group: scores(groups[group]) for group in order}
    return found


def plain(rows: list[Compared], found: ExperimentScores) -> dict[str, Any]:
    """Return rows, groups and scores as JSON types, except nan."""
    groups = {
        by: {name: asdict(of_group) for name, of_group in each.items()}
        for by, each in grouped(rows).items()
    }
    return {
        "scores": asdict(found),
        "groups": groups,
        "compounds": [asdict(row) | {"error_eV": row.error} for row in rows],
    }


def _maxima(path: Path, options: ReadingOptions) -> list[MeasuredMaximum]:
    """The maxima of all rows, with the solvents in which the molecules are predicted."""
    maxima = read_maxima(path)
    lines = read_rows(path, options.smiles_column, options.solvent_column)
    if len(lines) != len(maxima):
        raise InputError(
            f"'{path}' has {len(lines)} molecules and {len(maxima)} rows of maxima: expected a "
            "table with headings in its first row, one of them 'smiles'; fix the headings"
        )
    both = zip(maxima, lines, strict=True)
    return [replace(each, solvent=line.solvent) for each, line in both]


def _rows(
    model: Surrogate,
    path: Path,
    maxima: list[MeasuredMaximum],
    options: ReadingOptions,
    n_states: int,
    further: Further,
) -> Iterator[Compared]:
    """Yield the rows with a measured maximum in order, predicted in batches."""
    window: list[tuple[Structure | InputError, MeasuredMaximum]] = []
    for entry, measured in zip(read_entries(path, 0, options), maxima, strict=True):
        if math.isfinite(measured.wavelength):
            window.append((entry, measured))
        if len(window) == AHEAD:
            yield from _predicted(model, window, n_states, further)
            window = []
    yield from _predicted(model, window, n_states, further)


def _predicted(
    model: Surrogate,
    window: list[tuple[Structure | InputError, MeasuredMaximum]],
    n_states: int,
    further: Further,
) -> Iterator[Compared]:
    atoms = [entry.atoms for entry, _ in window if isinstance(entry, Structure)]
    outcomes = model.predict_many(
        atoms, n_states=n_states, errors="return", wavefunctions=further.last_step is not None
    )
    for entry, measured in window:
        outcome = next(outcomes) if isinstance(entry, Structure) else None
        medium, of_solvent, raw, inside = "", "", math.nan, True
        if isinstance(outcome, Result):
            raw, inside = outcome.absorption_max_nm, outcome.in_domain
            of_solvent = solvent_class(outcome.solvent)
            medium = outcome.solvent.label if outcome.solvent is not None else VACUUM
            has_band = math.isfinite(raw)
            found = further.maximum(model, outcome) if has_band else Maximum(raw, NO_BAND)
        else:
            reason = outcome.reason if isinstance(outcome, Failure) else str(entry)
            found = Maximum(math.nan, reason)
        smiles = entry.provenance.smiles if isinstance(entry, Structure) else ""
        yield Compared(
            name=entry.name,
            smiles=smiles,
            solvent=measured.solvent,
            medium=medium,
            measured_nm=measured.wavelength,
            predicted_nm=found.wavelength,
            in_domain=inside,
            reason=found.reason,
            solvent_class=of_solvent,
            family=family_of(smiles) if smiles else "",
            raw_nm=raw,
            doubts=found.doubts,
        )
