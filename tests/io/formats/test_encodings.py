"""Text files as other systems and countries write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from esml.io.paths import count_structures
from esml.io.provenance import InputError
from esml.io.structures import read_structure

WATER = molecule("H2O")
ROWS = "\r\n".join(
    f"{s} {x:.6f} {y:.6f} {z:.6f}"
    for s, (x, y, z) in zip(WATER.symbols, WATER.positions, strict=True)
)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.xyz", "a.xyz.gz", "a.gjf"])
def test_utf_16_is_read(tmp_path: Path, encoding: str, name: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    head = "#p hf\r\n\r\nwater\r\n\r\n0 1\r\n" if name == "a.gjf" else "3\r\nwäter\r\n"
    content = f"{mark}{head}{ROWS}\r\n\r\n".encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = read_structure(path)
    np.testing.assert_allclose(found.atoms.positions, WATER.positions, atol=1e-6)
    assert count_structures(path) == 1


def test_bytes_behind_a_mark_of_utf_16_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_bytes(b"\xff\xfe" + b"\x01\x00\x02\x00\x0a\x00")
    with pytest.raises(InputError, match="not text"):
        read_structure(path)


@pytest.mark.parametrize("between", [" ", ", ", "\t"])
def test_decimal_commas_are_read(tmp_path: Path, between: str) -> None:
    path = tmp_path / "a.xyz"
    rows = [row.replace(".", ",").replace(" ", between) for row in ROWS.split("\r\n")]
    path.write_text("\n".join(["3", "", *rows]))
    found = read_structure(path)
    np.testing.assert_allclose(found.atoms.positions, WATER.positions, atol=1e-6)
    assert any("decimal points" in note for note in found.provenance.notes)


@pytest.mark.parametrize(
    "row", ["O,1.5,2,3", "O, 1.5, 2, 3", "O 1.5,2,3", "O 1,5 2 3", "O 1,5 2,0 3,0 7,5 8,5"]
)
def test_commas_between_columns_are_none(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(f"1\n\n{row}\n")
    np.testing.assert_allclose(read_structure(path).atoms.positions, [[1.5, 2.0, 3.0]])
