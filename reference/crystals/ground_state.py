"""The Kohn–Sham ground state of a crystal, by mixing densities, with Fermi smearing.

Mixing of Fock matrices (PySCF's own) does not converge for several 3d metals in one cell. Pulay's
mixing of the density on the grid (P. Pulay, Chem. Phys. Lett. 73, 393 (1980)), from superposed
atoms, takes 10 to 30 cycles:

    ρ_next = Σ_i c_i (ρ_i + β r_i) ,   r_i = ρ_out[ρ_i] − ρ_i ,   Σ_i c_i = 1, least |Σ c_i r_i|² .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from ase import Atoms
from pyscf.lo import iao
from pyscf.pbc import gto

from esml.physics.crystals.bloch import k_mesh
from esml.physics.crystals.filling import fermi_level, occupations
from esml.typing import Array

from ..scf import CalculationError, require_known
from .cell import CrystalLevel, k_divisions, periodic_cell
from .grid import BlochGrid, Complex, evaluate

MOST_CYCLES = 60
SHARE = 0.3
"""β: how much of the residual goes into the next density."""
HISTORY = 8
"""Densities that are mixed."""
K_POINTS_OF_ATOMS = 14
"""Most k points at which the functions of the free atoms are evaluated."""


@dataclass(frozen=True)
class GroundState:
    """A converged calculation; atomic units."""

    grid: BlochGrid
    divisions: tuple[int, int, int]
    fock: Complex  # (K, n_ao, n_ao)
    overlap: Complex  # (K, n_ao, n_ao)
    energies: Array  # (K, n_ao) hartree
    coefficients: list[Complex]  # K of (n_ao, n_ao)
    fermi: float  # hartree, on this mesh
    total_energy: float  # hartree per cell, at the smearing, without its entropy
    cycles: int


def atomic_density(grid: BlochGrid, level: CrystalLevel) -> Array:
    """(n_points,) superposed densities of free atoms, with the electrons of the cell.

    Functions of ``level.atomic_basis``, filled shell by shell as the pseudopotential's atom is.
    """
    cell = grid.cell
    atoms = iao.reference_mol(cell, level.atomic_basis)
    electrons = np.zeros(atoms.nao)
    left: dict[tuple[int, int], float] = {}
    start = 0
    for shell in range(atoms.nbas):
        atom, kind = atoms.bas_atom(shell), atoms.bas_angular(shell)
        for _ in range(atoms.bas_nctr(shell)):
            key = atom, kind
            if key not in left:
                filling = cell._pseudo[cell.atom_symbol(atom)][0]
                left[key] = float(filling[kind]) if kind < len(filling) else 0.0
            size = 2 * kind + 1
            taken = min(left[key], 2.0 * size)
            left[key] -= taken
            electrons[start : start + size] = taken / size
            start += size
    n_k = len(grid.weights)
    chosen = np.unique(np.linspace(0, n_k - 1, min(n_k, K_POINTS_OF_ATOMS)).round().astype(int))
    share = grid.weights[chosen] / grid.weights[chosen].sum()
    functions = evaluate(atoms, grid.points, grid.k_points[chosen], single=True)
    density = np.zeros(len(grid.points))
    for values, weight in zip(functions, share, strict=True):
        density += weight * (electrons @ (values.real**2 + values.imag**2))
    result: Array = density * (cell.nelectron / (density.sum() * grid.volume))
    return result


def _mix(densities: list[Array], residuals: list[Array]) -> Array:
    n = len(residuals)
    overlaps = np.array([[a @ b for a in residuals] for b in residuals])
    overlaps /= overlaps[-1, -1]
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = overlaps + 1e-10 * np.diag(overlaps.diagonal())
    system[n, n] = 0.0
    shares = np.linalg.solve(system, np.eye(n + 1)[n])[:n]
    mixed = sum(
        c * (rho + SHARE * r) for c, rho, r in zip(shares, densities, residuals, strict=True)
    )
    result: Array = np.maximum(np.asarray(mixed), 0.0)
    return result


def _solve(fock: Complex, overlap: Complex) -> tuple[Array, list[Complex]]:
    found = [scipy.linalg.eigh(f, s) for f, s in zip(fock, overlap, strict=True)]
    return np.array([energies for energies, _ in found]), [c for _, c in found]


def ground_state(
    atoms: Atoms, level: CrystalLevel, mesh: tuple[int, int, int] | None = None
) -> GroundState:
    """Converge the density of ``atoms`` on the k mesh of ``k_divisions``.

    ``mesh`` sets the points of the grid in place of the cutoff. Raises CalculationError for a
    structure that cannot be set up or a density that does not converge.
    """
    require_known(level.functional)
    cell: gto.Cell = periodic_cell(atoms, level, mesh)
    divisions = k_divisions(atoms)
    grid = BlochGrid(cell, k_mesh(divisions), level.functional, level.single_precision)
    core, overlap = grid.core_hamiltonian(), grid.overlaps()
    density = atomic_density(grid, level)
    densities: list[Array] = []
    residuals: list[Array] = []
    error = np.inf
    for cycle in range(1, MOST_CYCLES + 1):
        potential, _ = grid.potential(density)
        fock = core + grid.matrices(potential)
        energies, coefficients = _solve(fock, overlap)
        bands, weights = torch.as_tensor(energies), torch.as_tensor(grid.weights)
        fermi = float(fermi_level(bands, weights, cell.nelectron, level.smearing))
        electrons = 2.0 * occupations(bands, fermi, level.smearing).numpy()
        out = grid.density(coefficients, electrons)
        error = float(np.abs(out - density).sum() * grid.volume / cell.nelectron)
        if error < level.density_tolerance:
            return GroundState(
                grid=grid,
                divisions=divisions,
                fock=fock,
                overlap=overlap,
                energies=energies,
                coefficients=coefficients,
                fermi=fermi,
                total_energy=_total_energy(grid, energies, electrons, potential, out),
                cycles=cycle,
            )
        densities = [*densities, density][-HISTORY:]
        residuals = [*residuals, out - density][-HISTORY:]
        density = _mix(densities, residuals)
    raise CalculationError(
        f"the density of {atoms.symbols} did not converge in {MOST_CYCLES} cycles (left: "
        f"{error:.1e} per electron): expected below {level.density_tolerance:g}; check the "
        "structure or leave it out"
    )


def _total_energy(
    grid: BlochGrid, energies: Array, electrons: Array, potential: Array, density: Array
) -> float:
    """Σ w n ε − ∫ v_in ρ + E_Hxc[ρ] + E_nuclei, of the density ρ that the states give."""
    bands = float(np.einsum("k,kn,kn->", grid.weights, electrons, energies))
    _, interaction = grid.potential(density)
    counted = float(potential @ density) * grid.volume
    return bands - counted + interaction + float(grid.cell.energy_nuc())
