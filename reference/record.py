"""Make the record of one structure: ground states, minimal Hamiltonians, excitation labels."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from ase import Atoms

from esml.io.records import Record, pack
from esml.units import HARTREE

from .downfold import MinimalOrbitals, atomic_charges, downfold, lowdin
from .iteration import lowest_excitations
from .response import ActiveSpace, LabelStates, excitations, require_kernel
from .scf import CalculationError, Level, core_orbitals, ground_state, molecule


def content_key(atoms: Atoms, level: Level) -> str:
    """Hash all that the labels depend on: elements, positions (to 1e-6 Å), charge and level."""
    charge = int(atoms.info.get("charge", 0))
    return _key(atoms.numbers, atoms.positions, charge, level.to_json())


def key_of(record: Record) -> str:
    """Compute the content key of ``record`` from its structure and level."""
    return _key(record.numbers, record.positions, int(record.charge), record.level)


def _key(numbers: np.ndarray, positions: np.ndarray, charge: int, level: str) -> str:
    digest = hashlib.sha256()
    digest.update(np.asarray(numbers, dtype="<i4").tobytes())
    digest.update(np.round(positions * 1e6).astype("<i8").tobytes())
    digest.update(f"{charge}|{level}".encode())
    return digest.hexdigest()[:20]


def project(
    states: LabelStates, space: ActiveSpace, minimal: MinimalOrbitals, overlap: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project ``states`` on the canonical orbitals of ``minimal``: X, Y and valence weights.

    X' = ⟨i_min|i⟩ X ⟨a|a_min⟩, likewise Y. The occupied orbitals of both bases span the same space,
    so only the part of the virtuals outside the minimal basis is lost. The weight is |X'|² − |Y'|².
    """
    orbitals = minimal.orbitals
    left = orbitals[:, : minimal.n_occupied].T @ overlap @ space.occupied
    right = space.virtual.T @ overlap @ orbitals[:, minimal.n_occupied :]
    x = np.einsum("mi,sia,an->smn", left, states.x, right, optimize=True)
    y = np.einsum("mi,sia,an->smn", left, states.y, right, optimize=True)
    return x, y, (x**2).sum((1, 2)) - (y**2).sum((1, 2))


DENSE_LIMIT = 5000
"""Largest dimension o·v of response matrices that are built (200 MB each, minutes)."""


def _labels(
    mean_field: Any, level: Level, dense_limit: int
) -> tuple[ActiveSpace, LabelStates, LabelStates]:
    rows = ActiveSpace.of(mean_field, level).gaps.size
    solve = excitations if rows <= dense_limit else lowest_excitations
    return solve(mean_field, level)


def _within(energies: np.ndarray, level: Level) -> int:
    """Return the number of states to keep: all in the energy window, but at least three."""
    return max(int(np.searchsorted(energies, level.energy_window)), min(3, len(energies)))


def make_record(atoms: Atoms, level: Level, dense_limit: int = DENSE_LIMIT) -> Record:
    """Run all calculations for ``atoms`` and return the record.

    Response matrices of up to ``dense_limit`` rows are built and diagonalized, larger ones are
    solved iteratively. Raises CalculationError (one clear sentence) when a calculation fails.
    """
    began = time.perf_counter()
    numbers = np.asarray(atoms.numbers)
    require_kernel(level.functional)
    mean_field = ground_state(molecule(atoms, level.basis), level.functional, level)
    minimal = downfold(mean_field)
    if minimal.n_occupied in (0, len(minimal.energies)):
        raise CalculationError(
            f"{atoms.symbols} has {minimal.n_occupied} of {len(minimal.energies)} valence orbitals "
            "occupied: expected both occupied and virtual ones; leave it out"
        )
    after_scf = time.perf_counter()
    space, singlets, triplets = _labels(mean_field, level, dense_limit)
    after_response = time.perf_counter()
    overlap = mean_field.get_ovlp()
    x, y, w = project(singlets, space, minimal, overlap)
    xt, _, wt = project(triplets, space, minimal, overlap)
    s, t = _within(singlets.energies, level), _within(triplets.energies, level)
    small = lowdin(
        ground_state(molecule(atoms, level.minimal_basis), level.minimal_functional, level)
    )
    n_stored = core_orbitals(numbers, level.basis) + minimal.n_occupied + 10
    info = atoms.info
    provenance = {
        "pyscf": version("pyscf"),
        "seconds_scf": round(after_scf - began, 2),
        "seconds_response": round(after_response - after_scf, 2),
        "seconds_total": round(time.perf_counter() - began, 2),
        "date": time.strftime("%Y-%m-%d"),
    } | {k: info[k] for k in ("temperature", "seed") if k in info}
    with mean_field.mol.with_common_orig((0.0, 0.0, 0.0)):
        dipole = np.asarray(mean_field.dip_moment(unit="AU", verbose=0))
    return Record(
        numbers=numbers,
        positions=atoms.positions.copy(),
        charge=np.asarray(int(info.get("charge", 0))),
        total_energy=np.asarray(mean_field.e_tot * HARTREE),
        n_occupied=np.asarray(minimal.n_occupied),
        energies=minimal.energies,
        coefficients=minimal.coefficients,
        dipole_operator=pack(minimal.dipole_operator),
        scf_energies=small.energies,
        scf_coefficients=small.coefficients,
        scf_dipole_operator=pack(small.dipole_operator),
        reference_energies=mean_field.mo_energy[:n_stored] * HARTREE,
        charges=atomic_charges(minimal, numbers),
        dipole=dipole,
        singlet_energies=singlets.energies[:s],
        singlet_strengths=singlets.oscillator_strengths[:s],
        singlet_dipoles=singlets.transition_dipoles[:s],
        singlet_valence_weights=w[:s],
        singlet_x=x[:s],
        singlet_y=y[:s],
        triplet_energies=triplets.energies[:t],
        triplet_valence_weights=wt[:t],
        triplet_x=xt[:t],
        key=content_key(atoms, level),
        name=str(info.get("name", atoms.get_chemical_formula())),
        smiles=str(info.get("smiles", "")),
        inchikey=str(info.get("inchikey", "")),
        split=str(info.get("split", "")),
        geometry=str(info.get("geometry", "")),
        level=level.to_json(),
        provenance=json.dumps(provenance, sort_keys=True, default=str),
    )
