"""Warnings of crystals unlike the training crystals, and none of others of the same kinds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import esml
from esml.confidence.crystals import CrystalDomain, element_volumes
from esml.io.records import CrystalRecord, read
from esml.training.crystals.scores import structure
from reference.crystals.alloys import LATTICE_CONSTANTS
from reference.crystals.electrolytes import li3ps4, phosphates

Name = Literal["solids", "electrolytes"]
DATA = Path(__file__).parents[2] / "data"
FOLDERS: dict[Name, str] = {"solids": "alloys", "electrolytes": "electrolytes"}


@cache
def records(name: Name) -> list[CrystalRecord]:
    return read([DATA / FOLDERS[name]], kind=CrystalRecord)


@cache
def shipped(name: Name) -> CrystalDomain:
    found = esml.load_model(name).domain
    assert found is not None
    return found


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """``atoms`` with all lengths times ``factor``."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    return atoms


def close_packed(symbol: str, lattice: str) -> Atoms:
    """An element with the lattice constants that the training alloys scatter about."""
    constant = LATTICE_CONSTANTS[symbol]
    if lattice == "hcp":
        a = constant / 2**0.5
        return bulk(symbol, "hcp", a=a, c=a * (8 / 3) ** 0.5)
    return bulk(symbol, lattice, a=constant if lattice == "fcc" else constant / 2 ** (1 / 3))


def hot(atoms: Atoms, displacement: float, seed: int = 0) -> Atoms:
    """54 atoms or more, each coordinate displaced at random."""
    large: Atoms = atoms.repeat((3, 3, 3) if len(atoms) > 1 else (4, 4, 4))
    large.positions += np.random.default_rng(seed).normal(0.0, displacement, large.positions.shape)
    return large


def gamma() -> Atoms:
    return li3ps4(np.random.default_rng(0))


@pytest.mark.parametrize("name", FOLDERS)
def test_shipped_models_know_their_training_crystals(name: Name) -> None:
    """So that a model trained on other data, or a rule that has changed, is not forgotten here."""
    training = [structure(r) for r in records(name) if r.split == "train"]
    assert CrystalDomain.of(training).plain() == shipped(name).plain()
    assert not [atoms for atoms in training if shipped(name).reasons(atoms)]


@pytest.mark.parametrize(
    ("name", "families", "n_crystals", "most"),
    [
        ("solids", {"set of elements", "five elements"}, 12, 0),
        ("electrolytes", set(), 19, 1),
    ],
)
def test_crystals_of_the_same_kinds_are_hardly_ever_warned_of(
    name: Name, families: set[str], n_crystals: int, most: int
) -> None:
    """Held out, of pairs of elements that are known."""
    tests = [r for r in records(name) if r.split == "test"]
    like = [structure(r) for r in tests if not families or r.family in families]
    assert len(like) == n_crystals
    assert sum(bool(shipped(name).reasons(atoms)) for atoms in like) <= most


@pytest.mark.parametrize("symbol", LATTICE_CONSTANTS)
@pytest.mark.parametrize("displacement", [0.0, 0.04])
def test_hcp_is_told_from_fcc_and_bcc(symbol: str, displacement: float) -> None:
    for lattice in ("fcc", "bcc"):
        assert shipped("solids").reasons(hot(close_packed(symbol, lattice), displacement)) == []
    (said,) = shipped("solids").reasons(hot(close_packed(symbol, "hcp"), displacement))
    assert "has 3 pairs of neighbours on opposite sides where" in said
    assert "have 6 to 7: hcp and other stackings were not trained on" in said


def test_a_faulted_stack_is_told_by_its_hcp_layers() -> None:
    """Double hcp, ABAC: every other layer has neighbours as in hcp."""
    a = LATTICE_CONSTANTS["Co"] / 2**0.5
    height = a * (2 / 3) ** 0.5
    places = [(0, 0, 0), (1 / 3, 2 / 3, 1 / 4), (0, 0, 2 / 4), (2 / 3, 1 / 3, 3 / 4)]
    cell = [(a, 0, 0), (-a / 2, a * 0.75**0.5, 0), (0, 0, 4 * height)]
    atoms = Atoms("Co4", scaled_positions=places, cell=cell, pbc=True)
    (said,) = shipped("solids").reasons(atoms)
    assert "3 pairs" in said


@pytest.mark.parametrize("factor", [0.9, 0.97, 1.03, 1.1])
def test_a_stretched_or_pressed_metal_is_told_by_its_volume(factor: float) -> None:
    nickel = bulk("Ni", "fcc", a=3.52)
    said = [s for s in shipped("solids").reasons(scaled(nickel, factor)) if "volume" in s]
    assert said[0].startswith(f"the volume is {3.52**3 / 4 * factor**3:.1f} Å³ per atom where")
    assert said[0].endswith("10.6 to 11.2 Å³: check the lattice constants, or relax the cell")
    for usual in (0.99, 1.0, 1.01):
        assert shipped("solids").reasons(scaled(nickel, usual)) == []


@pytest.mark.parametrize("factor", [0.95, 1.05, 1.08])
def test_a_stretched_or_pressed_electrolyte_is_told_by_its_volume(factor: float) -> None:
    """Though nearest neighbours, of lithium and sulfur, are as far as in training crystals."""
    for atoms in (gamma(), gamma().repeat((2, 1, 1))):
        (said,) = shipped("electrolytes").reasons(scaled(atoms, factor))
        assert said.startswith("the volume is")
        assert shipped("electrolytes").reasons(scaled(atoms, 1.01)) == []


def test_rigid_groups_do_not_hide_a_stretched_cell() -> None:
    """Only the space between PS4³⁻ grows, as where a cell is heated."""
    atoms = scaled(gamma(), 1.08)
    for centre, sulfurs, vectors in phosphates(gamma()):
        atoms.positions[sulfurs] = atoms.positions[centre] + vectors
    assert shipped("electrolytes").reasons(atoms)[0].startswith("the volume is")


def test_a_stretched_bond_of_ions_is_told() -> None:
    atoms = gamma()
    _, sulfurs, vectors = phosphates(atoms)[0]
    atoms.positions[sulfurs[0]] += 0.2 * vectors[0]
    (said,) = shipped("electrolytes").reasons(atoms)
    length = 1.2 * np.linalg.norm(vectors[0])
    assert said.startswith(f"P–S are {length:.2f} Å apart where neighbours in training crystals")


def test_exchanged_ions_are_told() -> None:
    """Lithium and sulfur of a cell in each other's place, all other distances as before."""
    atoms = gamma()
    lithium, sulfur = (int(np.flatnonzero(atoms.symbols == s)[0]) for s in ("Li", "S"))
    atoms.symbols[[lithium, sulfur]] = ["S", "Li"]
    (said,) = shipped("electrolytes").reasons(atoms)
    assert said.startswith("S–S are 2.")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_domain_is_the_same_after_writing(name: Name) -> None:
    assert CrystalDomain.from_plain(shipped(name).plain()) == shipped(name)


@pytest.mark.parametrize("name", FOLDERS)
def test_what_an_older_file_does_not_tell_is_not_warned_of(name: Name) -> None:
    known = ("pairs", "nearest", "neighbours")
    older = CrystalDomain.from_plain({k: shipped(name).plain()[k] for k in known})
    atoms = close_packed("Co", "hcp") if name == "solids" else scaled(gamma(), 1.08)
    assert older.reasons(atoms) == []
    assert shipped(name).reasons(atoms)


def test_volumes_of_elements_add_up() -> None:
    crystals = [scaled(bulk(s, "fcc", a=a), 1.0) for s, a in (("Ni", 3.5), ("Cu", 3.6))]
    found = element_volumes(crystals)
    assert found == pytest.approx({28: 3.5**3 / 4, 29: 3.6**3 / 4}, rel=1e-3)
