"""``esml.predict`` takes what people have, and says in one sentence what is wrong with the rest."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

import esml
from esml.io.anything import as_atoms
from esml.io.provenance import InputError
from esml.io.structure_checks import StructureError
from esml.results import Failure

FORMALDEHYDE = molecule("H2CO")


def as_path(atoms: Atoms, folder: Path) -> Path:
    write(folder / "a.xyz", atoms)
    return folder / "a.xyz"


def as_text(atoms: Atoms, folder: Path) -> str:
    return str(as_path(atoms, folder))


def as_pyscf(atoms: Atoms, folder: Path) -> Any:
    gto = pytest.importorskip("pyscf.gto")
    atom = list(zip(atoms.symbols, atoms.positions.tolist(), strict=True))
    return gto.M(atom=atom, basis="sto-3g", verbose=0)


def as_rdkit(atoms: Atoms, folder: Path) -> Any:
    chem = pytest.importorskip("rdkit.Chem")
    text = "\n".join(
        f"{s} {x} {y} {z}" for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    )
    mol = chem.MolFromXYZBlock(f"{len(atoms)}\n\n{text}\n")
    from rdkit.Chem import rdDetermineBonds

    rdDetermineBonds.DetermineBonds(mol, charge=0)
    return mol


@pytest.mark.parametrize("given", [as_path, as_text, as_pyscf, as_rdkit])
def test_one_molecule_in_many_guises(tmp_path: Path, given: Callable[..., Any]) -> None:
    atoms = as_atoms(given(FORMALDEHYDE, tmp_path))
    assert list(atoms.symbols) == list(FORMALDEHYDE.symbols)
    np.testing.assert_allclose(atoms.positions, FORMALDEHYDE.positions, atol=2e-4)
    result = esml.predict(given(FORMALDEHYDE, tmp_path), n_states=2)
    alone = esml.predict(FORMALDEHYDE, n_states=2)
    np.testing.assert_allclose(result.singlets.energies, alone.singlets.energies, atol=5e-3)


def test_a_smiles_and_a_mol_without_conformer_get_geometries() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    pytest.importorskip("tblite")
    by_smiles = esml.predict("C=O", n_states=1)
    assert by_smiles.name == by_smiles.source == "C=O"
    assert by_smiles.atoms.get_chemical_formula() == "CH2O"
    (by_mol,) = esml.predict([chem.MolFromSmiles("C=O")], n_states=1)
    assert by_mol.singlets.energies[0] == pytest.approx(by_smiles.singlets.energies[0], abs=0.02)
    # The atoms of the Mol come first, in its order.
    mol = chem.MolFromSmiles("O=CC")
    assert list(as_atoms(mol).symbols[:3]) == ["O", "C", "C"]


def test_charges_and_spins_are_those_of_the_objects(tmp_path: Path) -> None:
    gto = pytest.importorskip("pyscf.gto")
    water = "O 0 0 0; H 0 0.76 0.59; H 0 -0.76 0.59"
    assert as_atoms(gto.M(atom=water, charge=-2, verbose=0)).info["charge"] == -2
    with pytest.raises(StructureError, match="closed shell is expected"):
        esml.predict(gto.M(atom="O 0 0 0; O 0 0 1.2", spin=2, verbose=0))
    with pytest.raises(InputError, match=r"call mol\.build"):
        as_atoms(gto.Mole())
    chem = pytest.importorskip("rdkit.Chem")
    ion = chem.AddHs(chem.MolFromSmiles("C[NH3+]"))
    from rdkit.Chem import rdDistGeom

    rdDistGeom.EmbedMolecule(ion, randomSeed=1)
    assert as_atoms(ion).info["charge"] == 1


def test_lists_keep_their_order_and_failures_their_place() -> None:
    given = [FORMALDEHYDE, molecule("C2H4"), 7, molecule("CH3")]
    found = esml.predict(given, n_states=1, errors="return")
    assert [type(outcome).__name__ for outcome in found] == ["Result"] * 2 + ["Failure"] * 2
    assert [outcome.index for outcome in found] == [0, 1, 2, 3]
    assert found[0].characters()[0].label == "nπ*"
    assert isinstance(found[2], Failure)
    assert "expected the path of a geometry file, a SMILES" in found[2].reason
    assert "CH3" in found[3].name
    with pytest.raises(InputError, match="object of type int"):
        esml.predict(given, n_states=1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "a molecule is given as None: expected"),
        (3.5, "an object of type float"),
        (b"C=O", "an object of type bytes"),
        ({"C=O": 1}, "an object of type dict"),
        ("no-such-file.xyz", "no file 'no-such-file.xyz'"),
        ("not a molecule", "neither"),
    ],
)
def test_what_is_no_molecule_is_refused(given: Any, words: str) -> None:
    pytest.importorskip("rdkit")
    with pytest.raises(ValueError, match=words) as refused:
        esml.predict(given)
    assert "attribute" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("given", [None, "C=O", Path("a.xyz"), [FORMALDEHYDE]])
def test_a_model_takes_atoms_and_says_who_takes_more(given: Any) -> None:
    model = esml.load_model()
    with pytest.raises(InputError, match=r"where ASE Atoms are expected.*esml\.predict"):
        model.predict(given)
    with pytest.raises(InputError, match="ASE Atoms"):
        list(model.predict_many([given]))


def test_a_stream_of_one_molecule_is_refused() -> None:
    for one in (FORMALDEHYDE, "C=O"):
        with pytest.raises(ValueError, match="call predict"):
            esml.load_model().predict_many(one)  # type: ignore[arg-type]


def test_a_file_of_several_says_which_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "two.xyz"
    write(path, [FORMALDEHYDE, molecule("C2H4")])
    with pytest.warns(UserWarning, match="holds 2 structures; the last one is taken"):
        result = esml.predict(path, n_states=1)
    assert result.atoms.get_chemical_formula() == "C2H4"
    assert (result.name, result.source, result.index) == ("two", str(path), 1)


def test_a_spectrum_is_equal_to_itself_and_short() -> None:
    result = esml.predict(FORMALDEHYDE, n_states=4)
    spectrum = result.spectrum()
    again = pickle.loads(pickle.dumps(spectrum))
    assert again == spectrum
    assert spectrum != result.spectrum(fwhm=0.4)
    assert len(repr(spectrum)) < 120
    assert repr(spectrum).startswith("Spectrum(4 transitions, ")


def test_the_room_is_a_package_and_a_function() -> None:
    assert esml.predict.load_model is esml.load_model
    assert "predict" in esml.__all__
