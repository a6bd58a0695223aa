"""Inputs that people really have: each is read as a chemist means it, or refused by its fault.

The files of ``tests/data/field_cases`` stand for kinds of inputs; beside each are two more of its
kind, written here. Right values are CAM-B3LYP/def2-SVP's at the same geometry.

Over 400 lines: a table of inputs, one kind after the other.
"""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

import esml
from esml.io.paths import count_structures
from esml.io.provenance import ASSUMED
from esml.io.structure_checks import StructureError, check_structure
from esml.io.structures import (
    InputError,
    ReadingOptions,
    Structure,
    read_entries,
    read_structure,
    read_structures,
)
from esml.predict.surrogate import Surrogate

CASES = Path(__file__).parents[1] / "data" / "field_cases"
COUMARIN = read_structure(CASES / "16_atomic_numbers.xyz").atoms


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(atoms: Atoms) -> str:
    return "\n".join(
        f"{s} {x:.6f} {y:.6f} {z:.6f}"
        for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    )


def xyz(atoms: Atoms, comment: str = "") -> str:
    return f"{len(atoms)}\n{comment}\n{rows(atoms)}\n"


def ammonium() -> Atoms:
    return Atoms("NH4", positions=molecule("CH4").positions * 0.94)


def refusal(path: Path) -> str:
    """Why a file or its only structure is refused."""
    with pytest.raises((InputError, StructureError)) as caught:
        check_structure(read_structure(path).atoms)
    return str(caught.value)


# --- no record is lost ----------------------------------------------------------------------------


def test_all_records_are_read() -> None:
    pytest.importorskip("rdkit")
    names = [s.name for s in read_structures(CASES / "01_three_records.sdf")]
    assert names == ["benzene", "pyridine", "formaldehyde"]
    assert count_structures(CASES / "01_three_records.sdf") == 3
    frames = list(read_structures(CASES / "02_blank_line_between_frames.xyz"))
    assert len(frames) == count_structures(CASES / "02_blank_line_between_frames.xyz") == 2
    np.testing.assert_array_equal(frames[0].atoms.positions, frames[1].atoms.positions)


def test_a_damaged_record_is_told_and_the_rest_go_on(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    good = (CASES / "01_three_records.sdf").read_text().split("$$$$\n")[0]
    path = written(tmp_path, "a.SDF", f"{good}$$$$\nbad\n\n\nnonsense\n$$$$\n{good}")
    first, bad, last = read_entries(path)
    assert isinstance(first, Structure)
    assert isinstance(bad, InputError)
    assert "record 1" in str(bad)
    assert isinstance(last, Structure)
    assert last.index == 2


def test_text_between_frames_is_no_end(tmp_path: Path) -> None:
    water = xyz(molecule("H2O"))
    path = written(tmp_path, "a.xyz", f"{water}\n \n\n{water}what is this\n{water}")
    with pytest.raises(InputError, match="'what is this' where a number of atoms belongs"):
        list(read_structures(path))
    assert sum(isinstance(e, Structure) for e in _until_error(path)) == 2


def _until_error(path: Path) -> list[object]:
    found: list[object] = []
    with suppress(InputError):
        found.extend(iter(read_entries(path)))
    return found


# --- charge and spin ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("03_dication_MCHG.sdf", "formal charges"),
        ("04_charge_columns.pdb", "columns 79–80"),
        ("04_total_charge.xyz", "total_charge="),
    ],
)
def test_the_charge_of_a_file_is_used(model: Surrogate, name: str, source: str) -> None:
    if name.endswith("sdf"):
        pytest.importorskip("rdkit")
    found = read_structure(CASES / name)
    assert found.provenance.charge == found.atoms.info["charge"] == 2
    assert source in found.provenance.charge_source
    # diquat
    assert model.predict(found.atoms, 1).singlets.energies[0] == pytest.approx(4.4, abs=0.3)


GAUSSIAN = "%mem=1GB\n#p cam-b3lyp/def2svp\n  pop=full\n\nammonium\n\n{}\n{}\n\n"
ORCA = "! CAM-B3LYP def2-SVP # 3 4\n%pal nprocs 2 end\n* xyz {}\n{}\n*\n"
COORDS = "%coords\n CTyp xyz\n Charge 1\n Mult 1\n Units Angs\n Coords\n{}\n end\nend\n"


COMMENTS = (
    "charge=1",
    "Charge=1",
    "q=1",
    "1 1",
    "total charge: 1",
    "charge 1 multiplicity 1",
    "net_charge=+1 spin=0",
)


@pytest.mark.parametrize("comment", COMMENTS)
def test_comments_state_charges(tmp_path: Path, comment: str) -> None:
    path = written(tmp_path, "a.xyz", xyz(ammonium(), comment))
    found = read_structure(path)
    check_structure(found.atoms)
    assert found.atoms.info["charge"] == found.provenance.charge == 1


def test_inputs_of_programs_state_charges(tmp_path: Path) -> None:
    atoms = ammonium()
    bohr = Atoms(atoms.symbols, atoms.positions / ase.units.Bohr)
    for name, content in {
        "a.com": GAUSSIAN.format("1 1", rows(atoms)),
        "a.GJF": GAUSSIAN.replace("pop=full", "units=au").format("1,1", rows(bohr)),
        "a.inp": ORCA.format("1 1", rows(atoms)),
        "b.inp": ORCA.replace("def2-SVP", "def2-SVP Bohrs").format("1 1", rows(bohr)),
        "c.inp": COORDS.format(rows(atoms)),
    }.items():
        found = read_structure(written(tmp_path, name, content))
        assert found.provenance.charge == 1, name
        np.testing.assert_allclose(found.atoms.positions, atoms.positions, atol=1e-5)
        check_structure(found.atoms)


def test_open_shells_are_refused_by_name(tmp_path: Path) -> None:
    assert "open shells (radicals)" in refusal(CASES / "05_benzene_radical_cation_1_2.gjf")
    oxygen = Atoms("O2", [[0, 0, 0], [0, 0, 1.21]])
    for name, content, words in (
        ("a.com", GAUSSIAN.format("0 3", rows(oxygen)), "'multiplicity'] = 3"),
        ("a.inp", ORCA.format("0 3", rows(oxygen)), "'multiplicity'] = 3"),
        ("a.xyz", xyz(oxygen, "total_charge=0 total_spin=3"), "'total_spin'] = 3"),
        ("b.xyz", xyz(oxygen, "0 3"), "'multiplicity'] = 3"),
    ):
        sentence = refusal(written(tmp_path, name, content))
        assert words in sentence
        assert "open shells cannot be treated" in sentence


def test_two_charges_that_disagree_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xyz", xyz(molecule("H2O"), "charge=0 total_charge=2"))
    assert "delete the wrong one" in refusal(path)


def test_a_file_that_states_no_charge_says_so() -> None:
    found = read_structure(CASES / "16_atomic_numbers.xyz")
    assert found.provenance.charge == 0
    assert found.provenance.charge_source == ASSUMED


def test_a_charge_given_by_the_user_goes_before(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xyz", xyz(ammonium(), "total_charge=3"))
    found = read_structure(path, options=ReadingOptions(charge=1))
    check_structure(found.atoms)
    assert (found.atoms.info["charge"], found.provenance.charge_source) == (1, "as given")


@pytest.mark.parametrize("name", ["13_halide.xyz", "13_halide.smi"])
def test_without_a_virtual_orbital_there_is_one_sentence(name: str) -> None:
    if name.endswith("smi"):
        pytest.importorskip("rdkit")
    assert "no virtual orbital" in refusal(CASES / name)


def test_other_filled_shells_are_refused_too(tmp_path: Path) -> None:
    for name, content in {
        "a.xyz": xyz(Atoms("F"), "charge=-1"),
        "b.xyz": xyz(Atoms("ClCl", [[0, 0, 0], [0, 0, 6]]), "charge=-2"),
    }.items():
        assert "no virtual orbital" in refusal(written(tmp_path, name, content))


# --- coordinates no chemist means -----------------------------------------------------------------


def bare(atoms: Atoms) -> Atoms:
    heavy: Atoms = atoms[atoms.numbers != 1]
    return heavy


def test_missing_hydrogens_are_named(tmp_path: Path) -> None:
    assert "hydrogens are missing" in refusal(CASES / "06_benzene_without_hydrogens.xyz")
    for name in ("C4H4O", "CH3CH2OCH3"):
        path = written(tmp_path, f"{name}.xyz", xyz(bare(molecule(name))))
        assert "hydrogens are missing" in refusal(path)
    # As in crystal structures of proteins, which have hydrogens on N and O only.
    some = COUMARIN[[i for i in range(len(COUMARIN)) if COUMARIN.numbers[i] != 1 or i == 11]]
    assert "hydrogens are missing" in refusal(written(tmp_path, "some.xyz", xyz(some)))


def test_missing_hydrogens_of_a_record_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    assert "hydrogens are missing" in refusal(CASES / "23_3d_without_H.mol")
    assert "6 of them" in refusal(CASES / "23_3d_without_H.mol")
    text = (CASES / "23_3d_without_H.mol").read_text()
    path = written(tmp_path, "a.sdf", text + "$$$$\n" + text)
    assert all("hydrogens are missing" in str(e) for e in read_entries(path))


def test_molecules_without_hydrogens_that_exist_are_not_accused() -> None:
    for name in ("CO2", "C2F4", "OCS", "C2Cl4", "CCl4", "CF3CN", "NCCN", "N2", "CO", "O3", "N2O"):
        try:
            atoms = molecule(name)
        except KeyError:
            continue
        atoms.arrays.pop("initial_magmoms", None)
        check_structure(atoms)


@pytest.mark.parametrize("bond", [1.76, 2.0, 2.4, 3.0])
def test_a_stretched_double_bond_is_no_drawing_and_lacks_no_hydrogens(bond: float) -> None:
    """Flat along the axes and turned: the carbon atoms have two neighbours each, both hydrogens."""
    atoms = molecule("C2H4")
    axis = atoms.positions[1] - atoms.positions[0]
    length = float(np.linalg.norm(axis))
    axis /= length
    side = np.sign((atoms.positions - atoms.get_center_of_mass()) @ axis)
    atoms.positions += 0.5 * (bond - length) * side[:, None] * axis
    assert atoms.get_distance(0, 1) == pytest.approx(bond)
    check_structure(atoms)
    atoms.rotate(50.0, (1.0, 1.0, 0.0))  # no coordinate is the same for all atoms any more
    check_structure(atoms)


@pytest.mark.parametrize(
    ("halogen", "length", "angle"), [("F", 1.300, 104.9), ("Cl", 1.716, 109.2)]
)
def test_dihalocarbenes_lack_no_hydrogens(halogen: str, length: float, angle: float) -> None:
    turn = np.radians(angle)
    ends = length * np.array([[1.0, 0.0, 0.0], [np.cos(turn), np.sin(turn), 0.0]])
    check_structure(Atoms(f"C{halogen}2", [[0.0, 0.0, 0.0], *ends]))


@pytest.mark.parametrize(
    ("halogen", "length", "angle"), [("F", 1.357, 108.3), ("Cl", 1.767, 111.8)]
)
def test_dihalomethanes_without_hydrogens_are_no_carbenes(
    halogen: str, length: float, angle: float
) -> None:
    """At the experimental geometries of CH₂F₂ and CH₂Cl₂."""
    turn = np.radians(angle)
    ends = length * np.array([[1.0, 0.0, 0.0], [np.cos(turn), np.sin(turn), 0.0]])
    with pytest.raises(StructureError, match="hydrogens are missing"):
        check_structure(Atoms(f"C{halogen}2", [[0.0, 0.0, 0.0], *ends]))


@pytest.mark.parametrize("factor", [1.3, 1.37, 1.45])
@pytest.mark.parametrize("name", ["H2CO", "C2H4", "C6H6", "HCOOH", "H2O"])
def test_stretched_bonds_to_hydrogen_are_no_drawing(name: str, factor: float) -> None:
    """All of them at once, in molecules that lie flat in a plane of the axes."""
    atoms = molecule(name)
    places = atoms.positions.copy()
    for h in np.flatnonzero(atoms.numbers == 1):
        heavy = np.flatnonzero(atoms.numbers != 1)
        partner = heavy[np.argmin(np.linalg.norm(places[heavy] - places[h], axis=1))]
        atoms.positions[h] = places[partner] + factor * (places[h] - places[partner])
    assert (np.ptp(atoms.positions, axis=0) < 1e-6).any()
    check_structure(atoms)


def test_flat_rings_of_four_are_no_drawing() -> None:
    """Across a ring the distance is that of a long bond, but the ring is between."""
    for symbols, length, other in (("C2N2", 1.29, 1.53), ("C4", 1.33, 1.56)):
        ring = [[0, 0, 0], [length, 0, 0], [length, other, 0], [0, other, 0]]
        out = [[-0.76, -0.76, 0], [length + 0.76, -0.76, 0]]
        if symbols == "C4":
            out += [[length + 0.76, other + 0.76, 0], [-0.76, other + 0.76, 0]]
        check_structure(Atoms(f"{symbols}H{len(out)}", [*ring, *out]))


def test_bohr_for_angstrom_is_named(tmp_path: Path) -> None:
    assert "these distances are not Å" in refusal(CASES / "26_bohr.xyz")
    for name in ("H2O", "C6H6"):
        atoms = molecule(name)
        atoms.positions /= ase.units.Bohr
        assert "bohr" in refusal(written(tmp_path, f"{name}.xyz", xyz(atoms)))


def test_a_drawing_for_a_geometry_is_named(tmp_path: Path) -> None:
    chem = pytest.importorskip("rdkit.Chem")
    depictor = pytest.importorskip("rdkit.Chem.rdDepictor")
    for smiles, explicit in (("CCO", True), ("c1ccccc1C", True), ("CC(C)=O", False)):
        mol = chem.MolFromSmiles(smiles)
        mol = chem.AddHs(mol) if explicit else mol
        depictor.Compute2DCoords(mol)
        atoms = Atoms([a.GetSymbol() for a in mol.GetAtoms()], mol.GetConformer().GetPositions())
        assert "two-dimensional drawing" in refusal(written(tmp_path, "a.xyz", xyz(atoms)))
    for name in ("C6H6", "C2H4", "H2CO", "C5H5N"):  # flat, and rightly so
        check_structure(molecule(name))


def test_overlapping_molecules_are_named(tmp_path: Path) -> None:
    for shift in ([0.4, 0.3, 0.5], [0.9, 0.2, 0.4]):
        other = molecule("C6H6")
        other.positions += shift
        path = written(tmp_path, "a.xyz", xyz(molecule("C6H6") + other))
        assert "overlap" in refusal(path)


# --- dialects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["15_qm9_like.xyz", "16_atomic_numbers.xyz", "18_bom.xyz",
                                  "19_v3000.sdf", "21_dummy_CRYST1.pdb"])  # fmt: skip
def test_dialects_give_the_molecule(name: str) -> None:
    if name.endswith("sdf"):
        pytest.importorskip("rdkit")
    found = read_structure(CASES / name)
    np.testing.assert_array_equal(found.atoms.numbers, COUMARIN.numbers)
    expected = COUMARIN.positions.copy()
    if name.startswith("15"):  # in which one coordinate is 2.1997*^-6
        expected[1, 2] = 2.1997e-6
    np.testing.assert_allclose(found.atoms.positions, expected, atol=6e-4)
    check_structure(found.atoms)


def test_more_dialects_of_xyz(tmp_path: Path) -> None:
    water = molecule("H2O")
    text = xyz(water)
    extended = text.replace("\n\n", "\nProperties=species:S:1:pos:R:3 charge=0\n", 1)
    for content in (
        text.replace("H ", "D "),
        text.replace("O ", "o1 ").replace("H ", "T "),
        text.replace("\n", "\r\n"),
        xyz(water, "eau distillée").encode("latin-1"),
        xyz(water, 'a "quote that never ends'),
        text.replace("0.000000", "0.0D+00"),
        extended.replace("H ", "1 ").replace("O ", "8 "),
    ):
        path = written(tmp_path, "a.XYZ", content)
        found = read_structure(path)
        assert found.atoms.get_chemical_formula() == "H2O"
        np.testing.assert_allclose(found.atoms.positions, water.positions, atol=1e-6)
    path = written(tmp_path, "a.xyz.gz", gzip.compress(text.encode()))
    assert read_structure(path).atoms.get_chemical_formula() == "H2O"
    heavy = read_structure(written(tmp_path, "d.xyz", text.replace("H ", "D ")))
    assert heavy.atoms.get_masses()[1] == pytest.approx(2.014)
    assert "isotopes" in heavy.provenance.notes[0]


def test_qm9_files_may_follow_each_other(tmp_path: Path) -> None:
    text = (CASES / "15_qm9_like.xyz").read_text()
    path = written(tmp_path, "a.xyz", text + text)
    assert len(list(read_structures(path))) == count_structures(path) == 2


def test_turbomole_coordinates_are_in_the_unit_they_state(tmp_path: Path) -> None:
    water = molecule("H2O")
    for head, scale in (("$coord", ase.units.Bohr), ("$coord angs", 1.0)):
        body = "\n".join(
            f"{x / scale:.8f} {y / scale:.8f} {z / scale:.8f} {s.lower()}"
            for s, (x, y, z) in zip(water.symbols, water.positions, strict=True)
        )
        found = read_structure(written(tmp_path, "coord", f"{head}\n{body}\n$end\n"))
        np.testing.assert_allclose(found.atoms.positions, water.positions, atol=1e-6)


MOL2 = """@<TRIPOS>MOLECULE
ammonium
5 4 1
SMALL
USER_CHARGES

@<TRIPOS>ATOM
{}
@<TRIPOS>BOND
1 1 2 1
"""


def test_mol2_gives_molecules_and_charges(tmp_path: Path) -> None:
    atoms = ammonium()
    table = "\n".join(
        f"{k + 1} {s}{k} {x} {y} {z} {'N.4' if s == 'N' else s} 1 LIG {0.2}"
        for k, (s, (x, y, z)) in enumerate(zip(atoms.symbols, atoms.positions, strict=True))
    )
    path = written(tmp_path, "a.mol2", 2 * MOL2.format(table))
    first, second = read_structures(path)
    assert (first.name, first.provenance.charge, second.index) == ("ammonium", 1, 1)
    check_structure(first.atoms)


def test_alternate_locations_are_one_atom(tmp_path: Path) -> None:
    line = "HETATM{:5d}  {:<3s}{}LIG A   1    {:8.3f}{:8.3f}{:8.3f}{:6.2f}  0.00          {:>2s}"
    water = molecule("H2O")
    places = water.positions
    table = [
        line.format(1, "O", " ", *places[0], 1.0, "O"),
        line.format(2, "H1", "A", *(places[1] + 0.3), 0.4, "H"),
        line.format(3, "H1", "B", *places[1], 0.6, "H"),
        line.format(4, "H2", " ", *places[2], 1.0, "H"),
    ]
    found = read_structure(written(tmp_path, "a.ENT", "\n".join(table) + "\nEND\n"))
    np.testing.assert_allclose(found.atoms.positions, places, atol=1e-3)
    assert any("alternate locations" in note for note in found.provenance.notes)


def test_cells_that_mean_nothing_are_left_out(tmp_path: Path) -> None:
    notes = read_structure(CASES / "21_dummy_CRYST1.pdb").provenance.notes
    assert any("cell" in note for note in notes)
    atoms = molecule("H2O")
    atoms.set_cell([1.0, 1.0, 1.0])
    atoms.pbc = True
    ase.io.write(tmp_path / "small.xyz", atoms, format="extxyz")
    check_structure(read_structure(tmp_path / "small.xyz").atoms)
    atoms.set_cell([20.0, 20.0, 20.0])
    ase.io.write(tmp_path / "large.xyz", atoms, format="extxyz")
    assert "periodic" in refusal(tmp_path / "large.xyz")
    found = read_structure(tmp_path / "large.xyz", options=ReadingOptions(ignore_cell=True))
    check_structure(found.atoms)
