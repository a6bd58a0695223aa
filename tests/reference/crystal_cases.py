"""Crystals small enough to calculate in a second, shared by the tests of their reference data."""

from __future__ import annotations

from functools import cache

import pytest

pytest.importorskip("pyscf")

from ase import Atoms
from ase.build import bulk

from esml.io.records import CrystalRecord
from reference.crystals.cell import CrystalLevel
from reference.crystals.ground_state import GroundState, ground_state
from reference.crystals.record import make_record

EXACT = CrystalLevel(cutoff=30.0, density_tolerance=1e-7, single_precision=False)
"""Converged, and on a grid fine enough for aluminium and silicon."""

QUICK = CrystalLevel(cutoff=15.0, density_tolerance=1e-4)
"""A grid as coarse as can be: what is stored holds whatever the cutoff."""


def aluminium(constant: float = 4.05, divisions: tuple[int, int, int] = (3, 2, 1)) -> Atoms:
    atoms = bulk("Al", "fcc", a=constant)
    atoms.info["k_points"] = divisions
    return atoms


@cache
def converged(divisions: tuple[int, int, int] = (3, 2, 1)) -> GroundState:
    """The ground state of aluminium. Do not change it."""
    return ground_state(aluminium(divisions=divisions), EXACT)


@cache
def record(constant: float = 4.05) -> CrystalRecord:
    """A record of aluminium. Copy it before changing it."""
    return make_record(aluminium(constant), QUICK)
