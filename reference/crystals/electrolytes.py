"""Structures of lithium electrolytes: Li3PS4, Li6PS5Cl and smaller crystals of Li, P, S and Cl.

Prototypes in cells of diffraction, whose lithium is moved and whose other atoms are
displaced about as far as heat moves them at 300 to 900 K: PS4 groups turn and shift as a whole,
their bonds stretch a little, lithium wanders. In Li6PS5Cl lithium takes one of two places near each
of its sites at random, and sulfide and chloride may change places. The structure of a number and a
seed is always the same, so a sample is a beginning of every longer one.

Sources: cells of γ- and β-Li3PS4 K. Homma et al., Solid State Ionics 182, 53 (2011); Li6PS5Cl H.-J.
Deiseroth et al., Angew. Chem. Int. Ed. 47, 755 (2008); Li2S, LiCl and Li3P are the well-known
antifluorite, rock salt and Na3As structures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.cell import Cell
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from esml.typing import Array

TEST_EVERY = 5
"""One structure in so many is kept for tests; large cells always are."""
VALIDATION_SHARE = 0.08
VOLUME, STRAIN = 0.03, 0.008
TURN = 5.0
"""Degrees, standard deviation by which PS4 groups turn about each axis, at the largest heat."""
SHIFT = {"Li": 0.16, "P": 0.05, "S": 0.06, "Cl": 0.10}
"""Å, standard deviation of each coordinate at the largest heat; of P and S beside that of PS4."""
GROUP_SHIFT = 0.07
HEAT = (0.35, 1.0)
"""Part of the largest displacements; each structure has its own."""
HOP = 0.35
"""Share of structures of γ-Li3PS4 in which one lithium sits in a void."""
LITHIUM_PAIR = 2.0
"""Å; places of lithium in Li6PS5Cl as near as this are never both taken."""
BOND = 2.6
"""Å; a sulfur as near to phosphorus is bonded to it."""
CLOSEST = {
    ("Li", "Li"): 2.0, ("Cl", "Li"): 2.05, ("Li", "S"): 2.05, ("Li", "P"): 2.3, ("P", "S"): 1.85,
    ("S", "S"): 2.9, ("Cl", "S"): 3.0, ("Cl", "P"): 3.0, ("P", "P"): 3.2, ("Cl", "Cl"): 3.0,
}  # fmt: skip
"""Å; nearer atoms are not met below 900 K."""
LONGEST_BOND = 2.35
"""Å, of phosphorus and a sulfur bonded to it."""
TRIES = 2000

FAMILIES = ("Li3PS4", "Li6PS5Cl", "Li3PS4", "Li6PS5Cl", "Li3PS4", "Li6PS5Cl", "Li2S", "Li3PS4",
            "Li6PS5Cl", "LiCl", "Li3PS4", "Li6PS5Cl", "Li3P")  # fmt: skip
"""Of one structure after the other, again and again."""
LARGE_TEST_EVERY = 4
"""One of so many stacks of Li6PS5Cl is larger, and one of so many β-Li3PS4 kept for tests."""
TRIPLED_EVERY = 7
"""One of so many supercells is three times as large and kept for tests."""
APART = ("Li2S", "LiCl", "Li3P")
"""No model learns from these (split "apart"): their lowest conduction bands cross those of free
electrons, so no minimal orbitals have them exactly."""
DIVISIONS = {
    "Li3PS4": (2, 2, 2), "Li6PS5Cl": (2, 2, 2), "Li2S": (4, 4, 4), "LiCl": (4, 4, 4),
    "Li3P": (3, 3, 2),
}  # fmt: skip
"""Of the k mesh: supercells of 12 to 16 Å."""
LATTICES = {
    "Li3PS4": "gamma", "Li6PS5Cl": "argyrodite", "Li2S": "antifluorite", "LiCl": "rock salt",
    "Li3P": "Na3As",
}  # fmt: skip
"""Structure types."""


class NotPlacedError(RuntimeError):
    """No arrangement without atoms that are too near, said in one sentence."""


def li3ps4(rng: np.random.Generator) -> Atoms:
    """γ-Li3PS4, 16 atoms: positions relaxed with GFN1-xTB in the measured cell."""
    return crystal(
        ["Li", "Li", "P", "S", "S", "S"],
        [
            (0.2435, 0.3318, 0.9772), (0.0, 0.1588, 0.4672), (0.0, 0.8219, 0.0057),
            (0.2302, 0.6872, 0.9035), (0.0, 0.8115, 0.3352), (0.0, 0.1177, 0.8997),
        ],
        spacegroup=31,
        cellpar=[7.708, 6.535, 6.137, 90, 90, 90],
    )  # fmt: skip


def beta_li3ps4(rng: np.random.Generator) -> Atoms:
    """β-Li3PS4, 32 atoms, no site half empty as in the γ-Li3PO4 type: relaxed with GFN1-xTB."""
    return crystal(
        ["Li", "Li", "P", "S", "S", "S"],
        [
            (0.1604, 0.5067, 0.2921), (0.4213, 0.75, 0.2100), (0.4111, 0.25, 0.3085),
            (0.3433, 0.0339, 0.2098), (0.0644, 0.25, 0.2857), (0.0936, 0.75, 0.1412),
        ],
        spacegroup=62,
        cellpar=[12.819, 8.2195, 6.1236, 90, 90, 90],
    )  # fmt: skip


def li6ps5cl(rng: np.random.Generator, exchanged: bool | None = None) -> Atoms:
    """Li6PS5Cl, 13 atoms; in every other one S²⁻ and Cl⁻ are exchanged, unless it is said.

    Lithium (48h) has twelve places in pairs 1.9 Å apart; one of each pair is taken at random.
    """
    atoms = crystal(
        ["Cl", "P", "S", "S", "Li"],
        [
            (0, 0, 0), (0, 0, 0.5), (0.1192, -0.1192, 0.6192), (0.25, 0.25, 0.75),
            (0.183, 0.183, -0.024),
        ],
        spacegroup=216,
        cellpar=[9.859] * 3 + [90] * 3,
        primitive_cell=True,
    )  # fmt: skip
    pairs = neighbor_list("ij", atoms, {("Li", "Li"): LITHIUM_PAIR})
    doublets = sorted({tuple(sorted(pair)) for pair in np.transpose(pairs).tolist()})
    del atoms[[pair[int(rng.integers(2))] for pair in doublets]]
    if rng.random() < 0.5 if exchanged is None else exchanged:
        chloride = int(np.flatnonzero(atoms.symbols == "Cl")[0])
        bonded = {i for _, sulfurs, _ in phosphates(atoms) for i in sulfurs}
        sulfide = next(i for i in np.flatnonzero(atoms.symbols == "S") if i not in bonded)
        atoms.symbols[[chloride, sulfide]] = ["S", "Cl"]
    return atoms


def li4p2s7(rng: np.random.Generator) -> Atoms:
    """Li4P2S7, 13 atoms: two PS4 that share a sulfur, as in glasses rich in P2S5.

    A crystal made up for that group: packed at random and relaxed, cell and all, with GFN1-xTB.
    """
    places = [
        (0.0263, 0.8872, 0.9709), (0.1398, 0.2618, 0.5345), (0.3271, 0.0029, 0.8403),
        (0.2864, 0.6490, 0.2048), (0.7359, 0.0963, 0.5361), (0.8922, 0.4901, 0.2128),
        (0.7334, 0.7589, 0.8614), (0.2106, 0.9506, 0.1800), (0.8295, 0.8051, 0.1952),
        (0.1289, 0.3075, 0.0407), (0.8717, 0.4015, 0.6873), (0.5672, 0.9593, 0.7730),
        (0.2780, 0.5985, 0.6574),
    ]  # fmt: skip
    cell = Cell.fromcellpar([9.387, 6.106, 5.052, 112.301, 80.599, 87.969])
    return Atoms("S7P2Li4", scaled_positions=places, cell=cell, pbc=True)


def li2s(rng: np.random.Generator) -> Atoms:
    """Li2S, 3 atoms."""
    return crystal(
        ["S", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225,
        cellpar=[5.72] * 3 + [90] * 3, primitive_cell=True,
    )  # fmt: skip


def licl(rng: np.random.Generator) -> Atoms:
    """LiCl, 2 atoms."""
    return bulk("LiCl", "rocksalt", a=5.14)


def li3p(rng: np.random.Generator) -> Atoms:
    """Li3P, 8 atoms."""
    return crystal(
        ["P", "Li", "Li"], [(1 / 3, 2 / 3, 0.25), (0, 0, 0.25), (1 / 3, 2 / 3, 0.583)],
        spacegroup=194, cellpar=[4.264, 4.264, 7.579, 90, 90, 120],
    )  # fmt: skip


PROTOTYPES: dict[str, Callable[[np.random.Generator], Atoms]] = {
    "Li3PS4": li3ps4, "Li6PS5Cl": li6ps5cl, "Li2S": li2s, "LiCl": licl, "Li3P": li3p,
}  # fmt: skip


def phosphates(atoms: Atoms) -> list[tuple[int, list[int], Array]]:
    """Each P with the S bonded to it, and the vectors to them, Å."""
    first, second, vectors = neighbor_list("ijD", atoms, {("P", "S"): BOND})
    found: list[tuple[int, list[int], Array]] = []
    for centre in np.flatnonzero(atoms.symbols == "P"):
        own = first == centre
        if own.any():
            found.append((int(centre), second[own].tolist(), vectors[own]))
    return found


def heated(atoms: Atoms, heat: float, rng: np.random.Generator) -> Atoms:
    """``atoms`` displaced at random; ``heat`` 1 is about 900 K."""
    moved: Atoms = atoms.copy()
    for centre, sulfurs, vectors in phosphates(atoms):
        turn = rng.normal(0.0, heat * np.radians(TURN), 3)
        shift = rng.normal(0.0, heat * GROUP_SHIFT, 3)
        moved.positions[sulfurs] += np.cross(turn, vectors) + shift
        moved.positions[centre] += shift
    spread = heat * np.array([SHIFT[s] for s in moved.symbols])
    moved.positions += rng.normal(0.0, 1.0, (len(moved), 3)) * spread[:, None]
    return moved


def with_a_hop(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """``atoms`` with one lithium in a void among three S or more, or as it was without such."""
    moved: Atoms = atoms.copy()
    lithium = int(rng.choice(np.flatnonzero(moved.symbols == "Li")))
    for _ in range(TRIES):
        moved.positions[lithium] = rng.random(3) @ moved.cell.array
        apart = moved.get_distances(lithium, range(len(moved)), mic=True)
        apart[lithium] = np.inf
        sulfur = moved.symbols == "S"
        enough = (apart[sulfur] < 2.75).sum() >= 3 and apart[sulfur].min() > 2.25
        if enough and apart[~sulfur].min() > 2.4:
            return moved
    return atoms


def plausible(atoms: Atoms) -> bool:
    """Whether no two atoms are nearer than heat brings them, and every P keeps its S."""
    if len(neighbor_list("i", atoms, CLOSEST)):
        return False
    return all(
        len(vectors) == 4 and np.linalg.norm(vectors, axis=1).max() < LONGEST_BOND
        for _, _, vectors in phosphates(atoms)
    )


def strained(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """``atoms`` in a cell of another volume and shape."""
    moved: Atoms = atoms.copy()
    strain = rng.normal(0.0, STRAIN, (3, 3))
    shape = np.eye(3) + 0.5 * (strain + strain.T)
    scale = np.cbrt((1.0 + rng.uniform(-VOLUME, VOLUME)) / np.linalg.det(shape))
    moved.set_cell(moved.cell[:] @ shape * scale, scale_atoms=True)
    return moved


def electrolyte(prototype: Atoms, hop: bool, rng: np.random.Generator, tries: int = TRIES) -> Atoms:
    """A strained, heated ``prototype``; raises NotPlacedError where none is found."""
    heat = rng.uniform(*HEAT)
    for attempt in range(tries):
        start = with_a_hop(prototype, rng) if hop else prototype
        found = heated(strained(start, rng), heat * 0.999**attempt, rng)
        if plausible(found):
            return found
    raise NotPlacedError(
        f"{prototype.symbols} found no arrangement in {tries} tries: expected room for its atoms; "
        "take another seed"
    )


@dataclass(frozen=True)
class Plan:
    """A structure of a sample before it is strained and heated."""

    atoms: Atoms
    name: str  # seed and number follow it
    lattice: str
    family: str
    split: str
    divisions: tuple[int, ...]  # of the k mesh
    hop: bool = False  # whether one lithium sits in a void


def _drawn(
    n: int, seed: int, series: int, plan: Callable[[int, np.random.Generator], Plan]
) -> list[Atoms]:
    """The first ``n`` structures of a ``series``, each with random numbers of its own."""
    found = []
    for number in range(n):
        rng = np.random.default_rng([seed, series, number])
        planned = plan(number, rng)
        atoms = electrolyte(planned.atoms, planned.hop, rng)
        atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        atoms.info = {
            "name": f"{planned.name} {seed}-{number}",
            "lattice": planned.lattice,
            "split": planned.split,
            "family": planned.family,
            "k_points": np.array(planned.divisions),
        }
        found.append(atoms)
    return found


def _kept(number: int, every: int) -> str:
    """Split of a structure of which one in ``every`` is kept for tests."""
    return "test" if number % every == every - 1 else "train"


def sample(n: int, seed: int = 0) -> list[Atoms]:
    """The first ``n`` structures of a seed, with name, split, family and k mesh in their info."""

    def plan(number: int, rng: np.random.Generator) -> Plan:
        formula = FAMILIES[number % len(FAMILIES)]
        draw = rng.random()
        split = _kept(number, TEST_EVERY)
        if split == "train" and draw < VALIDATION_SHARE:
            split = "validation"
        if formula in APART:
            split = "apart"
        hop = formula == "Li3PS4" and rng.random() < HOP
        family = f"{formula}, one Li moved" if hop else formula
        atoms = PROTOTYPES[formula](rng)
        return Plan(atoms, formula, LATTICES[formula], family, split, DIVISIONS[formula], hop)

    return _drawn(n, seed, 2, plan)


def _stack(exchanged: Sequence[bool], rng: np.random.Generator, axis: int = 2) -> Atoms:
    """Cells of Li6PS5Cl on each other along a lattice vector."""
    cells = [li6ps5cl(rng, exchanged=each) for each in exchanged]
    for height, cell in enumerate(cells):
        cell.positions += height * cell.cell[axis]
    stack: Atoms = sum(cells[1:], cells[0].copy())
    lengths = np.where(np.arange(3) == axis, len(cells), 1)
    stack.set_cell(cells[0].cell.array * lengths[:, None])
    return stack


def sample_doubled(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` doubled cells for tests: γ-Li3PS4 of 32 atoms, and Li6PS5Cl of 26, half exchanged."""

    def plan(number: int, rng: np.random.Generator) -> Plan:
        if number % 2 == 0:
            atoms, formula, what = li3ps4(rng).repeat((1, 1, 2)), "Li3PS4", "doubled"
        else:
            atoms, formula, what = _stack((False, True), rng), "Li6PS5Cl", "half exchanged"
        name, hop = f"{formula} {what}", formula == "Li3PS4"
        return Plan(atoms, name, LATTICES[formula], "large cell", "test", (2, 2, 1), hop)

    return _drawn(n, seed, 3, plan)


def sample_stacked(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` stacks of Li6PS5Cl in which some cells have S²⁻ and Cl⁻ exchanged and some have not.

    Two cells, 26 atoms, to learn from; every fourth has three, 39 atoms, and is for tests.
    """

    def plan(number: int, rng: np.random.Generator) -> Plan:
        split = _kept(number, LARGE_TEST_EVERY)
        height, family = (3, "large cell") if split == "test" else (2, "Li6PS5Cl, stacked")
        exchanged = rng.permutation([i < 1 + rng.integers(height - 1) for i in range(height)])
        name = f"Li6PS5Cl stacked {sum(exchanged)} of {height}"
        stack = _stack(exchanged.tolist(), rng)
        return Plan(stack, name, LATTICES["Li6PS5Cl"], family, split, (2, 2, 1))

    return _drawn(n, seed, 4, plan)


def sample_supercells(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` cells twice as large to learn from, along each lattice vector in turn.

    γ-Li3PS4 of 32 atoms, every other one with a moved lithium, and Li6PS5Cl of 26 with any of its
    cells exchanged. Every seventh has three cells, 48 or 39 atoms, and is for tests.
    """

    def plan(number: int, rng: np.random.Generator) -> Plan:
        split, axis = _kept(number, TRIPLED_EVERY), number // 2 % 3
        times = 3 if split == "test" else 2
        formula = FAMILIES[number % 2]
        hop = formula == "Li3PS4" and number % 4 == 0
        if formula == "Li3PS4":
            atoms = li3ps4(rng).repeat([times if i == axis else 1 for i in range(3)])
        else:
            atoms = _stack((rng.random(times) < 0.5).tolist(), rng, axis)
        family = "large cell" if split == "test" else f"{formula}, {times} cells"
        divisions = tuple(1 if i == axis else 2 for i in range(3))
        name = f"{formula} {times} cells"
        return Plan(atoms, name, LATTICES[formula], family, split, divisions, hop)

    return _drawn(n, seed, 8, plan)


def sample_moved(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` cells of γ-Li3PS4 with one lithium in a void; every fifth is for tests."""

    def plan(number: int, rng: np.random.Generator) -> Plan:
        split, family = _kept(number, TEST_EVERY), "Li3PS4, one Li moved"
        divisions = DIVISIONS["Li3PS4"]
        return Plan(li3ps4(rng), "Li3PS4 moved", "gamma", family, split, divisions, hop=True)

    return _drawn(n, seed, 5, plan)


def sample_beta(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` cells of β-Li3PS4, every other one with a moved lithium; every fourth is for tests."""

    def plan(number: int, rng: np.random.Generator) -> Plan:
        split, hop = _kept(number, LARGE_TEST_EVERY), number % 2 == 1
        family = "beta-Li3PS4, one Li moved" if hop else "beta-Li3PS4"
        return Plan(beta_li3ps4(rng), "Li3PS4 beta", "beta", family, split, (1, 2, 2), hop)

    return _drawn(n, seed, 6, plan)


def sample_bridged(n: int, seed: int = 0) -> list[Atoms]:
    """``n`` cells of Li4P2S7, whose PS4 share a sulfur; every fifth is for tests."""

    def plan(number: int, rng: np.random.Generator) -> Plan:
        split = _kept(number, TEST_EVERY)
        return Plan(li4p2s7(rng), "Li4P2S7", "made up", "Li4P2S7", split, (2, 2, 3))

    return _drawn(n, seed, 7, plan)
