"""Content of the output of a quantum-chemistry program: the molecule and its excited states."""

from __future__ import annotations

from dataclasses import dataclass, field

from esml.io.formats.atom_tables import Table


@dataclass(frozen=True)
class CalculatedState:
    """An excited state of a calculation."""

    energy: float
    """Excitation energy (eV)."""
    multiplicity: int | None
    """2S + 1; None if the output does not say."""
    strength: float | None = None
    """Oscillator strength from the ground state, if the output has it."""


@dataclass(frozen=True)
class Calculation:
    """The molecule of an output and, if calculated, its excited states."""

    level: str
    """Level of theory and program, as text."""
    table: Table
    states: list[CalculatedState] = field(default_factory=list)
    """Excited states in any order."""
    frontier: tuple[float, float] | None = None
    """HOMO and LUMO (eV)."""
    ended: bool = True
    """False if the output lacks the normal ending that its program writes."""

    def of_multiplicity(self, multiplicity: int | None) -> list[CalculatedState]:
        """Return the states of one multiplicity 2S + 1, ascending in energy."""
        found = [state for state in self.states if state.multiplicity == multiplicity]
        return sorted(found, key=lambda state: state.energy)
