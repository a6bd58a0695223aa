"""A run that is stopped and continued gives what an undisturbed one gives, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

import esml
from esml.io.structures import ReadingOptions, read_entries
from esml.jobs import JournalError
from esml.predict.batching import Batching
from esml.predict.journal import journal_path
from esml.predict.run import Tally, predict_files
from esml.predict.surrogate import Surrogate

STATES = 2

ENDS = (".h5", ".csv", ".parquet", ".json", ".jsonl", ".xyz", ".chemiscope.json")


class StoppedError(Exception):
    """In place of a kill."""


@pytest.fixture(scope="module")
def model() -> Surrogate:
    """In double precision: last digits do not depend on what is computed together."""
    return esml.load_model(dtype=torch.float64).with_batching(Batching(window=2))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Good structures and bad ones of every kind; in all six windows."""
    pytest.importorskip("rdkit")
    names = ("missing.xyz", "a.xyz", "b.smi", "broken.xyz", "c.xyz", "none.xyz")
    paths = [tmp_path / name for name in names]
    charged = molecule("HCN")
    charged.info["charge"] = 2
    images = [molecule("H2CO"), molecule("CH3"), molecule("C2H4"), charged, molecule("CH4")]
    ase.io.write(paths[1], images, format="extxyz")
    paths[2].write_text("C=O one\nnonsense\nC#N two\nxx\n")
    paths[3].write_text("2\nno atoms here\n")
    ase.io.write(paths[4], [molecule("H2CO")] * 4, format="extxyz")
    return paths


def run(model: Surrogate, files: list[Path], output: Path, windows: int = 99) -> Tally:
    """Predict, but stop after so many ``windows``."""
    tally = Tally()
    for place, tally in enumerate(predict_files(model, files, output, STATES)):  # noqa: B007
        if place == windows:
            raise StoppedError
    return tally


def stored(path: Path) -> Any:
    """What a file holds; HDF5 lays out the same data in many ways."""
    if path.suffix != ".h5":
        return path.read_bytes()
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        )
        return found, dict(file.attrs)


@pytest.mark.parametrize("end", ENDS)
def test_every_format_is_gone_on_with(
    model: Surrogate, files: list[Path], tmp_path: Path, end: str
) -> None:
    pytest.importorskip({".parquet": "pyarrow", ".chemiscope.json": "chemiscope"}.get(end, "h5py"))
    out = tmp_path / f"out{end}"
    whole = run(model, files, out)
    assert (whole.predicted, whole.failed, whole.resumed) == (9, 7, 0)
    assert whole.expected == whole.done
    expected = stored(out)
    out.unlink()
    resumed = []
    for windows in (1, 2, 1, 1):
        with pytest.raises(StoppedError):
            run(model, files, out, windows)
        assert not out.exists()
        resumed.append(journal_path(out).stat().st_size)
    assert resumed == sorted(set(resumed))
    tally = run(model, files, out)
    assert tally.resumed > 8
    assert (tally.predicted, tally.failed, tally.reasons) == (9, 7, whole.reasons)
    assert stored(out) == expected
    assert not journal_path(out).exists()


def test_a_damaged_journal_is_gone_on_with_where_it_is_whole(
    model: Surrogate, files: list[Path], tmp_path: Path
) -> None:
    out, journal = tmp_path / "out.csv", journal_path(tmp_path / "out.csv")
    run(model, files, out)
    expected = out.read_bytes()
    with pytest.raises(StoppedError):
        run(model, files, out, 3)
    content = journal.read_bytes()
    head = content.index(b"\n") + 1
    rng = np.random.default_rng(0)
    for place in rng.integers(head, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        for damaged in (bytes(flipped), content[:place], content[: head - 5]):
            journal.write_bytes(damaged)
            tally = run(model, files, out)
            assert tally.resumed < tally.done
            assert out.read_bytes() == expected


def test_another_run_is_not_gone_on_with(
    model: Surrogate, files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(StoppedError):
        run(model, files, out, 1)
    with pytest.raises(JournalError, match="a different set of input files: expected the same"):
        run(model, files[1:], out)
    other = esml.load_model()
    next(other.hamiltonian.parameters()).data[0] += 1e-6
    with pytest.raises(JournalError, match="with a different model: expected the same"):
        run(other, files, out)
    assert run(model, files, out).resumed > 0


def test_what_is_done_is_not_read_again(
    model: Surrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conformer of a SMILES takes longer than its prediction."""
    pytest.importorskip("rdkit")
    model = model.with_batching(Batching(window=1))
    path, asked = tmp_path / "a.smi", []
    path.write_text("C=O\nC#N\nC=C\n")

    def entries(path: Path, skip: int, options: ReadingOptions) -> Iterator[Any]:
        asked.append(skip)
        return read_entries(path, skip, options)

    monkeypatch.setattr("esml.predict.run.read_entries", entries)
    with pytest.raises(StoppedError):
        run(model, [path], tmp_path / "out.csv", 2)
    assert run(model, [path], tmp_path / "out.csv").resumed == 2
    assert asked == [0, 2]
    assert [e.index for e in read_entries(path, 1) if not isinstance(e, Exception)] == [1, 2]


def test_the_charge_written_is_the_charge_predicted(model: Surrogate, tmp_path: Path) -> None:
    """Also where a structure tells it by the charges of its atoms."""
    atoms = molecule("NH3") + Atoms("H", [[0.0, 0.0, 1.2]])
    atoms.set_initial_charges([0.0, 0.0, 0.0, 0.0, 1.0])
    ase.io.write(tmp_path / "a.traj", atoms)
    out = tmp_path / "out.csv"
    assert run(model, [tmp_path / "a.traj"], out).predicted == 1
    keys, values = (line.split(",") for line in out.read_text().splitlines())
    assert values[keys.index("charge")] == "1"
