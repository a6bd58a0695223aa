"""Crystals of ions, with a gap, and transition metals, with d orbitals: what holds to 1e-6 eV.

Of ions: rock salt LiCl, and PS4³⁻ with three Li, which has the frozen conduction band that the
labels of electrolytes have; energies count from the top of the valence bands. Of metals: copper,
and nickel, whose 3s and 3p are frozen. Aluminium is in ``test_crystals``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

pytest.importorskip("pyscf")

import scipy.linalg
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from pyscf.pbc import dft

from esml.physics.crystals import k_mesh
from esml.physics.crystals.filling import fermi_level, occupations
from esml.typing import Array
from esml.units import HARTREE
from reference.crystals.cell import ELECTROLYTES, CrystalLevel, semicore_bands
from reference.crystals.downfold import downfold, real_space
from reference.crystals.grid import Complex
from reference.crystals.ground_state import GroundState, ground_state
from reference.crystals.record import make_record

TIGHT = 1e-6
"""eV."""
IONS = replace(ELECTROLYTES, density_tolerance=1e-8, precision=1e-7, single_precision=False)
METALS = CrystalLevel(density_tolerance=1e-8, precision=1e-7, single_precision=False, window=0.5)
GRID = {"LiCl": 15, "PS4Li3": 17, "Cu": 15, "Ni": 17}
"""Points along each lattice vector: as few as converge, for comparisons on one grid."""
FINE = {"LiCl": 25, "Cu": 27}
"""Points on which PySCF's nonlocal pseudopotentials, which it sums up on the grid, are exact."""
PER_CELL = {"LiCl": 4, "PS4Li3": 17, "Cu": 6, "Ni": 6}
"""Bands that are exact at each k point: valence bands and one for P; 0.5 eV above E_F."""
CRYSTALS = ["LiCl", "PS4Li3", "Cu", pytest.param("Ni", marks=pytest.mark.slow)]


def thiophosphate() -> Atoms:
    """PS4³⁻ with three Li in a cube."""
    corners = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) * 2.04 / 3**0.5
    positions = np.concatenate([np.zeros((1, 3)), corners, 2.9 * np.eye(3)])
    return Atoms("PS4Li3", positions=positions, cell=np.eye(3) * 6.2, pbc=True)


def crystal(name: str, doubled: bool = False) -> Atoms:
    """The primitive cell with two k points, or two such cells with one."""
    made: dict[str, Callable[[], Atoms]] = {
        "LiCl": lambda: bulk("LiCl", "rocksalt", a=5.14),
        "PS4Li3": thiophosphate,
        "Cu": lambda: bulk("Cu", "fcc", a=3.63),
        "Ni": lambda: bulk("Ni", "fcc", a=3.52),
    }
    atoms = made[name]()
    if doubled:
        atoms = make_supercell(atoms, np.diag([2, 1, 1]))
    atoms.info["k_points"] = (1, 1, 1) if doubled else (2, 1, 1)
    return atoms


def level_of(name: str) -> CrystalLevel:
    return METALS if name in ("Cu", "Ni") else IONS


@cache
def converged(name: str, doubled: bool = False) -> GroundState:
    """The ground state on the coarse grid. Do not change it."""
    n = GRID[name]
    mesh = (2 * n if doubled else n, n, n)
    return ground_state(crystal(name, doubled), level_of(name), mesh)


@pytest.mark.parametrize("name", CRYSTALS)
def test_bands_that_are_to_be_exact_are(name: str) -> None:
    """Of H(k), and of H(R) on the mesh, with as many bands as the level asks for."""
    state = converged(name)
    bands = downfold(state, level_of(name))
    assert bands.n_exact.tolist() == [PER_CELL[name]] * 2
    kept = PER_CELL[name]
    first = semicore_bands(state.grid.cell)
    lowest = state.energies[:, first : first + kept] * HARTREE
    restored = real_space(bands, state).at(k_mesh(state.divisions).fractional).numpy()
    for matrices in (bands.hamiltonians, restored):
        np.testing.assert_allclose(np.linalg.eigvalsh(matrices)[:, :kept], lowest, atol=TIGHT)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_supercell_folds_to_its_primitive_cell(name: str) -> None:
    """Two cells at Γ have the bands of one at Γ and at the zone's edge, the minimal ones, too."""
    one, two = converged(name), converged(name, doubled=True)
    assert two.total_energy == pytest.approx(2.0 * one.total_energy, abs=TIGHT / HARTREE)
    small, large = (downfold(state, level_of(name)) for state in (one, two))
    n = 2 * PER_CELL[name]
    assert large.n_exact.tolist() == [n]
    folded = np.sort(small.energies.ravel())
    np.testing.assert_allclose(large.energies[0, :n], folded[:n], atol=TIGHT)
    folded = np.sort(np.linalg.eigvalsh(small.hamiltonians).ravel())
    np.testing.assert_allclose(np.linalg.eigvalsh(large.hamiltonians[0]), folded, atol=TIGHT)


@pytest.mark.parametrize("name", ["LiCl", "PS4Li3"])
def test_records_count_from_the_valence_band_top(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of their dense mesh. Counted from the top on the k mesh, bands of supercells fold."""
    found = []
    for doubled in (False, True):
        state = converged(name, doubled)
        monkeypatch.setattr("reference.crystals.record.ground_state", lambda *_, s=state: s)
        found.append(make_record(crystal(name, doubled), level_of(name)))
    for record in found:
        filled = int(record.n_electrons) // 2
        dense = k_mesh([int(n) for n in record.dense_divisions]).fractional
        top = torch.linalg.eigvalsh(record.hamiltonian.at(dense))[:, filled - 1].max()
        assert float(top) == pytest.approx(0.0, abs=TIGHT)
        highest = record.energies[:, filled - 1].max()
        assert highest == pytest.approx(float(record.mesh_fermi_level), abs=TIGHT)
    small, large = (np.sort((r.energies - r.mesh_fermi_level).ravel()) for r in found)
    n = 2 * PER_CELL[name]
    np.testing.assert_allclose(large[:n], small[:n], atol=TIGHT)


def density_matrices(
    n_electrons: int, smearing: float, energies: Array, states: list[Complex]
) -> Complex:
    """(K, n_ao, n_ao) of ``states`` at points of equal weight, filled up to their Fermi level."""
    bands = torch.as_tensor(energies)
    weights = torch.full((len(bands),), 1.0 / len(bands), dtype=bands.dtype)
    fermi = float(fermi_level(bands, weights, n_electrons, smearing))
    filling = 2.0 * occupations(bands, fermi, smearing).numpy()
    return np.array([(c * n) @ c.conj().T for c, n in zip(states, filling, strict=True)])


@pytest.mark.parametrize("name", ["LiCl", pytest.param("Cu", marks=pytest.mark.slow)])
def test_the_ground_state_is_that_of_pyscf(name: str) -> None:
    """PySCF's own Fock matrix at our density has our bands, our energy, and gives our density.

    With PBE's gradient taken in reciprocal space (``multigrid_numint``), as here; PySCF's default
    takes it of each function, and on grids as coarse as these differs by tenths of an eV.
    """
    level = level_of(name)
    tight = replace(level, density_tolerance=1e-9, precision=1e-8)
    state = ground_state(crystal(name), tight, (FINE[name],) * 3)
    cell, points = state.grid.cell, state.grid.k_points
    plain = dft.KRKS(cell, points, xc=level.functional)
    theirs = plain.multigrid_numint()
    core, overlap = plain.get_hcore(), plain.get_ovlp()
    filled = cell.nelectron, level.smearing
    density = density_matrices(*filled, state.energies, state.coefficients)
    potential = theirs.get_veff(cell, density)
    energy = theirs.energy_tot(density, core, potential)
    assert energy == pytest.approx(state.total_energy, abs=2e-7)  # hartree
    solved = [scipy.linalg.eigh(f, s) for f, s in zip(core + potential, overlap, strict=True)]
    energies = np.array([e for e, _ in solved])
    n = cell.nelectron // 2 + 1
    np.testing.assert_allclose(
        energies[:, :n] * HARTREE, state.energies[:, :n] * HARTREE, atol=TIGHT
    )
    again = density_matrices(*filled, energies, [c for _, c in solved])
    np.testing.assert_allclose(again, density, atol=1e-6)
