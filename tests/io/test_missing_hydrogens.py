"""Few missing hydrogens are noticed, and species that have few by nature are not accused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from esml.io.structure_checks import StructureError, check_structure

RING = np.radians(60.0 * np.arange(6))
AZOBENZENE_HALF = (
    ("C", 2.62069, -1.28694),
    ("C", 3.98576, -1.08347),
    ("C", 4.49658, 0.20575),
    ("C", 3.63777, 1.29666),
    ("C", 2.27289, 1.10604),
    ("C", 1.74913, -0.19349),
    ("N", 0.39980, -0.49449),
    ("H", 2.20210, -2.28167),
    ("H", 4.65757, -1.92938),
    ("H", 5.56538, 0.36220),
    ("H", 4.04236, 2.29869),
    ("H", 1.58595, 1.93865),
)


def azobenzene(*without: int) -> Atoms:
    """E-azobenzene, flat in a plane of the axes, without some of its atoms."""
    symbols = [s for s, _, _ in AZOBENZENE_HALF]
    half = np.array([[x, y, 0.0] for _, x, y in AZOBENZENE_HALF])
    atoms = Atoms(symbols * 2, np.vstack([half, -half]))
    del atoms[list(without)]
    return atoms


def accused(atoms: Atoms, charge: int = 0) -> str:
    with pytest.raises(StructureError, match="hydrogens are missing") as caught:
        check_structure(atoms, charge=charge)
    return str(caught.value)


def test_the_whole_molecule_is_accepted() -> None:
    check_structure(azobenzene())


@pytest.mark.parametrize("without", [(7, 19), (9, 21), (8, 9)])
@pytest.mark.parametrize("turned", [False, True])
def test_two_missing_hydrogens_of_a_dye_are_noticed(without: tuple[int, int], turned: bool) -> None:
    atoms = azobenzene(*without)
    if turned:
        atoms.rotate(50.0, (1.0, 1.0, 0.0))
    sentence = accused(atoms)
    assert "2 of 14 heavy atoms" in sentence
    assert "drawing" not in sentence


def test_a_charge_excuses_no_missing_hydrogens() -> None:
    for charge in (2, -2):
        accused(azobenzene(7, 19), charge)


def test_a_methylene_group_without_hydrogens_is_noticed() -> None:
    butane = molecule("trans-butane")
    apart = butane.get_all_distances()
    near = (apart < 1.2) & (butane.numbers == 1)
    middle = next(k for k in range(4) if butane.numbers[k] == 6 and near[k].sum() == 2)
    del butane[np.flatnonzero(near[middle])]
    assert "1 of 4 heavy atoms" in accused(butane)


def test_two_missing_hydrogens_of_a_ring_of_five_are_noticed() -> None:
    ring = molecule("C4H4NH")
    hydrogens = [k for k in np.flatnonzero(ring.numbers == 1).tolist() if _partner(ring, k) == 6]
    far = molecule("C6H6")
    far.positions += [0.0, 0.0, 12.0]
    large = ring + far  # so that their share is small
    del large[hydrogens[:2]]
    accused(large)


def _partner(atoms: Atoms, k: int) -> int:
    distances = atoms.get_all_distances()[k]
    distances[k] = np.inf
    return int(atoms.numbers[int(distances.argmin())])


def test_a_ketone_whose_oxygen_is_pulled_away_lacks_no_hydrogens() -> None:
    acetone = molecule("CH3COCH3")
    oxygen = int(np.flatnonzero(acetone.numbers == 8)[0])
    carbon = int(acetone.get_all_distances()[oxygen].argsort()[1])
    for length in (1.5, 1.9, 2.4, 3.0):
        acetone.set_distance(carbon, oxygen, length, fix=0)
        check_structure(acetone)


def test_carbenes_and_aryl_ions_are_not_accused() -> None:
    carbene = molecule("CH2_s1A1d")
    carbene.arrays.pop("initial_magmoms", None)
    check_structure(carbene)
    phenyl = molecule("C6H6")
    del phenyl[np.flatnonzero(phenyl.numbers == 1)[0]]
    for charge in (-1, 1):
        check_structure(phenyl, charge=charge)
    # two imidazol-2-ylidenes, stacked
    turn = np.radians(101.9 / 2)
    side, height = 1.367 * np.sin(turn), 1.367 * np.cos(turn)
    half = [[side, -height, 0], [0.677, -2.14, 0], [2.0, -0.45, 0], [1.38, -2.95, 0]]
    mirrored = [[-x, y, z] for x, y, z in half]
    ylidene = Atoms("CNCHHNCHH", [[0, 0, 0], *half, *mirrored])
    other = ylidene.copy()
    other.positions += [0.0, 0.0, 6.0]
    check_structure(ylidene + other)
