"""Irreducible representations of excited states, from their transition density matrices.

An operation R of the point group turns the transition density matrix D of a state into U D Uᵀ. The
traces of such operations within a set of degenerate states are the characters that identify the
representation. States form a set only if an operation mixes them, so accidentally close states do
not count as degenerate. ``esml.analysis.point_group`` says how the axes are chosen.

Shape letters: S states, N atoms, n orbitals.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import acos, pi

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from esml.analysis.point_group import LINEAR_TURN, Operation, PointGroup

Array = NDArray[np.float64]
Index = NDArray[np.intp]

MIXING = 0.05
"""Two states form a set if one has this squared overlap with the image of the other."""

NEARBY = 0.1
"""eV; states further apart are not degenerate, whatever their overlap."""

CLOSED = 0.8
"""A set is complete if this share of its image lies within the set."""


@dataclass(frozen=True)
class StateSymmetry:
    """The representation a state belongs to, and the states it is degenerate with."""

    label: str
    """Mulliken symbol; empty without symmetry or where it cannot be assigned."""
    group: str
    """Schoenflies symbol of the molecule's point group."""
    partners: tuple[int, ...]
    """States (from 0) of the degenerate set, this one included."""
    complete: bool = True
    """False if the set continues above the highest state that was computed."""

    @property
    def degeneracy(self) -> int:
        """Number of computed states in the set."""
        return len(self.partners)

    @property
    def text(self) -> str:
        """The symmetry in words: ``B2u``, ``E1u (degenerate pair)``; empty without symmetry."""
        if not self.complete:
            return "degenerate (its partner lies beyond the states asked for)"
        name = {2: "degenerate pair", 3: "degenerate triple"}.get(
            self.degeneracy, f"set of {self.degeneracy}"
        )
        if self.degeneracy == 1:
            return self.label
        return f"{self.label} ({name})" if self.label else name


def state_symmetries(
    group: PointGroup, densities: Array, energies: Array, owner: Index
) -> list[StateSymmetry]:
    """Return the symmetry of each state.

    Parameters
    ----------
    group
        Point group of the molecule.
    densities
        (S, n, n) transition densities, each of norm 1.
    energies
        (S,) excitation energies, eV.
    owner
        (n,) the atom that carries each orbital (``bonding.orbital_owner``).

    Returns
    -------
    One symmetry for each state.
    """
    overlaps = {
        role: _overlaps(operation, densities, owner) for role, operation in group.operations.items()
    }
    mixed = np.zeros((len(energies),) * 2, dtype=bool)
    for matrix in overlaps.values():
        for i, j in combinations(range(len(energies)), 2):
            overlap = max(matrix[i, j] ** 2, matrix[j, i] ** 2)
            if overlap > MIXING and abs(energies[i] - energies[j]) < NEARBY:
                mixed[i, j] = True
    found: dict[int, StateSymmetry] = {}
    n_groups, labels = connected_components(mixed, directed=False)
    for k in range(n_groups):
        states = tuple(np.flatnonzero(labels == k).tolist())
        inside = {role: matrix[np.ix_(states, states)] for role, matrix in overlaps.items()}
        closed = all(np.square(m).sum() / len(states) > CLOSED for m in inside.values())
        label = _label(group, {role: float(np.trace(m)) for role, m in inside.items()}, len(states))
        at_end = energies[-1] - energies[states[-1]] < NEARBY
        for state in states:
            found[state] = StateSymmetry(
                label=label if closed else "",
                group=group.name,
                partners=states,
                complete=closed or not at_end,
            )
    return [found[state] for state in range(len(energies))]


def _overlaps(operation: Operation, densities: Array, owner: Index) -> Array:
    """⟨D_i | U D_j Uᵀ⟩ (S, S)."""
    n = len(owner)
    starts = np.searchsorted(owner, np.arange(int(owner.max()) + 1))
    sizes = np.bincount(owner)
    u = np.zeros((n, n))
    for a, b in enumerate(operation.image):
        u[starts[b], starts[a]] = 1.0
        if sizes[a] > 1:
            here, there = (slice(starts[k] + 1, starts[k] + 4) for k in (a, b))
            u[there, here] = operation.matrix
    images = u @ densities @ u.T
    overlaps: Array = densities.reshape(len(densities), -1) @ images.reshape(len(densities), -1).T
    return overlaps


def _label(group: PointGroup, traces: dict[str, float], dimension: int) -> str:
    """Mulliken symbol of a set of states, from the ``traces`` of the operations."""
    if group.name in ("C1", "K"):
        return ""
    if group.order == 0:
        return _linear_label(traces, dimension)
    ending = ""
    if "inversion" in traces:
        ending = "g" if traces["inversion"] > 0 else "u"
    elif "horizontal" in traces:
        ending = "'" if traces["horizontal"] > 0 else "''"
    if group.name in ("D2", "D2h"):
        axes = {"1": "rotation", "2": "y", "3": "x"}
        even = [number for number, role in axes.items() if traces[role] > 0]
        return ("A" if len(even) == 3 else "B" + "".join(even)) + ending
    if "third" in traces:
        letter = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}.get(dimension, "")
        subscript = ""
        if dimension in (1, 3) and group.name in ("Td", "O", "Oh"):
            subscript = "1" if traces["rotation"] > 0 else "2"
        return letter + subscript + ending
    if dimension > 2:
        return ""
    improper = "improper" in traces
    turn = traces.get("improper", traces.get("rotation", float(dimension)))
    if dimension == 2:
        order = 2 * group.order if improper else group.order
        if order < 3:
            return ""
        place = round(acos(max(-1.0, min(1.0, 0.5 * turn))) * order / (2.0 * pi))
        return f"E{place if order > 4 else ''}{ending}"
    letter = "A" if turn > 0 else "B"
    subscript = "" if "second" not in traces else "1" if traces["second"] > 0 else "2"
    return letter + subscript + ending


def _linear_label(traces: dict[str, float], dimension: int) -> str:
    ending = "" if "inversion" not in traces else "g" if traces["inversion"] > 0 else "u"
    if dimension == 1:
        return f"Σ{ending}{'+' if traces['second'] > 0 else '-'}"
    place = round(acos(max(-1.0, min(1.0, 0.5 * traces["rotation"]))) / LINEAR_TURN)
    return f"{'?ΠΔΦ'[place]}{ending}" if dimension == 2 else ""
