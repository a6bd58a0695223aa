"""The spectrum of a molecule in water, from frames of a trajectory, with error bars.

    python examples/solvated_spectrum.py acetone.extxyz --atoms 10 --range 3.5 6
    python examples/solvated_spectrum.py system.prmtop run.nc --select "resname LIG"

The first form reads frames with ASE: the first atoms are the molecule, all others carry charges
(embedding_loop.py writes such a file). The second reads any topology with charges and any
trajectory that MDAnalysis knows (pip install MDAnalysis); whole residues within --within Å of the
molecule become point charges. The molecule has the charge of --charge, else the sum of the charges
of its atoms in the file. The curve goes to solvated.csv, the picture to solvated.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.io import iread

import esml
from esml.analysis.spectrum import average

mpl.use("Agg")  # pictures go to files, no window is needed

Frame = tuple[Atoms, esml.PointCharges]


def charged(molecule: Atoms, charge: int | None) -> Atoms:
    """The molecule with this charge, or with the sum of its atoms' charges."""
    total = molecule.get_initial_charges().sum()
    if charge is None and abs(total - round(total)) > 0.1:
        raise SystemExit(
            f"the charges of the molecule's atoms sum to {total:.2f} e: expected a whole number; "
            "give --charge"
        )
    stated = round(total) if charge is None else charge
    return Atoms(molecule.numbers, molecule.positions, info={"charge": stated})


def of_ase(path: str, n_atoms: int, charge: int | None) -> Iterator[Frame]:
    """The molecule and the charges around it in each frame of a file."""
    for frame in iread(path, ":"):
        around = frame[n_atoms:]
        charges = esml.PointCharges(around.get_initial_charges(), around.positions)
        yield charged(frame[:n_atoms], charge), charges


def of_mdanalysis(
    topology: str,
    trajectory: str,
    selection: str,
    within: float,
    every: int,
    charge: int | None,
) -> Iterator[Frame]:
    """The same from a topology and a trajectory; molecules are made whole, the box is unwrapped."""
    import MDAnalysis
    from MDAnalysis.transformations import center_in_box, unwrap, wrap

    universe = MDAnalysis.Universe(topology, trajectory)
    solute = universe.select_atoms(selection)
    if not hasattr(universe.atoms, "elements"):
        universe.guess_TopologyAttrs(to_guess=["elements"])
    if universe.dimensions is not None and not hasattr(universe.atoms, "bonds"):
        print(f"note: {topology} has no bonds, so molecules cut by the box stay cut")
    elif universe.dimensions is not None:
        universe.trajectory.add_transformations(
            unwrap(universe.atoms),
            center_in_box(solute),
            wrap(universe.atoms, compound="residues"),
        )
    symbols = [atom.element.capitalize() for atom in solute]
    around = universe.select_atoms(
        f"byres (around {within} group solute) and not group solute", solute=solute, updating=True
    )
    for _ in universe.trajectory[::every]:
        charges = esml.PointCharges(around.charges, around.positions)
        yield charged(Atoms(symbols, solute.positions, charges=solute.charges), charge), charges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="frames for ASE, or topology and trajectory")
    parser.add_argument("--atoms", type=int, help="atoms of the molecule, the first ones")
    parser.add_argument("--select", default="resname LIG", help="the molecule, for MDAnalysis")
    parser.add_argument("--within", type=float, default=15.0, help="Å, for MDAnalysis")
    parser.add_argument("--every", type=int, default=1, help="frames, for MDAnalysis")
    parser.add_argument(
        "--charge", type=int, help="of the molecule; else the sum of the charges of its atoms"
    )
    parser.add_argument("--range", type=float, nargs=2, help="eV, ends of the axis of the picture")
    given = parser.parse_args()
    if len(given.files) == 1:
        frames = list(of_ase(given.files[0], given.atoms, given.charge))
    else:
        topology, trajectory = given.files
        asked = given.select, given.within, given.every, given.charge
        frames = list(of_mdanalysis(topology, trajectory, *asked))

    model = esml.load_model()
    molecules, charges = zip(*frames, strict=True)
    source = "the sum of the charges of its atoms" if given.charge is None else "as given"
    print(f"charge of the molecule: {molecules[0].info['charge']:d}, {source}")
    curves = {}
    for name, around in {"in solution": charges, "without the surroundings": None}.items():
        transitions = []
        for result in model.predict_many(molecules, 6, "return", point_charges=around):
            if isinstance(result, esml.Failure):
                print(f"left out: {result.reason}")
                continue
            transitions.append((result.singlets.energies, result.singlets.oscillator_strengths))
        if not transitions:
            raise SystemExit("no frame has a prediction: expected one at least; see the reasons")
        lowest = np.array([energies[0] for energies, _ in transitions])
        error = lowest.std() / np.sqrt(len(lowest))
        print(f"S1 {name}: {lowest.mean():.2f} ± {lowest.std():.2f} eV, mean to ± {error:.3f}")
        curves[name] = average(transitions, fwhm=0.1)

    axes, view = None, {"axis": "eV", "limits": given.range} if given.range else {}
    for (name, curve), colour in zip(curves.items(), ("#1f4e79", "#f28e2b"), strict=True):
        axes = curve.plot(axes, label=f"{name},\n{curve.n_frames} frames", color=colour, **view)
        view = {}  # of the first curve
    assert axes is not None
    axes.legend(frameon=False, loc="upper right", fontsize="small")
    axes.locator_params(axis="y", nbins=4)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig("solvated.png", dpi=150)
    curves["in solution"].to_csv("solvated.csv")


if __name__ == "__main__":
    main()
