"""Geometries: reproducible, of the molecule asked for, thermal where they say so."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from ase import Atoms, units
from rdkit import Chem

from reference.geometries import (
    HBAR,
    WAVENUMBER,
    Distortion,
    GeometryError,
    amplitudes,
    bonds_of,
    check_connectivity,
    displacement,
    from_smiles,
    hessian,
    relax,
    structures,
    vibrations,
)
from reference.molecules import Molecule, molecule_from_smiles, parse
from reference.twists import twist, twistable_bonds


def with_hydrogens(smiles: str) -> Chem.Mol:
    return Chem.AddHs(parse(smiles))


@pytest.fixture(scope="module")
def acrylonitrile() -> Molecule:
    return molecule_from_smiles("C=CC#N")


@pytest.fixture(scope="module")
def images(acrylonitrile: Molecule) -> list[Atoms]:
    return structures(acrylonitrile, seed=1, n_distorted=3)


@pytest.fixture(scope="module")
def water() -> Atoms:
    return from_smiles("O")


def test_structures_are_labelled(acrylonitrile: Molecule, images: list[Atoms]) -> None:
    assert len(images) == 4
    assert images[0].info["geometry"] == "relaxed"
    assert images[0].info["temperature"] == 0.0
    for atoms in images:
        assert atoms.calc is None
        assert atoms.info["smiles"] == atoms.info["name"] == "C=CC#N"
        assert atoms.info["inchikey"] == acrylonitrile.inchikey
        assert atoms.info["split"] in {"train", "validation", "test"}
        assert atoms.info["seed"] == 1
    lowest, highest = Distortion().temperatures
    for atoms in images[1:]:
        assert atoms.info["geometry"] in {"thermal", "twisted"}
        assert lowest <= atoms.info["temperature"] <= highest


def test_equal_seeds_give_equal_coordinates(acrylonitrile: Molecule, images: list[Atoms]) -> None:
    again = structures(acrylonitrile, seed=1, n_distorted=1, include_relaxed=False)
    np.testing.assert_allclose(again[0].positions, images[1].positions, atol=1e-8)
    other = structures(acrylonitrile, seed=2, n_distorted=1, include_relaxed=False)
    assert np.abs(other[0].positions - images[1].positions).max() > 1e-3


def test_connectivity_is_kept(images: list[Atoms]) -> None:
    mol = with_hydrogens("C=CC#N")
    for atoms in images:
        assert list(atoms.numbers) == [a.GetAtomicNum() for a in mol.GetAtoms()]
        check_connectivity(atoms, bonds_of(mol), "acrylonitrile")


def test_changed_connectivity_is_refused(images: list[Atoms]) -> None:
    bonds = bonds_of(with_hydrogens("C=CC#N"))
    broken = images[0].copy()
    broken.positions[3] += 2.0
    with pytest.raises(GeometryError, match="C=CC#N lost the bond C2-N3"):
        check_connectivity(broken, bonds, "C=CC#N")
    crowded = images[0].copy()
    crowded.positions[4] = crowded.positions[5] + [0.5, 0.0, 0.0]
    with pytest.raises(GeometryError, match="no longer the molecule"):
        check_connectivity(crowded, bonds, "C=CC#N")


def test_water_vibrates_as_it_should(water: Atoms) -> None:
    # Experimental harmonic wavenumbers 1649, 3832, 3943 cm⁻¹; GFN2-xTB is good to some 10 %.
    frequencies, modes = vibrations(water, hessian(water))
    np.testing.assert_allclose(frequencies / WAVENUMBER, [1649, 3832, 3943], rtol=0.12)
    weighted = (modes * np.sqrt(water.get_masses())[None, :, None]).reshape(3, -1)
    np.testing.assert_allclose(weighted @ weighted.T, np.eye(3), atol=1e-10)
    # No mode moves the centre of mass.
    drift = np.einsum("kax,a->kx", modes, water.get_masses())
    np.testing.assert_allclose(drift, 0.0, atol=1e-10)


def test_linear_molecules_have_one_vibration_more() -> None:
    atoms = from_smiles("C#N")
    frequencies, _ = vibrations(atoms, hessian(atoms))
    assert len(frequencies) == 3 * 3 - 5


def test_amplitudes_have_the_right_limits() -> None:
    frequencies = np.array([300.0, 1000.0, 3000.0]) * WAVENUMBER
    np.testing.assert_allclose(amplitudes(frequencies, 0.0) ** 2, HBAR / (2.0 * frequencies))
    hot = 1e6  # K, where quantum statistics give the classical k_B T / ω²
    np.testing.assert_allclose(
        amplitudes(frequencies, hot) ** 2, units.kB * hot / frequencies**2, rtol=1e-5
    )


def test_displacements_grow_with_temperature(water: Atoms) -> None:
    frequencies, modes = np.array([250.0, 400.0, 900.0]) * WAVENUMBER, np.eye(9)[:3]
    modes = modes.reshape(3, 3, 3)
    spread = []
    for temperature in (0.0, 300.0, 600.0):
        rng = np.random.default_rng(0)
        steps = [displacement(frequencies, modes, temperature, rng) for _ in range(2000)]
        spread.append(float(np.sqrt(np.mean(np.square(steps)))))
        expected = np.sqrt(np.sum(amplitudes(frequencies, temperature) ** 2) / 9)
        assert abs(spread[-1] / expected - 1.0) < 0.05
    assert spread[0] < 0.9 * spread[1] < 0.8 * spread[2]


@pytest.mark.parametrize(
    ("smiles", "orders"),
    [
        ("C=CC=C", ["double", "single", "double"]),
        ("CN=NC", ["double"]),
        ("NC=O", ["single"]),
        ("C=Cc1ccccc1", ["double", "single"]),
        ("c1ccccc1", []),
        ("C#CC#C", []),
        ("C=C=C", []),
        ("CCC", []),
    ],
)
def test_twistable_bonds(smiles: str, orders: list[str]) -> None:
    assert [order for *_, order in twistable_bonds(with_hydrogens(smiles))] == orders


def test_twist_turns_one_side_rigidly() -> None:
    atoms = from_smiles("C=CC=C", relax=False)
    mol = with_hydrogens("C=CC=C")
    turned = atoms.copy()
    turned.positions = twist(atoms.positions, bonds_of(mol), 1, 2, 40.0)
    change = turned.get_dihedral(0, 1, 2, 3) - atoms.get_dihedral(0, 1, 2, 3)
    assert abs(abs((change + 180.0) % 360.0 - 180.0) - 40.0) < 1e-6
    for i, j in bonds_of(mol):
        assert abs(turned.get_distance(i, j) - atoms.get_distance(i, j)) < 1e-10
    np.testing.assert_allclose(turned.positions[:2], atoms.positions[:2])


def test_twisted_structures_are_twisted() -> None:
    only_twists = Distortion(twist_share=1.0, twist_scale=0.0)
    relaxed, *twisted = structures(
        molecule_from_smiles("CN=NC"), seed=0, n_distorted=3, distortion=only_twists
    )
    for atoms in twisted:
        assert atoms.info["geometry"] == "twisted"
        lowest, highest = only_twists.double_bond
        assert lowest <= abs(atoms.info["twist_angle"]) <= highest
        change = atoms.get_dihedral(0, 1, 2, 3) - relaxed.get_dihedral(0, 1, 2, 3)
        turned = abs((change + 180.0) % 360.0 - 180.0)
        assert abs(turned - abs(atoms.info["twist_angle"])) < 1e-6


def test_stereochemistry_is_kept() -> None:
    for smiles, dihedral in [("C/N=N/C", 180.0), ("C/N=N\\C", 0.0)]:
        atoms = from_smiles(smiles)
        assert atoms.info["geometry"] == "relaxed"
        found = atoms.get_dihedral(0, 1, 2, 3)
        assert abs((found - dihedral + 180.0) % 360.0 - 180.0) < 15.0


def test_relaxed_forces_are_small(water: Atoms) -> None:
    moved = water.copy()
    moved.positions[1] += 0.1
    again = relax(moved)
    assert abs(again.get_distance(0, 1) - water.get_distance(0, 1)) < 0.01
    assert again.calc is None


def test_relaxation_that_does_not_end(water: Atoms) -> None:
    moved = water.copy()
    moved.positions[1] += 0.3
    with pytest.raises(GeometryError, match="Water did not relax in 1 steps"):
        relax(moved, name="Water", max_steps=1)


def test_ions_carry_their_charge() -> None:
    assert from_smiles("NC=[NH2+]").info["charge"] == 1
    assert "charge" not in from_smiles("C=N").info


def test_bent_cumulated_sulfur_is_embedded() -> None:
    atoms = from_smiles("N=S=O")
    assert 100.0 < atoms.get_angle(0, 1, 2) < 140.0


def test_invalid_smiles() -> None:
    with pytest.raises(ValueError, match="not a valid SMILES"):
        from_smiles("C1CC")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    structures(molecule_from_smiles("C=N"), seed=0)
    out, err = capfd.readouterr()
    assert out == err == ""
