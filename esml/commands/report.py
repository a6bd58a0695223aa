"""Results as tables for a person to read, alone or beside a reference calculation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.table import Table

from esml.analysis.spectrum import Spectrum, broaden
from esml.io.structures import InputError
from esml.units import HC

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from esml.results import Result, States


class ReferenceStates(BaseModel):
    """States of one multiplicity, ascending in energy."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    energies: list[float] = Field(min_length=1, description="eV")
    oscillator_strengths: list[float] | None = None

    @model_validator(mode="after")
    def _match(self) -> ReferenceStates:
        strengths = self.oscillator_strengths
        if strengths is not None and len(strengths) != len(self.energies):
            raise ValueError(f"{len(self.energies)} energies but {len(strengths)} strengths")
        if self.energies != sorted(self.energies):
            raise ValueError("energies are not ascending")
        return self


class ReferenceOrbitals(BaseModel):
    """Frontier orbital energies."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    homo: float = Field(description="eV")
    lumo: float = Field(description="eV")


class Comparison(BaseModel):
    """A reference calculation to print beside a prediction; further fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    level: str = Field(description="level of theory, for people to read")
    singlets: ReferenceStates
    triplets: ReferenceStates | None = None
    orbitals: ReferenceOrbitals | None = None


def validation_reasons(error: ValidationError) -> str:
    """What a pydantic validation found, on one line: ``path.to.field: reason; …``."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'all'}: {item['msg']}"
        for item in error.errors()
    )


def read_comparison(path: Path) -> Comparison:
    """The reference calculation in the JSON file ``path``; raises ``InputError``."""
    try:
        return Comparison.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(
            f"cannot read '{path}' ({error.strerror or error}): expected a reference in JSON; "
            "check the path"
        ) from error
    except ValidationError as error:
        raise InputError(
            f"'{path}' is not a reference esml can compare with ({validation_reasons(error)}): "
            "expected level and singlets; mend the file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"'{path}' is not JSON ({error}): expected a reference calculation; mend the file"
        ) from error


def _numbers(values: ArrayLike) -> list[float]:
    return [float(v) for v in np.asarray(values).ravel()]


def _cell(values: list[float], i: int, digits: int) -> str:
    known = i < len(values) and np.isfinite(values[i])
    return f"{values[i]:.{digits}f}" if known else "–"


def _state_rows(label: str, states: States, reference: ReferenceStates | None) -> list[list[str]]:
    """Rows label, E, λ, f, ±, reference E, reference f of one multiplicity."""
    energies = _numbers(states.energies)
    # Triplets are dark here: there is no spin–orbit coupling.
    strengths = _numbers(states.oscillator_strengths) if label == "S" else []
    uncertainties = _numbers(states.uncertainties)
    reference_energies = reference.energies if reference else []
    reference_strengths = (reference.oscillator_strengths or []) if reference else []
    return [
        [
            f"{label}{i + 1}",
            f"{energy:.2f}",
            f"{HC / energy:.0f}",
            _cell(strengths, i, 3),
            _cell(uncertainties, i, 2),
            _cell(reference_energies, i, 2),
            _cell(reference_strengths, i, 3),
        ]
        for i, energy in enumerate(energies)
    ]


def states_table(result: Result, comparison: Comparison | None = None) -> Table:
    """Singlets and triplets by energy, and what each of them is.

    With a ``comparison`` the reference state of the same rank takes the place of the description.
    """
    headings = ["state", "E (eV)", "λ (nm)", "f", "± (eV)"]
    if comparison:
        headings += ["reference E (eV)", "reference f"]
    table = Table(show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "state" else "right")
    described = comparison is None and result.coefficients is not None
    if described:
        table.add_column("what it is", overflow="fold")
    groups = (
        ("S", result.singlets, comparison.singlets if comparison else None),
        ("T", result.triplets, comparison.triplets if comparison else None),
    )
    for label, states, reference in groups:
        characters = []
        if described:
            characters = result.characters("singlets" if label == "S" else "triplets")
        for k, row in enumerate(_state_rows(label, states, reference)):
            described_as = [characters[k].description] if described else []
            table.add_row(*row[: len(headings)], *described_as)
        table.add_section()
    return table


def ground_state_table(result: Result, comparison: Comparison | None = None) -> Table:
    """Frontier orbitals and dipole moment."""
    table = Table(show_edge=False, pad_edge=False, show_header=comparison is not None)
    table.add_column("ground state")
    table.add_column("esml", justify="right")
    rows = [
        ("HOMO (eV)", f"{result.homo:.2f}"),
        ("LUMO (eV)", f"{result.lumo:.2f}"),
        ("gap (eV)", f"{result.gap:.2f}"),
        ("dipole (debye)", f"{np.linalg.norm(result.dipole):.2f}"),
    ]
    reference: list[str] = []
    if comparison:
        table.add_column("reference", justify="right")
        orbitals = comparison.orbitals
        if orbitals:
            values = (orbitals.homo, orbitals.lumo, orbitals.lumo - orbitals.homo)
            reference = [f"{value:.2f}" for value in values]
        reference += ["–"] * (len(rows) - len(reference))
    for i, row in enumerate(rows):
        table.add_row(*row, *reference[i : i + 1])
    return table


def plot_comparison(spectrum: Spectrum, comparison: Comparison) -> Axes:
    """Draw a predicted spectrum with that of the reference's singlets over it.

    The reference is broadened alike. Needs matplotlib and the reference's oscillator strengths.
    """
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
