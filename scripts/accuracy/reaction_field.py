"""Compare the reaction field of charges with that of a polarizable continuum.

    python -m scripts.accuracy.reaction_field data/solvents/shifts.json

For the molecules of the file: effective Born radii, and the energy of random neutral charges and of
dipoles along the molecule, beside IEF-PCM (PySCF's surface) for several permittivities. The numbers
DESCREENING and α of ``esml.physics.solvent`` are those that make the deviations smallest.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import erf

from esml.physics.interaction import distances
from esml.physics.solvent import born_radii, cavity_radii, reaction_field
from esml.units import BOHR, COULOMB, HARTREE

Array = NDArray[np.float64]

PERMITTIVITIES = (1.78, 2.02, 4.24, 20.5, 78.4, 1e9)


def continuum(atoms: Atoms, permittivity: float, points: int = 110) -> Array:
    """Return IEF-PCM's potential on an atom for a unit charge on another, (K, K) eV."""
    from pyscf import gto
    from pyscf.solvent.pcm import gen_surface, get_D_S, get_F_A, modified_Bondi

    mol = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)),
        basis="sto-3g",
        spin=None,
        charge=int(atoms.info.get("charge", 0)),
    )
    surface = gen_surface(mol, ng=points, rad=1.2 * modified_Bondi)
    area = get_F_A(surface)[1]
    double, single = get_D_S(surface, with_S=True, with_D=True)
    factor = (permittivity - 1.0) / (permittivity + 1.0)
    weighted = double * area / (2.0 * np.pi)
    charges = np.linalg.solve(
        single - factor * weighted @ single, -factor * (np.eye(len(single)) - weighted)
    )
    apart = cdist(atoms.positions / BOHR, surface["grid_coords"])
    potential = erf(surface["charge_exp"] * apart) / apart
    found: Array = potential @ (0.5 * (charges + charges.T)) @ potential.T * HARTREE
    return found


def ours(atoms: Atoms, permittivity: float) -> Array:
    """Return the same potential from ``esml.physics.solvent``."""
    separation = distances(torch.from_numpy(atoms.positions)[None])
    radii = cavity_radii(torch.from_numpy(atoms.numbers)[None])
    mask = torch.ones(radii.shape, dtype=torch.bool)
    effective = born_radii(separation, radii, mask)
    at = torch.tensor([permittivity], dtype=torch.float64)
    found: Array = reaction_field(separation, effective, mask, at)[0].numpy()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    molecules = [
        Atoms(entry["numbers"], entry["positions"], info={"charge": entry["charge"]})
        for entry in json.loads(args.data.read_text())["molecules"]
    ]
    rng = np.random.default_rng(0)
    print("relative root mean square deviation; mean ratio in brackets")
    for permittivity in PERMITTIVITIES:
        columns: dict[str, list[Array]] = {"radii": [], "charges": [], "dipoles": []}
        for atoms in molecules:
            g, truth = ours(atoms, permittivity), continuum(atoms, permittivity)
            columns["radii"].append(np.diag(truth) / np.diag(g))
            centred = atoms.positions - atoms.positions.mean(0)
            for name, charges in (
                ("charges", rng.normal(size=(len(atoms), 50))),
                ("dipoles", centred @ rng.normal(size=(3, 50))),
            ):
                neutral = charges - charges.mean(0)
                energies = [np.einsum("is,ij,js->s", neutral, x, neutral) for x in (g, truth)]
                columns[name].append(energies[0] / energies[1])
        shown = [
            f"{name} {np.sqrt(np.mean((np.concatenate(values) - 1) ** 2)):.3f} "
            f"({np.concatenate(values).mean():.3f})"
            for name, values in columns.items()
        ]
        print(f"ε {permittivity:<8g}", "   ".join(shown))
    print(f"C = {COULOMB:.4f} eV Å; {len(molecules)} molecules")


if __name__ == "__main__":
    main()
