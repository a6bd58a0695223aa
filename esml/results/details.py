"""One excited state in detail: dipole, charges, onward absorption and spin–orbit coupling.

``esml.predict.details.state_details`` computes them. The screen and the report page show the
``sentences`` and ``tables`` of this module, JSON of spectra what ``to_plain`` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esml.analysis.emission import lifetime_text
from esml.analysis.transitions import ExcitedStateAbsorption
from esml.typing import Array
from esml.units import HC

MOVED = 0.02
"""Atoms whose charge changes by less than this (e) are not named."""

NAMED = 6
"""At most this many atoms are named."""

NEAREST = 5
"""Number of states of the other multiplicity whose couplings are shown."""

ABSORPTION = (
    "f of onward absorption is without the field that electrons induce in response to light: "
    "strong bands can come out too strong"
)
"""What to know of the strengths of excited-state absorption."""

PHOSPHORESCENCE = (
    "at this geometry, with intensity borrowed from the states asked for, so ask for many; "
    "what vibrations lend is left out, nearly all of it in planar hydrocarbons"
)
"""What to know of the lifetime of phosphorescence."""

Shown = tuple[list[str], list[list[str]]]
"""Headings and rows of a table."""


@dataclass(frozen=True)
class SpinOrbitPartners:
    """Spin–orbit couplings of one state with all states of the other multiplicity."""

    states: tuple[str, ...]  # (K,) ``T1``, ``T2``, …; of a triplet ``S0``, ``S1``, …
    energies: Array  # (K,) their energies, eV above the ground state
    strengths: Array  # (K,) strengths of the couplings, cm⁻¹


@dataclass(frozen=True)
class StateDetails:
    """One excited state in detail, at the geometry of the ground state."""

    state: str  # ``S1``, ``T2``, …
    energy: float  # eV
    symbols: tuple[str, ...]  # (N,) chemical symbols of the atoms
    ground_dipole: Array  # (3,) of the ground state, debye
    dipole: Array  # (3,) relaxed, debye; of ions relative to the origin of the positions
    ground_charges: Array  # (N,) of the ground state, e
    charges: Array  # (N,) relaxed, e
    absorption: ExcitedStateAbsorption  # to all other states of its multiplicity
    partners: SpinOrbitPartners  # spin–orbit couplings
    lifetime: float | None = None  # of phosphorescence, s; None for singlets

    @property
    def charge_changes(self) -> Array:
        """(N,) charges of the state minus those of the ground state, e; they sum to zero."""
        changes: Array = self.charges - self.ground_charges
        return changes

    def sentences(self) -> list[str]:
        """Return lines on energy, dipole moment, charges and, for triplets, phosphorescence."""
        here, before, changed = (
            np.linalg.norm(each)
            for each in (self.dipole, self.ground_dipole, self.dipole - self.ground_dipole)
        )
        ion = "" if abs(self.charges.sum()) < 0.5 else ", about the origin of the coordinates"
        lines = [
            f"{self.state} at {self.energy:.2f} eV, at the geometry of the ground state",
            f"dipole moment: {here:.2f} debye, {before:.2f} in the ground state, vector changed by "
            f"{changed:.2f}{ion} (orbitals relaxed)",
            f"charges that change most (e, orbitals relaxed): {self._movers()}",
        ]
        if self.lifetime is not None:
            lines.append(
                f"phosphorescence: lifetime {lifetime_text(self.lifetime)}, {PHOSPHORESCENCE}"
            )
        return lines

    def _movers(self) -> str:
        """The atoms whose charges change most, numbered from 1: ``N8 −0.20, O9 +0.18``."""
        changes = self.charge_changes
        # Equivalent atoms, equal to within rounding, keep their order.
        ranked = np.argsort(-np.round(np.abs(changes), 3), kind="stable")[:NAMED]
        named = [
            f"{self.symbols[atom]}{atom + 1} {changes[atom]:+.2f}".replace("-", "−")
            for atom in ranked
            if abs(changes[atom]) >= MOVED
        ]
        return ", ".join(named) or f"none by {MOVED:g} or more"

    def tables(self) -> list[Shown]:
        """Return tables of onward absorption and of spin–orbit couplings."""
        return [self._absorption_table(), self._coupling_table()]

    def _absorption_table(self) -> Shown:
        """The states above this one."""
        found = self.absorption
        rows = [
            [final, f"{gap:.2f}", f"{HC / gap:.0f}", f"{strength:.3f}"]
            for final, gap, strength in zip(
                found.finals, found.energies, found.oscillator_strengths, strict=True
            )
            if gap > 0.0
        ]
        rows = rows or [["none above it among those asked for", "–", "–", "–"]]
        return [f"absorption of {self.state}, to", "ΔE (eV)", "λ (nm)", "f"], rows

    def _coupling_table(self) -> Shown:
        """The states of the other multiplicity nearest in energy, and the ground state."""
        partners = self.partners
        gaps = partners.energies - self.energy
        nearest = np.sort(np.argsort(np.abs(gaps), kind="stable")[:NEAREST]).tolist()
        if "S0" in partners.states and 0 not in nearest:
            nearest = [0, *nearest]
        rows = [
            [partners.states[k], f"{gaps[k]:.2f}".replace("-", "−"), f"{partners.strengths[k]:.1f}"]
            for k in nearest
        ]
        rows = rows or [["none was asked for", "–", "–"]]
        return [f"spin–orbit coupling of {self.state}, with", "ΔE (eV)", "cm⁻¹"], rows

    def to_plain(self) -> dict[str, Any]:
        """Return dictionaries, lists, numbers and texts for JSON; numbers may be infinite."""
        absorption, partners = self.absorption, self.partners
        return {
            "state": self.state,
            "energy_eV": self.energy,
            "dipole_debye": self.dipole.tolist(),
            "charges_e": self.charges.tolist(),
            "absorption": _records(
                absorption.finals,
                {
                    "energy_eV": absorption.energies,
                    "transition_dipole_e_bohr": absorption.dipoles,
                    "oscillator_strength": absorption.oscillator_strengths,
                },
            ),
            "spin_orbit": _records(
                partners.states,
                {"energy_eV": partners.energies - self.energy, "strength_cm-1": partners.strengths},
            ),
            "phosphorescence_lifetime_ms": None if self.lifetime is None else 1e3 * self.lifetime,
        }


def _records(states: Sequence[str], columns: Mapping[str, Array]) -> list[dict[str, Any]]:
    """A dictionary for each of ``states``, with its entry of every one of the ``columns``."""
    return [
        {"state": state} | {name: values[k].tolist() for name, values in columns.items()}
        for k, state in enumerate(states)
    ]
