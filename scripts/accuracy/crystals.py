"""How good are the models of crystals? Errors on held-out crystals beside baselines, and speed.

    python -m scripts.accuracy.crystals [MODEL] [--data data/alloys] [--split test] [--speed]
    python -m scripts.accuracy.crystals electrolytes --data data/electrolytes

Prints Markdown. Baselines for d-band centres: the mean of the element over the training crystals,
and a ridge regression on element, neighbours, composition and volume, its penalty chosen by leaving
out one atom each. --speed predicts a 108-atom cell of CoCrFeNiCu at 4×4×4 k points and compares
with PySCF's processor time for the largest cell of the data, scaled by the cube of the size.

Of electrolytes it prints the gap, the valence bands from their top, and how much of the states at
the gap is on the orbitals where the reference has it. The baseline for gaps is the mean of the
training crystals of the same formula.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from esml.io.records import CrystalRecord, read
from esml.model.crystals import CrystalConfig
from esml.physics.crystals import Bands, k_mesh
from esml.physics.crystals.shells import VALENCE_ELECTRONS
from esml.predict.crystals import CrystalSurrogate
from esml.predict.model_files import solid_model
from esml.results.crystal import BandEdge, Crystal
from esml.training.crystals.scores import CrystalScores, scores, structure
from esml.typing import Array
from reference.crystals.alloys import LATTICE_CONSTANTS, VOLUME

NEIGHBOURS, SECOND = 3.1, 4.0
"""Å; first and second shells of the regression."""
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
USUAL_VOLUME, USUAL_DISTANCE, USUAL_ELECTRONS = 11.3, 2.52, 9.0
"""Å³ and Å of an atom, electrons: what features count from."""


def random_alloy(side: int = 3, seed: int = 0) -> Atoms:
    """A random fcc cell of CoCrFeNiCu with 4·side³ atoms, rattled by 0.04 Å."""
    rng = np.random.default_rng(seed)
    atoms: Atoms = bulk("Ni", "fcc", a=3.55, cubic=True).repeat(side)
    atoms.set_initial_magnetic_moments(None)
    five = np.array(["Co", "Cr", "Fe", "Ni", "Cu"])
    atoms.symbols = rng.permutation(np.resize(five, len(atoms)))
    atoms.positions += rng.normal(0.0, 0.04, atoms.positions.shape)
    return atoms


def features(atoms: Atoms, elements: Sequence[int]) -> Array:
    """(N, F) of each atom: element, shares of elements around it and in the cell, volume."""
    place = {z: i for i, z in enumerate(elements)}
    Z = len(elements)
    rows = np.array([place[z] for z in atoms.numbers.tolist()])
    first, second, distances = neighbor_list("ijd", atoms, SECOND)
    own = np.eye(Z)[rows]
    near, far = np.zeros((len(atoms), Z)), np.zeros((len(atoms), Z))
    mean = np.zeros(len(atoms))
    for i, j, d in zip(first, second, distances, strict=True):
        (near if d < NEIGHBOURS else far)[i, rows[j]] += 1.0
        mean[i] += d if d < NEIGHBOURS else 0.0
    count = near.sum(1)
    electrons = np.mean([VALENCE_ELECTRONS[z] for z in atoms.numbers.tolist()])
    about = np.column_stack(
        [
            np.full(len(atoms), atoms.get_volume() / len(atoms) - USUAL_VOLUME),
            mean / np.maximum(count, 1.0) - USUAL_DISTANCE,
            np.full(len(atoms), electrons - USUAL_ELECTRONS),
        ]
    )
    near = near / np.maximum(count, 1.0)[:, None]
    far = far / np.maximum(far.sum(1), 1.0)[:, None]
    cell = np.broadcast_to(own.mean(0), (len(atoms), Z))
    mixed = np.concatenate([cell, near, about], 1)
    crossed = (own[:, :, None] * mixed[:, None, :]).reshape(len(atoms), -1)
    return np.concatenate([own, near, far, cell, about, crossed], 1)


def ridge(x: Array, y: Array, unseen: Array) -> Array:
    """Predictions for ``unseen`` with the penalty that leaving out one row each finds best."""
    best: tuple[float, Array] | None = None
    for penalty in PENALTIES:
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
        hat = np.einsum("if,fg,ig->i", x, inverse, x)
        weights = inverse @ (x.T @ y)
        error = float(np.abs((y - x @ weights) / (1.0 - hat)).mean())
        if best is None or error < best[0]:
            best = error, unseen @ weights
    assert best is not None
    return best[1]


def baselines(
    training: Sequence[CrystalRecord], tests: Sequence[CrystalRecord], elements: Sequence[int]
) -> dict[str, list[Array]]:
    """Errors of d-band centres of each test crystal, eV, by the name of the baseline."""
    numbers = np.concatenate([r.numbers for r in training])
    centres = np.concatenate([r.d_centres for r in training]).astype(float)
    means = {z: centres[numbers == z].mean() for z in set(numbers.tolist())}
    base = np.array([means[z] for z in numbers.tolist()])
    x = np.concatenate([features(structure(r), elements) for r in training])
    found: dict[str, list[Array]] = {"element mean": [], "ridge regression": []}
    for record in tests:
        mean = np.array([means[z] for z in record.numbers.tolist()])
        moved = ridge(x, centres - base, features(structure(record), elements))
        found["element mean"].append(mean - record.d_centres)
        found["ridge regression"].append(mean + moved - record.d_centres)
    return found


def stretch(record: CrystalRecord) -> float:
    """Relative deviation of the volume from Vegard's rule, of an alloy without vacancies."""
    symbols = structure(record).get_chemical_symbols()
    constant = float(np.mean([LATTICE_CONSTANTS[s] for s in symbols]))
    return abs(float(np.linalg.det(record.cell))) / (len(symbols) * constant**3 / 4.0) - 1.0


def groups(records: Sequence[CrystalRecord]) -> dict[str, list[int]]:
    """Places of crystals that are held out for one reason or stand apart, by name."""
    families = list(dict.fromkeys(r.family for r in records))
    found = {f: [i for i, r in enumerate(records) if r.family == f] for f in families}
    if len(families) > 1:
        whole = [i for i, r in enumerate(records) if r.family != "vacancy"]
        found["of these bcc"] = [i for i in whole if records[i].lattice == "bcc"]
        found[f"of these with volumes off by more than {100 * VOLUME:.0f} %"] = [
            i for i in whole if abs(stretch(records[i])) > VOLUME
        ]
        found["all"] = list(range(len(records)))
    return {name: places for name, places in found.items() if places}


def table(
    records: Sequence[CrystalRecord], found: CrystalScores, others: dict[str, list[Array]]
) -> list[str]:
    """Markdown: a row for each crystal, then means."""

    def mean(errors: Array) -> str:
        return f"{1e3 * np.abs(errors).mean():.0f}"

    lines = [
        "| crystal | held out as | d centre (meV) | element mean | ridge | bands ±0.5 eV (meV) | "
        "below E_F | DOS L1 | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for i, record in enumerate(records):
        lines.append(
            f"| {record.name.split()[0]}, {len(record.numbers)} atoms {record.lattice} | "
            f"{record.family} | {mean(found.d_centres[i])} | "
            + " | ".join(mean(errors[i]) for errors in others.values())
            + f" | {1e3 * found.near[i]:.0f} | {1e3 * found.occupied[i]:.0f} | "
            f"{100 * found.dos[i]:.1f} % | {found.seconds[i]:.1f} |"
        )
    for name, some in groups(records).items():
        atoms = sum(len(records[i].numbers) for i in some)

        def of(values: Sequence[Array], some: Sequence[int] = some) -> Array:
            return np.concatenate([values[i] for i in some])

        near, occupied, dos = (
            np.array(values)[some] for values in (found.near, found.occupied, found.dos)
        )
        lines.append(
            f"| **{name}: {len(some)} crystals, {atoms} atoms** | | "
            f"**{mean(of(found.d_centres))}** | "
            + " | ".join(mean(of(errors)) for errors in others.values())
            + f" | **{1e3 * np.nanmean(near):.0f}** | {1e3 * np.nanmean(occupied):.0f} | "
            f"**{100 * np.mean(dos):.1f} %** | |"
        )
    return lines


def same_character(one: BandEdge, other: BandEdge) -> float:
    """Share of two states on the same orbitals: Σ min over elements and shells."""
    return sum(min(share, other.shares.get(name, 0.0)) for name, share in one.shares.items())


def reference_crystal(record: CrystalRecord, config: CrystalConfig) -> Crystal:
    """The record as a prediction by a model of ``config`` would be, on its own k mesh."""
    divisions = tuple(int(n) for n in record.divisions)
    h, electrons = record.hamiltonian, float(record.n_electrons)
    mesh = Bands.of(h, k_mesh(divisions), electrons, config.smearing, config.insulating)
    a, b, c = divisions
    return Crystal(structure(record), h, mesh, (a, b, c), np.zeros(len(record.numbers)))


def insulators(
    model: CrystalSurrogate, training: Sequence[CrystalRecord], tests: Sequence[CrystalRecord]
) -> list[str]:
    """Markdown: a row for each crystal, then means by family."""

    def formula(record: CrystalRecord) -> str:
        return record.name.split()[0]

    found = scores(model, tests)
    gaps = {f: np.mean([r.gap for r in training if formula(r) == f]) for f in map(formula, tests)}
    lines = [
        "| crystal | atoms | gap (eV) | error (meV) | mean of the formula | valence bands (meV) | "
        "within 0.5 eV | DOS L1 | same character: top, bottom |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows: list[list[float]] = []
    for i, record in enumerate(tests):
        divisions = record.divisions.tolist()
        predicted = model.predict(structure(record), divisions)
        reference = reference_crystal(record, model.model.config)
        both = zip(predicted.edges, reference.edges, strict=True)
        characters = [same_character(one, other) for one, other in both]
        mean_off = gaps[formula(record)] - record.gap
        rows.append(
            [1e3 * abs(found.gaps[i]), 1e3 * float(abs(mean_off)), 1e3 * found.occupied[i],
             1e3 * found.near[i], 100 * found.dos[i], *characters]
        )  # fmt: skip
        lines.append(
            f"| {record.name} | {len(record.numbers)} | {record.gap:.2f} | "
            f"{1e3 * found.gaps[i]:+.0f} | {1e3 * mean_off:+.0f} | {rows[-1][2]:.0f} | "
            f"{rows[-1][3]:.0f} | {rows[-1][4]:.1f} % | {rows[-1][5]:.2f}, {rows[-1][6]:.2f} |"
        )
    for family in dict.fromkeys(r.family for r in tests):
        some = [row for row, r in zip(rows, tests, strict=True) if r.family == family]
        gap_error, base, occupied, near, dos, top, bottom = np.mean(some, axis=0)
        lines.append(
            f"| **{family}: {len(some)}** | | | **{gap_error:.0f}** | {base:.0f} | "
            f"**{occupied:.0f}** | {near:.0f} | {dos:.1f} % | {top:.2f}, {bottom:.2f} |"
        )
    return lines


def speed(model: CrystalSurrogate, records: Sequence[CrystalRecord]) -> list[str]:
    """Seconds of a 108-atom cell, and PySCF's estimated from the largest cell of the data."""
    atoms = random_alloy()
    began, used = perf_counter(), process_time()
    crystal = model.predict(atoms, (4, 4, 4))
    crystal.dos()
    wall, cpu = perf_counter() - began, process_time() - used
    largest = max(records, key=lambda r: len(r.numbers))
    spent = float(json.loads(largest.provenance)["seconds_processor"])
    size, points = len(largest.numbers), len(largest.k_weights)
    estimate = spent * (len(atoms) / size) ** 3 * len(crystal.mesh.k_points.weights) / points
    return [
        f"{len(atoms)} atoms at 4×4×4 k points, density of states included: {cpu:.0f} s of a "
        f"processor, {wall:.0f} s of wall.",
        f"PySCF took {spent:.0f} s of a processor for {largest.name} ({size} atoms, {points} k "
        f"points); scaled by the cube of the size and by the k points: {estimate:.1e} s, "
        f"{estimate / cpu:,.0f} times longer.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/alloys")])
    parser.add_argument("--split", default="test")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    model = solid_model(arguments.model)
    records = read(arguments.data, kind=CrystalRecord)
    training = [r for r in records if r.split == "train"]
    tests = [r for r in records if r.split == arguments.split]
    print(f"{len(training)} training crystals, {sum(len(r.numbers) for r in training)} atoms\n")
    if model.model.config.insulating:
        print("\n".join(insulators(model, training, tests)))
        return
    found = scores(model, tests)
    print("\n".join(table(tests, found, baselines(training, tests, model.elements))))
    worst = max(float(np.abs(errors).max()) for errors in found.d_centres)
    print(f"\nLargest error of a d-band centre: {1e3 * worst:.0f} meV.")
    if arguments.speed:
        print("\n" + "\n".join(speed(model, records)))


if __name__ == "__main__":
    main()
