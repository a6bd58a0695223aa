"""Minimal Hamiltonians: as small as they are, they hold the occupied space of the large basis."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from pyscf import gto, lo
from pyscf.scf import hf
from pyscf.soscf import newton_ah
from reference_cases import converged, structure

from esml.physics.basis import VALENCE_ELECTRONS
from esml.units import BOHR, DEBYE, HARTREE
from reference.downfold import (
    MinimalOrbitals,
    atomic_charges,
    dipole_moment,
    downfold,
    lowdin,
)
from reference.scf import CalculationError, Level, core_orbitals, ground_state, molecule

LEVEL = Level()
MOLECULES = ["H2O", "HCN", "CH3Cl", "SH2", "HCl", "NH4+"]
N_ORBITALS = {"H2O": 6, "HCN": 9, "CH3Cl": 11, "SH2": 6, "HCl": 5, "NH4+": 8}
NEW_ELEMENTS = {  # orbitals, and core orbitals in def2-SVP: iodine has a potential for 28 electrons
    "BH3": (7, 1),
    "SiH4": (8, 5),
    "PH3": (7, 5),
    "SeH2": (6, 14),
    "HBr": (5, 14),
    "HI": (5, 9),
    "SH-": (5, 5),
}


@cache
def downfolded(name: str) -> MinimalOrbitals:
    return downfold(converged(name, LEVEL))


@cache
def minimal(name: str) -> tuple[Any, MinimalOrbitals]:
    mean_field = converged(name, LEVEL, "sto-3g")
    return mean_field, lowdin(mean_field)


def n_core(name: str) -> int:
    return {"H2O": 1, "HCN": 2, "CH3Cl": 6, "SH2": 5, "HCl": 5, "NH4+": 1}[name]


@pytest.mark.parametrize("name", MOLECULES)
def test_downfolded_occupied_energies_are_those_of_the_large_basis(name: str) -> None:
    mean_field, small = converged(name, LEVEL), downfolded(name)
    assert small.energies.shape == (N_ORBITALS[name],)
    occupied = mean_field.mo_energy[mean_field.mo_occ > 0][n_core(name) :]
    assert small.n_occupied == len(occupied)
    np.testing.assert_allclose(small.energies[: len(occupied)] / HARTREE, occupied, atol=1e-8)
    # A matrix built from H itself, not the stored eigenvalues, says the same.
    np.testing.assert_allclose(
        np.linalg.eigvalsh(small.hamiltonian), small.energies, atol=1e-9 * HARTREE
    )
    # Virtual energies are upper bounds (Cauchy interlacing): none below the large-basis one.
    virtual = mean_field.mo_energy[mean_field.mo_occ == 0][: len(small.energies) - len(occupied)]
    assert (small.energies[len(occupied) :] / HARTREE >= virtual - 1e-8).all()


@pytest.mark.parametrize("name", NEW_ELEMENTS)
def test_heavy_elements_and_anions_keep_their_occupied_energies(name: str) -> None:
    mean_field, small = converged(name, LEVEL), downfolded(name)
    n_orbitals, n_core = NEW_ELEMENTS[name]
    assert small.energies.shape == (n_orbitals,)
    occupied = mean_field.mo_energy[mean_field.mo_occ > 0][n_core:]
    assert small.n_occupied == len(occupied)
    np.testing.assert_allclose(small.energies[: len(occupied)] / HARTREE, occupied, atol=1e-8)
    gram = small.basis.T @ mean_field.get_ovlp() @ small.basis
    np.testing.assert_allclose(gram, np.eye(n_orbitals), atol=1e-10)


def test_iodine_without_a_potential_is_refused() -> None:
    level = Level(basis="3-21g")
    with pytest.raises(CalculationError, match="effective core potential"):
        downfold(converged("HI", level))


@pytest.mark.parametrize("name", MOLECULES)
def test_the_minimal_scf_keeps_all_its_spectrum_but_the_cores(name: str) -> None:
    mean_field, small = minimal(name)
    np.testing.assert_allclose(
        small.energies / HARTREE, mean_field.mo_energy[n_core(name) :], atol=1e-8
    )
    assert len(small.energies) == N_ORBITALS[name]


@pytest.mark.parametrize("name", MOLECULES)
def test_the_valence_basis_is_orthonormal(name: str) -> None:
    for mean_field, small in ((converged(name, LEVEL), downfolded(name)), minimal(name)):
        gram = small.basis.T @ mean_field.get_ovlp() @ small.basis
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-10)
        gram = small.coefficients.T @ small.coefficients
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def projector(mean_field: Any, functions: np.ndarray) -> np.ndarray:
    """Q with Q S Q = Q onto the span of ``functions``."""
    gram = functions.T @ mean_field.get_ovlp() @ functions
    result: np.ndarray = functions @ np.linalg.solve(gram, functions.T)
    return result


@pytest.mark.parametrize("name", ["H2O", "CH3Cl"])
def test_cores_and_valence_functions_span_the_intrinsic_atomic_orbitals(name: str) -> None:
    """Against Knizia's construction written out, and against PySCF's."""
    mean_field = converged(name, LEVEL)
    mol, S = mean_field.mol, mean_field.get_ovlp()
    C = mean_field.mo_coeff[:, mean_field.mo_occ > 0]
    free = gto.M(
        atom=[(s, r) for s, r in zip(mol.elements, mol.atom_coords(), strict=True)],
        unit="Bohr",
        basis="minao",
        charge=mol.charge,
    )
    S2 = free.intor_symmetric("int1e_ovlp")
    S12 = gto.intor_cross("int1e_ovlp", mol, free)
    P12 = np.linalg.solve(S, S12)
    P21 = np.linalg.solve(S2, S12.T)
    depolarized = P12 @ P21 @ C
    depolarized = depolarized @ scipy.linalg.inv(
        scipy.linalg.sqrtm(depolarized.T @ S @ depolarized)
    )
    O, T = C @ C.T @ S, depolarized @ depolarized.T @ S
    one = np.eye(len(S))
    by_hand = O @ T @ P12 + (one - O) @ (one - T) @ P12

    cores = mean_field.mo_coeff[:, : n_core(name)]
    ours = projector(mean_field, np.hstack([cores, downfolded(name).basis]))
    np.testing.assert_allclose(ours, projector(mean_field, by_hand), atol=1e-8)
    np.testing.assert_allclose(ours, projector(mean_field, lo.iao.iao(mol, C)), atol=1e-8)


def valence_labels(name: str) -> list[str]:
    labels = []
    for i, atom in enumerate(structure(name)):
        shell = 1 if atom.number == 1 else 2 if atom.number < 11 else 3
        kinds = ["s"] if atom.number == 1 else ["s", "px", "py", "pz"]
        labels += [f"{i} {atom.symbol} {shell}{kind}" for kind in kinds]
    return labels


@pytest.mark.parametrize("name", ["HCN", "CH3Cl"])
def test_every_function_resembles_the_free_atom_orbital_of_its_place(name: str) -> None:
    """Atom by atom, s x y z: overlaps with the free atoms' orbitals peak on the diagonal."""
    for mean_field, small, free_basis in (
        (converged(name, LEVEL), downfolded(name), "minao"),
        (*minimal(name), "sto-3g"),
    ):
        mol = mean_field.mol
        free = gto.M(
            atom=[(s, r) for s, r in zip(mol.elements, mol.atom_coords(), strict=True)],
            unit="Bohr",
            basis=free_basis,
        )
        labels = [label.strip() for label in free.ao_labels()]
        columns = [labels.index(label) for label in valence_labels(name)]
        overlap = small.basis.T @ gto.intor_cross("int1e_ovlp", mol, free)[:, columns]
        assert (np.diag(overlap) > 0.8).all()
        assert (np.abs(overlap).argmax(axis=1) == np.arange(len(overlap))).all()


@pytest.mark.parametrize("name", MOLECULES)
def test_charges_add_up(name: str) -> None:
    atoms = structure(name)
    for small in (downfolded(name), minimal(name)[1]):
        q = atomic_charges(small, atoms.numbers)
        assert q.shape == (len(atoms),)
        assert abs(q.sum() - atoms.info.get("charge", 0)) < 1e-10


def test_charges_are_nearly_those_of_all_electron_intrinsic_atomic_orbitals() -> None:
    """PySCF's IAO populations, cores among the minimal functions; freezing them moves 0.02 e."""
    for name in ("H2O", "CH3Cl"):
        mean_field = converged(name, LEVEL)
        mol, S = mean_field.mol, mean_field.get_ovlp()
        C = mean_field.mo_coeff[:, mean_field.mo_occ > 0]
        functions = lo.orth.vec_lowdin(lo.iao.iao(mol, C), S)
        occupied = functions.T @ S @ C
        populations = 2.0 * (occupied**2).sum(1)
        expected = mol.atom_charges().astype(float)
        for (atom, *_), population in zip(
            lo.iao.reference_mol(mol).ao_labels(fmt=False), populations, strict=True
        ):
            expected[atom] -= population
        q = atomic_charges(downfolded(name), structure(name).numbers)
        np.testing.assert_allclose(q, expected, atol=0.02)
        assert np.abs(q).max() > 0.15


@pytest.mark.parametrize("name", MOLECULES)
def test_the_dipole_moment_survives(name: str) -> None:
    """Off the all-electron one by the polarization of the frozen cores: at most 0.005 D here."""
    atoms = structure(name)
    for mean_field, small in ((converged(name, LEVEL), downfolded(name)), minimal(name)):
        expected = mean_field.dip_moment(unit="AU", verbose=0)
        mu = dipole_moment(small, atoms.numbers, atoms.positions)
        assert np.abs(mu - expected).max() * DEBYE < 0.005


@pytest.mark.parametrize("name", [name for name in NEW_ELEMENTS if not name.endswith("-")])
def test_the_dipole_moment_survives_softer_cores(name: str) -> None:
    """3d of Se and Br, 4d of I and 2p of P are polarized more: 0.024 D for HI, the most here."""
    atoms, mean_field = structure(name), converged(name, LEVEL)
    expected = mean_field.dip_moment(unit="AU", verbose=0)
    mu = dipole_moment(downfolded(name), atoms.numbers, atoms.positions)
    assert np.abs(mu - expected).max() * DEBYE < 0.03


def test_iodine_with_all_its_electrons_is_refused() -> None:
    """PySCF's free iodine lacks the inner core: too few functions for all occupied orbitals."""
    with pytest.raises(CalculationError, match="expected iodine in a basis with an effective core"):
        downfold(minimal("HI")[0])


def test_the_dipole_of_a_cation_moves_with_it() -> None:
    atoms = structure("NH4+")
    shift = np.array([0.4, -1.0, 2.0])
    small = downfolded("NH4+")
    n = len(small.energies)
    moved = MinimalOrbitals(
        small.basis,
        small.energies,
        small.coefficients,
        small.dipole_operator + shift[:, None, None] / BOHR * np.eye(n),
        small.n_occupied,
    )
    before = dipole_moment(small, atoms.numbers, atoms.positions)
    after = dipole_moment(moved, atoms.numbers, atoms.positions + shift)
    np.testing.assert_allclose(after - before, shift / BOHR, atol=1e-10)


def test_cores_are_counted() -> None:
    numbers = np.array([1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35])
    counts = [core_orbitals(np.array([z]), "def2-svp") for z in numbers]
    assert counts == [0, 1, 1, 1, 1, 1, 5, 5, 5, 5, 14, 14]
    for z, n_core in zip(numbers, counts, strict=True):
        assert VALENCE_ELECTRONS[int(z)] + 2 * n_core == z
    iodine = np.array([53])
    assert core_orbitals(iodine, "def2-svp") == 9  # 28 electrons are in the potential
    assert core_orbitals(iodine, "sto-3g") == 23


def test_positions_reach_pyscf_unchanged() -> None:
    """In Å by the constants of esml.units, so that a bond is as long on both sides."""
    atoms = structure("HCN")
    mol = molecule(atoms, "sto-3g")
    np.testing.assert_allclose(mol.atom_coords() * BOHR, atoms.positions, atol=1e-12)
    assert molecule(structure("NH4+"), "sto-3g").charge == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.symbols.__setitem__(0, "Fe"), "Fe is not supported: expected elements among"),
        (lambda a: a.positions.__setitem__(1, a.positions[0]), "two atoms coincide"),
        (lambda a: a.positions.__setitem__((0, 0), np.nan), "not finite"),
        (lambda a: a.info.__setitem__("charge", 1), "9 electrons make no closed shell"),
        (lambda a: a.info.__setitem__("charge", 10), "0 electrons make no closed shell"),
    ],
)
def test_impossible_structures_are_refused(change: Any, message: str) -> None:
    atoms = structure("H2O")
    change(atoms)
    with pytest.raises(CalculationError, match=message):
        molecule(atoms, "sto-3g")


def test_unknown_basis_and_functional_are_refused() -> None:
    with pytest.raises(CalculationError, match=r"basis 'def3-svp' is not known to PySCF for H:"):
        molecule(structure("H2O"), "def3-svp")
    with pytest.raises(CalculationError, match="functional 'camb4lyp' is not known to PySCF"):
        ground_state(molecule(structure("H2O"), "sto-3g"), "camb4lyp", LEVEL)


def test_the_second_order_solver_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SCF cut off before it converges ends at the same energy by Newton's method, or says so."""
    first, second = hf.kernel, newton_ah.kernel

    def cut_off(mean_field: Any, *arguments: Any, **keywords: Any) -> Any:
        mean_field.max_cycle = 2
        return first(mean_field, *arguments, **keywords)

    monkeypatch.setattr(hf, "kernel", cut_off)
    mol = molecule(structure("HCN"), "sto-3g")
    mean_field = ground_state(mol, LEVEL.functional, LEVEL)
    plain, small = minimal("HCN")
    assert mean_field.e_tot == pytest.approx(plain.e_tot, abs=1e-8)
    np.testing.assert_allclose(lowdin(mean_field).energies, small.energies, atol=1e-4)

    monkeypatch.setattr(newton_ah, "kernel", lambda *a, **k: second(*a, **{**k, "max_cycle": 1}))
    with pytest.raises(CalculationError, match="SCF did not converge in 80 cycles nor by a second"):
        ground_state(mol, LEVEL.functional, LEVEL)
