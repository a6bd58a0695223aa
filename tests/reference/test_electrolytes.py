"""Reference calculations of electrolytes: their samples, and what is exact in insulators."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pyscf")

from ase import Atoms
from ase.neighborlist import neighbor_list
from surrogate_cases import read_all
from typer.testing import CliRunner

from esml.io.records import CrystalRecord
from esml.physics.crystals import k_mesh
from reference.__main__ import app
from reference.crystals.cell import ELECTROLYTES, CrystalLevel
from reference.crystals.electrolytes import (
    APART,
    CLOSEST,
    TEST_EVERY,
    NotPlacedError,
    electrolyte,
    li6ps5cl,
    licl,
    phosphates,
    sample,
    sample_beta,
    sample_doubled,
    sample_moved,
    sample_stacked,
    sample_supercells,
)
from reference.crystals.record import make_record
from reference.crystals.validate import check_record

QUICK = replace(ELECTROLYTES, cutoff=25.0, density_tolerance=1e-4)


@cache
def salt() -> CrystalRecord:
    atoms = licl(np.random.default_rng(0))
    atoms.info["k_points"] = np.array([2, 2, 2])
    return make_record(atoms, QUICK)


def test_a_record_of_an_insulator_is_sound() -> None:
    found = salt()
    assert check_record(found) == []
    assert len(found.d_centres) == 0


def test_energies_count_from_the_valence_band_top() -> None:
    """Chlorine's four bands end there, on the dense mesh; the next is more than 5 eV above."""
    found = salt()
    assert np.all(found.n_exact == 4)
    assert -0.2 < found.energies[:, 3].max() < 1e-3
    points = k_mesh(found.dense_divisions.tolist()).fractional
    top = torch.linalg.eigvalsh(found.hamiltonian.at(points))[:, 3].max()
    assert float(top) == pytest.approx(0.0, abs=1e-3)
    assert found.energies[:, 4].min() > 5.0
    assert found.populations.sum() == pytest.approx(8.0, abs=1e-4)


def test_the_sigma_band_of_a_phosphate_is_exact() -> None:
    """PS4³⁻ with three Li: one conduction band beside the 16 valence bands, exact on the mesh."""
    side = 2.04 / 3**0.5
    corners = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) * side
    lithium = np.array([(2.9, 0, 0), (0, 2.9, 0), (0, 0, 2.9)])
    positions = np.concatenate([np.zeros((1, 3)), corners, lithium])
    atoms = Atoms("PS4Li3", positions=positions, cell=np.eye(3) * 6.2, pbc=True)
    atoms.info["k_points"] = np.array([1, 1, 1])
    found = make_record(atoms, QUICK)
    assert check_record(found) == []
    assert np.all(found.n_exact == int(found.n_electrons) // 2 + 1)


def test_levels_of_metals_are_written_as_before() -> None:
    """Content keys of alloys depend on this text."""
    assert "conduction" not in CrystalLevel().to_json()
    assert '"conduction": {"P": 1}' in ELECTROLYTES.to_json()


def test_a_sample_begins_every_longer_one() -> None:
    long, short = sample(14), sample(6)
    for one, other in zip(short, long, strict=False):
        np.testing.assert_array_equal(one.positions, other.positions)
    for number, atoms in enumerate(long):
        if atoms.info["family"] in APART:
            assert atoms.info["split"] == "apart"
        else:
            assert (atoms.info["split"] == "test") == (number % TEST_EVERY == TEST_EVERY - 1)


def test_atoms_keep_their_distances() -> None:
    for atoms in sample(14):
        for i, j, r in zip(*neighbor_list("ijd", atoms, 3.2), strict=True):
            a, b = sorted((atoms.symbols[i], atoms.symbols[j]))
            assert r >= CLOSEST[a, b]
        for _, sulfurs, vectors in phosphates(atoms):
            assert len(sulfurs) == 4
            assert np.linalg.norm(vectors, axis=1).min() > 1.85


def test_lithium_takes_one_place_of_each_pair() -> None:
    chosen = [li6ps5cl(np.random.default_rng(seed), exchanged=False) for seed in range(6)]
    assert all(str(atoms.symbols.get_chemical_formula()) == "ClLi6PS5" for atoms in chosen)
    assert len({atoms.positions.round(3).tobytes() for atoms in chosen}) > 3


def test_exchange_moves_the_chloride() -> None:
    """Away from the corner of the cell; PS4 stays whole."""
    plain, exchanged = (li6ps5cl(np.random.default_rng(1), exchanged=e) for e in (False, True))
    for atoms in (plain, exchanged):
        assert len(phosphates(atoms)) == 1
    at = [atoms.positions[atoms.symbols == "Cl"][0] for atoms in (plain, exchanged)]
    assert np.linalg.norm(at[0] - at[1]) > 3.0


def test_large_cells_are_for_tests() -> None:
    doubled, mixed = sample_doubled(2)
    assert (len(doubled), len(mixed)) == (32, 26)
    assert {a.info["split"] for a in (doubled, mixed)} == {"test"}
    chlorine = mixed.get_scaled_positions()[mixed.symbols == "Cl"]
    assert len(chlorine) == 2


def test_stacks_hold_cells_of_both_kinds() -> None:
    """Chloride at its own place in some layers, at the sulfide's in others; every P keeps its S."""
    stacks = sample_stacked(8)
    assert [len(a) for a in stacks] == [26, 26, 26, 39] * 2
    assert [a.info["split"] for a in stacks] == ["train", "train", "train", "test"] * 2
    for atoms in stacks:
        layers = len(atoms) // 13
        assert len(phosphates(atoms)) == layers
        height = atoms.get_scaled_positions()[atoms.symbols == "Cl"] * [1, 1, layers]
        corner = np.abs(height - height.round()).max(1) < 0.1
        assert 0 < corner.sum() < layers
        assert f"stacked {layers - corner.sum()} of {layers}" in atoms.info["name"]


def test_supercells_are_longer_along_each_vector() -> None:
    """Twice, and three times where they are for tests; the k mesh is coarser along it."""
    found, singles = sample_supercells(7), sample(2)
    assert [a.info["split"] for a in found] == (["train"] * 6 + ["test"])
    for number, atoms in enumerate(found):
        times = 3 if atoms.info["split"] == "test" else 2
        axis = number // 2 % 3
        assert len(atoms) == times * (13 if number % 2 else 16)
        assert len(phosphates(atoms)) == times * (1 if number % 2 else 2)
        assert atoms.info["k_points"].tolist() == [1 if i == axis else 2 for i in range(3)]
        single = singles[number % 2].cell.lengths()[axis]
        assert atoms.cell.lengths()[axis] == pytest.approx(times * single, rel=0.1)


def test_cells_with_a_moved_lithium_keep_their_other_atoms() -> None:
    """Every fifth is for tests; β-Li3PS4 has four PS4 and lithium in all of its places."""
    moved, beta = sample_moved(5), sample_beta(4)
    assert [a.info["split"] for a in moved] == ["train"] * 4 + ["test"]
    assert [a.info["split"] for a in beta] == ["train"] * 3 + ["test"]
    for atoms, groups in [(a, 2) for a in moved] + [(a, 4) for a in beta]:
        found = phosphates(atoms)
        assert len(found) == groups
        for _, sulfurs, vectors in found:
            assert len(sulfurs) == 4
            assert np.linalg.norm(vectors, axis=1).min() > 1.85
        assert (atoms.symbols == "Li").sum() == 3 * groups


def test_what_cannot_be_placed_is_refused() -> None:
    crowded = Atoms("LiS", positions=[(0, 0, 0), (0.9, 0, 0)], cell=np.eye(3) * 2.0, pbc=True)
    with pytest.raises(NotPlacedError, match="found no arrangement"):
        electrolyte(crowded, False, np.random.default_rng(0), tries=20)


def test_commands_write_and_compute(tmp_path: Path) -> None:
    path = tmp_path / "s.xyz"
    said = CliRunner().invoke(
        app, ["crystals", "sample", str(path), "-n", "3", "--set", "electrolytes"]
    )
    assert said.exit_code == 0, said.output
    back = read_all(path)
    assert [a.info["split"] in ("train", "validation", "test", "apart") for a in back] == [True] * 3
    assert back[0].info["k_points"].tolist() == [2, 2, 2]
    again = CliRunner().invoke(app, ["crystals", "sample", str(path), "--set", "electrolytes"])
    assert again.exit_code == 2 or "is there already" in again.output
