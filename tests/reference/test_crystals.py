"""The ground state and the downfolded bands of crystals against PySCF and what holds exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from crystal_cases import EXACT, aluminium, converged
from pyscf.lo import iao
from pyscf.pbc import dft, scf

from esml.physics.crystals import KPoints, k_mesh
from esml.units import HARTREE
from reference.crystals.cell import CrystalLevel, k_divisions, periodic_cell, semicore_bands
from reference.crystals.downfold import downfold, free_atoms, intrinsic_orbitals, real_space
from reference.crystals.grid import BlochGrid
from reference.crystals.ground_state import atomic_density, ground_state
from reference.scf import CalculationError


def test_energy_and_bands_are_those_of_pyscf() -> None:
    """Stock KRKS, whose own grid code evaluates the gradient of PBE in another way."""
    divisions = (2, 1, 1)
    state = ground_state(aluminium(divisions=divisions), EXACT)
    cell = state.grid.cell
    stock = scf.addons.smearing(
        dft.KRKS(cell, cell.make_kpts(divisions), xc="pbe"), sigma=EXACT.smearing, method="fermi"
    )
    stock.conv_tol = 1e-9
    assert stock.kernel() == pytest.approx(state.total_energy, abs=1e-6)
    for ours, theirs in zip(state.energies, stock.mo_energy, strict=True):
        np.testing.assert_allclose(ours[:8] * HARTREE, theirs[:8] * HARTREE, atol=1e-3)


def test_single_precision_of_the_functions_is_enough() -> None:
    """1e-5 eV, far below what the cutoff leaves."""
    rough = ground_state(aluminium(), replace(EXACT, single_precision=True, density_tolerance=1e-6))
    off = (rough.energies - converged().energies)[:, :8] * HARTREE
    assert np.abs(off).max() < 1e-4


def test_bands_inside_the_window_are_exact_on_the_mesh() -> None:
    state = converged()
    bands = downfold(state, EXACT)
    energies = np.linalg.eigvalsh(bands.hamiltonians)
    inside = np.arange(energies.shape[1]) < bands.n_exact[:, None]
    top = (state.fermi + EXACT.window / HARTREE) * HARTREE
    assert (bands.energies[inside] < top).all()
    assert inside.sum() > len(inside)  # more than the lowest band of each k point
    assert np.abs(energies - bands.energies)[inside].max() < 1e-6
    restored = real_space(bands, state).at(k_mesh(state.divisions).fractional)
    assert np.abs(np.linalg.eigvalsh(restored.numpy()) - energies).max() < 1e-6


def test_functions_are_orthonormal() -> None:
    state = converged()
    bands = downfold(state, EXACT)
    for basis, overlap in zip(bands.functions, state.overlap, strict=True):
        product = basis.conj().T @ overlap @ basis
        np.testing.assert_allclose(product, np.eye(4), atol=1e-10)


def test_sharp_weights_give_the_orbitals_of_pyscf() -> None:
    """``pyscf.lo.iao`` with k points knows occupied and empty only."""
    state = converged()
    cell, points = state.grid.cell, state.grid.k_points
    atoms = free_atoms(cell, EXACT)
    occupied = [c[:, :1] for c in state.coefficients]
    theirs = iao.iao(cell, occupied, minao=atoms.basis, kpts=points)
    atomic = atoms.pbc_intor("int1e_ovlp", 1, 1, points)
    from pyscf.pbc.gto.cell import intor_cross

    cross = intor_cross("int1e_ovlp", cell, atoms, kpts=points)
    for k, expected in enumerate(theirs):
        ours = intrinsic_orbitals(occupied[k], np.ones(1), state.overlap[k], atomic[k], cross[k])
        np.testing.assert_allclose(ours, expected, atol=1e-8)


def test_a_supercell_folds_to_the_bands_of_the_primitive_cell() -> None:
    """Two atoms at Γ have the bands of one atom at Γ and at the zone's edge."""
    level = replace(EXACT, window=0.5)
    single = ground_state(aluminium(divisions=(2, 1, 1)), level, mesh=(15, 15, 15))
    double_cell = make_supercell(aluminium(), np.diag([2, 1, 1]))
    double_cell.info["k_points"] = (1, 1, 1)
    double = ground_state(double_cell, level, mesh=(30, 15, 15))
    assert double.total_energy == pytest.approx(2.0 * single.total_energy, abs=1e-6)
    one, two = downfold(single, level), downfold(double, level)
    folded = np.sort(one.energies.ravel())
    n = int(two.n_exact[0])
    assert n == one.n_exact.sum()
    np.testing.assert_allclose(two.energies[0, :n], folded[:n], atol=1e-4)
    minimal = np.sort(np.linalg.eigvalsh(one.hamiltonians).ravel())
    np.testing.assert_allclose(np.linalg.eigvalsh(two.hamiltonians[0])[:n], minimal[:n], atol=1e-4)


def test_too_many_bands_in_the_window_are_refused() -> None:
    with pytest.raises(CalculationError, match="cannot hold all bands of the frozen window"):
        downfold(converged(), replace(EXACT, window=60.0))


def test_a_density_that_does_not_converge_is_refused() -> None:
    with pytest.raises(CalculationError, match=r"density of Al did not converge .* 1e-30"):
        ground_state(
            aluminium(divisions=(1, 1, 1)),
            CrystalLevel(cutoff=8.0, density_tolerance=1e-30),
        )


@pytest.mark.parametrize(
    ("symbol", "electrons", "semicore", "n_functions"),
    [("Li", 3, 1, 5), ("Cr", 14, 4, 13), ("Ni", 18, 4, 13), ("Cu", 11, 0, 9), ("S", 6, 0, 4)],
)
def test_semicore_and_valence_functions(
    symbol: str, electrons: int, semicore: int, n_functions: int
) -> None:
    level = CrystalLevel(cutoff=10.0)
    cell = periodic_cell(bulk(symbol, "fcc", a=4.0), level)
    assert cell.nelectron == electrons
    assert semicore_bands(cell) == semicore
    assert free_atoms(cell, level).nao == n_functions


def test_superposed_atoms_have_the_electrons_of_the_cell() -> None:
    atoms = bulk("Li", "bcc", a=3.4)
    level = CrystalLevel(cutoff=15.0)
    grid = BlochGrid(
        periodic_cell(atoms, level), KPoints(torch.zeros(1, 3), torch.ones(1)), "pbe", True
    )
    density = atomic_density(grid, level)
    assert density.min() >= 0.0
    assert density.sum() * grid.volume == pytest.approx(3.0)


def test_meshes_are_never_too_coarse() -> None:
    assert k_divisions(bulk("Cu", "fcc", a=3.6)) == (8, 8, 8)
    assert k_divisions(bulk("Cu", "fcc", a=3.6, cubic=True)) == (4, 4, 4)
    assert k_divisions(bulk("Cu", "fcc", a=3.6, cubic=True).repeat((2, 1, 1))) == (3, 4, 4)
    assert k_divisions(aluminium()) == (3, 2, 1)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Cu", cell=np.eye(3) * 3.6), "no cell periodic in three directions"),
        (bulk("W", "bcc", a=3.2), "W is not supported in crystals"),
        (Atoms("Cu2", [(0, 0, 0), (3.55, 0, 0)], cell=np.eye(3) * 3.6, pbc=True), "coincide"),
        (Atoms("Cu", [(np.nan, 0, 0)], cell=np.eye(3) * 3.6, pbc=True), "not finite"),
    ],
)
def test_what_is_no_crystal_is_refused(atoms: Atoms, message: str) -> None:
    with pytest.raises(CalculationError, match=message):
        periodic_cell(atoms, CrystalLevel())


def test_a_mesh_must_be_three_whole_numbers() -> None:
    atoms = aluminium()
    atoms.info["k_points"] = "4 4"
    with pytest.raises(CalculationError, match="three whole numbers from one up"):
        k_divisions(atoms)
