"""MOL records whose bonds RDKit cannot interpret."""

from __future__ import annotations

from pathlib import Path

import pytest

from esml.io.structures import read_structure

AMMONIUM = """ammonium


{counts}
    0.0000    0.0000    0.0000 N   0  0
    0.5900    0.5900    0.5900 H   0  0
   -0.5900   -0.5900    0.5900 H   0  0
   -0.5900    0.5900   -0.5900 H   0  0
    0.5900   -0.5900   -0.5900 H   0  0
  1  2  1  0
  1  3  1  0
  1  4  1  0
  1  5  1  0
{more}M  END
"""


@pytest.mark.parametrize(
    ("more", "charge", "source"),
    [
        ("", 0, "not stated: 0 assumed"),
        ("M  CHG  1   1   1\n", 1, "formal charges of the record"),
    ],
)
def test_a_charge_that_got_lost_is_not_claimed(
    tmp_path: Path, more: str, charge: int, source: str
) -> None:
    pytest.importorskip("rdkit")
    path = tmp_path / "ammonium.mol"
    counts = "  5  4  0  0  0  0  0  0  0  0999 V2000"
    path.write_text(AMMONIUM.format(counts=counts, more=more))
    found = read_structure(path).provenance
    assert (found.charge, found.charge_source) == (charge, source)
