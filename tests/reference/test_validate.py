"""Checks of a reference set: silent on sound records, and each speaks up for its own fault.

Over 400 lines: one fault injected into the same record for every check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_cases import QUICK, structure, water
from typer.testing import CliRunner

from esml.io.records import Record, read, write_shard
from reference.__main__ import app
from reference.record import key_of, make_record
from reference.validate import check_molecule, check_record, validate


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Records as a file gives them back, rounded to its precision."""
    path = tmp_path_factory.mktemp("set") / "shard.h5"
    structures = (water(), water(1.05), structure("NH4+"))
    write_shard(path, [make_record(atoms, QUICK) for atoms in structures])
    return read(path)


@pytest.fixture
def sound(stored: list[Record]) -> Record:
    return copy(stored[0])


def copy(record: Record, **changes: Any) -> Record:
    values = {s.name: getattr(record, s.name) for s in fields(Record)}
    arrays = {k: v.copy() for k, v in values.items() if isinstance(v, np.ndarray)}
    return replace(record, **{**arrays, **changes})


def test_sound_records_pass(stored: list[Record]) -> None:
    for record in stored:
        assert check_record(record) == []


# --- one record -----------------------------------------------------------------------------------


def rekeyed(record: Record) -> None:
    record.key = key_of(record)


def a_wrong_element(r: Record) -> None:
    r.numbers[0] = 22


def a_wrong_charge(r: Record) -> None:
    r.charge[...] = 1
    rekeyed(r)


def a_missing_occupied_orbital(r: Record) -> None:
    r.n_occupied[...] -= 1


def a_missing_orbital(r: Record) -> None:
    r.energies = r.energies[:-1]


def a_missing_scf_orbital(r: Record) -> None:
    r.scf_coefficients = r.scf_coefficients[:, :-1]


def a_missing_charge(r: Record) -> None:
    r.charges = r.charges[:-1]


def too_few_reference_energies(r: Record) -> None:
    r.reference_energies = r.reference_energies[:4]


def a_nan(r: Record) -> None:
    r.singlet_x[0, 0, 0] = np.nan


def an_infinity(r: Record) -> None:
    r.total_energy[...] = np.inf


def a_moved_atom(r: Record) -> None:
    r.positions[1, 2] += 1e-4


def another_level(r: Record) -> None:
    r.level = r.level.replace("6-31g", "def2-svp")


def unsorted_orbitals(r: Record) -> None:
    r.scf_energies[[4, 5]] = r.scf_energies[[5, 4]]


def skewed_orbitals(r: Record) -> None:
    r.coefficients[:, 5] += 2e-3 * r.coefficients[:, 4]


def unnormalized_scf_orbitals(r: Record) -> None:
    r.scf_coefficients[:, 0] *= 1.001


def a_shifted_occupied_energy(r: Record) -> None:
    r.energies[2] += 5e-4


def a_charge_too_much(r: Record) -> None:
    r.charges[0] += 3e-4


def a_turned_dipole_moment(r: Record) -> None:
    r.dipole[:] = r.dipole[[1, 2, 0]]


def a_dipole_operator_without_an_origin(r: Record) -> None:
    r.dipole_operator[1] += 0.01


def a_negative_strength(r: Record) -> None:
    r.singlet_strengths[1] = -0.01
    r.singlet_dipoles[1] = 0.0


def a_scaled_transition_dipole(r: Record) -> None:
    brightest = int(r.singlet_strengths.argmax())
    r.singlet_dipoles[brightest] *= 1.1


def a_negative_singlet(r: Record) -> None:
    r.singlet_energies[0] *= -1
    r.singlet_strengths[0] *= -1


def a_negative_triplet(r: Record) -> None:
    r.triplet_energies[0] = -0.1


def unsorted_singlets(r: Record) -> None:
    order = [1, 0, *range(2, len(r.singlet_energies))]
    for name in ("energies", "strengths", "dipoles", "valence_weights", "x", "y"):
        setattr(r, f"singlet_{name}", getattr(r, f"singlet_{name}")[order])


def unsorted_triplets(r: Record) -> None:
    r.triplet_energies[[0, 1]] = r.triplet_energies[[1, 0]]


def amplitudes_of_another_state(r: Record) -> None:
    low, high = r.singlet_valence_weights.argmin(), r.singlet_valence_weights.argmax()
    r.singlet_x[low] = r.singlet_x[high]
    r.singlet_y[low] = r.singlet_y[high]


def triplet_amplitudes_doubled(r: Record) -> None:
    r.triplet_x[0] *= 2


def a_weight_above_one(r: Record) -> None:
    factor = 1.1 / r.singlet_valence_weights[0]
    r.singlet_x[0] *= np.sqrt(factor)
    r.singlet_y[0] *= np.sqrt(factor)
    r.singlet_valence_weights[0] = 1.1


def a_triplet_weight_above_one(r: Record) -> None:
    r.triplet_x[0] *= np.sqrt(1.1 / r.triplet_valence_weights[0])
    r.triplet_valence_weights[0] = 1.1


def amplitudes_transposed(r: Record) -> None:
    r.triplet_x = r.triplet_x.transpose(0, 2, 1)


def a_state_less_in_one_field(r: Record) -> None:
    r.singlet_dipoles = r.singlet_dipoles[:-1]


def no_triplets(r: Record) -> None:
    for name in ("energies", "valence_weights", "x"):
        setattr(r, f"triplet_{name}", getattr(r, f"triplet_{name}")[:0])


FAULTS: list[tuple[Callable[[Record], None], str]] = [
    (a_wrong_element, "an element outside the supported ones"),
    (a_wrong_charge, "4 occupied orbitals for 7 valence electrons"),
    (a_missing_occupied_orbital, "3 occupied orbitals for 8 valence electrons"),
    (a_missing_orbital, "energies of shape (5,) instead of (6,)"),
    (a_missing_scf_orbital, "scf_coefficients of shape (6, 5) instead of (6, 6)"),
    (a_missing_charge, "charges of shape (2,) instead of (3,)"),
    (too_few_reference_energies, "too few large-basis orbital energies"),
    (a_nan, "a value that is not finite"),
    (an_infinity, "a value that is not finite"),
    (a_moved_atom, "a content key that is not that of its structure"),
    (another_level, "a content key that is not that of its structure"),
    (unsorted_orbitals, "scf orbital energies not ascending"),
    (skewed_orbitals, "downfolded orbitals off orthonormal by 2.0e-03"),
    (unnormalized_scf_orbitals, "scf orbitals off orthonormal by 2.0e-03"),
    (a_shifted_occupied_energy, "downfolded occupied energies off the large-basis ones by 5.0e-04"),
    (a_charge_too_much, "charges off the total charge by 3.0e-04 e"),
    (a_turned_dipole_moment, "dipole operator off the dipole moment by"),
    (a_dipole_operator_without_an_origin, "dipole operator off the dipole moment by"),
    (a_negative_strength, "a negative oscillator strength"),
    (a_scaled_transition_dipole, "oscillator strengths at odds with the transition dipoles"),
    (a_negative_singlet, "a singlet energy that is not positive"),
    (a_negative_triplet, "a triplet energy that is not positive"),
    (unsorted_singlets, "singlet energies not ascending"),
    (unsorted_triplets, "triplet energies not ascending"),
    (amplitudes_of_another_state, "singlet amplitudes at odds with their valence weights"),
    (triplet_amplitudes_doubled, "triplet amplitudes at odds with their valence weights"),
    (a_weight_above_one, "a singlet valence weight above one"),
    (a_triplet_weight_above_one, "a triplet valence weight above one"),
    (amplitudes_transposed, "triplet_x of shape"),
    (a_state_less_in_one_field, "singlet_dipoles of shape"),
    (no_triplets, "no triplet"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[f.__name__ for f, _ in FAULTS])
def test_every_fault_is_found(sound: Record, fault: Callable[[Record], None], message: str) -> None:
    fault(sound)
    wrong = check_record(sound)
    assert any(what.startswith(message) for what in wrong), wrong


def test_a_fault_is_found_behind_the_file_too(tmp_path: Path, sound: Record) -> None:
    a_negative_triplet(sound)
    write_shard(tmp_path / "a.h5", [sound])
    report = validate([tmp_path])
    assert report.errors == [f"{sound.name} [{sound.key}]: a triplet energy that is not positive"]


# --- all records together -------------------------------------------------------------------------


def test_a_record_stored_twice_is_found(tmp_path: Path, stored: list[Record]) -> None:
    write_shard(tmp_path / "a.h5", stored[:2])
    write_shard(tmp_path / "b.h5", stored[1:3])
    report = validate([tmp_path])
    assert report.n_records == 4
    assert [e.split(": ", 1)[1] for e in report.errors] == ["stored twice"]
    assert stored[1].key in report.errors[0]


def test_a_molecule_in_two_splits_is_found(tmp_path: Path, stored: list[Record]) -> None:
    """By the connectivity block of the InChIKey: isomers of one skeleton belong together."""
    block = "ABCDEFGHIJKLMN"
    labelled = [
        copy(stored[0], inchikey=f"{block}-UHFFFAOYSA-N", split="train"),
        copy(stored[1], inchikey=f"{block}-ABCDEFGHSA-N", split="test"),
        copy(stored[2], inchikey="VGGSQFUCUMXWEO-UHFFFAOYSA-N", split="test"),
    ]
    write_shard(tmp_path / "a.h5", labelled)
    report = validate([tmp_path / "a.h5"])
    (error,) = report.errors
    assert stored[1].key in error
    assert "in the split 'test', its molecule also in 'train'" in error
    labelled[1].split = "train"
    write_shard(tmp_path / "a.h5", labelled)
    assert not validate([tmp_path / "a.h5"]).errors


def test_an_acid_and_its_base_are_two_molecules(tmp_path: Path, stored: list[Record]) -> None:
    """Thiopyran-4-one and its protonated form share the connectivity block of the InChIKey."""
    block = "VNXUJPCYZSNXDG-UHFFFAOYSA"
    labelled = [
        copy(stored[0], inchikey=f"{block}-N", split="train"),
        copy(stored[1], inchikey=f"{block}-O", split="test"),
    ]
    write_shard(tmp_path / "a.h5", labelled)
    assert not validate([tmp_path / "a.h5"]).errors


def test_molecules_without_a_name_or_split_do_not_leak(
    tmp_path: Path, stored: list[Record]
) -> None:
    write_shard(
        tmp_path / "a.h5",
        [copy(stored[0], inchikey="", split="train"), copy(stored[1], inchikey="", split="test")],
    )
    assert not validate([tmp_path]).errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smiles": "O", "inchikey": "XLYOFNOQVPJJNP-UHFFFAOYSA-N"}, None),
        ({"smiles": "", "inchikey": "", "split": "train"}, None),
        ({"smiles": "O", "split": "test"}, None),
        ({"smiles": "O("}, "'O(' is not a valid SMILES string"),
        ({"smiles": "CO"}, "atoms at odds with the SMILES CO"),
        (
            {"smiles": "O", "inchikey": "VGGSQFUCUMXWEO-UHFFFAOYSA-N"},
            "the InChIKey VGGSQFUCUMXWEO-UHFFFAOYSA-N at odds with the SMILES O",
        ),
        (
            {"smiles": "O", "split": "train"},
            "in the split 'train', though a molecule of the benchmark",
        ),
        (
            {"smiles": "", "inchikey": "XLYOFNOQVPJJNP-ABCDEFGHSA-N", "split": "validation"},
            "in the split 'validation', though a molecule of the benchmark",
        ),
    ],
)
def test_names_agree_and_the_benchmark_is_not_learned_from(
    sound: Record, changes: dict[str, str], message: str | None
) -> None:
    wrong = check_molecule(copy(sound, **changes))
    assert wrong == ([] if message is None else [message])


def test_what_is_kept_for_testing_is_not_learned_from(sound: Record) -> None:
    """Held-out cores and the larger molecules; the atoms are those of water still."""
    fulvene, anthracene = "CC1=CC(=C)C=C1", "c1ccc2cc3ccccc3cc2c1"
    for split in ("train", "validation"):
        (_, core) = check_molecule(copy(sound, smiles=fulvene, split=split))
        assert core == f"in the split '{split}', though its core (fulvene) is held out for testing"
        (_, named) = check_molecule(copy(sound, smiles=anthracene, split=split))
        assert named == f"in the split '{split}', though a molecule of the extrapolation set"
    for split in ("test", "extrapolation"):
        assert len(check_molecule(copy(sound, smiles=fulvene, split=split))) == 1


def test_leakage_is_found_behind_the_file_too(tmp_path: Path, sound: Record) -> None:
    write_shard(tmp_path / "a.h5", [copy(sound, smiles="O", split="train")])
    (error,) = validate([tmp_path]).errors
    assert error.endswith(": in the split 'train', though a molecule of the benchmark")


def crowd(record: Record, n: int = 60) -> list[Record]:
    """Records alike but for a little noise in their lowest energies."""
    rng = np.random.default_rng(0)
    records = []
    for i in range(n):
        r = copy(record, name=f"member {i}")
        r.triplet_energies[0] -= np.float32(rng.uniform(0, 0.1))
        records.append(r)
    return records


def test_outliers_are_listed_for_a_human_and_are_no_errors(
    tmp_path: Path, sound: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = crowd(sound)
    records[17].triplet_energies[0] -= 3.0
    for i, record in enumerate(records):
        record.key = f"key {i}"
    write_shard(tmp_path / "a.h5", records)
    monkeypatch.setattr("reference.validate.check_record", lambda record: [])
    report = validate([tmp_path])
    assert not report.errors
    (outlier,) = report.outliers
    assert outlier.startswith("member 17 [key 17]: T1 (eV) ")
    assert "σ" in outlier
    assert "60 records: 0 errors, 1 outliers" in report.summary()


def set_apart(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Outliers of a set in which no single record is checked."""
    for i, record in enumerate(records):
        record.key = f"key {i}"
    write_shard(tmp_path / "a.h5", records)
    monkeypatch.setattr("reference.validate.check_record", lambda record: [])
    return validate([tmp_path]).outliers


def test_an_energy_unlike_its_atoms_is_listed(
    tmp_path: Path, stored: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two kinds of molecule, each with its own energy; one is 5 eV above its like."""
    records = [copy(stored[i % 2 * 2], name=f"member {i}") for i in range(60)]
    records[17].total_energy += 5.0
    (outlier,) = set_apart(records, tmp_path, monkeypatch)
    assert outlier.startswith("member 17 [key 17]: energy beyond that of its atoms")


def test_near_instabilities_are_listed(
    tmp_path: Path, sound: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, inverted = copy(sound, name="low"), copy(sound, name="inverted")
    low.triplet_energies[0] = 0.2
    inverted.triplet_energies[:] = inverted.singlet_energies[0] + 0.5
    found = set_apart([sound, low, inverted], tmp_path, monkeypatch)
    assert len(found) == 2
    assert found[0] == "low [key 1]: T1 (eV) 0.200, near an instability"
    assert found[1].startswith("inverted [key 2]: T1 (eV) ")
    assert "above S1" in found[1]


def test_a_broken_record_does_not_stop_the_rest(tmp_path: Path, stored: list[Record]) -> None:
    """Not even one without states, nor is it compared with the others."""
    broken = copy(stored[0])
    no_triplets(broken)
    write_shard(tmp_path / "a.h5", [broken, stored[1]])
    report = validate([tmp_path])
    assert report.n_records == 2
    assert [e.split(": ", 1)[1] for e in report.errors] == ["no triplet"]


def test_a_limit_ends_the_reading(tmp_path: Path, stored: list[Record]) -> None:
    write_shard(tmp_path / "a.h5", stored)
    assert validate([tmp_path], limit=2).n_records == 2
    assert validate([tmp_path], limit=20).n_records == 3


# --- command line ---------------------------------------------------------------------------------


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_validate_tells_by_its_exit_code(tmp_path: Path, stored: list[Record]) -> None:
    good, bad = tmp_path / "good.h5", tmp_path / "bad.h5"
    write_shard(good, stored)
    broken = copy(stored[0])
    a_negative_triplet(broken)
    write_shard(bad, [broken])

    result = invoke("validate", good)
    assert result.exit_code == 0
    assert "3 records: 0 errors, 0 outliers" in result.output
    result = invoke("validate", good, "--limit", 1)
    assert "1 records: 0 errors" in result.output
    result = invoke("validate", bad)
    assert result.exit_code == 1
    assert "a triplet energy that is not positive" in result.output
    bad.write_bytes(good.read_bytes()[:2000])
    for path in (bad, tmp_path / "none.h5", tmp_path):
        result = invoke("validate", path)
        assert result.exit_code == 2
        assert result.output.startswith("error: ")
        assert result.output.count("\n") <= 3
    assert "bad.h5 could not be read" in invoke("validate", tmp_path).output


def test_info_counts(tmp_path: Path, stored: list[Record]) -> None:
    labels = [("train", "relaxed", "A"), ("train", "thermal", "A"), ("test", "thermal", "B")]
    records = [
        copy(r, split=split, geometry=geometry, inchikey=inchikey)
        for r, (split, geometry, inchikey) in zip(stored, labels, strict=True)
    ]
    write_shard(tmp_path / "a.h5", records)
    write_shard(tmp_path / "b.h5", records[:1])
    result = invoke("info", tmp_path)
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert lines["structures"] == "3 of 2 molecules"
    assert lines["elements"] == "H: 3, N: 1, O: 2"
    assert lines["splits"] == "test: 1, train: 2"
    assert lines["geometries"] == "relaxed: 1, thermal: 2"
    n_singlets = sum(len(r.singlet_energies) for r in records)
    n_triplets = sum(len(r.triplet_energies) for r in records)
    assert lines["states"] == f"{n_singlets} singlets, {n_triplets} triplets"
    assert lines["level"] == QUICK.to_json()
    assert invoke("info", tmp_path / "none.h5").exit_code == 2
