"""Predictions of crystals: symmetries, sum rules, files, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from crystal_models import alloy, li2s, made_up

import esml
from esml.io.records import CrystalRecord, read
from esml.io.structure_checks import StructureError
from esml.io.structure_checks.crystals import SHIPPED
from esml.physics.crystals import k_mesh, orbitals_of, shifted
from esml.physics.crystals.shells import VALENCE_ELECTRONS
from esml.predict.crystals import CrystalSurrogate, coarseness, divisions_of
from esml.predict.model_files import OF_CRYSTALS, molecular_model, solid_model
from esml.training.crystals.scores import structure
from reference.crystals.electrolytes import li3ps4

MODEL = made_up()
DATA = Path(__file__).parents[2] / "data" / "alloys"
ELEMENTS = [r for r in read([DATA], kind=CrystalRecord) if len(set(r.numbers.tolist())) == 1][:6]
NAMES = esml.available_models()
CRYSTAL = MODEL.predict(alloy(), (3, 3, 3))


def test_a_supercell_has_the_centres_of_its_cell() -> None:
    atoms = bulk("Cu", "fcc", a=3.6)
    atoms.symbols = "Ni"
    small = MODEL.predict(atoms, (4, 4, 4))
    large = MODEL.predict(make_supercell(atoms, np.diag([2, 1, 1])), (2, 4, 4))
    np.testing.assert_allclose(large.d_band_centres, small.d_band_centres[0], atol=1e-5)
    assert large.fermi_level == pytest.approx(small.fermi_level, abs=1e-5)


def test_a_turned_crystal_has_the_same_centres() -> None:
    atoms = alloy()
    atoms.rotate(37.0, (1.0, 0.4, -0.8), rotate_cell=True)
    turned = MODEL.predict(atoms, (3, 3, 3))
    np.testing.assert_allclose(turned.d_band_centres, CRYSTAL.d_band_centres, atol=1e-6)


def test_a_metal_has_no_gap() -> None:
    """However far apart the states of a coarse mesh are."""
    assert CRYSTAL.gap == MODEL.predict(alloy(), (1, 1, 1)).gap == 0.0


def test_shifts_bring_d_populations_nearer_to_those_of_their_elements() -> None:
    plain = made_up(shift_error=0.0).predict(alloy(), (3, 3, 3))
    target = np.where(CRYSTAL.atoms.numbers == 28, 8.7, 9.6)
    assert not plain.shifts.any()
    off, off_plain = (np.abs(c.populations[:, 2] - target).mean() for c in (CRYSTAL, plain))
    assert off < 0.5 * off_plain


def test_electrons_are_all_there() -> None:
    electrons = sum(VALENCE_ELECTRONS[z] for z in CRYSTAL.numbers)
    assert CRYSTAL.populations.sum() == pytest.approx(electrons, abs=1e-6)
    assert CRYSTAL.charges.sum() == pytest.approx(0.0, abs=1e-6)


def test_densities_of_states_count_states_and_add_up() -> None:
    energies = np.linspace(-40.0, 60.0, 1001)
    dos = CRYSTAL.dos(energies, width=0.3)
    assert np.trapezoid(dos, energies) == pytest.approx(2 * 9 * 4, rel=1e-3)
    np.testing.assert_allclose(CRYSTAL.projected_dos(energies, 0.3).sum((0, 1)), dos, atol=1e-9)


def test_bands_on_a_path_are_those_of_the_mesh() -> None:
    found = CRYSTAL.bands("GX", n_points=7)
    assert [name for _, name in found.labels] == ["G", "X"]
    assert found.energies.shape == (7, 36)
    mesh = CRYSTAL.mesh
    np.testing.assert_allclose(found.energies[0], mesh.energies[0] - mesh.fermi, atol=1e-9)
    assert (found.d_shares >= 0).all()
    assert (found.d_shares <= 1 + 1e-9).all()
    with pytest.raises(ValueError, match="expected names of special points among"):
        CRYSTAL.bands("GQ7")


def test_a_strained_cell_keeps_the_names_of_its_lattice() -> None:
    atoms = bulk("Cu", "fcc", a=3.6)
    strain = np.eye(3) + 0.005 * np.array([[1, 0.5, 0], [0.5, -1, 0], [0, 0, 0.3]])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    names = {name for _, name in MODEL.predict(atoms, (2, 2, 2)).bands(n_points=5).labels}
    assert {"G", "X", "W", "L", "K"} <= names


def test_bonds_of_a_perfect_crystal_are_equal() -> None:
    bonds = MODEL.predict(bulk("Cu", "fcc", a=3.6), (4, 4, 4)).bonds(2.7)
    assert len(bonds) == 6  # twelve neighbours, each bond once
    energies = [bond.energy for bond in bonds]
    np.testing.assert_allclose(energies, energies[0], atol=1e-6)
    population = MODEL.predict(bulk("Cu", "fcc", a=3.6), (4, 4, 4)).hamilton_population(
        bonds[0].first, bonds[0].second, bonds[0].image
    )
    assert population.integrated == pytest.approx(energies[0])


def test_all_is_made_where_the_tables_are() -> None:
    """On "meta", where nothing is computed but tensors of two devices do not mix."""
    model = made_up().to("meta")
    assert model.device == torch.device("meta")
    atoms, numbers = alloy(), alloy().numbers.tolist()
    with model.device:
        h = model.model(numbers, atoms.cell.array, atoms.positions)
        moved = shifted(h, orbitals_of(numbers, "d"), torch.zeros(len(numbers)))
        at_k = moved.at(k_mesh((2, 2, 2)).fractional)
    assert at_k.device == model.device
    assert at_k.shape[1:] == (9 * len(numbers), 9 * len(numbers))
    assert CRYSTAL.mesh.energies.device == torch.device("cpu")


def test_a_model_file_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    esml.save_model(MODEL, path)
    read = solid_model(path)
    np.testing.assert_array_equal(
        read.predict(alloy(), (3, 3, 3)).d_band_centres, CRYSTAL.d_band_centres
    )
    assert isinstance(esml.load_model(path), CrystalSurrogate)
    with pytest.raises(esml.CheckpointError, match="is a model of crystals"):
        molecular_model(path)
    with pytest.raises(esml.CheckpointError, match="is a model of molecules"):
        solid_model("default")


@pytest.mark.parametrize("record", ELEMENTS, ids=lambda record: record.name)
def test_the_shipped_model_knows_the_elements(record: CrystalRecord) -> None:
    """Against PySCF's bands of these crystals, which it was trained on."""
    found = esml.load_model("solids").predict(structure(record), record.dense_divisions.tolist())
    np.testing.assert_allclose(found.d_band_centres, record.d_centres, atol=0.08)
    np.testing.assert_allclose(found.populations, record.populations, atol=0.1)


def test_a_crystal_at_rest_is_in_domain() -> None:
    """Without displacements nearest atoms are farther apart than in any training crystal."""
    for atoms in (bulk("Cu", "fcc", a=3.63), bulk("Ni", "fcc", a=3.52)):
        atoms.set_initial_magnetic_moments(None)
        assert esml.load_model("solids").predict(atoms, (3, 3, 3)).in_domain


def test_every_shipped_model_of_crystals_has_its_name() -> None:
    kinds = {name: isinstance(esml.load_model(name), CrystalSurrogate) for name in NAMES}
    assert {name for name, of_crystals in kinds.items() if of_crystals} == set(OF_CRYSTALS)
    assert {name: solid_model(name).elements for name in OF_CRYSTALS} == SHIPPED


@pytest.mark.parametrize(
    ("atoms", "advice"),
    [
        (
            bulk("NaCl", "rocksalt", a=5.64),
            r"no shipped model knows Na \('solids': Cr, Mn, .* and Cu",
        ),
        (bulk("LiCl", "rocksalt", a=5.13), "load the model 'electrolytes', which knows Li, P, S"),
        (bulk("CuCl", "zincblende", a=5.42), "no shipped model knows Cl and Cu together"),
    ],
    ids=["NaCl", "LiCl", "CuCl"],
)
def test_who_knows_an_element_is_told(atoms: Atoms, advice: str) -> None:
    with pytest.raises(StructureError, match=f"expected crystals of Ni and Cu; {advice}"):
        MODEL.predict(atoms)


def test_the_shipped_electrolytes_know_lithium_thiophosphate() -> None:
    """Gap of γ-Li3PS4 in PBE: 2.44 eV; sulfur p at the top of the valence bands."""
    atoms = li3ps4(np.random.default_rng(0))
    crystal = esml.load_model("electrolytes").predict(atoms, (2, 2, 2))
    assert crystal.gap == pytest.approx(2.44, abs=0.1)
    top, bottom = crystal.edges
    assert top.shares["S_p"] > 0.85
    assert bottom.shares["P_s"] > 0.1
    doubled = esml.load_model("electrolytes").predict(atoms.repeat((1, 1, 2)), (2, 2, 1))
    assert doubled.gap == pytest.approx(crystal.gap, abs=1e-5)


def test_a_cell_with_an_odd_electron_is_no_insulator() -> None:
    """Lithium taken out as an atom leaves a hole; a gap would be a confident wrong number."""
    atoms = li3ps4(np.random.default_rng(0))
    del atoms[[0]]
    crystal = esml.load_model("electrolytes").predict(atoms, (2, 2, 2))
    assert any("odd number of valence electrons (63)" in said for said in crystal.warnings)
    assert crystal.gap == 0.0
    assert not crystal.in_domain


@pytest.mark.parametrize(("element", "net"), [("Li", "-2"), ("S", "+4")])
def test_a_cell_without_some_ions_is_not_balanced(element: str, net: str) -> None:
    """Two lithium atoms, or two sulfur atoms, taken out: no field between layers is to blame."""
    atoms = li3ps4(np.random.default_rng(0))
    del atoms[[atom.index for atom in atoms if atom.symbol == element][:2]]
    crystal = esml.load_model("electrolytes").predict(atoms, (2, 2, 2))
    assert not crystal.in_domain
    assert any(f"add up to {net} where a neutral cell" in said for said in crystal.warnings)
    assert not any("unlike layers" in said for said in crystal.warnings)


@pytest.mark.parametrize(
    ("atoms", "lacking"),
    [(bulk("LiCl", "rocksalt", a=5.13), "P and S"), (li2s(), "P")],
    ids=["LiCl", "Li2S"],
)
def test_salts_without_phosphorus_and_sulfur_are_unlike(atoms: Atoms, lacking: str) -> None:
    """Their gaps come out eV too large: no training cell is without P and S."""
    crystal = esml.load_model("electrolytes").predict(atoms, (3, 3, 3))
    assert not crystal.in_domain
    assert crystal.warnings[0] == f"all training crystals have {lacking}, which this one lacks"


def test_a_gap_that_is_nearly_closed_is_told() -> None:
    """Sulfides of one layer of three exchanged with chlorides: PBE leaves a gap of 0.14 eV."""
    tests = read([DATA.parent / "electrolytes"], split="test", kind=CrystalRecord)
    stack = next(r for r in tests if r.name.startswith("Li6PS5Cl stacked 1 of 3"))
    crystal = esml.load_model("electrolytes").predict(structure(stack), (2, 2, 1))
    assert stack.gap == pytest.approx(0.14, abs=0.01)
    assert crystal.gap < 0.3
    assert "field between unlike layers" in crystal.warnings[-1]


def slab() -> Atoms:
    atoms = alloy()
    atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [4.0]]))
    return atoms


def charged(charge: float) -> Atoms:
    atoms = alloy()
    atoms.info["total_charge"] = charge
    return atoms


def test_a_cell_that_states_no_charge_is_neutral() -> None:
    assert MODEL.predict(charged(0.0), (3, 3, 3)).in_domain


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (charged(-1), r"info\['total_charge'\] is -1 where a neutral cell is expected"),
        ("Cu.cif", "given as str where ASE Atoms are expected: read files with ase.io.read"),
        (molecule("H2O"), "expected: give lattice vectors"),
        (Atoms(pbc=True, cell=np.eye(3)), "no atoms"),
        (bulk("Au"), "Au .* not an element of this model"),
        (bulk("Cu", "fcc", a=1.65), "Å apart where at least"),
        (bulk("Cu", "fcc", a=0.6 * 3.61), r"1\.53 Å apart where at least 1\.72 Å"),
        (Atoms("Cu", [[np.nan, 0, 0]], cell=3 * np.eye(3), pbc=True), "not a finite number"),
        (bulk("Cu").repeat(12), "ask for fewer"),
    ],
)
def test_what_cannot_be_treated_is_told(atoms: Any, said: str) -> None:
    with pytest.raises(StructureError, match=said):
        MODEL.predict(atoms)


@pytest.mark.parametrize(("element", "kind"), [("Li", "filled"), ("Cl", "empty")])
def test_an_insulator_has_filled_and_empty_bands(element: str, kind: str) -> None:
    atoms = Atoms(element, cell=6 * np.eye(3), pbc=True)
    with pytest.raises(StructureError, match=f"has no {kind} band"):
        solid_model("electrolytes").predict(atoms, (1, 1, 1))


def test_unlikeness_is_told() -> None:
    assert CRYSTAL.in_domain
    thin = MODEL.predict(slab(), (2, 2, 1))
    assert not thin.in_domain
    assert any("surfaces" in said for said in thin.warnings)
    lacking, neighbours = MODEL.predict(alloy(symbols="CuCuCuCu"), (2, 2, 2)).warnings[:2]
    assert lacking.startswith("all training crystals have")
    assert "Cu–Cu" in neighbours
    magnetic = alloy()
    magnetic.set_initial_magnetic_moments([0.6] * 4)
    assert "non-magnetic" in MODEL.predict(magnetic, (2, 2, 2)).warnings[0]


@pytest.mark.parametrize("mesh", [(2, 2), 4, "4,4,4", (2.5, 2, 2), (2, 0, 2), (2, 2, 2, 2)])
def test_a_mesh_is_three_numbers(mesh: Any) -> None:
    with pytest.raises(ValueError, match="three positive whole numbers"):
        MODEL.predict(alloy(), mesh)


def test_the_usual_mesh_has_28_angstrom() -> None:
    assert divisions_of(np.diag([3.5, 7.0, 30.0])) == (8, 4, 3)


@pytest.mark.parametrize("insulating", [False, True])
def test_only_a_coarse_mesh_is_told(insulating: bool) -> None:
    """The usual mesh never is, nor is Γ alone for cells of some 500 atoms."""
    for length in np.linspace(2.0, 60.0, 200):
        cell = length * np.eye(3)
        assert not coarseness(cell, divisions_of(cell), insulating)
    large = li3ps4(np.random.default_rng(0)).repeat((4, 4, 2)) if insulating else bulk("Cu") * 8
    assert len(large) == 512
    assert not coarseness(large.cell.array, (1, 1, 1), insulating)
    (said,) = coarseness(np.diag([30.0, 30.0, 5.5]), (1, 1, 2), insulating)
    assert said.startswith("the 1×1×2 k mesh is coarse: division times lattice vector is 11.0 Å")


def test_a_coarse_mesh_does_not_put_a_crystal_out_of_domain() -> None:
    coarse = MODEL.predict(alloy(), (2, 4, 4))
    assert coarse.in_domain
    assert "7.1 Å where 13.5 Å or more are expected" in coarse.warnings[0]
    assert not MODEL.predict(alloy(), (4, 4, 4)).warnings


def test_ions_that_polarize_without_end_are_refused() -> None:
    """As a structure that cannot be treated, so that the others of a file go on."""
    atoms = bulk("SLiLi", "fluorite", a=0.62 * 5.72)
    with pytest.raises(StructureError, match="polarize each other without end"):
        esml.load_model("electrolytes").predict(atoms, (1, 1, 1))
