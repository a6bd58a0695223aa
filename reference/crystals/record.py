"""One crystal → one record: ground state, minimal Hamiltonian, d-band centres."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.metadata import version

import numpy as np
from ase import Atoms

from esml.io.records import CrystalRecord
from esml.physics.crystals.bands import Bands
from esml.physics.crystals.bloch import RealSpaceHamiltonian, k_mesh
from esml.physics.crystals.shells import Shell, orbitals_of
from esml.typing import Array
from esml.units import HARTREE

from ..scf import CalculationError
from .cell import CrystalLevel, k_divisions, valence_electrons
from .downfold import downfold, real_space
from .ground_state import GroundState, ground_state

DENSE_SUPERCELL = 28.0
"""Å; divisions of the interpolated mesh times the lattice vector come near this length."""
SHELLS: tuple[Shell, ...] = ("s", "p", "d")


def content_key(atoms: Atoms, level: CrystalLevel) -> str:
    """Hash of elements, positions and cell (to 1e-6 Å), k mesh and level.

    Raises CalculationError for an invalid k mesh.
    """
    return _key(
        atoms.numbers, atoms.positions, np.asarray(atoms.cell), k_divisions(atoms), level.to_json()
    )


def key_of(record: CrystalRecord) -> str:
    """The content key that the structure, the mesh and the level of ``record`` give."""
    divisions = tuple(int(n) for n in record.divisions)
    return _key(record.numbers, record.positions, record.cell, divisions, record.level)


def _key(
    numbers: np.ndarray, positions: Array, cell: Array, divisions: tuple[int, ...], level: str
) -> str:
    digest = hashlib.sha256()
    digest.update(np.asarray(numbers, dtype="<i4").tobytes())
    for lengths in (positions, cell):
        digest.update(np.round(lengths * 1e6).astype("<i8").tobytes())
    digest.update(f"{divisions}|{level}".encode())
    return digest.hexdigest()[:20]


def dense_divisions(cell: Array) -> tuple[int, int, int]:
    """Divisions of the mesh from which Fermi level, populations and band centres are taken."""
    a, b, c = (max(3, round(DENSE_SUPERCELL / float(length))) for length in _lengths(cell))
    return a, b, c


def _lengths(cell: Array) -> Array:
    result: Array = np.linalg.norm(cell, axis=1)
    return result


def interpolated(
    hamiltonian: RealSpaceHamiltonian, cell: Array, n_electrons: int, level: CrystalLevel
) -> Bands:
    """The bands on the dense mesh. The Fermi level of a coarse mesh is off by up to 0.2 eV."""
    mesh = k_mesh(dense_divisions(cell))
    width = level.smearing * HARTREE
    return Bands.of(hamiltonian, mesh, float(n_electrons), width, level.insulating)


def shell_populations(bands: Bands, numbers: np.ndarray) -> Array:
    """(N, 3) electrons in the s, p and d orbitals of each atom."""
    found = [bands.populations(orbitals_of(numbers.tolist(), shell)).numpy() for shell in SHELLS]
    return np.stack(found, 1)


def d_centres(bands: Bands, numbers: np.ndarray) -> Array:
    """(M,) d-band centres, eV from the Fermi level, of the atoms that have d orbitals."""
    groups = [places for places in orbitals_of(numbers.tolist(), "d") if len(places)]
    if not groups:
        return np.zeros(0)
    result: Array = bands.band_centres(groups).numpy()
    return result


def _zero_of_mesh(state: GroundState, level: CrystalLevel) -> float:
    """Fermi level of the k mesh, or the top of its valence bands; hartree."""
    if not level.insulating:
        return state.fermi
    return float(state.energies[:, : state.grid.cell.nelectron // 2].max())


def make_record(atoms: Atoms, level: CrystalLevel) -> CrystalRecord:
    """Run every calculation for ``atoms`` and collect the record.

    Raises CalculationError (one clear sentence) when a calculation fails.
    """
    began, began_cpu = time.perf_counter(), time.process_time()
    state = ground_state(atoms, level)
    minimal = downfold(state, level)
    blocks = real_space(minimal, state)
    numbers, cell = np.asarray(atoms.numbers), np.asarray(atoms.cell)
    electrons = valence_electrons(numbers)
    if electrons >= 2 * blocks.n_orbitals:
        raise CalculationError(
            f"{atoms.symbols} has {electrons} electrons for {blocks.n_orbitals} orbitals: expected "
            "some empty ones; leave it out"
        )
    bands = interpolated(blocks, cell, electrons, level)
    zero = float(bands.zero)
    half = blocks.half()
    origin = (half.images == 0).all(1).numpy()
    values = half.blocks.numpy().copy()
    values[origin] -= zero * np.eye(blocks.n_orbitals)
    mesh = k_mesh(state.divisions)
    info = atoms.info
    provenance = {
        "pyscf": version("pyscf"),
        "cycles": state.cycles,
        "seconds_total": round(time.perf_counter() - began, 2),
        "seconds_processor": round(time.process_time() - began_cpu, 2),
        "date": time.strftime("%Y-%m-%d"),
    } | {k: info[k] for k in ("seed",) if k in info}
    return CrystalRecord(
        numbers=numbers,
        positions=atoms.positions.copy(),
        cell=cell,
        divisions=np.array(state.divisions),
        dense_divisions=np.array(dense_divisions(cell)),
        k_points=mesh.fractional.numpy(),
        k_weights=mesh.weights.numpy(),
        n_electrons=np.asarray(electrons),
        total_energy=np.asarray(state.total_energy * HARTREE),
        fermi_level=np.asarray(zero),
        mesh_fermi_level=np.asarray(_zero_of_mesh(state, level) * HARTREE - zero),
        images=half.images.numpy(),
        blocks=values,
        energies=minimal.energies - zero,
        n_exact=minimal.n_exact,
        populations=shell_populations(bands, numbers),
        d_centres=d_centres(bands, numbers),
        key=content_key(atoms, level),
        name=str(info.get("name", atoms.get_chemical_formula())),
        split=str(info.get("split", "")),
        lattice=str(info.get("lattice", "")),
        family=str(info.get("family", "")),
        level=level.to_json(),
        provenance=json.dumps(provenance, sort_keys=True, default=str),
    )
