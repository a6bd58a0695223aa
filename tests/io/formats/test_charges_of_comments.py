"""Charges in the comments of xyz files, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms

from esml.io.provenance import InputError, ReadingOptions
from esml.io.structures import read_structure

PLAIN = "H 0 0 0\nH 0 0 0.75\n"
EXTENDED = "Properties=species:S:1:pos:R:3 "


def commented(folder: Path, comment: str) -> Path:
    path = folder / "a.xyz"
    path.write_text(f"2\n{comment}\n{PLAIN}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("comment", "charge"),
    [
        ("charge: 1-", -1),
        ("charge: 2-", -2),
        ("charge: 2+", 2),
        ("charge=1-", -1),
        ("charge=2-, mult=1", -2),
        ("CHARGE=-2", -2),
        ("CHARGE -2", -2),
        ("chg=-2", -2),
        ("formal_charge=-2", -2),
        ("formal charge: -2", -2),
        ("Q=-2", -2),
        ("Q: -2", -2),
        ("charge = −2", -2),
        ("total charge: −2.", -2),
        ("-2,1", -2),
        ("-2, 1", -2),
        ("2- 1", -2),
        ('{"charge": -2}', -2),
        ("Charge 2+ MULTIPLICITY 1", 2),
        (EXTENDED + "charge=1-", -1),
        (EXTENDED + "CHARGE=-2", -2),
        (EXTENDED + "CHARGE -2", -2),
    ],
)
def test_comments_state_charges_as_people_write_them(
    tmp_path: Path, comment: str, charge: int
) -> None:
    found = read_structure(commented(tmp_path, comment))
    assert found.provenance.charge == found.atoms.info["charge"] == charge
    assert "assumed" not in found.provenance.charge_source


@pytest.mark.parametrize("comment", ["charge=1-x", "Charge: 1-methyl", "charge: -2e"])
def test_a_charge_that_cannot_be_read_is_not_guessed(tmp_path: Path, comment: str) -> None:
    with pytest.raises(InputError, match="of its comment is no number"):
        read_structure(commented(tmp_path, comment))


@pytest.mark.parametrize(
    "comment",
    ["charge 1-methylpyridinium", "UHF -78.1", "E(UHF) = -78.1", EXTENDED + "charge transfer", ""],
)
def test_prose_states_no_charge(tmp_path: Path, comment: str) -> None:
    found = read_structure(commented(tmp_path, comment))
    assert found.provenance.charge_source == "not stated: 0 assumed"
    assert found.provenance.charge == 0


def test_a_charge_in_capitals_gives_way_to_the_user(tmp_path: Path) -> None:
    path = commented(tmp_path, "CHARGE=-2")
    found = read_structure(path, options=ReadingOptions(charge=0))
    assert isinstance(found.atoms, Atoms)
    assert "CHARGE" not in found.atoms.info
    assert found.atoms.info["charge"] == 0
