"""Two-photon absorption for ``esml spectrum --two-photon``: how it is made and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esml.commands.messages import console, refusing, working

if TYPE_CHECKING:
    from rich.table import Table

    from esml.analysis.two_photon import TwoPhotonAbsorption
    from esml.io.structures import Structure
    from esml.predict.surrogate import Surrogate


def two_photon_of(surrogate: Surrogate, structure: Structure, n_states: int) -> TwoPhotonAbsorption:
    """Two-photon absorption of a structure that has a prediction; ends the command without."""
    from esml.physics.excitations import InstabilityError
    from esml.physics.solvers.davidson import ConvergenceError
    from esml.predict.two_photon import two_photon

    with refusing(InstabilityError, ConvergenceError), working("two-photon absorption"):
        return two_photon(surrogate, structure.atoms, n_states)


def two_photon_table(found: TwoPhotonAbsorption) -> Table:
    """Strengths and cross-sections of all states."""
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    table.add_column("two-photon")
    for heading in ("E (eV)", "each photon (nm)", "δ (a.u.)", "δ circular (a.u.)", "σ (GM)"):
        table.add_column(heading, justify="right")
    values = (
        found.energies,
        found.wavelengths,
        found.strengths,
        found.circular_strengths,
        found.cross_sections(),
    )
    for k, row in enumerate(zip(*values, strict=True)):
        energy, wavelength, *others = row
        cells = [f"{energy:.2f}", f"{wavelength:.0f}", *(f"{value:.3g}" for value in others)]
        table.add_row(f"S{k + 1}", *cells)
    return table


def print_two_photon(found: TwoPhotonAbsorption) -> None:
    """Print the table, and which line the cross-sections are for."""
    from rich.text import Text

    from esml.analysis.two_photon import WIDTH

    screen = console()
    screen.print()
    screen.print(two_photon_table(found))
    screen.print()
    said = (
        f"σ of linearly polarized light at the maximum of a Lorentzian of half width {WIDTH:g} eV"
    )
    screen.print(Text(said), soft_wrap=True)
