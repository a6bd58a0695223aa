"""Shards of a job array: dealt out, predicted apart, and merged into what one run gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import write
from test_cli import refusal, run

from esml.export import read_results

NAMES = ["H2CO", "C2H4", "HCN", "CH4", "C2H2", "CH3OH", "NH3"]


def inputs(folder: Path) -> list[Path]:
    """A file of several structures, one of them bad, and files of one each."""
    many = folder / "many.xyz"
    write(many, [molecule(name) for name in [*NAMES[:4], "CH3", *NAMES[4:]]])
    one, last = folder / "one.xyz", folder / "last.xyz"
    write(one, molecule("C6H6"))
    write(last, molecule("H2O"))
    return [many, one, folder / "missing.xyz", last]


def content(path: Path) -> tuple[list[tuple[str, int, float]], list[tuple[str, int, str]]]:
    stored = read_results(path)
    found = [(r.source, r.index, round(float(r.singlets.energies[0]), 4)) for r in stored]
    return found, [(f.source, f.index, f.reason) for f in stored.failures]


def test_shards_make_the_whole(tmp_path: Path) -> None:
    files = inputs(tmp_path)
    command = ["predict", *files, "--n-states", "1", "-o"]
    assert run(*command, tmp_path / "whole.h5").exit_code == 1
    parts = [tmp_path / f"part{k}.h5" for k in (1, 2, 3)]
    for k, part in enumerate(parts, start=1):
        assert run(*command, part, "--shard", f"{k}/3").exit_code in (0, 1)
    sizes = [len(content(part)[0]) + len(content(part)[1]) for part in parts]
    assert sum(sizes) == 11
    assert max(sizes) - min(sizes) <= 1
    merged = tmp_path / "merged.h5"
    done = run("merge", *parts, "-o", merged)
    assert done.exit_code == 0, done.output
    assert "9 predicted, 2 failed, of 3 parts" in done.stdout
    # The network runs in single precision, in batches of other molecules.
    together = content(merged)[0]
    whole = sorted(content(tmp_path / "whole.h5")[0])
    for found, expected in zip(sorted(together), whole, strict=True):
        assert found[:2] == expected[:2]
        assert found[2] == pytest.approx(expected[2], abs=1e-3)
    assert sorted(content(merged)[1]) == sorted(content(tmp_path / "whole.h5")[1])
    # Structures of a file in its order, and the file that all parts begin with first.
    many = [index for source, index, _ in together if source == str(files[0])]
    assert many == sorted(many)
    assert {source for source, _, _ in together[: len(many)]} == {str(files[0])}
    # In any order, and to any format.
    assert run("merge", *reversed(parts), "-o", tmp_path / "all.csv").exit_code == 0
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 12

    two = refusal(run("merge", *parts[:2], "-o", merged))
    assert "3/3 is missing" in two
    again = tmp_path / "again.h5"
    again.write_bytes(parts[0].read_bytes())
    twice = refusal(run("merge", *parts, again, "-o", merged))
    assert "expected each of 1/3 to 3/3 once" in twice


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    write(path, molecule("H2CO"))
    one, two, other = (tmp_path / f"{name}.h5" for name in ("one", "two", "other"))
    for output, n in ((one, 1), (two, 1), (other, 2)):
        assert run("predict", path, "-o", output, "--n-states", str(n)).exit_code == 0
    assert "n_states 2 where" in refusal(run("merge", one, other, "-o", tmp_path / "all.h5"))
    same = refusal(run("merge", one, two, "-o", tmp_path / "all.h5"))
    assert "structure 0 of" in same
    assert "is one of the parts" in refusal(run("merge", one, "-o", one))
    assert "no file" in refusal(run("merge", tmp_path / "no.h5", "-o", tmp_path / "all.h5"))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "2", "a/b", "1/0", "-1/3"])
def test_what_is_no_shard_is_refused(tmp_path: Path, shard: str) -> None:
    path = tmp_path / "a.xyz"
    write(path, molecule("H2CO"))
    assert "expected" in refusal(run("predict", path, "-o", tmp_path / "a.h5", "--shard", shard))


def test_a_stopped_shard_goes_on_alone(tmp_path: Path) -> None:
    """The journal of one shard is refused to another."""
    from esml.predict.journal import journal_path

    path, out = tmp_path / "a.xyz", tmp_path / "a.csv"
    write(path, [molecule(name) for name in NAMES])
    command = ["predict", path, "--n-states", "1", "-o", out, "--shard"]
    assert run(*command, "2/2").exit_code == 0
    whole = out.read_text().splitlines()
    assert [line.split(",")[2] for line in whole[1:]] == ["1", "3", "5"]
    assert not journal_path(out).exists()
