"""What the speed benchmark measures, on molecules of few atoms."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

pytest.importorskip("matplotlib")
pytest.importorskip("psutil")
pytest.importorskip("pyscf")

import esml
from esml.io.records import read
from reference.scf import Level
from scripts.speed import against, how_fast, journal, label_cost, programs, scf_guess, stages
from scripts.speed.growth import exponents
from scripts.speed.molecules import FAMILIES, cluster, glycines, named, polyene, typical
from scripts.speed.picture import measured
from scripts.speed.single import repeated

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [8, 64])
def test_molecules_are_of_their_size_and_whole(name: str, size: int) -> None:
    atoms = named(f"{name}-{size}")
    assert abs(len(atoms) - size) <= 6
    distances = atoms.get_all_distances() + 10.0 * np.eye(len(atoms))
    assert distances.min() > 0.9
    assert distances.min(0).max() < 1.6  # every atom is bound
    assert sum(atoms.numbers) % 2 == 0


def test_families_are_what_they_are_called() -> None:
    assert str(polyene(10).symbols) == "C4H6"
    assert glycines(16).get_chemical_formula() == "C4H8N2O2"
    assert cluster(20).get_chemical_formula() == "C5H10O5"
    assert len(named("C60")) == 60


def test_exponents_are_those_of_a_power_law() -> None:
    rows = [
        {"name": f"polyene-{n}", "n_atoms": n, "cpu_s": 1e-4 * n**1.7} for n in (128, 256, 1024)
    ]
    small = {"name": "polyene-8", "n_atoms": 8, "cpu_s": 1.0}
    assert exponents([small, *rows]) == {"polyene": pytest.approx(1.7)}


def test_the_picture_shows_finished_runs_of_a_family_by_size() -> None:
    large = [{"name": f"polyene-{n}", "n_atoms": n, "cpu_s": 1.0} for n in (64, 256)]
    small = [{"name": "polyene-8", "n_atoms": 8, "cpu_s": 0.1}]
    others = [
        {"name": "cluster-8", "n_atoms": 8, "cpu_s": 0.1},
        {"name": "polyene-16", "n_atoms": 16, "outcome": "killed"},
    ]
    largest = {"polyene-1024": {"name": "polyene-1024", "n_atoms": 1026, "cpu_s": 9.0}}
    results = {"sizes": {"molecules": [*large, *others, *small]}, "largest": largest}
    assert [run["n_atoms"] for run in measured(results, "polyene")] == [8, 64, 256, 1026]


def test_times_are_of_one_molecule_of_a_batch() -> None:
    calls = []
    times = repeated(lambda: calls.append(sum(range(10**6))), 4)
    assert len(calls) == 4  # once to see how long it takes, then three times
    assert 0 < times["wall_s"] < 0.5


def test_both_solvers_and_all_stages_are_timed() -> None:
    model, batch = esml.load_model(), [molecule("H2CO")]
    row = stages.solvers(model, batch, 2)
    assert row["singles"] == 24  # 6 occupied, 4 virtual orbitals
    assert min(row["dense"], row["iterative"]) > 0
    assert row["dense"] < row["iterative"]  # of so few excitations
    times = stages.stages(model, batch, 2)
    assert times["floor"] == times["eigh alone"] + times["network"] + times["blocks"]
    assert times["predict"] > times["floor"]


def test_distorted_copies_differ() -> None:
    water = molecule("H2O")
    one, other = programs.distorted([water], 2)
    moved = [np.abs(atoms.positions - water.positions).max() for atoms in (one, other)]
    assert 0 < min(moved) <= max(moved) < 0.1
    assert np.abs(one.positions - other.positions).max() > 1e-3


def test_a_label_keeps_the_states_of_its_window_but_at_least_three() -> None:
    level = Level(energy_window=9.5)
    np.testing.assert_array_equal(
        label_cost.stored(np.arange(1.0, 20.0), level), np.arange(1.0, 10.0)
    )
    np.testing.assert_array_equal(label_cost.stored(np.arange(10.0, 20.0), level), [10, 11, 12])


def test_guesses_are_compared_on_one_structure_of_each_molecule() -> None:
    records = read(ROOT / "data" / "small", split="test")
    chosen = scf_guess.choose(ROOT / "data" / "small", "test", 10)
    assert len({r.inchikey for r in chosen}) == len(chosen) == 10
    assert {r.key for r in chosen} <= {r.key for r in records}


def test_both_kinds_of_journal_keep_all_entries(tmp_path: Path) -> None:
    texts = ["entry " * 100, "another"]
    for seconds, n_bytes in (
        journal.with_lines(tmp_path, texts),
        journal.with_sqlite(tmp_path, texts, "delete", "full"),
    ):
        assert seconds > 0
        assert n_bytes > 600


def test_the_picture_is_drawn_from_the_stored_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, picture = ROOT / "docs" / "speed.json", tmp_path / "speed.png"
    arguments = ["plot", "--json", str(stored), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["how_fast", *arguments])
    before = json.loads(stored.read_text())
    how_fast.main()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(stored.read_text()) == before


@pytest.mark.parametrize("ratio", ["predict / floor", "predict, 10 triplets / floor"])
def test_a_prediction_is_as_near_its_floor_as_stored(ratio: str, floors: dict[str, float]) -> None:
    """The floor is timed in turns with it, so the ratio is that of an idle machine, within 20 %."""
    stored = json.loads((ROOT / "docs" / "speed.json").read_text())["profile"]["one"]
    assert floors[ratio] < 1.5 * stored[ratio]


@pytest.fixture(scope="module")
def floors() -> dict[str, float]:
    return stages.stages(esml.load_model(), typical()[:1], 8)


def test_ratios_are_those_of_pairs() -> None:
    found = against.Ratio.of([(1.0, 1.1), (2.0, 2.0), (10.0, 13.0)])
    assert (found.before, found.now) == (2.0, 2.0)
    assert (found.low, found.middle, found.high) == pytest.approx((1.05, 1.1, 1.2))
    assert against.as_row("one", found) == ("one", "2000", "2000", "1.10", "1.05–1.20")


def test_two_versions_take_turns() -> None:
    order = []

    def told(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    pairs = against.in_turns(partial(told, "before", 1.0), partial(told, "now", 2.0), 2)
    assert order == ["before", "now", "before", "now", "now", "before"]
    assert pairs == [(1.0, 2.0), (1.0, 2.0)]


def test_this_version_takes_its_turn(tmp_path: Path) -> None:
    file = tmp_path / "water.xyz"
    write(file, molecule("H2O"))
    with against.predictions(ROOT, {"water": str(file)}, None) as seconds:
        assert 0 < seconds("water") < 10
    assert 0 < against.started(ROOT, ("-c", "import esml")) < 10
    with (
        pytest.raises(SystemExit, match="no package esml"),
        against.predictions(tmp_path, {}, None),
    ):
        pass
