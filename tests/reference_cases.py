"""Small molecules and their ground states, shared by the tests of the reference data."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyscf")

import ase.build
from ase import Atoms

from esml.io.records import Record
from reference.record import make_record
from reference.scf import Level, ground_state, molecule

UNTRUNCATED = Level(virtual_cutoff=None, response_grid=3, scf_grid=3, frozen_core=False)
"""Nothing left out: what PySCF's own TDDFT does."""

QUICK = Level(functional="hf", minimal_functional="hf", basis="6-31g")
"""No grid, a small basis: tenths of a second a molecule, and exact rotational symmetry."""


# Å, from experiment (CRC Handbook): bond lengths, and the angle of H2Se.
HYDRIDES = {
    "BH3": (
        "BH3",
        [(0, 0, 0), *((1.19 * np.cos(a), 1.19 * np.sin(a), 0) for a in (0, 2.0944, 4.1888))],
    ),
    "SeH2": ("SeH2", [(0, 0, 0), (1.46, 0, 0), (1.46 * np.cos(1.587), 1.46 * np.sin(1.587), 0)]),
    "HBr": ("BrH", [(0, 0, 0), (0, 0, 1.414)]),
    "HI": ("IH", [(0, 0, 0), (0, 0, 1.609)]),
    "SH-": ("SH", [(0, 0, 0), (0, 0, 1.34)]),
}
CHARGES = {"SH-": -1}


def structure(name: str) -> Atoms:
    """A hydride above or a molecule of ASE's G2 set, turned and moved to no special place."""
    if name == "NH4+":
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.593
        atoms = Atoms("NH4", positions=[[0, 0, 0], *corners], info={"charge": 1})
    elif name in HYDRIDES:
        formula, positions = HYDRIDES[name]
        atoms = Atoms(formula, positions=positions, info={"charge": CHARGES.get(name, 0)})
    else:
        atoms = ase.build.molecule(name)
    atoms.rotate(37.0, (1.0, 2.0, -0.5))
    atoms.translate((0.3, -0.8, 1.1))
    atoms.info["name"] = name
    return atoms


def water(stretch: float = 1.0) -> Atoms:
    """Water, its bonds scaled: cheap structures that differ."""
    atoms = structure("H2O")
    atoms.positions[:] = atoms.positions[0] + stretch * (atoms.positions - atoms.positions[0])
    atoms.info["name"] = f"water {stretch:.3f}"
    return atoms


@cache
def converged(name: str, level: Level, basis: str | None = None) -> Any:
    """The ground state of a molecule, in another basis than the level's if one is named."""
    mol = molecule(structure(name), basis or level.basis)
    return ground_state(mol, level.functional, level)


@cache
def record(name: str, level: Level) -> Record:
    """The record of a molecule. Copy it before changing it."""
    return make_record(structure(name), level)


def assert_same(one: Record, other: Record) -> None:
    """Two records of one structure agree to the stored precision in all but date and timings."""
    for spec in fields(Record):
        a, b = getattr(one, spec.name), getattr(other, spec.name)
        if spec.name == "provenance":
            continue
        if spec.metadata["kind"] == "text":
            assert a == b, spec.name
            continue
        tolerance = {"f4": 1e-5}.get(spec.metadata["dtype"], 1e-7)
        # Half a step for the rounding, and as much again for the last digit of the calculation.
        tolerance = max(tolerance, spec.metadata["step"] or 0.0)
        np.testing.assert_allclose(
            np.asarray(a, dtype=float),
            np.asarray(b, dtype=float),
            rtol=tolerance,
            atol=tolerance,
            err_msg=spec.name,
        )
