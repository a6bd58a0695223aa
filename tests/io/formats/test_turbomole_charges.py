"""Charge and spin in Turbomole's files, from Turbomole and from xtb."""

from __future__ import annotations

from pathlib import Path

import pytest

from esml.io.provenance import InputError
from esml.io.structure_checks import StructureError, check_structure
from esml.io.structures import read_structure

COORD = """$coord
0.0 0.0 1.291630 o
0.0 0.0 -1.014053 c
0.0 1.765741 -2.124362 h
0.0 -1.765741 -2.124362 h
"""


def saved(folder: Path, more: str) -> Path:
    path = folder / "coord"
    path.write_text(f"{COORD}{more}$end\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("more", "charge", "source"),
    [
        ("$chrg 2\n", 2, "$chrg of the file"),
        ("$chrg -2\n$uhf 0\n", -2, "$chrg of the file"),
        ("$eht charge=2 unpaired=0\n", 2, "$eht of the file"),
        ("$eht charge=2 unpaired=0\n$chrg 2\n", 2, "$eht of the file"),
        ("", 0, "not stated: 0 assumed"),
    ],
)
def test_turbomole_files_state_charges(tmp_path: Path, more: str, charge: int, source: str) -> None:
    found = read_structure(saved(tmp_path, more))
    assert (found.provenance.charge, found.provenance.charge_source) == (charge, source)
    check_structure(found.atoms)


def test_charges_of_a_turbomole_file_that_disagree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\+2 in \$eht and -2 in \$chrg: expected one"):
        read_structure(saved(tmp_path, "$eht charge=2 unpaired=0\n$chrg -2\n"))


def test_unpaired_electrons_of_xtb_are_refused(tmp_path: Path) -> None:
    found = read_structure(saved(tmp_path, "$chrg 0\n$uhf 2\n"))
    with pytest.raises(StructureError, match="open shells cannot be treated"):
        check_structure(found.atoms)
