"""Structures of random alloys: fcc and bcc solid solutions of Cr Mn Fe Co Ni Cu.

Cells of one to four atoms with one to four elements to learn from, eight-atom cells of five to be
tested on. Lattice constants follow Vegard's rule from round values of non-magnetic crystals,
volumes vary by ±3 %, every tenth by ±6 %; cells are strained and atoms displaced at random. The
structure of a number and a seed is always the same, so a sample is a beginning of every longer one.

Kept for tests, whatever the rest looks like: all alloys of some sets of elements
(``HELD_OUT_SETS``), of a pair (``HELD_OUT_PAIR``), and all of five elements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell

LATTICE_CONSTANTS = {"Cr": 3.62, "Mn": 3.50, "Fe": 3.50, "Co": 3.50, "Ni": 3.52, "Cu": 3.63}
"""Å, where the lattice constants of fcc cells scatter about; a bcc atom has the same volume."""
ELEMENTS = tuple(LATTICE_CONSTANTS)

HELD_OUT_SETS = tuple(
    frozenset(elements.split())
    for elements in ("Cr Co Ni", "Fe Ni Cu", "Cr Fe Co Ni", "Cr Co Ni Cu", "Cr Mn Ni")
)
HELD_OUT_PAIR = frozenset(("Mn", "Cu"))
"""No cell that a model learns from has both."""
QUINARIES = (("Cr", "Fe", "Co", "Ni", "Cu"), ("Cr", "Mn", "Fe", "Co", "Ni"))

TEST_EVERY = 5
"""One structure in so many is kept for tests."""

VOLUME, WIDE_VOLUME = 0.03, 0.06
WIDE_EVERY = 10
STRAIN = 0.008
"""Standard deviation of a component of the strain."""
RATTLE = (0.02, 0.06)
"""Å, bounds of the standard deviation of a coordinate; each structure has its own."""
BCC_SHARE = 0.25
VALIDATION_SHARE = 0.08

Supercell = tuple[tuple[int, int, int], ...]
"""Lattice vectors of a supercell in primitive ones."""

_LAYERS: Supercell = ((0, 0, 1), (1, -1, 0), (1, 1, -1))
FCC: dict[int, tuple[Supercell, ...]] = {
    1: (((1, 0, 0), (0, 1, 0), (0, 0, 1)),),
    2: (_LAYERS, ((1, 0, 0), (0, 1, 0), (0, 0, 2))),
    3: (((1, 0, 0), (0, 1, 0), (0, 0, 3)),),
    4: (
        ((-1, 1, 1), (1, -1, 1), (1, 1, -1)),
        ((-1, 1, 1), (1, -1, 1), (1, 1, -1)),
        ((0, 0, 1), (2, -2, 0), (1, 1, -1)),
        ((2, 0, 0), (0, 2, 0), (0, 0, 1)),
    ),
    8: (((2, 0, 0), (0, 2, 0), (0, 0, 2)),),
}
BCC: dict[int, tuple[Supercell, ...]] = {
    1: (((1, 0, 0), (0, 1, 0), (0, 0, 1)),),
    2: (((0, 1, 1), (1, 0, 1), (1, 1, 0)),),
    3: (((1, 0, 0), (0, 1, 0), (0, 0, 3)),),
    4: (((0, 1, 1), (1, 0, 1), (2, 2, 0)), ((2, 0, 0), (0, 2, 0), (0, 0, 1))),
    8: (((2, 0, 0), (0, 2, 0), (0, 0, 2)),),
}
"""Supercells by their number of atoms: cubic, layered and elongated ones."""


def split_of(elements: Sequence[str], draw: float) -> tuple[str, str]:
    """The split of an alloy, and why it is a test; ``draw`` in [0, 1) picks the validation set."""
    found = frozenset(elements)
    if len(found) > 4:
        return "test", "five elements"
    if found in HELD_OUT_SETS:
        return "test", "set of elements"
    if found >= HELD_OUT_PAIR:
        return "test", "pair of elements"
    return ("validation" if draw < VALIDATION_SHARE else "train"), ""


def alloy(elements: Sequence[str], lattice: str, wide: bool, rng: np.random.Generator) -> Atoms:
    """A random arrangement of ``elements``, one for each atom, on ``lattice`` (fcc or bcc)."""
    constant = float(np.mean([LATTICE_CONSTANTS[e] for e in elements]))
    shapes = {"fcc": FCC, "bcc": BCC}[lattice][len(elements)]
    primitive = bulk("Ni", lattice, a=constant if lattice == "fcc" else constant / 2 ** (1 / 3))
    primitive.arrays.pop("initial_magmoms", None)  # ASE gives some elements moments; here are none
    atoms: Atoms = make_supercell(primitive, np.array(shapes[int(rng.integers(len(shapes)))]))
    atoms.set_chemical_symbols([str(e) for e in rng.permutation(list(elements))])
    most = WIDE_VOLUME if wide else VOLUME
    volume = 1.0 + rng.uniform(-most, most)
    strain = rng.normal(0.0, STRAIN, (3, 3))
    strained = np.eye(3) + 0.5 * (strain + strain.T)
    scale = np.cbrt(volume / np.linalg.det(strained))
    atoms.set_cell(atoms.cell[:] @ strained * scale, scale_atoms=True)
    displaced = rng.normal(0.0, rng.uniform(*RATTLE), atoms.positions.shape)
    atoms.positions += displaced - displaced.mean(0)
    return atoms


def _composition(number: int, rng: np.random.Generator) -> list[str]:
    """Elements of the atoms of structure ``number``: the elements themselves come first.

    Drawn again until it is, or is not, for tests as its number asks.
    """
    if number < len(ELEMENTS):
        return [ELEMENTS[number]]
    for_tests = number % TEST_EVERY == TEST_EVERY - 1
    while True:
        n_atoms = int(rng.choice([1, 2, 3, 4], p=[0.08, 0.17, 0.05, 0.7]))
        n_elements = int(rng.integers(min(n_atoms, 2), n_atoms + 1))
        chosen = [str(e) for e in rng.choice(ELEMENTS, n_elements, replace=False)]
        if (split_of(chosen, 1.0)[0] == "test") == for_tests:
            rest = rng.choice(chosen, n_atoms - n_elements)
            return [*chosen, *(str(e) for e in rest)]


def _quinary(number: int, rng: np.random.Generator) -> list[str]:
    five = QUINARIES[number % len(QUINARIES)]
    return [*five, *(str(e) for e in rng.choice(five, 3))]


def sample(n: int, seed: int = 0) -> list[Atoms]:
    """The first ``n`` cells of one to four atoms of a seed.

    Each has ``lattice``, ``split``, ``family`` (why it is a test) and ``name`` in its info.
    """
    return [_structure(number, seed, False) for number in range(n)]


def sample_quinaries(n: int, seed: int = 0) -> list[Atoms]:
    """The first ``n`` cells of eight atoms and five elements of a seed, for tests."""
    return [_structure(number, seed, True) for number in range(n)]


def sample_vacancies(n: int, seed: int = 0) -> list[Atoms]:
    """Those of ``sample_quinaries`` without their last atom."""
    found = sample_quinaries(n, seed)
    for number, atoms in enumerate(found):
        del atoms[-1]
        name = f"{atoms.get_chemical_formula()} {atoms.info['lattice']} {seed}-{number}"
        atoms.info |= {"name": name, "split": "test", "family": "vacancy"}
    return found


def _structure(number: int, seed: int, quinary: bool) -> Atoms:
    rng = np.random.default_rng([seed, int(quinary), number])
    elements = _quinary(number, rng) if quinary else _composition(number, rng)
    lattice = "bcc" if rng.random() < BCC_SHARE else "fcc"
    split, family = split_of(elements, rng.random())
    wide = number % WIDE_EVERY == WIDE_EVERY - 1
    atoms = alloy(elements, lattice, wide, rng)
    atoms.info = {
        "name": f"{atoms.get_chemical_formula()} {lattice} {seed}-{number}",
        "lattice": lattice,
        "split": split,
        "family": family or ("wide volume" if wide else "random"),
        "seed": seed,
    }
    return atoms
