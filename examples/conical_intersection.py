"""Where two excited states meet: the lowest geometry at which two states of pyrazine are one.

    python examples/conical_intersection.py

Two directions open a crossing, g = ½ ∂(ω₂ − ω₁) and h, the coupling. In every other direction the
states stay together. So an optimizer that follows

    F = P [F₀ − ½ ∂(ω₁ + ω₂)] − 2 (ω₂ − ω₁) ĝ     (P takes away what lies in the plane of g and h)

goes down along the crossing and towards it (M. J. Bearpark, M. A. Robb and H. B. Schlegel, Chem.
Phys. Lett. 223, 269 (1994)). E₀ comes from GFN2-xTB (tblite).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS
from tblite.ase import TBLite

import esml
from esml.io.structures import from_smiles

SMALL = 0.02
"""Å; length of the displacements that show how the crossing opens."""


class Crossing(Calculator):
    """The mean of two singlets (from 0), with forces that lead to their crossing."""

    implemented_properties = ["energy", "forces", "gap"]  # noqa: RUF012

    def __init__(self, ground: Any, model: esml.Surrogate, lower: int, upper: int) -> None:
        super().__init__()
        self.ground, self.model, self.pair = ground, model, (lower, upper)

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        lower, upper = self.pair
        found = esml.state_couplings(self.model, self.atoms, upper + 1)
        plane = np.stack(found.branching_plane(lower, upper)).reshape(2, -1)
        directions = np.linalg.qr(plane.T)[0].T  # g and h, made orthonormal
        along = directions[0] * np.sign(directions[0] @ plane[0])
        gap = found.energies[upper] - found.energies[lower]
        slope = 0.5 * (found.gradients[lower] + found.gradients[upper])
        down = (self.ground.get_property("forces", self.atoms) - slope).ravel()
        down -= directions.T @ (directions @ down)
        mean = 0.5 * (found.energies[lower] + found.energies[upper])
        self.results = {
            "energy": self.ground.get_property("energy", self.atoms) + mean,
            "forces": (down - 2.0 * gap * along).reshape(-1, 3),
            "gap": gap,
        }


def gap(model: esml.Surrogate, atoms: Atoms, displacement: np.ndarray) -> float:
    """ω₂ − ω₁ (eV) after a displacement (N, 3) Å."""
    moved = atoms.copy()
    moved.positions += displacement
    energies = model.predict(moved, n_states=2).singlets.energies
    return float(energies[1] - energies[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smiles", default="c1cnccn1")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()

    model = esml.load_model()
    atoms = from_smiles(given.smiles).atoms
    atoms.rattle(0.02, seed=1)  # off the planes of symmetry
    atoms.calc = Crossing(TBLite(method="GFN2-xTB", verbosity=0), model, 0, 1)
    start = atoms.get_potential_energy()
    print(f"gap at the beginning {atoms.calc.results['gap']:.3f} eV")
    optimizer = BFGS(atoms, logfile=None, maxstep=0.05)
    converged = optimizer.run(fmax=0.03, steps=given.steps)
    there = atoms.get_potential_energy() - start
    print(f"{'converged' if converged else 'stopped'} after {optimizer.nsteps} steps")
    print(f"gap {atoms.calc.results['gap']:.4f} eV, mean energy {there:+.2f} eV")

    plane = np.stack(esml.state_couplings(model, atoms, 2).branching_plane(0, 1)).reshape(2, -1)
    other = np.random.default_rng(0).normal(size=plane.shape[1])
    directions = np.linalg.qr(np.vstack([plane, other]).T)[0].T.reshape(3, -1, 3)
    for name, direction in zip(("g", "h", "neither"), directions, strict=True):
        opened = gap(model, atoms, SMALL * direction)
        print(f"{SMALL} Å along {name}: gap {opened:.4f} eV")


if __name__ == "__main__":
    main()
