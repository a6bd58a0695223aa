"""Cost of methods beyond TDDFT: ADC(2) and EOM-CCSD in PySCF beside a label.

    OMP_NUM_THREADS=1 python -m scripts.speed.beyond_tddft [--molecules H2CO C4H4O …]
        [--basis def2-tzvp]

Five singlets and five triplets of each molecule, cores frozen, CPU seconds of one thread; the label
(CAM-B3LYP/def2-SVP, all of a record) for comparison. ADC(2) of a closed shell gives singlets;
triplets come from its open-shell form, which gives both. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# Numerical libraries read this when they are first loaded.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
)

import torch
from ase import Atoms
from ase.build import molecule as structure_of
from pyscf import adc, cc, gto, lib, scf

from reference.record import make_record
from reference.scf import Level
from scripts.pages import table

N_STATES = 5


def adc2_singlets(mean_field: scf.hf.SCF, frozen: int) -> None:
    found = adc.ADC(mean_field, frozen=frozen)
    found.method, found.method_type = "adc(2)", "ee"
    found.kernel(nroots=N_STATES)


def adc2_both(mean_field: scf.hf.SCF, frozen: int) -> None:
    found = adc.ADC(mean_field.to_uhf(), frozen=(frozen, frozen))
    found.method, found.method_type = "adc(2)", "ee"
    found.kernel(nroots=2 * N_STATES)


def eom_ccsd(mean_field: scf.hf.SCF, frozen: int) -> None:
    found = cc.CCSD(mean_field, frozen=frozen).run()
    found.eomee_ccsd_singlet(nroots=N_STATES)
    found.eomee_ccsd_triplet(nroots=N_STATES)


METHODS: dict[str, Callable[[scf.hf.SCF, int], None]] = {
    "ADC(2), singlets": adc2_singlets,
    "ADC(2), both": adc2_both,
    "EOM-CCSD, both": eom_ccsd,
}


def seconds(atoms: Atoms, basis: str) -> dict[str, float]:
    """Return CPU seconds of a label and of each of ``METHODS``, including the SCF."""
    clock = time.process_time
    began = clock()
    make_record(atoms, Level())
    found = {"label": clock() - began}
    frozen = int((atoms.numbers > 2).sum())
    for name, method in METHODS.items():
        began = clock()
        molecule = gto.M(
            atom=list(zip(atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True)),
            basis=basis,
            verbose=0,
        )
        method(scf.RHF(molecule).density_fit().run(), frozen)
        found[name] = clock() - began
        print(f"{atoms.symbols}: {name} {found[name]:.1f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", nargs="+", default=["H2CO", "C2H4", "HCOOH", "CH3CHO"])
    parser.add_argument("--basis", default="def2-tzvp")
    given = parser.parse_args()
    lib.num_threads(1)
    torch.set_num_threads(1)
    make_record(structure_of("H2O"), Level())  # load all libraries first
    rows = {name: seconds(structure_of(name), given.basis) for name in given.molecules}
    columns = ("label", *METHODS)
    cells = [(name, *(f"{row[c]:.1f} s" for c in columns)) for name, row in rows.items()]
    print("", table(("molecule", *columns), cells), sep="\n")


if __name__ == "__main__":
    main()
