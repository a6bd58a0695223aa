"""Cost of a label: our excitations beside PySCF's iterative TDDFT, same states, same SCF.

    OMP_NUM_THREADS=1 python -m scripts.speed.label_cost [--molecules H2CO C2H4 …] [--json OUT]

For every molecule one ground state is converged at the default level. From it we compute our
singlets and triplets (reference/response.py), and as many singlets by PySCF's TDDFT and triplets by
its TDA as a record stores. Times are CPU seconds of one thread. The last column compares energies
of equal rank: PySCF includes cores and all virtuals and uses the SCF's finer grid, and its solver
can miss a root, which shifts every later rank. Molecules per hour and core are for the whole
record: SCF, excitations, minimal basis.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

# Numerical libraries read this when they are first loaded.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
)

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule as structure_of
from ase.collections import g2
from pyscf import lib, tdscf

from esml.units import HARTREE
from reference.record import make_record
from reference.response import excitations
from reference.scf import Level, ground_state, molecule

MOLECULES = ("H2CO", "C2H4", "CH3CN", "HCOOH", "CH3CHO", "OCHCHO", "C4H4O")


def stored(energies: np.ndarray, level: Level) -> np.ndarray:
    """Return the energies (eV) that a record stores: those in the window, but at least three."""
    return energies[: max(int((energies <= level.energy_window).sum()), 3)]


def compare(atoms: Atoms, level: Level) -> dict[str, Any]:
    """Return CPU seconds of each step, and the largest deviation of an energy (eV)."""
    clock = time.process_time
    began = clock()
    mean_field = ground_state(molecule(atoms, level.basis), level.functional, level)
    converged = clock()
    _, singlets, triplets = excitations(mean_field, level)
    ours = clock()
    ours_singlets, ours_triplets = (stored(s.energies, level) for s in (singlets, triplets))
    iterative = tdscf.TDDFT(mean_field)
    iterative.nstates = len(ours_singlets)
    iterative.kernel()
    theirs_singlets = np.sort(iterative.e) * HARTREE
    iterative = tdscf.TDA(mean_field)
    iterative.singlet = False
    iterative.nstates = len(ours_triplets)
    iterative.kernel()
    theirs_triplets = np.sort(iterative.e) * HARTREE
    theirs = clock()
    make_record(atoms, level)
    deviations = np.concatenate(
        [
            theirs_singlets - ours_singlets[: len(theirs_singlets)],
            theirs_triplets - ours_triplets[: len(theirs_triplets)],
        ]
    )
    return {
        "n_singlets": len(ours_singlets),
        "n_triplets": len(ours_triplets),
        "scf_s": converged - began,
        "ours_s": ours - converged,
        "pyscf_s": theirs - ours,
        "record_s": clock() - theirs,
        "deviation_eV": float(np.abs(deviations).max()),
        "deviation_median_eV": float(np.median(np.abs(deviations))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--molecules", nargs="+", default=MOLECULES, help="names in ase.collections.g2"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if unknown := [n for n in args.molecules if n not in g2.names]:
        parser.error(f"no molecule {unknown[0]!r}: expected a name of ase.collections.g2")
    lib.num_threads(1)
    torch.set_num_threads(1)
    level = Level()
    # Load libraries and build tables before the timing starts.
    excitations(ground_state(molecule(structure_of("H2O"), level.basis), "camb3lyp", level), level)
    print(
        f"{'':<18}{'S + T':>8}{'SCF/s':>9}{'ours/s':>9}{'PySCF/s':>9}{'ratio':>8}"
        f"{'per hour':>10}{'|ΔE|/eV median, largest':>26}"
    )
    rows = {}
    for name in args.molecules:
        r = rows[name] = compare(structure_of(name), level)
        states = f"{r['n_singlets']} + {r['n_triplets']}"
        print(
            f"{name:<18}{states:>8}{r['scf_s']:>9.2f}{r['ours_s']:>9.2f}{r['pyscf_s']:>9.2f}"
            f"{r['pyscf_s'] / r['ours_s']:>8.1f}{3600 / r['record_s']:>10.0f}"
            f"{r['deviation_median_eV']:>17.3f}, {r['deviation_eV']:.3f}",
            flush=True,
        )
    ours, theirs, record = (
        sum(r[key] for r in rows.values()) for key in ("ours_s", "pyscf_s", "record_s")
    )
    print(
        f"\nall: excitations {theirs / ours:.1f} times cheaper than PySCF's; "
        f"{3600 * len(rows) / record:.0f} molecules per hour and core"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
