"""Sampling structures: a run cut short anywhere goes on to what an unbroken one gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from ase import Atoms
from surrogate_cases import read_all
from typer.testing import CliRunner

from reference import sample as module
from reference.__main__ import app
from reference.geometries import GeometryError
from reference.molecules import Molecule, extrapolation_molecules
from reference.sample import SampleError, write_extrapolation, write_sample

N = 5


def made_up(
    molecule: Molecule, seed: int, n_distorted: int = 3, include_relaxed: bool = True
) -> list[Atoms]:
    """Structures that cost nothing; every molecule whose name has an N in it fails."""
    if "N" in molecule.smiles:
        raise GeometryError(f"{molecule.smiles} has no sound geometry")
    rng = np.random.default_rng([seed, *molecule.inchikey.encode()])
    return [
        Atoms("CO", rng.normal(size=(2, 3)), info={"inchikey": molecule.inchikey, "number": i})
        for i in range(n_distorted + include_relaxed)
    ]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(module, "structures", made_up)
    return monkeypatch


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def unbroken(tmp_path: Path, quick: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    output = tmp_path / "unbroken.xyz"
    written = write_sample(output, N, max_heavy=4)
    log = output.with_name("unbroken.xyz.log")
    entries = lines(log)
    assert len(entries) == N
    assert written == len(read_all(output)) == sum(e["structures"] for e in entries)
    assert all(bool(e["reason"]) == (e["structures"] == 0) for e in entries)
    assert written >= 2
    return output.read_bytes(), log.read_bytes()


def test_a_finished_sample_is_left_alone(
    tmp_path: Path, quick: pytest.MonkeyPatch, unbroken: tuple[bytes, bytes]
) -> None:
    quick.setattr(module, "structures", None)
    assert write_sample(tmp_path / "unbroken.xyz", N, max_heavy=4) == 0
    assert (tmp_path / "unbroken.xyz").read_bytes() == unbroken[0]


@pytest.mark.parametrize("torn", ["structures", "log"])
@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_sample_cut_short_goes_on(
    tmp_path: Path,
    quick: pytest.MonkeyPatch,
    unbroken: tuple[bytes, bytes],
    kept: int,
    torn: str,
) -> None:
    """Killed after ``kept`` molecules, while structures or the log of the next were written."""
    whole, log = unbroken
    entries = log.splitlines(keepends=True)
    noted = b"".join(entries[:kept])
    end = json.loads(entries[kept - 1])["bytes"] if kept else 0
    output = tmp_path / "broken.xyz"
    if torn == "structures":
        output.write_bytes(whole[: end + 37])
    else:
        output.write_bytes(whole[: json.loads(entries[kept])["bytes"]])
        noted += entries[kept][:20]
    output.with_name("broken.xyz.log").write_bytes(noted)
    write_sample(output, N, max_heavy=4)
    assert output.read_bytes() == whole
    assert output.with_name("broken.xyz.log").read_bytes() == log


def test_a_run_killed_in_its_first_molecule_goes_on(
    tmp_path: Path, quick: pytest.MonkeyPatch, unbroken: tuple[bytes, bytes]
) -> None:
    def killed(output: Path, *arguments: Any, **keywords: Any) -> None:
        output.write_bytes(unbroken[0][:37])
        raise KeyboardInterrupt

    output = tmp_path / "broken.xyz"
    with quick.context() as patch:
        patch.setattr(ase.io, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            write_sample(output, N, max_heavy=4)
    assert output.stat().st_size == 37
    write_sample(output, N, max_heavy=4)
    assert output.read_bytes() == unbroken[0]


def test_a_longer_sample_continues_a_shorter_one(
    tmp_path: Path, quick: pytest.MonkeyPatch, unbroken: tuple[bytes, bytes]
) -> None:
    output = tmp_path / "sub" / "grown.xyz"
    write_sample(output, 2, max_heavy=4)
    write_sample(output, N, max_heavy=4)
    assert output.read_bytes() == unbroken[0]
    rest = tmp_path / "rest.xyz"
    write_sample(rest, N, max_heavy=4, skip=2)
    assert unbroken[0].endswith(rest.read_bytes() if rest.exists() else b"")
    assert len(lines(tmp_path / "rest.xyz.log")) == N - 2


def test_a_log_without_byte_counts_still_tells_what_is_done(
    tmp_path: Path, quick: pytest.MonkeyPatch, unbroken: tuple[bytes, bytes]
) -> None:
    whole, _ = unbroken
    output = tmp_path / "older.xyz"
    output.write_bytes(whole)
    entries = lines(tmp_path / "unbroken.xyz.log")
    for entry in entries:
        del entry["bytes"]
    output.with_name("older.xyz.log").write_text("".join(json.dumps(e) + "\n" for e in entries))
    assert write_sample(output, N, max_heavy=4) == 0
    assert output.read_bytes() == whole


def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, quick: pytest.MonkeyPatch, unbroken: tuple[bytes, bytes]
) -> None:
    whole, log = unbroken
    foreign = tmp_path / "foreign.xyz"
    foreign.write_bytes(whole)
    with pytest.raises(SampleError, match=r"foreign\.xyz holds something already"):
        write_sample(foreign, N, max_heavy=4)
    assert foreign.read_bytes() == whole
    lost = tmp_path / "lost.xyz"
    lost.with_name("lost.xyz.log").write_bytes(log)
    with pytest.raises(SampleError, match=r"lost\.xyz has 0 bytes, .* accounts for"):
        write_sample(lost, N, max_heavy=4)


def test_the_command_says_what_it_did_and_where_it_could_not(
    tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    arguments = ["-n", str(N), "--max-heavy", "4", "--relaxed-share", "1"]
    output = tmp_path / "a.xyz"
    result = CliRunner().invoke(app, ["sample", str(output), *arguments])
    assert result.exit_code == 0
    assert f"{output}: {len(read_all(output))} structures" in result.output
    result = CliRunner().invoke(app, ["sample", str(output), *arguments])
    assert f"{output}: 0 structures" in result.output
    result = CliRunner().invoke(app, ["sample", str(output / "b.xyz"), *arguments])
    assert result.exit_code == 2
    assert "b.xyz could not be written" in result.output


def test_the_extrapolation_set_is_a_split_of_its_own(
    tmp_path: Path, quick: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "larger.xyz"
    written = write_extrapolation(output)
    images = read_all(output)
    allowed = [m for m in extrapolation_molecules() if "N" not in m.smiles]
    assert written == len(images) == len(allowed)
    assert {image.info["split"] for image in images} == {"extrapolation"}
    sizes = {m.inchikey: m.n_heavy for m in allowed}
    heavy = [sizes[image.info["inchikey"]] for image in images]
    assert heavy == sorted(heavy)  # the cheapest first


def test_a_real_sample(tmp_path: Path) -> None:
    output = tmp_path / "real.xyz"
    arguments = ["sample", str(output), "-n", "1", "--max-heavy", "2", "--relaxed-share", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    images = read_all(output)
    assert len(images) == 2
    assert [atoms.info["geometry"] == "relaxed" for atoms in images] == [True, False]
