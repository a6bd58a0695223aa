"""Structures between the minima of the ground state and the lowest triplet."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from tblite.ase import TBLite

from scripts.data.triplet_set import candidates, toward_triplet


def test_they_lie_between_both_minima() -> None:
    record = next(r for r in candidates(0) if "C=O" in r.smiles)
    images = [toward_triplet(record, share) for share in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(images[0].positions, record.positions)
    np.testing.assert_allclose(
        images[1].positions, 0.5 * (images[0].positions + images[2].positions)
    )
    energies = {}
    for multiplicity in (1, 3):
        for name, atoms in zip(("start", "middle", "end"), images, strict=True):
            atoms.calc = TBLite(method="GFN2-xTB", multiplicity=multiplicity, verbosity=0)
            energies[multiplicity, name] = atoms.get_potential_energy()
    assert energies[3, "end"] < energies[3, "middle"] < energies[3, "start"]
    assert energies[1, "start"] < energies[1, "middle"] < energies[1, "end"]
    assert {images[1].info[key] for key in ("split", "geometry")} == {"train", "triplet"}
