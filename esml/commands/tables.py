"""Readable tables of results, alone or beside a reference calculation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from esml.results.states import REMARK, cell, screen_table

if TYPE_CHECKING:
    from esml.io.comparison import Comparison, ReferenceStates
    from esml.results import Result


def states_table(
    result: Result, comparison: Comparison | None = None, requested: Sequence[str] = ()
) -> Table:
    """Make a table of singlets and triplets by energy, with the character of each.

    ``requested`` names properties that are shown on request (``esml.results.Property``). With a
    ``comparison`` the reference state of the same rank replaces the description.
    """
    both = (result.singlets, result.triplets)
    remarks = result.descriptions() if comparison is None else {}
    headings, rows = screen_table(*both, remarks=remarks, requested=requested)
    table = Table(show_edge=False, pad_edge=False)
    for heading in headings:
        if heading == REMARK:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="left" if heading == "state" else "right")
    references = {}
    if comparison:
        table.add_column("reference E (eV)", justify="right")
        table.add_column("reference f", justify="right")
        references = {"singlet": comparison.singlets, "triplet": comparison.triplets}
    position = iter(rows)
    for states in both:
        for k in range(len(states)):
            beside = _reference_cells(references[states.multiplicity], k) if comparison else []
            table.add_row(*next(position), *beside)
        table.add_section()
    return table


def _reference_cells(reference: ReferenceStates | None, k: int) -> list[str]:
    """Format energy and oscillator strength of the reference state of rank ``k``, if present."""
    energies = reference.energies if reference else []
    strengths = (reference.oscillator_strengths or []) if reference else []
    return [
        cell(values[k], digits) if k < len(values) else "–"
        for values, digits in ((energies, 2), (strengths, 3))
    ]


def ground_state_table(result: Result, comparison: Comparison | None = None) -> Table:
    """Make a table of frontier orbital energies and the dipole moment."""
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
