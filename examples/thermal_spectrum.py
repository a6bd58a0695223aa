"""A thermal spectrum: the average over geometries of molecular dynamics.

    python examples/thermal_spectrum.py                # pyridine, 10 ps at 300 K, some minutes
    python examples/thermal_spectrum.py --steps 60     # a quick look

GFN2-xTB (tblite) runs the dynamics. Frames go to pyridine.extxyz, the picture to pyridine.png.
"""

from __future__ import annotations

import argparse

import ase.units
import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from tblite.ase import TBLite

import esml
from esml.analysis.spectrum import average

mpl.use("Agg")  # pictures go to files, no window is needed


def frames(atoms: Atoms, steps: int, every: int, temperature: float) -> list[Atoms]:
    """Every ``every``-th geometry of ``steps`` fs, after ``steps`` / 5 fs of equilibration."""
    generator = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=generator)
    dynamics = Langevin(
        atoms,
        timestep=1.0 * ase.units.fs,
        temperature_K=temperature,
        friction=0.01 / ase.units.fs,
        fixcm=False,
        rng=generator,
    )
    dynamics.run(steps // 5)
    found = []
    for _ in range(steps // every):
        dynamics.run(every)
        frame = atoms.copy()
        frame.set_pbc(False)
        found.append(frame)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000, help="of 1 fs")
    parser.add_argument("--every", type=int, default=10, help="steps between frames")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    given = parser.parse_args()

    atoms = molecule("C5H5N")
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.01)
    model = esml.load_model()
    rigid = model.predict(atoms, n_states=8)
    trajectory = frames(atoms, given.steps, given.every, given.temperature)
    write("pyridine.extxyz", trajectory)

    transitions = []
    for result in model.predict_many(trajectory, n_states=8, errors="return"):
        if isinstance(result, esml.Failure):
            print(f"left out: {result.reason}")
            continue
        transitions.append((result.singlets.energies, result.singlets.oscillator_strengths))
    # Narrow lines: the motion now gives the width.
    spectrum = average(transitions, fwhm=0.1)

    print(f"{spectrum.n_frames} of {len(trajectory)} frames at {given.temperature:.0f} K")
    print(f"S1 at rest    {rigid.singlets.energies[0]:.2f} eV")
    lowest = [energies[0] for energies, _ in transitions]
    print(f"S1 in motion  {np.mean(lowest):.2f} ± {np.std(lowest):.2f} eV")
    top = spectrum.absorption.argmax()
    print(
        f"maximum at {spectrum.energies[top]:.2f} eV: "
        f"{spectrum.absorption[top]:.0f} ± {spectrum.standard_error[top]:.0f} L/mol/cm"
    )

    axes = spectrum.plot(axis="eV", label=f"{given.temperature:.0f} K")
    # One geometry needs a width that stands for the motion.
    still = rigid.spectrum(fwhm=0.3)
    still.plot(axes, sticks=False, linewidth=0.8, label="at rest, lines 0.3 eV wide")
    highest = max(spectrum.absorption.max(), still.absorption.max())
    axes.set_ylim(0.0, 1.1e-3 * highest)  # 10³ L/mol/cm
    axes.legend(frameon=False)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig("pyridine.png", dpi=150)


if __name__ == "__main__":
    main()
