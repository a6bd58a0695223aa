"""Compute and print two-photon absorption for ``esml spectrum --two-photon``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esml.commands.messages import console, refusing, working

if TYPE_CHECKING:
    from rich.table import Table

    from esml.predict.surrogate import Surrogate
    from esml.results import Result, States


def two_photon_of(surrogate: Surrogate, result: Result) -> Result:
    """Add two-photon strengths to ``result``; end the command if that is not possible."""
    from esml.physics.excitations import InstabilityError
    from esml.physics.solvers.davidson import ConvergenceError
    from esml.predict.two_photon import with_two_photon

    with refusing(InstabilityError, ConvergenceError), working("two-photon absorption"):
        return with_two_photon(surrogate, result)


def two_photon_table(singlets: States) -> Table:
    """Make a table of strengths and cross-sections that marks resonant states."""
    from rich.table import Table

    from esml.analysis.two_photon import resonant
    from esml.results.states import three_digits
    from esml.units import HC

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("two-photon")
    for heading in ("E (eV)", "each photon (nm)", "δ (a.u.)", "δ circular (a.u.)", "σ (GM)"):
        table.add_column(heading, justify="right")
    near = resonant(singlets.energies, singlets.oscillator_strengths)
    if near.any():
        table.add_column("")
    for k, label in enumerate(singlets.labels):
        energy = singlets.energies[k]
        values = (
            singlets.two_photon_strengths[k],
            singlets.two_photon_circular_strengths[k],
            singlets.two_photon_cross_sections[k],
        )
        cells = [f"{energy:.2f}", f"{2.0 * HC / energy:.0f}"]
        cells += [three_digits(value) for value in values]
        table.add_row(label, *cells, *(["resonant"] if near[k] else []))
    return table


def print_two_photon(singlets: States) -> None:
    """Print the table and an explanation of its numbers."""
    from rich.text import Text

    from esml.analysis.two_photon import STATEMENT

    screen = console()
    screen.print()
    screen.print(two_photon_table(singlets))
    screen.print()
    screen.print(Text(STATEMENT), soft_wrap=True)
