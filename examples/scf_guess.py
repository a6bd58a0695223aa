"""Start a PySCF calculation from the predicted density.

    python examples/scf_guess.py

The molecule is benzene unless you name another file. PySCF is in the extra "reference".
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ase import Atoms
from ase.io import read
from pyscf import gto, scf

import esml

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecule", nargs="?", type=Path, default=HERE / "benzene.xyz")
    parser.add_argument("--basis", default="def2-svp")
    given = parser.parse_args()

    atoms = read(given.molecule)
    assert isinstance(atoms, Atoms)  # not several, as from read(path, ":")
    mol = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)), basis=given.basis, verbose=0
    )
    for name in ("esml", "minao"):
        mf = scf.RHF(mol).density_fit()
        dm0 = esml.pyscf_guess(mol) if name == "esml" else mf.get_init_guess(key=name)
        start = mf.energy_tot(dm0)
        energy = mf.kernel(dm0=dm0)
        print(
            f"{name:6s} starts {start - energy:+8.3f} hartree from the end, "
            f"converges in {mf.cycles} iterations to {energy:.6f} hartree"
        )


if __name__ == "__main__":
    main()
