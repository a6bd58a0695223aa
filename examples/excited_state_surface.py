"""Relaxation in an excited state: absorption, emission, and how the geometry changes between them.

    python examples/excited_state_surface.py

The ground state of formaldehyde comes from GFN2-xTB (tblite), the excitation energy and its
gradient from esml: E = E₀ + ω, F = F₀ − ∂ω/∂R.
"""

from __future__ import annotations

import argparse

from ase import Atoms
from ase.build import molecule
from ase.optimize import BFGS
from tblite.ase import TBLite

import esml


def relaxed(atoms: Atoms, state: str | None, model: esml.Surrogate) -> Atoms:
    """``atoms`` relaxed in the ground state, or in ``state``."""
    atoms = atoms.copy()
    ground = TBLite(method="GFN2-xTB", verbosity=0)
    if state is None:
        atoms.calc = ground
    else:
        atoms.rattle(0.02, seed=0)  # S1 of formaldehyde is not planar: leave the symmetry
        atoms.calc = esml.ExcitedStateCalculator(ground, state, model)
    BFGS(atoms, logfile=None).run(fmax=0.03, steps=100)
    return atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", default="S1")
    given = parser.parse_args()

    model = esml.load_model()
    below = relaxed(molecule("H2CO"), None, model)
    slopes = esml.excitation_gradients(model, below, states=[0])
    print(f"absorption {slopes.energies[0]:.2f} eV")
    along = (below.positions[1] - below.positions[0]) / below.get_distance(0, 1)
    slope = (slopes.gradients[0, 1] - slopes.gradients[0, 0]) @ along / 2
    print(f"dω/dR(C=O) {slope:.1f} eV/Å: the bond {'grows' if slope < 0 else 'shrinks'} in S1")

    above = relaxed(below, given.state, model)
    print(f"emission {above.calc.results['excitation_energy']:.2f} eV")
    for name, atoms in (("S0", below), (given.state, above)):
        print(f"{name}: C=O {atoms.get_distance(0, 1):.3f} Å, HCO {atoms.get_angle(2, 1, 0):.0f}°")


if __name__ == "__main__":
    main()
