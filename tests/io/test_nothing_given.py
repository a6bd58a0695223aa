"""Descriptions of a molecule that describe none."""

from __future__ import annotations

import pytest

from esml.io.anything import as_structure
from esml.io.paths import looks_like_file
from esml.io.provenance import InputError


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_no_structure(text: str) -> None:
    assert not looks_like_file(text)
    with pytest.raises(InputError, match="no structure is given"):
        as_structure(text)


def test_ghost_atoms_of_pyscf_are_named() -> None:
    gto = pytest.importorskip("pyscf.gto")
    mol = gto.M(atom="He 0 0 0; ghost-O 0 0 2", basis="sto-3g", verbose=0)
    with pytest.raises(InputError, match=r"1 ghost atoms \(GHOST-O\): expected only atoms with"):
        as_structure(mol)
