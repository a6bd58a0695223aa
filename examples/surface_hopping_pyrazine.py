"""Pyrazine after light: a trajectory that hops between its excited states.

    python examples/surface_hopping_pyrazine.py

Starts on S3, the bright ππ* state, with thermal velocities, and follows E₀ + ω with exact forces.
Prints the active state and the populations over time, and how far the total energy is conserved.
The trajectory is saved as it goes; E₀ comes from GFN2-xTB (tblite).
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation

import esml
from esml.dynamics import Frame, SurfaceHopping
from esml.io.structures import from_smiles


def moving(smiles: str, temperature: float, seed: int) -> Atoms:
    """The molecule of ``smiles`` with thermal velocities, at rest as a whole."""
    atoms: Atoms = from_smiles(smiles).atoms
    random = np.random.default_rng(seed)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
    Stationary(atoms)
    ZeroRotation(atoms)
    return atoms


def largest_change(frames: list[Frame]) -> float:
    """The largest change of the total energy in the trajectory, eV."""
    totals = [frame.total for frame in frames]
    return max(totals) - min(totals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smiles", default="c1cnccn1")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--temperature", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    model = esml.load_model()
    atoms = moving(given.smiles, given.temperature, given.seed)
    hopping = SurfaceHopping(model, atoms, active=2, n_states=3, seed=given.seed)
    frames = [hopping.frame(), *hopping.run(given.steps, save="trajectory.json")]

    print("  fs  active  populations of S1, S2, S3")
    for frame in frames[:: max(1, given.steps // 8)]:
        populations = "  ".join(f"{population:.2f}" for population in frame.populations)
        print(f"{frame.time:4.0f}  S{frame.active + 1}      {populations}")
    hops = sum(one.active != other.active for one, other in pairwise(frames))
    change = 1e3 * largest_change(frames) / len(atoms)
    print(f"{hops} hops; total energy within {change:.2f} meV per atom")


if __name__ == "__main__":
    main()
