"""SCF iterations from esml's guess and from PySCF's own, on molecules the model has not seen.

    python -m scripts.speed.scf_guess data/small --method hf --basis def2-svp -n 24
    python -m scripts.speed.scf_guess data/small --method pbe0 --json guess.json
    python -m scripts.speed.scf_guess data/small --scan      # the constants of the guess

Uses one geometry of each of n molecules of the test split, evenly spaced. Iterations are counted as
in PySCF, one diagonalization and one Fock matrix each, with its default convergence (1e-9 hartree)
and DIIS. ``error`` is the distance of the guess to the converged density in an orthonormal basis,
‖S^½ (D₀ − D) S^½‖. Every guess must converge to the same energy, or the run ends.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pyscf import dft, gto, scf
from pyscf.lo import orth

import esml
from esml.io.records import Record, read
from esml.units import BOHR

PYSCF_GUESSES = ("minao", "atom", "huckel", "sap")
"""``atom`` is PySCF's superposition of atomic densities (SAD)."""


def choose(data: Path, split: str, n: int) -> list[Record]:
    """Choose one record of each of n molecules, evenly spaced through the split."""
    first: dict[str, Record] = {}
    for record in read(data, split):
        first.setdefault(record.inchikey or record.name, record)
    records = list(first.values())
    return [records[int(i * len(records) / n)] for i in range(min(n, len(records)))]


def molecule(record: Record, basis: str) -> gto.Mole:
    atoms = Atoms(record.numbers, record.positions / BOHR)
    return gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)),
        unit="Bohr",
        basis=basis,
        charge=int(record.charge),
        verbose=0,
    )


def mean_field(mol: gto.Mole, method: str) -> Any:
    if method == "hf":
        return scf.RHF(mol).density_fit()
    found = dft.RKS(mol).density_fit()
    found.xc = method
    found.grids.level = 1
    return found


def compare(records: list[Record], method: str, basis: str) -> dict[str, list[dict[str, float]]]:
    model = esml.load_model()
    rows: dict[str, list[dict[str, float]]] = {}
    for record in records:
        mol = molecule(record, basis)
        shared = mean_field(mol, method)
        started = time.perf_counter()
        densities: dict[str, Any] = {"esml": esml.pyscf_guess(mol, model)}
        seconds = time.perf_counter() - started
        for key in PYSCF_GUESSES:
            densities[key] = shared.get_init_guess(key=key)
        root = np.linalg.inv(orth.lowdin(shared.get_ovlp()))
        energies = {}
        for name, density in densities.items():
            run = mean_field(mol, method)
            run.with_df = shared.with_df
            if method != "hf":
                run.grids = shared.grids
            energies[name] = run.kernel(dm0=density)
            if not run.converged:
                raise SystemExit(f"{record.name}: no convergence from {name}")
            error = np.linalg.norm(root @ (np.asarray(density) - run.make_rdm1()) @ root)
            rows.setdefault(name, []).append({"iterations": run.cycles, "error": float(error)})
        if np.ptp(list(energies.values())) > 1e-6:
            raise SystemExit(f"{record.name}: guesses lead to different energies, {energies}")
        cycles = {name: rows[name][-1]["iterations"] for name in rows}
        print(f"{record.name:24s} {mol.nao:4d} functions  {cycles}  {seconds:.2f} s", flush=True)
    return rows


def scan(records: list[Record], method: str, basis: str) -> None:
    """Print the mean error of the guess as a function of its two constants."""
    model = esml.load_model()
    converged = []
    for record in records:
        mol = molecule(record, basis)
        run = mean_field(mol, method).run()
        converged.append((mol, run.make_rdm1(), np.linalg.inv(orth.lowdin(run.get_ovlp()))))
    shifts = (0.0, 0.25, 0.5, 1.0, 2.0)
    print("s \\ shift" + "".join(f"{shift:8.2f}" for shift in shifts))
    for screening in (0.0, 0.4, 0.6, 0.7, 0.8, 1.0, 1.4):
        errors = []
        for shift in shifts:
            distances = []
            for mol, density, root in converged:
                guess = esml.pyscf_guess(mol, model, screening, shift)
                distances.append(float(np.linalg.norm(root @ (guess - density) @ root)))
            errors.append(statistics.mean(distances))
        print(f"{screening:9.2f}" + "".join(f"{error:8.3f}" for error in errors), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=24, help="number of molecules")
    parser.add_argument("--method", default="hf", help="hf or the name of a functional")
    parser.add_argument("--basis", default="def2-svp")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument(
        "--scan", action="store_true", help="scan the constants on training molecules"
    )
    given = parser.parse_args()
    if given.scan:
        scan(choose(given.data, "train", given.n), given.method, given.basis)
        return
    records = choose(given.data, "test", given.n)
    rows = compare(records, given.method, given.basis)
    table = {
        name: {
            "iterations": statistics.mean(row["iterations"] for row in found),
            "error": statistics.mean(row["error"] for row in found),
        }
        for name, found in rows.items()
    }
    print(f"\n{len(records)} molecules, {given.method}/{given.basis}\n")
    print("| guess | iterations | error |\n|---|---|---|")
    for name, means in table.items():
        print(f"| {name} | {means['iterations']:.2f} | {means['error']:.2f} |")
    if given.json is not None:
        given.json.write_text(json.dumps({"molecules": len(records), **table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
