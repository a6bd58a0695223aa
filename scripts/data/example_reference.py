"""Compute the reference calculation that an example's prediction is compared with.

    python -m scripts.data.example_reference examples/azobenzene.xyz

Writes NAME.reference.json beside the structure, for `esml spectrum --compare`. Azobenzene takes
minutes and about 4 GB of memory.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from esml.units import HARTREE
from reference.downfold import downfold
from reference.record import project
from reference.response import excitations
from reference.scf import Level, ground_state, molecule


def calculated(atoms: Atoms, level: Level) -> dict[str, Any]:
    """Compute states and frontier orbitals in the format of `esml spectrum --compare`."""
    mean_field = ground_state(molecule(atoms, level.basis), level.functional, level)
    space, singlets, triplets = excitations(mean_field, level)
    minimal = downfold(mean_field)
    overlap = mean_field.get_ovlp()
    weights = project(singlets, space, minimal, overlap)[2]
    triplet_weights = project(triplets, space, minimal, overlap)[2]
    n_occupied = int(np.count_nonzero(mean_field.mo_occ))
    orbital = mean_field.mo_energy * HARTREE
    return {
        "singlets": {
            "energies": singlets.energies.round(4).tolist(),
            "oscillator_strengths": singlets.oscillator_strengths.round(5).tolist(),
            "valence_weights": weights.round(3).tolist(),
        },
        "triplets": {
            "energies": triplets.energies.round(4).tolist(),
            "valence_weights": triplet_weights.round(3).tolist(),
        },
        "orbitals": {
            "homo": round(float(orbital[n_occupied - 1]), 4),
            "lumo": round(float(minimal.energies[minimal.n_occupied]), 4),
            "lumo_large_basis": round(float(orbital[n_occupied]), 4),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structure", type=Path)
    parser.add_argument("--n-states", type=int, default=10)
    args = parser.parse_args()
    atoms = ase.io.read(args.structure, index=-1)
    assert isinstance(atoms, Atoms)
    level = Level(n_singlets=args.n_states, n_triplets=args.n_states)
    path = args.structure.with_suffix(".reference.json")
    found = {"level": "CAM-B3LYP/def2-SVP, TDDFT singlets, TDA triplets"}
    path.write_text(json.dumps(found | calculated(atoms, level), indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
