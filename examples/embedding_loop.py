"""A molecule in water: dynamics in which its electrons answer to the water, and the water to them.

    python examples/embedding_loop.py                 # acetone and 40 waters, 1 ps, some minutes
    python examples/embedding_loop.py --steps 20      # a quick look

ASE's EIQMMM couples a rigid acetone to TIP3P waters. In every step esml predicts the charges of
acetone among those of the waters, and these act on the waters. Frames go to acetone.extxyz: atoms
0 to 9 are acetone, the others carry their charges; solvated_spectrum.py makes a spectrum of them.
"""

from __future__ import annotations

import argparse
from typing import Any

import ase.units
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.qmmm import EIQMMM, LJInteractionsGeneral
from ase.calculators.tip3p import TIP3P, epsilon0, qH, rOH, sigma0, thetaHOH
from ase.constraints import FixAtoms, FixBondLengths
from ase.io import write
from ase.md.langevin import Langevin
from scipy.spatial.distance import cdist

import esml
from esml.units import COULOMB

LENNARD_JONES = {1: (2.4, 0.0007), 6: (3.5, 0.003), 8: (3.0, 0.007)}
"""σ (Å) and ε (eV) of the solute's atoms: of usual size, for an illustration."""


class Waters:
    """What ASE's embedding keeps of the waters around a molecule: charges, places, forces."""

    def __init__(self, charges: np.ndarray) -> None:
        self.charges = charges
        self.positions = self.forces = np.zeros((len(charges), 3))

    def set_positions(self, positions: np.ndarray) -> None:
        self.positions = positions

    def get_forces(self, calculator: Calculator) -> np.ndarray:
        return self.forces


class Answering(Calculator):
    """A rigid molecule whose charges q answer to the potential φ of those around it.

    Electrons that answer linearly pay half of what they gain: E = ½ Σ_A (q_A + q⁰_A) φ_A, and the
    force on a charge around the molecule is that of q held fixed.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (ASE's own declaration)

    def __init__(self, model: esml.Surrogate, alone: np.ndarray) -> None:
        super().__init__()
        self.model = model
        self.alone = alone  # q⁰

    def embed(self, charges: np.ndarray) -> Waters:
        """What ASE calls first."""
        self.waters = Waters(charges)
        return self.waters

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """The waters have moved, even where the molecule has not."""
        return list(all_changes)

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        sites, outer = self.waters.positions, self.waters.charges
        around = esml.PointCharges(outer, sites)
        charges = self.model.predict(self.atoms, n_states=1, point_charges=around).charges
        inverse = 1.0 / cdist(self.atoms.positions, sites)
        push = COULOMB * charges[:, None] * outer * inverse**3
        apart = sites - self.atoms.positions[:, None]
        self.waters.forces = (push[:, :, None] * apart).sum(0)
        self.results = {
            "energy": 0.5 * float((charges + self.alone) @ (COULOMB * inverse @ outer)),
            "forces": np.zeros_like(self.atoms.positions),
        }


def solvated(solute: Atoms, n: int, seed: int = 0) -> Atoms:
    """``solute`` and the ``n`` waters of a cubic grid that are nearest to it, but not too near."""
    half = 0.5 * thetaHOH
    water = Atoms(
        "OHH",
        [
            (0, 0, 0),
            (0, rOH * np.sin(half), rOH * np.cos(half)),
            (0, -rOH * np.sin(half), rOH * np.cos(half)),
        ],
    )
    edge = np.arange(-4, 5) * 3.1
    grid = np.stack(np.meshgrid(edge, edge, edge), -1).reshape(-1, 3)
    distance = cdist(grid, solute.positions - solute.positions.mean(0)).min(1)
    places = grid[np.argsort(np.where(distance > 3.0, distance, np.inf))[:n]]
    rng = np.random.default_rng(seed)
    system: Atoms = solute.copy()
    system.positions -= solute.positions.mean(0)
    for place in places:
        one = water.copy()
        one.euler_rotate(*rng.uniform(0.0, 360.0, 3))
        one.positions += place - one.positions[0]
        system += one
    return system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of 1 fs")
    parser.add_argument("--every", type=int, default=20, help="steps between frames")
    parser.add_argument("--waters", type=int, default=40)
    given = parser.parse_args()

    solute = molecule("CH3COCH3")
    size = len(solute)
    system = solvated(solute, given.waters)
    bonds = [
        (size + 3 * k + i, size + 3 * k + j)
        for k in range(given.waters)
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    system.set_constraint([FixAtoms(range(size)), FixBondLengths(bonds, tolerance=1e-6)])
    sigma, epsilon = np.transpose([LENNARD_JONES[z] for z in solute.numbers])
    of_water = np.array([1.0, 0.0, 0.0])  # its hydrogens have none
    contacts = LJInteractionsGeneral(sigma, epsilon, sigma0 * of_water, epsilon0 * of_water, size)
    model = esml.load_model()
    alone = model.predict(solute, n_states=1).charges
    system.calc = EIQMMM(range(size), Answering(model, alone), TIP3P(rc=30.0), contacts)

    dynamics = Langevin(
        system,
        timestep=1.0 * ase.units.fs,
        temperature_K=300.0,
        friction=0.05 / ase.units.fs,
        fixcm=False,
        rng=np.random.default_rng(0),
    )
    charges = np.concatenate([np.zeros(size), np.tile([-2 * qH, qH, qH], given.waters)])
    frames: list[Atoms] = []
    for _ in range(given.steps // given.every):
        dynamics.run(given.every)
        frame = Atoms(system.numbers, system.positions)
        frame.set_initial_charges(charges)
        frames.append(frame)
    write("acetone.extxyz", frames)

    oxygen = int(np.flatnonzero(solute.numbers == 8)[0])
    last = model.predict(frames[-1][:size], n_states=1, point_charges=frames[-1][size:]).charges
    print(f"{len(frames)} frames of acetone and {given.waters} waters: acetone.extxyz")
    print(
        f"oxygen of acetone: {alone[oxygen]:+.3f} e alone, {last[oxygen]:+.3f} e in the last frame"
    )


if __name__ == "__main__":
    main()
