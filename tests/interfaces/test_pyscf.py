from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule

import esml
from esml.predict.surrogate import Surrogate

pytest.importorskip("pyscf")

from pyscf import gto, scf
from pyscf.lo import orth


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def pyscf_molecule(name: str, basis: str, **kwargs: object) -> gto.Mole:
    atoms = molecule(name)
    atom = list(zip(atoms.symbols, atoms.positions, strict=True))
    return gto.M(atom=atom, basis=basis, verbose=0, **kwargs)


def distance(mol: gto.Mole, guess: np.ndarray, density: np.ndarray) -> float:
    root = np.linalg.inv(orth.lowdin(mol.intor("int1e_ovlp")))
    return float(np.linalg.norm(root @ (guess - density) @ root))


@pytest.mark.parametrize(
    ("name", "basis", "cart"),
    [
        ("H2CO", "sto-3g", False),
        ("CH3SH", "def2-svp", False),
        ("CH3Cl", "6-31g*", True),
        ("H2O", "aug-cc-pvtz", False),
    ],
)
def test_a_guess_is_a_density_of_all_electrons(
    model: Surrogate, name: str, basis: str, cart: bool
) -> None:
    """tr(D S) = N and D S D = 2 D, in any basis."""
    mol = pyscf_molecule(name, basis, cart=cart)
    guess = np.asarray(esml.pyscf_guess(mol, model))
    overlap = mol.intor("int1e_ovlp")
    assert np.trace(guess @ overlap) == pytest.approx(mol.nelectron, abs=1e-8)
    assert guess @ overlap @ guess == pytest.approx(2 * guess, abs=1e-8)
    assert guess == pytest.approx(guess.T, abs=1e-12)


@pytest.mark.parametrize(("name", "basis"), [("H2CO", "def2-svp"), ("CH3Cl", "6-31g*")])
def test_the_guess_is_nearer_and_no_slower_than_those_of_pyscf(
    model: Surrogate, name: str, basis: str
) -> None:
    mol = pyscf_molecule(name, basis)
    guess = esml.pyscf_guess(mol, model)
    ours = scf.RHF(mol).density_fit()
    energy = ours.kernel(dm0=guess)
    theirs = scf.RHF(mol).density_fit()
    start = theirs.get_init_guess(key="minao")
    assert theirs.kernel(dm0=start) == pytest.approx(energy, abs=1e-7)
    assert ours.cycles <= theirs.cycles
    density = ours.make_rdm1()
    assert distance(mol, guess, density) < 0.4 * distance(mol, start, density)


def test_the_guess_turns_with_the_molecule(model: Surrogate) -> None:
    """The energy of the guess is that of the molecule in any orientation, and for any origin."""
    from scipy.spatial.transform import Rotation

    atoms = molecule("H2CO")
    energies = []
    for turn in (Rotation.identity(), Rotation.from_euler("xyz", [0.3, 1.1, 2.0])):
        turned = turn.apply(atoms.positions) + 0.7
        mol = gto.M(atom=list(zip(atoms.symbols, turned, strict=True)), basis="def2-svp", verbose=0)
        energies.append(scf.RHF(mol).energy_tot(esml.pyscf_guess(mol, model)))
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)


def test_an_unrestricted_calculation_takes_halves(model: Surrogate) -> None:
    mol = pyscf_molecule("H2O", "6-31g")
    guess = np.asarray(esml.pyscf_guess(mol, model))
    assert scf.UHF(mol).kernel(dm0=np.stack([guess / 2, guess / 2])) == pytest.approx(
        scf.RHF(mol).kernel(dm0=guess), abs=1e-7
    )


def test_molecules_outside_the_model_are_refused(model: Surrogate) -> None:
    with pytest.raises(esml.StructureError, match="unpaired"):
        esml.pyscf_guess(pyscf_molecule("O2", "sto-3g", spin=2), model)
    germylene = gto.M(atom="Ge 0 0 0; H 0 0 1.6", charge=1, basis="sto-3g", verbose=0)
    with pytest.raises(esml.StructureError, match="Ge"):
        esml.pyscf_guess(germylene, model)
    with pytest.raises(esml.StructureError, match="core potentials"):
        esml.pyscf_guess(pyscf_molecule("CH3Cl", "lanl2dz", ecp="lanl2dz"), model)
    ghost = gto.M(atom="O 0 0 0; H 0 0 1; H 1 0 0; ghost-C 0 0 3", basis="sto-3g", verbose=0)
    with pytest.raises(esml.StructureError, match="ghost"):
        esml.pyscf_guess(ghost, model)
