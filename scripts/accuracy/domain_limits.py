"""When does a model call a molecule unlike its training data? Shares, stretched bonds, moved atoms.

    python -m scripts.accuracy.domain_limits [MODEL] [--data DIR ...] [--extrapolation DIR]

Prints Markdown: the share out of domain of test structures with known cores, of those with cores
that no training molecule contains, and of larger molecules; for bonds of some molecules the length,
in units of the equilibrium length, from which they are out of domain; and the share of relaxed test
molecules with known cores whose atoms are moved at random.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule

import esml
from esml.io.records import Record, read
from esml.predict.surrogate import Surrogate
from esml.results import Failure
from esml.training.targets import structure
from reference.molecules import held_out_core, molecule_from_smiles

BONDS = (
    ("H2CO", 0, 1, "C=O of formaldehyde"),
    ("C2H6", 0, 1, "C–C of ethane"),
    ("C2H4", 0, 1, "C=C of ethylene"),
    ("CH3OH", 0, 1, "C–O of methanol"),
    ("CH3Cl", 0, 1, "C–Cl of chloromethane"),
    ("C6H6", 0, 6, "C–H of benzene"),
    ("N2", 0, 1, "N≡N"),
    ("CH3CN", 1, 2, "C≡N of acetonitrile"),
)
"""Molecules of ``ase.build``, two atoms of each, and the name of their bond."""

STRETCHES = np.arange(1.0, 3.0, 0.05)
MOVES = (0.05, 0.1, 0.15, 0.2)  # Å, standard deviation in each direction


def outside(model: Surrogate, structures: Iterable[Atoms]) -> list[bool]:
    """Return whether each structure is out of domain; refused structures count as out."""
    found = model.predict_many(list(structures), 1, errors="return", n_triplets=1)
    return [isinstance(each, Failure) or not each.in_domain for each in found]


def known(record: Record) -> bool:
    """Whether all cores of the ``record`` occur in training."""
    return held_out_core(molecule_from_smiles(record.smiles)) is None


def pulled(name: str, first: int, second: int, stretch: float) -> Atoms:
    """Stretch a bond of the molecule ``name``: move the side of the atom ``second`` along it."""
    atoms: Atoms = molecule(name)
    length = atoms.get_distance(first, second)
    axis = (atoms.positions[second] - atoms.positions[first]) / length
    # Atoms nearer to the second atom than to the first move with it.
    distances = atoms.get_all_distances()
    moving = distances[second] < distances[first]
    atoms.positions[moving] += axis * (stretch - 1.0) * length
    return atoms


def limit(flags: Sequence[bool]) -> str:
    """Return the stretch beyond which all ``flags`` are set."""
    inside = np.flatnonzero(np.logical_not(flags))
    first = int(inside[-1]) + 1 if len(inside) else 0
    return f"{STRETCHES[first]:.2f}" if first < len(STRETCHES) else "never"


def share(flags: Sequence[bool]) -> str:
    return f"{np.mean(flags):.1%} of {len(flags)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="camb3lyp")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[Path("data/small"), Path("data/pool"), Path("data/chromophores")],
    )
    parser.add_argument("--extrapolation", type=Path, default=Path("data/extrapolation"))
    args = parser.parse_args()
    model = esml.load_model(args.model)
    test = read(args.data, split="test")
    groups = {
        "test, known cores": [r for r in test if known(r)],
        "test, cores no training molecule contains": [r for r in test if not known(r)],
        "larger molecules": read(args.extrapolation),
    }
    print("| structures | out of domain |\n|---|---|")
    for title, records in groups.items():
        print(f"| {title} | {share(outside(model, map(structure, records)))} |")
    print("\n| bond | too long from, × its length, on |\n|---|---|")
    for name, first, second, title in BONDS:
        flags = outside(model, [pulled(name, first, second, s) for s in STRETCHES])
        print(f"| {title} | {limit(flags)} |")
    relaxed = [structure(r) for r in groups["test, known cores"] if r.geometry == "relaxed"]
    print("\n| atoms moved at random by, Å | out of domain |\n|---|---|")
    for move in MOVES:
        moved = []
        for seed, atoms in enumerate(relaxed):
            copy = atoms.copy()
            copy.rattle(move, seed=seed)
            moved.append(copy)
        print(f"| {move} | {share(outside(model, moved))} |")


if __name__ == "__main__":
    main()
