"""Geometries of SMILES and drawings: conformers, relaxation, stereo, salts, lists, processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

import esml
from esml.io.geometry import Settings, Worker, build_many, is_own_mirror_image, parse_smiles
from esml.io.paths import count_structures
from esml.io.provenance import MIRROR_IMAGE, Provenance
from esml.io.structure_checks import check_structure
from esml.io.structures import (
    InputError,
    ReadingOptions,
    Structure,
    conformers,
    from_smiles,
    read_entries,
    read_structure,
    read_structures,
)
from esml.predict.surrogate import Surrogate

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

CASES = Path(__file__).parents[2] / "data" / "field_cases"
MMFF = ReadingOptions(geometry="mmff")


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def bright(model: Surrogate, found: Structure) -> tuple[float, float]:
    """Energy and strength of the strongest of the lowest singlets."""
    singlets = model.predict(found.atoms, 4).singlets
    k = int(singlets.oscillator_strengths.argmax())
    return float(singlets.energies[k]), float(singlets.oscillator_strengths[k])


def test_azobenzene_is_planar_and_its_bright_state_where_it_belongs(model: Surrogate) -> None:
    energy, strength = bright(model, from_smiles("c1ccccc1/N=N/c1ccccc1"))
    assert 3.7 < energy < 3.9
    assert strength > 0.7


def test_an_open_double_bond_becomes_e_and_it_is_said() -> None:
    for smiles, isomer in (("c1ccccc1N=Nc1ccccc1", "/N=N/"), ("CC=CC=O", "C/C=C/C=O")):
        found = from_smiles(smiles)
        assert isomer in found.provenance.stereo
        assert "of 2 isomers the lowest is taken" in found.provenance.stereo
    assert from_smiles("C/C=C\\C").provenance.stereo == ""


def test_the_mirror_image_that_is_said_to_be_taken_is_taken() -> None:
    open_centre = from_smiles("CC(O)C=O", MMFF)
    assert MIRROR_IMAGE in open_centre.provenance.stereo
    hands = {each: _hand(from_smiles(each, MMFF)) for each in ("C[C@H](O)C=O", "C[C@@H](O)C=O")}
    (taken,) = (each for each in hands if each in open_centre.provenance.stereo)
    assert _hand(open_centre) == hands[taken]
    assert sum(hands.values()) == 0.0
    diastereomers = from_smiles("CC(O)C(N)C=O", MMFF)
    assert MIRROR_IMAGE in diastereomers.provenance.stereo
    assert MIRROR_IMAGE not in from_smiles("C[C@H](O)C(N)C=O", MMFF).provenance.stereo


def _hand(found: Structure) -> float:
    """Which way around the neighbours of the second atom are, 1 or -1."""
    positions = found.atoms.positions
    return float(np.sign(np.linalg.det(positions[[0, 2, 3]] - positions[1])))


@pytest.mark.parametrize(
    ("smiles", "own"),
    [
        ("CC(O)C=O", True),
        ("C[C@H](O)C=O", False),
        ("C[C@H](O)C(C)N", False),
        ("C[C@@H](O)[C@H](C)O", True),  # meso: R and S
        ("C[C@H](O)[C@H](C)O", False),
        ("c1ccccc1-c1ccccc1", True),
    ],
)
def test_graphs_that_do_not_tell_mirror_images_apart(smiles: str, own: bool) -> None:
    assert is_own_mirror_image(parse_smiles(smiles)) == own


@pytest.mark.parametrize(
    "smiles", ["CC12CC(C)(C1)C2", "CC(=O)C1C2CC1C2", "C1CC23COCC12O3", "N#CC1C(=N)N2CC12"]
)
def test_small_cages_whose_bridgeheads_count_as_stereocentres(smiles: str) -> None:
    found = from_smiles(smiles)
    assert found.provenance.stereo == "open stereocentres are as embedded"
    if smiles.startswith("CC12"):  # bicyclo[1.1.1]pentanes have 1.85 to 1.9 Å between bridgeheads
        assert found.atoms.get_distance(1, 3) == pytest.approx(1.87, abs=0.03)


def test_many_open_double_bonds_are_made_e() -> None:
    found = from_smiles("CC=CC=CC=CC=CC=O", MMFF)
    assert "4 double bonds are made E" in found.provenance.stereo


def test_bonds_of_cumulated_molecules_are_right() -> None:
    """Which MMFF94 gets wrong by up to 0.4 Å."""
    for smiles, i, j, length in (
        ("O=C=O", 0, 1, 1.16),
        ("N#N", 0, 1, 1.10),
        ("CN=C=S", 2, 3, 1.57),
    ):
        atoms = from_smiles(smiles).atoms
        assert atoms.get_distance(i, j) == pytest.approx(length, abs=0.03)


def test_molecules_are_placed_apart_or_the_largest_kept(model: Surrogate) -> None:
    for smiles, formula in (
        ("c1ccccc1.c1ccccc1", "C12H12"),
        ("ClCCl.O", "CH4Cl2O"),
        ("c1ccncc1.Cl", "C5H6ClN"),
    ):
        found = from_smiles(smiles)
        assert found.atoms.get_chemical_formula() == formula
        assert "placed apart" in found.provenance.fragments
        check_structure(found.atoms)
        assert model.predict(found.atoms, 1).singlets.energies[0] > 4.5
    salt = from_smiles("C[n+]1ccccc1.[Cl-]", ReadingOptions(largest_fragment=True))
    assert salt.atoms.get_chemical_formula() == "C6H8N"
    assert salt.provenance.charge == 1
    assert "without Cl-" in salt.provenance.fragments


def test_two_molecules_give_the_states_of_each(model: Surrogate) -> None:
    one = model.predict(from_smiles("C=O").atoms, 1).singlets.energies[0]
    two = model.predict(from_smiles("C=O.O").atoms, 1).singlets.energies[0]
    assert two == pytest.approx(one, abs=0.15)


def test_elements_and_radicals_are_refused_before_the_work() -> None:
    known = ReadingOptions(elements=(1, 6, 7, 8))
    with pytest.raises(InputError, match=r"holds Br, an element .* it knows H C N O"):
        from_smiles("C" * 100 + "Br", known)
    for radical in ("C[CH2]", "CN([O])C", "[O][O]"):
        with pytest.raises(InputError, match="radical"):
            from_smiles(radical)


def test_what_reacts_in_vacuum_is_kept_as_drawn() -> None:
    glycine = from_smiles("[NH3+]CC(=O)[O-]")
    assert "changes the bonds" in glycine.provenance.notes[0]
    check_structure(glycine.atoms)


FUSED = "CCCCC(CCCC)Cn1c2cc(C=C(C#N)C#N)c3cccc4c5cccc6c(C=C(C#N)C#N)cc1c(c65)c2c34"


@pytest.mark.parametrize(
    ("smiles", "formula"),
    [
        (FUSED, "C38H31N5"),
        ("C" * 60, "C60H122"),
        ("c1ccc(-c2ccc(-c3ccc(-c4ccc(-c5ccc(-c6ccccc6)cc5)cc4)cc3)cc2)cc1", "C36H26"),
    ],
    ids=["fused dye", "chain", "chain of rings"],
)
def test_large_molecules_embed(smiles: str, formula: str) -> None:
    found = from_smiles(smiles, MMFF)
    assert found.atoms.get_chemical_formula() == formula
    check_structure(found.atoms)


def test_a_drawing_gets_a_geometry(tmp_path: Path) -> None:
    chem = pytest.importorskip("rdkit.Chem")
    depictor = pytest.importorskip("rdkit.Chem.rdDepictor")
    mol = chem.MolFromSmiles("C/C=C\\C=O")
    depictor.Compute2DCoords(mol)
    path = tmp_path / "a.mol"
    path.write_text(chem.MolToMolBlock(mol))
    found = read_structure(path)
    assert found.atoms.get_chemical_formula() == "C4H6O"
    assert "GFN2-xTB" in found.provenance.geometry
    assert "drawing" in found.provenance.notes[0]
    assert abs(found.atoms.get_dihedral(0, 1, 2, 3)) % 360 < 20 or (
        found.atoms.get_dihedral(0, 1, 2, 3) > 340
    )
    with pytest.raises(InputError, match="no geometry to be taken as it is"):
        read_structure(path, options=ReadingOptions(geometry="as-is"))


def test_a_geometry_of_a_file_is_relaxed_on_request(tmp_path: Path) -> None:
    water = molecule("H2O")
    water.positions *= 1.1
    water.write(tmp_path / "a.xyz")
    found = read_structure(tmp_path / "a.xyz", options=ReadingOptions(geometry="xtb"))
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96, abs=0.02)
    assert "relaxed with GFN2-xTB" in found.provenance.geometry
    with pytest.raises(InputError, match="MMFF94"):
        read_structure(tmp_path / "a.xyz", options=MMFF)


def test_conformers_have_boltzmann_weights() -> None:
    found = conformers("OCCO", 3)
    assert 2 <= len(found) <= 3
    weights = [weight for _, weight in found]
    assert sum(weights) == pytest.approx(1.0)
    assert weights == sorted(weights, reverse=True)
    assert len({round(s.atoms.get_distance(0, 3), 2) for s, _ in found}) > 1


def test_provenance_travels_with_the_atoms() -> None:
    found = from_smiles("C=O", MMFF)
    assert Provenance.of(found.atoms) == found.provenance
    assert "MMFF94" in found.provenance.geometry
    assert found.provenance.charge_source


# --- lists ----------------------------------------------------------------------------------------


def test_tables_of_smiles_are_read() -> None:
    found = list(read_structures(CASES / "22_smiles.csv", MMFF))
    assert [s.name for s in found] == ["benzene", "formaldehyde"]
    assert count_structures(CASES / "22_smiles.csv") == 2
    assert read_structure(CASES / "22b_smiles.SMI", options=MMFF).name == "benzene"


TABLES = {
    "a.tsv": ("id\tcanonical_smiles\n7\tC=O\n8\tC=C\n", ["7", "8"]),
    "b.csv": ("name;structure\nfirst;C=O\nsecond;C=C\n", ["first", "second"]),
    "c.txt": ("C=O formaldehyde\nC=C ethene\n", ["formaldehyde", "ethene"]),
    "d.txt": ("SMILES\nC=O\nC=C\n", ["C=O", "C=C"]),
    "e.CSV": ("C=O,1\nC=C,2\n", ["1", "2"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_column_of_smiles_is_found(tmp_path: Path, name: str) -> None:
    content, names = TABLES[name]
    (tmp_path / name).write_text(content)
    found = list(read_structures(tmp_path / name, MMFF))
    assert [s.name for s in found] == names
    assert [s.atoms.get_chemical_formula() for s in found] == ["CH2O", "C2H4"]


def test_the_column_of_smiles_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("dye_smiles,product_smiles\nC=O,O\n")
    with pytest.raises(InputError, match="several columns of SMILES"):
        list(read_structures(path))
    for column, formula in (("product_smiles", "H2O"), ("1", "CH2O")):
        options = ReadingOptions(geometry="mmff", smiles_column=column)
        assert read_structure(path, options=options).atoms.get_chemical_formula() == formula
    with pytest.raises(InputError, match="has no column 'x'"):
        list(read_structures(path, ReadingOptions(smiles_column="x")))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column in which most cells are SMILES"):
        list(read_structures(path))


def test_an_empty_cell_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,smiles\none,C=O\ntwo,\nthree,C=C\n")
    one, two, three = read_entries(path, options=MMFF)
    assert isinstance(one, Structure)
    assert isinstance(two, InputError)
    assert "line 3" in str(two)
    assert isinstance(three, Structure)
    assert three.index == 2


def test_processes_share_the_work_in_order() -> None:
    smiles = ["C=O", "nonsense", "C=C", "C#N", "O"]
    settings = Settings(geometry="mmff")
    requests = [{"smiles": text} for text in smiles]
    alone = list(build_many(requests, settings, 1))
    both = list(build_many(requests, settings, 2))
    for a, b, text in zip(alone, both, smiles, strict=True):
        assert isinstance(a, InputError) == isinstance(b, InputError) == (text == "nonsense")
        if isinstance(a, list) and isinstance(b, list):
            np.testing.assert_array_equal(a[0].atoms.positions, b[0].atoms.positions)


def test_a_process_that_dies_is_replaced() -> None:
    worker = Worker(seconds=0.01)
    settings = Settings(geometry="mmff")
    with pytest.raises(InputError, match="no geometry was found within"):
        worker({"smiles": "C" * 100}, settings)
    worker.seconds = 100.0
    assert worker({"smiles": "C=O"}, settings)[0].charge == 0
    worker.close()


def test_a_process_ends_with_its_input_in_the_midst_of_a_molecule() -> None:
    """So none stays behind where a run was killed."""
    request = {"smiles": "C" * 60, "settings": asdict(Settings())}
    command = [sys.executable, "-m", "esml.io.geometry"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.close()
        assert process.wait(20.0) == 0
        assert process.stdout is not None
        assert not process.stdout.read()


def test_reading_stops_where_the_reader_does() -> None:
    """Without this, a list would keep its processes until they have made all geometries."""
    entries = read_entries(CASES / "08_geometry_from_smiles.smi", 4, MMFF)
    assert isinstance(next(entries), Structure)
    entries.close()
