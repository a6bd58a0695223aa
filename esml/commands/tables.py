"""Results as tables for a person to read, alone or beside a reference calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from rich.table import Table

from esml.units import HC

if TYPE_CHECKING:
    from esml.io.comparison import Comparison, ReferenceStates
    from esml.results import Result, States


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
