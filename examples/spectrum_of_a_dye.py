"""The absorption spectrum of a dye: states, strengths, and a picture.

    python examples/spectrum_of_a_dye.py

writes p-nitroaniline.png and p-nitroaniline.csv into the current directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from ase import Atoms
from ase.io import read

import esml
from esml.units import HC

mpl.use("Agg")  # pictures go to files, no window is needed

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecule", nargs="?", type=Path, default=HERE / "p-nitroaniline.xyz")
    given = parser.parse_args()

    model = esml.load_model()
    atoms = read(given.molecule)
    assert isinstance(atoms, Atoms)  # not several, as from read(path, ":")
    result = model.predict(atoms, n_states=10)

    print(f"{given.molecule.stem}: HOMO {result.homo:.2f} eV, LUMO {result.lumo:.2f} eV")
    print("state   energy  wavelength  strength")
    for number, (energy, strength) in enumerate(
        zip(result.singlets.energies, result.singlets.oscillator_strengths, strict=True), start=1
    ):
        print(f"S{number:<4d} {energy:6.2f} eV {HC / energy:7.0f} nm {strength:9.3f}")

    spectrum = result.spectrum(fwhm=0.4)
    spectrum.to_csv(f"{given.molecule.stem}.csv")
    figure = spectrum.plot().get_figure(root=True)
    assert figure is not None
    figure.savefig(f"{given.molecule.stem}.png", dpi=150)
    # Bands at 180 nm and beyond, where spectrometers measure.
    for band in spectrum.bands:
        print(f"band at {band.energy:.2f} eV ({band.wavelength:.0f} nm), ε {band.height:,.0f}")
    print(f"colour: {spectrum.colour()}")


if __name__ == "__main__":
    main()
