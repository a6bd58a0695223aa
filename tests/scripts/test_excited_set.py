"""Structures on the paths along which a model relaxes excited states."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from ase import Atoms
from tblite.ase import TBLite

import esml
from scripts.data.excited_set import SHARES, STATES, along_path, structures
from scripts.data.triplet_set import candidates


def test_energies_fall_along_the_paths() -> None:
    """Of the ground state by GFN2-xTB plus the excitation, which is what relaxes."""
    model = esml.load_model()
    record = next(r for r in candidates(0, 4) if "C=O" in r.smiles)
    start = Atoms(record.numbers, record.positions, info={"state": None})
    images = [start, *along_path(model, record, seed=0)]
    assert {atoms.info["split"] for atoms in images[1:]} == {"train"}
    for state in STATES:
        energies = {}
        for atoms in (start, *(a for a in images if a.info["state"] == state)):
            result = model.predict(atoms, 1)
            states = result.singlets if state == "S1" else result.triplets
            share = atoms.info.get("share", 0.0)
            atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
            energies[share] = atoms.get_potential_energy() + states.energies[0]
        assert len(energies) == 3
        inner = next(share for share in energies if 0.0 < share < 1.0)
        assert SHARES[0] <= inner <= SHARES[1]
        assert energies[1.0] < energies[0.0] - 0.1
        assert energies[inner] < energies[0.0]


def test_the_same_seed_gives_the_same_structures() -> None:
    model = esml.load_model()
    record = next(r for r in candidates(0, 3) if "=" in r.smiles)
    first, second = (along_path(model, record, seed=4) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-6)


@pytest.mark.slow
def test_structures_come_in_the_order_of_the_records() -> None:
    """Whichever process is done first."""
    records = [r for r in candidates(0, 3) if "=" in r.smiles][:3]
    found = structures(records, "camb3lyp", 4, workers=2)
    names = [atoms.info["name"] for atoms in found]
    assert list(dict.fromkeys(names)) == [record.name for record in records]
