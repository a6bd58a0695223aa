"""What the excited states of a molecule are: orbitals, character, charge transfer, symmetry.

    python examples/read_a_state.py

also writes a picture and a Molden file of the brightest state's natural transition orbitals to the
current directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from ase import Atoms
from ase.io import read

import esml
from esml.export import write_natural_orbitals
from esml.plots.figures import plot_natural_orbitals

mpl.use("Agg")  # pictures go to files, no window is needed

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecule", nargs="?", type=Path, default=HERE / "p-nitroaniline.xyz")
    given = parser.parse_args()
    name = given.molecule.stem

    atoms = read(given.molecule)
    assert isinstance(atoms, Atoms)  # not several, as from read(path, ":")
    result = esml.load_model().predict(atoms, n_states=6)
    characters = result.named_characters()
    strengths = result.singlets.oscillator_strengths
    print("state   energy  strength  pairs  moved  distance  what it is")
    for state, found in enumerate(characters):
        print(
            f"S{state + 1:<4d} {result.singlets.energies[state]:5.2f} eV {strengths[state]:8.3f} "
            f"{found.participation:6.2f} {found.moved:4.2f} e {found.centroid_distance:6.2f} Å  "
            f"{found.description}"
        )

    bright = int(strengths.argmax())
    natural = result.wavefunctions().natural_orbitals(bright)
    print(f"S{bright + 1} is {natural.weights[0]:.0%} one pair of natural transition orbitals")
    hole, electron = characters[bright].hole, characters[bright].electron
    for atom, gain in enumerate(electron - hole):
        if abs(gain) > 0.05:
            print(f"  {result.atoms.symbols[atom]}{atom}: {gain:+.2f} electrons")

    plot_natural_orbitals(result, bright).savefig(f"{name}-S{bright + 1}.png", dpi=150)
    write_natural_orbitals(result, bright, f"{name}-S{bright + 1}.molden")


if __name__ == "__main__":
    main()
