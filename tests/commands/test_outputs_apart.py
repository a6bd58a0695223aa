"""Outputs that would replace a file that is read, or each other: refused before any work."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from ase.build import bulk, molecule
from test_cli import refusal, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inputs in the current directory."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("in.xyz", molecule("H2CO"))
    ase.io.write("cu.cif", bulk("Cu"))
    Path("meas.csv").write_text("nm,A\n" + "".join(f"{250 + n},{n % 7}\n" for n in range(60)))
    Path("charges.pc").write_text("1\n0.5 0 0 9\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "file", "said"),
    [
        ("spectrum in.xyz -o in.xyz", "in.xyz", "--output 'in.xyz' is also the file of the mol"),
        ("spectrum in.xyz --csv ./in.xyz", "in.xyz", "which is read"),
        ("spectrum in.xyz --experiment meas.csv --csv meas.csv", "meas.csv", "of --experiment"),
        ("spectrum in.xyz --csv a.json --json a.json", "in.xyz", "--json 'a.json' is also"),
        ("spectrum in.xyz --point-charges charges.pc --csv charges.pc", "charges.pc", "--point"),
        ("relax in.xyz -o in.xyz", "in.xyz", "the molecule"),
        ("relax in.xyz -o a.xyz --csv a.xyz", "in.xyz", "the file of --output"),
        ("dos cu.cif --sites cu.cif", "cu.cif", "the crystal"),
        ("dos cu.cif --sites s.csv --csv s.csv", "cu.cif", "the file of --csv"),
        ("bands cu.cif --hdf5 cu.cif", "cu.cif", "the crystal"),
        ("evaluate default --experiment meas.csv --json meas.csv", "meas.csv", "--experiment"),
        ("predict in.xyz --point-charges charges.pc -o charges.pc", "charges.pc", "--point"),
    ],
)
def test_no_output_replaces_another_file(
    folder: Path, arguments: str, file: str, said: str
) -> None:
    before = (folder / file).read_bytes()
    sentence = refusal(run(*arguments.split()))
    assert said in sentence
    assert "choose another name" in sentence
    assert (folder / file).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {
        *("in.xyz", "cu.cif", "meas.csv", "charges.pc")
    }
