"""Trajectories between excited singlets: conserved energy, hops, and populations over time.

    python -m scripts.accuracy.surface_hopping FOLDER [--smiles SMILES] [--count 10] [--fs 100]

Starts each trajectory on the brightest of the ``--n-states`` lowest singlets near the GFN2-xTB
minimum, with zero-point motion of the normal modes, and follows it for ``--fs`` in steps of
``--timestep``. FOLDER keeps every trajectory, so the same command continues an interrupted run or
prints the table of a finished one. Prints Markdown: the largest change of total energy of each
trajectory between two hops, in meV per atom, and the share of trajectories on each singlet over
time.

The default is pyrazine, whose ππ* state is measured to decay to nπ* within 22 ± 3 fs: Y. Suzuki,
T. Fuji, T. Horio and T. Suzuki, J. Chem. Phys. 132, 174302 (2010). Needs the extra ``smiles``.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase import Atoms, units

import esml
from esml.analysis.normal_modes import NormalModes, normal_modes
from esml.dynamics import CrossingError, Frame, SurfaceHopping
from esml.io import from_smiles
from esml.io.geometry import METHOD, xtb_calculator
from esml.io.provenance import ReadingOptions
from scripts.pages import table


def moving(atoms: Atoms, modes: NormalModes, seed: int) -> Atoms:
    """Return ``atoms`` with coordinates and velocities of the zero-point motion of ``modes``.

    Dimensionless coordinate and momentum of each mode are drawn from the Wigner distribution of its
    ground state, Gaussians of variance ½.
    """
    random = np.random.default_rng(seed)
    q, p = random.normal(scale=np.sqrt(0.5), size=(2, len(modes.energies)))
    frequencies = modes.energies / (units._hbar * units.J * units.s)  # in ASE's units of time
    found: Atoms = atoms.copy()
    found.positions += np.einsum("v,vax->ax", q, modes.displacements)
    found.set_velocities(np.einsum("v,vax->ax", p * frequencies, modes.displacements))
    return found


def follow(path: Path, model: esml.Surrogate, start: SurfaceHopping, steps: int) -> list[Frame]:
    """Continue the trajectory in ``path`` until it has ``steps``; return its frames."""
    first = start.frame()
    hopping = SurfaceHopping.load(path, model) if path.exists() else start
    try:
        hopping.run(steps - hopping.steps, save=path)
    except CrossingError as error:
        print(f"{path.name}: {error}")
    return [first, *hopping.frames]


def largest_change(frames: list[Frame], n_atoms: int) -> float:
    """Return the largest change of the total energy between two hops, meV per atom."""
    total = np.array([frame.total for frame in frames])
    active = np.array([frame.active for frame in frames])
    parts = np.split(total, 1 + np.flatnonzero(np.diff(active)))
    return float(1e3 * max(np.abs(part - part[0]).max() for part in parts) / n_atoms)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--smiles", default="c1cnccn1")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--fs", type=float, default=100.0)
    parser.add_argument("--n-states", type=int, default=3)
    parser.add_argument("--timestep", type=float, default=0.25)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    model = esml.load_model()
    atoms = from_smiles(given.smiles, ReadingOptions(geometry="xtb")).atoms
    modes = normal_modes(atoms, xtb_calculator(0), METHOD)
    runs, steps = [], round(given.fs / given.timestep)
    for seed in range(given.count):
        there = moving(atoms, modes, seed)
        strengths = model.predict(there, given.n_states, n_triplets=1).singlets.oscillator_strengths
        start = SurfaceHopping(
            model, there, int(strengths.argmax()), given.n_states, None, given.timestep, seed
        )
        runs.append(follow(given.folder / f"trajectory-{seed}.json", model, start, steps))
        states = [frame.active for frame in runs[-1]]
        hops = sum(a != b for a, b in pairwise(states))
        change = largest_change(runs[-1], len(atoms))
        print(f"{seed}: S{states[0] + 1} to S{states[-1] + 1}, {hops} hops, {change:.2f} meV/atom")
    rows = []
    for time in np.linspace(0.0, given.fs, 11):
        now = [run[min(round(time / given.timestep), len(run) - 1)].active for run in runs]
        shares = [f"{now.count(k) / len(now):.2f}" for k in range(given.n_states)]
        rows.append((f"{time:g}", *shares))
    print(table(("fs", *(f"S{k + 1}" for k in range(given.n_states))), rows, right=True))


if __name__ == "__main__":
    main()
