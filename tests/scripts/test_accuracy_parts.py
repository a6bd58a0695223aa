"""The parts of the accuracy tables, on few records and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from esml.results import Result

pytest.importorskip("matplotlib")
pytest.importorskip("rdkit")
pytest.importorskip("pyscf")

import esml
from esml.io.records import Record, read
from esml.model.hamiltonian import EffectiveHamiltonian
from esml.predict.surrogate import Surrogate
from esml.results import Failure
from esml.training.targets import structure
from scripts.accuracy import (
    benchmark,
    calibration,
    character_agreement,
    classes,
    domain_limits,
    dyes,
    label_quality,
    larger,
    parity,
    quest,
    where_it_fails,
    without_network,
)
from scripts.accuracy.methods import OWN, Outcome, Prediction

TINY = Path(__file__).parents[1] / "data" / "tiny.h5"
COVERAGE = Path(__file__).parents[2] / "data" / "coverage"


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read(TINY)[:4]


def exact(record: Record) -> Prediction:
    """What a method would say that is as good as the label."""
    n = int(record.n_occupied)
    return Prediction(
        record.singlet_energies,
        record.singlet_strengths,
        record.triplet_energies,
        gap=float(record.energies[n] - record.energies[n - 1]),
    )


def test_figures_stand_beside_the_bars() -> None:
    reached = {key: aim for key, (_, _, aim) in benchmark.BARS.items()}
    assert {line.split()[-1] for line in benchmark.bars_table(reached).splitlines()[1:]} == {"aim"}
    worse = reached | {"s1_mae_eV": 0.11, "brightest_share": 0.5}
    notes = {
        line[:28].strip(): line.split()[-1] for line in benchmark.bars_table(worse).split("\n")
    }
    assert (notes["S1"], notes["brightest state right"], notes["T1"]) == ("bar", "missed", "aim")


def test_larger_molecules_are_listed_by_size(records: list[Record], tmp_path: Path) -> None:
    named = [replace(r, name=f"polyene-C{k + 4}") for k, r in enumerate(records)]
    off = [
        replace(exact(r), singlets=r.singlet_energies + 0.2, gap=exact(r).gap - 0.1) for r in named
    ]
    outcomes: dict[str, list[Outcome]] = {
        OWN: list(off),
        "other": [Failure("", "no states")] * len(named),
    }
    rows = larger.extrapolation_table(outcomes, named)
    assert [r["n_heavy"] for r in rows] == sorted(r["n_heavy"] for r in rows)
    for row in rows:
        assert row["s1_errors"] == {OWN: pytest.approx(0.2, abs=1e-5)}
        assert row["gap_error"] == pytest.approx(-0.1, abs=1e-5)
    text = larger.format_extrapolation(rows, [OWN, "other"])
    assert "gap of polyenes: error at most 0.100 eV" in text
    larger.plot_polyenes(tmp_path / "polyenes.png", rows)
    true, found = parity.lowest_points(off, named, "singlets")
    np.testing.assert_allclose(np.subtract(found, true), 0.2, atol=1e-5)
    assert all(path.stat().st_size > 5000 for path in tmp_path.glob("*.png"))
    assert len(list(tmp_path.iterdir())) == 1


def test_rank_correlation_of_exact_deviations() -> None:
    """Of |normal errors| with deviations that differ much it is high, with equal ones undefined."""
    assert np.isnan(calibration.if_exact(np.full(50, 0.1)))
    assert calibration.if_exact(np.geomspace(1e-6, 1e6, 200)) > 0.95
    assert 0 < calibration.if_exact(np.linspace(0.9, 1.1, 200)) < 0.3


def test_the_label_has_the_character_of_the_label(records: list[Record]) -> None:
    refused = Failure("x", "unstable")
    counts, missing = character_agreement.agreement(records, [refused] * len(records), "singlet")
    assert not counts
    valence = [r for r in records if r.singlet_valence_weights[0] >= 0.85]
    assert missing == len(valence) > 0


def test_characters_of_model_and_reference_agree(model: Surrogate, records: list[Record]) -> None:
    results = list(
        model.predict_many(map(structure, records), 5, errors="return", wavefunctions=True)
    )
    counts, refused = character_agreement.agreement(records, results, "singlet")
    assert refused == 0
    assert sum(n for (one, other), n in counts.items() if one == other) >= 0.5 * sum(
        counts.values()
    )


def test_a_bond_is_pulled_with_all_that_hangs_on_it() -> None:
    pulled = domain_limits.pulled("CH3OH", 0, 1, 1.5)
    before = molecule("CH3OH")
    assert pulled.get_distance(0, 1) == pytest.approx(1.5 * before.get_distance(0, 1))
    hydroxyl = int(np.argmin(before.get_all_distances()[1] + 9.0 * (np.arange(6) < 2)))
    assert pulled.get_distance(1, hydroxyl) == pytest.approx(before.get_distance(1, hydroxyl))


def test_a_limit_is_where_all_beyond_is_out() -> None:
    n = len(domain_limits.STRETCHES)
    assert domain_limits.limit([True] * n) == "1.00"
    assert domain_limits.limit([True, False, *[True] * (n - 2)]) == "1.10"
    assert domain_limits.limit([*[True] * (n - 1), False]) == "never"
    assert domain_limits.share([True, False, False, True]) == "50.0% of 4"


def test_known_molecules_are_in_domain(model: Surrogate) -> None:
    structures = [molecule("H2CO"), domain_limits.pulled("H2CO", 0, 1, 2.5)]
    assert domain_limits.outside(model, structures) == [False, True]


def test_shifts_of_a_level_are_those_of_its_states() -> None:
    listed: tuple[dict[str, Any], ...] = (
        {
            "multiplicity": 1,
            "kind": "V",
            "type": "npi",
            "tbe_avtz_eV": 3.0,
            "safe": "Y",
            "f_lr_cc3": 0.0,
        },
        {
            "multiplicity": 1,
            "kind": "V",
            "type": "ppi",
            "tbe_avtz_eV": 6.0,
            "safe": "Y",
            "f_lr_cc3": 0.5,
        },
    )
    found = quest.BenchmarkMolecule("H2CO", molecule("H2CO"), listed)
    energies = np.array([3.1, 6.3])
    pairs = {
        name: quest.match(found, quest.Computed(energies + shift, np.zeros(2), np.zeros(0)))
        for name, shift in ((label_quality.DEFAULT, 0.0), ("larger", -0.25))
    }
    rows = {
        line[:24].strip(): line.split()
        for line in label_quality.format_basis(pairs, "larger").split("\n")
    }
    assert [row[-4:] for name, row in rows.items() if row[-1] == "2"] == [
        ["-0.250", "0.250", "0.250", "2"]
    ]


def test_deviations_are_those_of_the_prediction(model: Surrogate, records: list[Record]) -> None:
    found = where_it_fails.deviations(model, records)
    results = list(model.predict_many(map(structure, records), 3))
    for record, deviation, result in zip(records, found, results, strict=True):
        assert deviation is not None
        assert isinstance(result, Result)
        if record.singlet_valence_weights[0] >= 0.85:
            expected = result.singlets.energies[0] - record.singlet_energies[0]
            assert deviation.s1 == pytest.approx(expected, abs=1e-4)
        assert {kind.split()[0] for kind, _ in deviation.states} <= {"singlet", "triplet"}
    few = where_it_fails.FEW
    text = where_it_fails.table("size", {"a": [0.1] * few, "b": [0.1] * (few - 1)}, "structures")
    assert text.splitlines()[2:] == [f"| a | {few} | 0.100 | +0.100 | 0.100 |"]


def test_reference_hamiltonians_alone_give_states_near_the_labels(records: list[Record]) -> None:
    batch = without_network.ReferenceBatch(records)
    scores = without_network.score([batch], EffectiveHamiltonian().double())
    assert scores.mae("singlets found") > 0.8
    assert scores.mae("lowest singlets") < 1.0


@pytest.mark.parametrize(
    ("smiles", "charge", "numbers", "expected"),
    [
        ("C=O", 0, [6, 8, 1, 1], ["H C N O F S Cl"]),
        ("C[N+](=O)[O-]", 0, [6, 7, 8, 8, 1, 1, 1], ["H C N O F S Cl"]),
        ("[NH3+]CC(=O)[O-]", 0, [7, 6, 6, 8, 8, 1, 1, 1, 1, 1], ["zwitterions"]),
        ("C[PH3+]", 1, [6, 15, 1, 1, 1, 1, 1, 1], ["P", "cations"]),
        ("[SeH-]", -1, [34, 1], ["Se", "anions"]),
    ],
)
def test_classes_of_structures(
    records: list[Record], smiles: str, charge: int, numbers: list[int], expected: list[str]
) -> None:
    changed = replace(records[0], smiles=smiles, charge=np.array(charge), numbers=np.array(numbers))
    assert classes.classes_of(changed) == expected


def test_the_table_of_classes_counts_and_scores_held_out_molecules(model: Surrogate) -> None:
    records = read(TINY)
    rows = classes.table(model, records, ["validation", "test"])
    (row,) = rows.values()
    held_out = [r for r in records if r.split in ("validation", "test")]
    assert row["held out"] == len({r.inchikey for r in held_out})
    assert row["trained"] == len({r.inchikey for r in records if r.split == "train"})
    assert 0.0 < row["S1"] < 0.5 < row["composition"]
    assert "composition" in classes.formatted(rows)


def test_groups_held_out_are_told_apart(model: Surrogate) -> None:
    """Borazine is held out altogether; methylborane is not, and neither is a class of one part."""
    records = [r for r in read([COVERAGE]) if {int(z) for z in r.numbers} & {5, 53}]
    rows = classes.table(model, records, ["validation", "test"])
    assert rows["B"]["held out"] == sum(
        rows[f"B, {part}"]["held out"] for part in ("known groups", "groups held out")
    )
    assert rows["B"]["trained"] == rows["B, known groups"]["trained"] > 0
    assert rows["B, groups held out"]["trained"] == 0
    assert rows["B, groups held out"]["composition"] > rows["B, known groups"]["composition"]
    assert "B, groups held out" in classes.formatted(rows)


def test_a_dye_stands_beside_its_label(model: Surrogate, records: list[Record]) -> None:
    record = records[0]
    name, charge, labelled, found, f_labelled, f_found, what, _, _ = dyes.row(model, record)
    assert (name, charge) == (record.name, "0")
    assert float(labelled) == pytest.approx(record.singlet_energies[0], abs=0.006)
    assert float(f_labelled) == pytest.approx(record.singlet_strengths[0], abs=0.006)
    states = model.predict(structure(record), 3).singlets
    assert (float(found), float(f_found)) == pytest.approx(
        (states.energies[0], states.oscillator_strengths[0]), abs=0.006
    )
    assert what.endswith("*")
