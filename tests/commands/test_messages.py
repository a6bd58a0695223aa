"""What the commands print, and where its lines end."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import ase.io
import pytest
from ase.build import molecule
from test_cli import refusal, run

from esml.commands.messages import console

LINE = "word " * 60 + "end"


def test_lines_stay_whole_in_a_file_and_are_wrapped_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    console().print(LINE)
    assert capsys.readouterr().out == LINE + "\n"
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal
    monkeypatch.setenv("COLUMNS", "40")
    console().print(LINE)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_what_is_done_is_said_on_a_terminal_alone() -> None:
    """``esml spectrum`` at a terminal, and with its standard error in a pipe."""
    pytest.importorskip("pty", reason="no terminals to be had here")
    import pty

    geometry = Path(__file__).parents[2] / "examples" / "benzene.xyz"
    command = [sys.executable, "-m", "esml", "spectrum", str(geometry), "--n-states", "1"]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    ours, theirs = pty.openpty()
    shown = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the end of a terminal
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert shown.wait(timeout=60) == 0
    assert b"loading the model" in said
    assert b"predicting" in said


def test_advice_is_about_the_command_line(tmp_path: Path) -> None:
    """Not about objects of Python, wherever the sentence comes from."""
    boxed, free = tmp_path / "boxed.xyz", tmp_path / "free.xyz"
    water = molecule("H2O", vacuum=6.0)
    ase.io.write(free, molecule("H2O"), format="extxyz")
    water.set_pbc(True)
    ase.io.write(boxed, water, format="extxyz")
    relaxed = refusal(run("relax", boxed))
    predicted = run("predict", boxed, "-o", tmp_path / "p.csv").stderr
    for told in (relaxed, predicted):
        assert "add --ignore-cell" in told
        assert "set_pbc" not in told
    assert "give lattice vectors in the file" in refusal(run("dos", free, "--model", "solids"))


def test_a_state_is_asked_for_by_its_name(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.xyz", molecule("H2CO"))
    assert "state S99 " in refusal(run("relax", tmp_path / "a.xyz", "--state", "S99"))


def test_only_hdf5_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\n")
    told = refusal(run("merge", tmp_path / "a.csv", "-o", tmp_path / "b.csv"))
    assert "is not an HDF5 file" in told
