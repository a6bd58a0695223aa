"""The predictions file: what is written comes back, and a kill leaves it readable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from esml.export import (
    SCHEMA_VERSION,
    ExportError,
    ResultWriter,
    open_writer,
    part_path,
    read_results,
)
from esml.export.hdf5_schema import COLUMNS, FAILURE_TEXTS, STATE_COLUMNS, TEXTS
from esml.export.plain import from_plain, to_plain
from esml.export.tables import row
from esml.io.provenance import Provenance
from esml.io.surroundings import surroundings_of
from esml.physics.point_charges import PointCharges
from esml.physics.solvent import Solvent
from esml.results import PROPERTIES, Failure, Result, States


def prediction(atoms: Atoms, n_states: int, seed: int = 0, **where: Any) -> Result:
    """A result of random arrays."""
    rng = np.random.default_rng(seed)
    n_atoms = len(atoms)
    n = 4 * n_atoms
    return Result(
        atoms=atoms,
        orbital_energies=np.sort(rng.normal(size=n)),
        n_occupied=n // 2,
        charges=rng.normal(size=n_atoms),
        dipole=rng.normal(size=3),
        singlets=States.of(
            "singlet",
            {
                "energies": np.sort(rng.uniform(3, 9, n_states)),
                "oscillator_strengths": rng.uniform(0, 1, n_states),
                "transition_dipoles": rng.normal(size=(n_states, 3)),
                "uncertainties": rng.uniform(0, 0.3, n_states),
            },
        ),
        triplets=States.of("triplet", {"energies": np.sort(rng.uniform(2, 8, n_states))}),
        in_domain=seed % 2 == 0,
        warnings=("ungewöhnlich: a", "b")[: seed % 3],
        **where,
    )


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    molecules = [molecule(name) for name in ("H2O", "C6H6", "CH4")]
    written = [
        prediction(atoms, k, seed=k, name=f"molécule {i}", source="all.xyz", index=i)
        for i, (atoms, k) in enumerate(zip(molecules, (3, 10, 0), strict=True))
    ]
    path = tmp_path / "out.h5"
    with ResultWriter(path, model="a model", n_states=10) as writer:
        for result in written:
            writer.add(result)
        writer.add(Failure("bad", "two atoms coincide", "bad.xyz", index=7, smiles="[CH3]"))
        assert not path.exists()
    assert not part_path(path).exists()

    stored = read_results(path)
    assert stored.attributes["model"] == "a model"
    assert stored.attributes["schema_version"] == SCHEMA_VERSION
    assert len(stored) == 3
    for i, (atoms, result, back) in enumerate(zip(molecules, written, stored, strict=True)):
        assert (back.name, back.source, back.index) == (f"molécule {i}", "all.xyz", i)
        assert back.n_occupied == result.n_occupied
        assert (back.in_domain, back.warnings) == (result.in_domain, result.warnings)
        assert back.atoms == atoms
        np.testing.assert_array_equal(back.orbital_energies, result.orbital_energies)
        np.testing.assert_array_equal(back.charges, result.charges)
        np.testing.assert_array_equal(back.dipole, result.dipole)
        for name in PROPERTIES:
            np.testing.assert_array_equal(
                getattr(back.singlets, name), getattr(result.singlets, name)
            )
        assert back == result
        np.testing.assert_array_equal(back.triplets.energies, result.triplets.energies)
        assert np.isnan(back.triplets.uncertainties).all()
    (failure,) = stored.failures
    assert (failure.name, failure.source, failure.index) == ("bad", "bad.xyz", 7)
    assert failure.smiles == "[CH3]"
    assert failure.reason == "two atoms coincide"
    assert stored[-1].name == stored[2].name
    assert [r.name for r in stored[:2]] == ["molécule 0", "molécule 1"]


def test_many_flushes_and_no_flush_are_the_same(tmp_path: Path) -> None:
    water = molecule("H2O")
    for name, seconds in (("often.h5", 0.0), ("once.h5", 1e9)):
        with ResultWriter(tmp_path / name, flush_seconds=seconds) as writer:
            for i in range(20):
                writer.add(prediction(water, 2, seed=i, name=str(i)))
                writer.add(Failure(f"f{i}", "why"))
    often, once = (read_results(tmp_path / name) for name in ("often.h5", "once.h5"))
    assert [r.name for r in often] == [r.name for r in once]
    assert often.failures == once.failures
    for a, b in zip(often, once, strict=True):
        np.testing.assert_array_equal(a.singlets.energies, b.singlets.energies)


def test_a_file_of_version_1_is_read() -> None:
    """Made before predictions said whether they are in domain."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-1.h5")
    assert stored.attributes["schema_version"] == 1
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert [(result.in_domain, result.warnings) for result in stored] == 2 * [(True, ())]
    assert len(stored[0].singlets.energies) == 2
    assert stored.failures[0].reason == "two atoms coincide"


def test_a_file_of_version_2_is_read() -> None:
    """Made before predictions said what the reader of a structure decided."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-2.h5")
    assert stored.attributes["schema_version"] == 2
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert Provenance.of(stored[0].atoms) == Provenance()
    assert stored[0].in_domain


def test_a_file_of_version_3_is_read() -> None:
    """Made before singlets had rotatory strengths."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-3.h5")
    assert stored.attributes["schema_version"] == 3
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert Provenance.of(stored[0].atoms).geometry == "as given"
    assert len(stored[0].singlets) == 2
    assert np.isnan(stored[0].singlets.rotatory_strengths).all()
    assert (stored[0].triplets.rotatory_strengths == 0.0).all()


def test_a_file_of_version_4_is_read() -> None:
    """Made before molecules could be in a solvent."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-4.h5")
    assert stored.attributes["schema_version"] == 4
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert [result.solvent for result in stored] == [None, None]
    assert len(stored[0].singlets.rotatory_strengths) == 2


def test_a_file_of_version_5_is_read() -> None:
    """Made before molecules could be among point charges."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-5.h5")
    assert stored.attributes["schema_version"] == 5
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert [result.point_charges for result in stored] == [None, None]
    assert stored[1].solvent == Solvent(24.852, 1.3611, "ethanol")


def test_a_file_of_version_6_is_read() -> None:
    """Made before failures had a SMILES."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-6.h5")
    assert stored.attributes["schema_version"] == 6
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert stored[0].point_charges == PointCharges([0.5], [[0.0, 0.0, 4.0]], width=1.0)
    (failure,) = stored.failures
    assert (failure.name, failure.index, failure.smiles) == ("bad", 7, "")


def test_a_file_of_version_7_is_read() -> None:
    """Made before singlets could have two-photon strengths."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-7.h5")
    assert stored.attributes["schema_version"] == 7
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    for result in stored:
        assert len(result.singlets) == 2
        for name in ("strengths", "circular_strengths", "cross_sections"):
            assert np.isnan(getattr(result.singlets, f"two_photon_{name}")).all()
        assert result.singlets.extras == []
        assert (result.triplets.two_photon_strengths == 0.0).all()
    (failure,) = stored.failures
    assert failure.smiles == "[CH3]"


def test_a_file_of_version_8_is_read() -> None:
    """Made before solvents had an acidity, as this prediction in ethanol was."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-8.h5")
    assert stored.attributes["schema_version"] == 8
    assert [result.name for result in stored] == ["H2CO", "C2H4"]
    assert [result.solvent for result in stored] == [Solvent(24.852, 1.3611, "ethanol"), None]


def test_a_file_of_version_9_is_read() -> None:
    """Made before results had the maximum of a band to expect."""
    stored = read_results(Path(__file__).parents[1] / "data" / "predictions-9.h5")
    assert stored.attributes["schema_version"] == 9
    assert [result.name for result in stored] == ["CH2O", "C2H4"]
    assert [result.band_maximum for result in stored] == [None, None]


def test_point_charges_come_back(tmp_path: Path) -> None:
    water = molecule("H2O")
    one = PointCharges([0.5], [[0.0, 0.0, 4.0]], width=1.0)
    three = PointCharges([0.1, -0.2, 0.3], [[0.0, 0.0, 4.0], [0.0, 5.0, 0.0], [6.0, 0.0, 0.0]])
    around = [one, None, three]
    results = [replace(prediction(water, 2), point_charges=each) for each in around]
    with ResultWriter(tmp_path / "a.h5") as writer:
        for result in results:
            writer.add(result)
    stored = read_results(tmp_path / "a.h5")
    assert [result.point_charges for result in stored] == around
    # Predicted once more they are among the same charges.
    assert [surroundings_of(result.atoms).point_charges for result in stored] == around
    for result in results:
        again = from_plain(json.loads(json.dumps(to_plain(result))))
        assert isinstance(again, Result)
        assert again.point_charges == result.point_charges
    assert [row(result).get("n_point_charges") for result in results] == [1, None, 3]


def test_the_solvent_comes_back(tmp_path: Path) -> None:
    water = molecule("H2O")
    ethanol = Solvent(24.852, 1.3611, "ethanol", acidity=0.37)
    solvents = [ethanol, None, Solvent(float("inf"), 1.4)]
    results = [replace(prediction(water, 2), solvent=solvent) for solvent in solvents]
    with ResultWriter(tmp_path / "a.h5") as writer:
        for result in results:
            writer.add(result)
    stored = read_results(tmp_path / "a.h5")
    assert [result.solvent for result in stored] == solvents
    # Predicted once more they are in the same solvent.
    assert [surroundings_of(result.atoms).solvent for result in stored] == solvents
    for result in results:
        again = from_plain(json.loads(json.dumps(to_plain(result))))
        assert isinstance(again, Result)
        assert again.solvent == result.solvent
    assert [row(result).get("solvent") for result in results] == ["ethanol", None, "inf,1.4"]


def test_what_a_reader_decided_is_stored(tmp_path: Path) -> None:
    told = Provenance(0, "as given", "relaxed", notes=("a cell is left out",))
    result = prediction(molecule("H2O"), 2, name="water")
    result.atoms.info["provenance"] = told.as_dict()
    for name in ("a.h5", "a.json", "a.csv", "a.xyz"):
        with open_writer(tmp_path / name, 2) as writer:
            writer.add(result)
    assert Provenance.of(read_results(tmp_path / "a.h5")[0].atoms) == told
    kept = json.loads((tmp_path / "a.json").read_text())["results"][0]
    assert Provenance.from_dict(kept["provenance"]) == told
    for name in ("a.csv", "a.xyz"):
        text = (tmp_path / name).read_text()
        assert all(part in text for part in ("as given", "relaxed", "a cell is left out"))


def test_an_empty_file_reads_as_empty(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "out.h5"):
        pass
    stored = read_results(tmp_path / "out.h5")
    assert len(stored) == 0
    assert stored.failures == []
    with pytest.raises(IndexError):
        stored[0]


def test_a_wrong_shape_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    water = molecule("H2O")
    wrong = replace(prediction(water, 2, name="bad"), charges=np.zeros(4))
    with ResultWriter(tmp_path / "out.h5") as writer:
        writer.add(prediction(water, 2, name="good"))
        with pytest.raises(ExportError, match=r"charges of 'bad' has shape \(4,\): expected"):
            writer.add(wrong)
        writer.add(prediction(water, 2, name="good again"))
    assert [r.name for r in read_results(tmp_path / "out.h5")] == ["good", "good again"]


def test_an_exception_keeps_the_part_file_and_the_old_result(tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    with ResultWriter(path) as writer:
        writer.add(prediction(molecule("H2O"), 2, name="old"))
    with pytest.raises(KeyboardInterrupt), ResultWriter(path) as writer:
        writer.add(prediction(molecule("H2O"), 2, name="new"))
        raise KeyboardInterrupt
    assert [r.name for r in read_results(path)] == ["old"]
    assert [r.name for r in read_results(part_path(path))] == ["new"]


ENDLESS = """
import sys
sys.path.insert(0, {tests!r})
from test_export import prediction
from ase.build import molecule
from esml.export import ResultWriter
from esml.results import Failure
with ResultWriter({path!r}, flush_seconds=0.0) as writer:
    i = 0
    while True:
        writer.add(prediction(molecule("H2O"), 2, seed=i, name=str(i)))
        writer.add(Failure(str(i), "why"))
        i += 1
"""


def read_along(path: Path) -> int:
    """Number of results another process has written so far."""
    try:
        return len(read_results(path))
    except ExportError:  # not there yet, or being set up
        return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("delay", [0.0, 0.13])
def test_a_kill_leaves_a_readable_file(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "out.h5"
    script = ENDLESS.format(tests=os.path.dirname(__file__), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        deadline = time.monotonic() + 60
        while read_along(part_path(path)) < 20:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
    finally:
        process.kill()
        process.wait()
    stored = read_results(part_path(path))
    assert len(stored) >= 20
    assert len(stored) - len(stored.failures) in (0, 1)
    for i, result in enumerate(stored):
        assert result.name == str(i)
        expected = prediction(molecule("H2O"), 2, seed=i).singlets.energies
        np.testing.assert_array_equal(result.singlets.energies, expected)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no file"):
        read_results(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ExportError, match="cannot read"):
        read_results(tmp_path / "text.h5")
    with pytest.raises(ExportError, match="cannot write"):
        ResultWriter(tmp_path / "missing" / "out.h5")


def test_the_page_of_files_names_the_schema() -> None:
    page = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
    assert f"`schema_version` ({SCHEMA_VERSION})" in page
    columns: list[Any] = [*COLUMNS, *STATE_COLUMNS.values(), *TEXTS, *FAILURE_TEXTS]
    for column in columns:
        name = column if isinstance(column, str) else column.path
        assert name.split("/")[-1] in page, name
