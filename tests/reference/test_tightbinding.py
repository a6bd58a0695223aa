"""Tight-binding records: tblite's own numbers, in the model's orbitals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation
from tblite.ase import TBLite

from esml.io.records import Record, read
from esml.physics.basis import ELEMENTS
from esml.training.targets import turned
from reference.enumeration import enumerate_molecules
from reference.geometries import conformer
from reference.molecules import assign_split, molecule_from_smiles
from reference.record import key_of
from reference.tightbinding import METHOD, molecules, record, write

FORMYL_CYANIDE = molecule_from_smiles("N#CC=O")


def orbital_energies(atoms: Atoms) -> np.ndarray:
    calculator = TBLite(method=METHOD, verbosity=0)
    atoms.calc = calculator
    atoms.get_potential_energy()
    assert calculator._res is not None
    return np.asarray(calculator._res.get("orbital-energies")) * 27.211386


def test_without_d_shells_the_levels_are_those_of_tblite() -> None:
    atoms = conformer(FORMYL_CYANIDE)
    found = record(atoms, FORMYL_CYANIDE)
    np.testing.assert_allclose(found.energies, orbital_energies(atoms.copy()), atol=1e-4)
    assert found.n_occupied == 10  # 5 + 4 + 4 + 6 + 1 electrons
    assert found.charges.sum() == pytest.approx(0.0, abs=1e-6)


def test_a_sulfur_atom_keeps_four_orbitals() -> None:
    molecule = molecule_from_smiles("C=S")
    found = record(conformer(molecule), molecule)
    assert found.hamiltonian.shape == (10, 10)
    # Leaving d functions out raises occupied levels, by little where they only polarize.
    levels = orbital_energies(conformer(molecule))
    assert (found.energies[:6] >= levels[:6] - 1e-4).all()
    assert np.abs(found.energies[:6] - levels[:6]).max() < 1.5


def test_the_hamiltonian_turns_with_the_molecule() -> None:
    """p orbitals are ordered x, y, z: a turned molecule's matrix is the turned matrix."""
    atoms = conformer(FORMYL_CYANIDE)
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    moved = atoms.copy()
    moved.positions = atoms.positions @ rotation.T
    expected = turned(record(atoms, FORMYL_CYANIDE), rotation).hamiltonian
    np.testing.assert_allclose(record(moved, FORMYL_CYANIDE).hamiltonian, expected, atol=2e-4)


def test_molecules_are_never_those_of_the_test_split() -> None:
    chosen = molecules(400, seed=0, max_heavy=5)
    assert any(assign_split(m) == "test" for m in enumerate_molecules(5))
    assert {assign_split(m) for m in chosen} == {"train", "validation"}
    assert not any("B" in m.smiles for m in chosen[:400])
    assert any("B" in m.smiles for m in chosen[400:])


def test_shards_go_on_where_they_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chosen = molecules(24, seed=0, max_heavy=5)[:24]
    write(data, chosen, per_shard=12)
    first, second = sorted(data.glob("*.h5"))
    content = [r.key for r in read(data)]
    untouched = first.read_bytes()
    second.unlink()
    write(data, chosen, per_shard=12)
    assert first.read_bytes() == untouched
    found: list[Record] = read(data)
    assert [r.key for r in found] == content == [key_of(r) for r in found]
    assert {z for r in found for z in r.numbers.tolist()} <= set(ELEMENTS)
