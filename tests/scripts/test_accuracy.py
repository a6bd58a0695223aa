"""How methods are compared: state matching with best estimates, statistics, spectra, the cache."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from esml.io.records import Record, read
from esml.results import Failure
from scripts.accuracy import benchmark, methods, peers, quest, without_matching

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny.h5"


def state(
    multiplicity: int, kind: str, type: str, energy: float, f: float | None = None, safe: str = "Y"
) -> dict[str, Any]:
    return {
        "multiplicity": multiplicity,
        "kind": kind,
        "type": type,
        "tbe_avtz_eV": energy,
        "safe": safe,
        "f_lr_cc3": f,
    }


STATES = (
    state(1, "V", "ppi", 6.0, 0.5),
    state(1, "R", "n3s ", 5.0, 0.9),
    state(1, "V", "npi", 3.0, 0.0),
    state(1, "V", "dou", 5.5),
    state(1, "M", "n.d.", 5.8, 0.2),
    state(1, "V", "spi", 4.0),
    state(3, "V", "npi", 2.5, safe="N"),
    state(3, "V", "ppi", 3.5),
)


def test_states_are_matched_by_multiplicity_and_place() -> None:
    """Rydberg and doubly excited states hold no place; mixed and σπ* ones do, but do not score."""
    found = quest.BenchmarkMolecule("H2CO", molecule("H2CO"), STATES)
    computed = quest.Computed(
        np.array([3.1, 4.4, 5.6, 6.3, 9.0]), np.zeros(5), np.array([2.4, 3.4])
    )
    pairs = quest.match(found, computed)
    assert [(p.multiplicity, p.type, p.place, p.estimate, p.computed) for p in pairs] == [
        (1, "npi", 0, 3.0, 3.1),
        (1, "ppi", 3, 6.0, 6.3),
        (3, "npi", 0, 2.5, 2.4),
        (3, "ppi", 1, 3.5, 3.4),
    ]
    assert [p.safe for p in pairs] == [True, True, False, True]
    fewer = replace(computed, singlets=np.array([3.1]), strengths=np.zeros(1))
    assert [p.place for p in quest.match(found, fewer)] == [0, 0, 1]


def test_degenerate_states_are_joined_where_there_can_be_any() -> None:
    assert quest.may_be_degenerate(molecule("C6H6"))
    assert quest.may_be_degenerate(molecule("HCN"))
    assert not quest.may_be_degenerate(molecule("H2CO"))
    energies, strengths = quest.join_degenerate(
        np.array([4.0, 5.0, 5.0005, 5.01]), np.array([0.0, 0.3, 0.4, 0.1])
    )
    np.testing.assert_allclose(energies, [4.0, 5.0, 5.01])
    np.testing.assert_allclose(strengths, [0.0, 0.7, 0.1])
    listed = (state(1, "V", "ppi", 5.0), state(1, "V", "ppi", 7.0))
    computed = quest.Computed(np.array([5.1, 5.1, 7.2]), np.zeros(3), np.zeros(0))
    benzene = quest.BenchmarkMolecule("C6H6", molecule("C6H6"), listed)
    assert [p.computed for p in quest.match(benzene, computed)] == [5.1, 7.2]
    water = quest.BenchmarkMolecule("H2O", molecule("H2O"), listed)
    assert [p.computed for p in quest.match(water, computed)] == [5.1, 5.1]


def test_the_brightest_state_is_sought_near_the_estimate() -> None:
    listed = (*STATES[2:], state(1, "V", "ppi", 6.0, 0.95))
    found = quest.BenchmarkMolecule("H2CO", molecule("H2CO"), listed)
    energies = np.array([3.0, 5.5, 6.9, 9.0])
    bright = quest.brightest(
        found, quest.Computed(energies, np.array([0.0, 0.2, 0.4, 0.9]), np.zeros(0))
    )
    assert bright is not None
    assert (bright.estimate, bright.computed) == (6.0, 6.9)
    dark = quest.Computed(energies, np.array([0.9, 0.0, 0.05, 0.9]), np.zeros(0))
    assert quest.brightest(found, dark) is None
    # A Rydberg state is the brightest listed: there is nothing to compare.
    assert quest.brightest(quest.BenchmarkMolecule("H2CO", molecule("H2CO"), STATES), dark) is None


def test_deviations() -> None:
    d = quest.Deviations.of([0.1, -0.3, 0.5])
    assert d.count == 3
    assert d.mae == pytest.approx(0.3)
    assert d.mean == pytest.approx(0.1)
    assert d.median == pytest.approx(0.3)
    assert quest.Deviations.of([]).count == 0


def test_states_all_methods_have() -> None:
    found = quest.BenchmarkMolecule("H2CO", molecule("H2CO"), STATES)
    most = quest.Computed(np.array([3.1, 4.4, 5.6, 6.3]), np.zeros(4), np.array([2.4]))
    least = quest.Computed(np.array([3.3]), np.zeros(1), np.array([2.0, 3.0]))
    pairs = {"a": quest.match(found, most), "b": quest.match(found, least)}
    shared = quest.shared(pairs, ["a", "b"])
    assert [p.computed for p in shared["a"]] == [3.1, 2.4]
    assert [p.computed for p in shared["b"]] == [3.3, 2.0]


def test_estimates_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(quest.BenchmarkError, match=r"nothing\.json"):
        quest.load(tmp_path / "nothing.json")
    (tmp_path / "other.json").write_text('[{"name": "water"}]')
    with pytest.raises(quest.BenchmarkError, match="expected the JSON list"):
        quest.load(tmp_path / "other.json")


def test_ions_are_left_out_and_small_ones_come_first(tmp_path: Path) -> None:
    entries = [
        {"name": n, "charge": q, "symbols": s, "positions_angstrom": p, "states": []}
        for n, q, s, p in (
            ("CO", 0, ["C", "O"], [[0, 0, 0], [0, 0, 1.1]]),
            ("OH", -1, ["O", "H"], [[0, 0, 0], [0, 0, 1]]),
            ("H2", 0, ["H", "H"], [[0, 0, 0], [0, 0, 0.7]]),
        )
    ]
    (tmp_path / "set.json").write_text(json.dumps(entries))
    assert [m.name for m in quest.load(tmp_path / "set.json")] == ["H2", "CO"]


@pytest.fixture(scope="module")
def bright_record() -> Record:
    """Thioformaldehyde: a strong valence state at 6.6 eV."""
    return next(r for r in read(TINY) if "S" in r.smiles)


def test_equal_spectra_overlap_wholly(bright_record: Record) -> None:
    same = methods.Prediction(
        bright_record.singlet_energies, bright_record.singlet_strengths, np.zeros(0)
    )
    assert without_matching.similarity(same, bright_record) == pytest.approx(1.0, abs=1e-6)
    stronger = replace(same, strengths=3.0 * same.strengths)
    assert without_matching.similarity(stronger, bright_record) == pytest.approx(1.0, abs=1e-6)
    # Two Gaussians of width σ a distance d apart overlap by exp(−d²/4σ²), their tails cut off.
    one = without_matching.curve(np.array([4.0]), np.array([0.5]), 7.0)
    other = without_matching.curve(np.array([4.2]), np.array([0.1]), 7.0)
    sigma = without_matching.SPECTRUM_FWHM / np.sqrt(8 * np.log(2))
    assert one @ other == pytest.approx(np.exp(-0.04 / (4 * sigma**2)), abs=1e-6)
    shifted = replace(same, singlets=same.singlets - 1.5)
    overlap = without_matching.similarity(shifted, bright_record)
    assert overlap is not None
    assert overlap < 0.05


def test_dark_spectra_are_not_compared(bright_record: Record) -> None:
    dark = replace(bright_record, singlet_strengths=0.0 * bright_record.singlet_strengths)
    states = methods.Prediction(np.array([4.0]), np.array([1.0]), np.zeros(0))
    assert without_matching.similarity(states, dark) is None
    assert without_matching.similarity(replace(states, strengths=np.zeros(1)), bright_record) == 0.0


def test_peers_run_once(tmp_path: Path) -> None:
    """What a program gave, and that it failed, is kept; that it is missing is not."""
    asked = []

    def run(atoms: Atoms, n_states: int) -> Any:
        asked.append(str(atoms.symbols))
        if len(atoms) == 3:
            raise peers.PeerError("no water")
        return peers.PeerStates(np.array([1.0]), np.array([0.5]), np.array([0.8]), 2.0)

    structures = [molecule("H2CO"), molecule("H2O")]
    path = tmp_path / "cache.json"
    first = methods.of_peer("fake", run, methods.Cache(path))(structures)
    again = methods.of_peer("fake", run, methods.Cache(path))(structures)
    assert asked == ["OCH2", "OH2"]
    assert first[1] == again[1] == Failure("H2O", "no water")
    assert not isinstance(again[0], Failure)
    np.testing.assert_array_equal(again[0].triplets, [0.8])
    assert again[0].seconds == 2.0
    structures[0].positions[0] += 0.01
    methods.of_peer("fake", run, methods.Cache(path))(structures)
    assert asked == ["OCH2", "OH2", "OCH2"]

    def missing(atoms: Atoms, n_states: int) -> Any:
        raise peers.PeerMissingError("not there")

    with pytest.raises(peers.PeerMissingError):
        methods.of_peer("gone", missing, methods.Cache(path))(structures)
    assert not any(key.startswith("gone") for key in json.loads(path.read_text()))


def test_the_benchmark_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the tiny shard, the model against its labels and against estimates that are its own."""
    import esml
    from esml.training.targets import structure

    record = read(TINY, split="test")[0]
    result = esml.load_model("camb3lyp").predict(structure(record), n_states=3)
    best = [state(1, "V", "npi", float(result.singlets.energies[0]), 0.0)]
    entry = {
        "name": record.name,
        "charge": 0,
        "symbols": structure(record).get_chemical_symbols(),
        "positions_angstrom": record.positions.tolist(),
        "states": best,
    }
    (tmp_path / "best.json").write_text(json.dumps([entry]))
    arguments = [
        *("--no-peers", "--data", str(TINY), "--extrapolation", str(TINY)),
        *("--quest", str(tmp_path / "best.json"), "--json", str(tmp_path / "out.json")),
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    benchmark.main()
    assert "Bars and aims" in capsys.readouterr().out
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["labels"]["n_structures"] == 2
    assert report["methods"]["esml"]["s1"]["mae"] == pytest.approx(
        report["labels"]["s1_mae_eV"], abs=1e-4
    )
    assert report["calibration"]["S1"]["mean_error_eV"] == pytest.approx(
        report["labels"]["s1_mae_eV"], abs=1e-4
    )
    s1 = report["quest"]["all"]["esml"]["S1"]
    assert s1["count"] == 1
    assert s1["mae"] == pytest.approx(0.0, abs=1e-5)
    assert len(report["extrapolation"]["molecules"]) == len(read(TINY))
