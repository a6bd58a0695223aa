"""Excited states from other programs' fast methods, to print beside our own.

    python -m scripts.accuracy.peers molecule.xyz [--n-states 10]

INDO/S with complete single-excitation CI from MOPAC (Debian package `mopac`), and TD-DFTB from
SCINE Sparrow (`pip install scine-sparrow`) with DFTB3 (parameters 3ob-3-1: all elements of esml)
or DFTB2 (mio-1-1: H C N O S). One thread each. A program that is missing raises PeerMissingError,
a molecule it cannot treat PeerError; each says so in one sentence.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Numerical libraries read this when they are first loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import ase.io
import numpy as np
from ase import Atoms

from esml.units import HARTREE

MOPAC_TIME_LIMIT = 1800.0
"""Longest time of a MOPAC run, s."""

LEAST_SUBSPACE = 300
"""Number of trial vectors with which Sparrow's Davidson solver starts. Its default, the number of
states asked for, misses roots and gives spurious ones (three below 2 eV for benzene with DFTB3)."""


class PeerError(RuntimeError):
    """Another program cannot treat a molecule."""


class PeerMissingError(PeerError):
    """Another program is not installed."""


@dataclass(frozen=True)
class PeerStates:
    """Vertical excitations of one molecule from another program, ascending."""

    singlets: np.ndarray  # (n,) eV
    strengths: np.ndarray  # (n,) oscillator strengths of the singlets
    triplets: np.ndarray  # (m,) eV
    seconds: float  # wall time of both multiplicities, including the start of the program


_STATE = re.compile(r"^\s*(\d+)\s+(-?\d+\.\d+)\s+-?\d+\.\s+-?[\d.*]+\s+(\d+\.\d+)")


def parse_mopac(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse energies (eV) and oscillator strengths from the output of an INDO CI run.

    Raises PeerError if the output contains none.
    """
    _, found, table = text.partition("CI trans.  energy")
    rows = []
    for line in table.splitlines()[1:]:
        if match := _STATE.match(line):
            rows.append((float(match[2]), float(match[3])))
        elif rows:
            break
    if not found or not rows:
        lines = [line.strip(" *") for line in text.splitlines()]
        said = next((line for line in lines if re.search(r"error|unable|missing", line, re.I)), "")
        raise PeerError(
            f"MOPAC gave no excited states ({said or 'no reason found'}): expected a table of CI "
            "transitions; leave the molecule out"
        )
    values = np.array(rows)
    return values[:, 0], values[:, 1]


def _mopac(atoms: Atoms, n_states: int, keywords: str) -> tuple[np.ndarray, np.ndarray]:
    program = shutil.which("mopac")
    if program is None:
        raise PeerMissingError(
            "the program mopac is missing: expected it on the PATH; `apt-get install mopac`"
        )
    charge = int(atoms.info.get("charge", 0))
    # This does not truncate the CI: our elements have at most four orbitals per atom.
    most = (4 * len(atoms)) ** 2
    lines = [
        f"INDO CIS {keywords} CHARGE={charge} MAXCI={most} WRTCI={n_states + 1} GEO-OK THREADS=1",
        "",
        "",
    ]
    for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True):
        lines.append(f"{symbol} {x:.8f} 0 {y:.8f} 0 {z:.8f} 0")
    with tempfile.TemporaryDirectory(prefix="peer-mopac-") as folder:
        (Path(folder) / "job.mop").write_text("\n".join(lines) + "\n")
        try:
            subprocess.run(
                [program, "job.mop"],
                cwd=folder,
                capture_output=True,
                timeout=MOPAC_TIME_LIMIT,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except subprocess.TimeoutExpired as error:
            raise PeerError(
                f"MOPAC did not finish in {MOPAC_TIME_LIMIT:.0f} s: expected a smaller molecule; "
                "leave it out"
            ) from error
        output = Path(folder) / "job.out"
        text = output.read_text(errors="replace") if output.exists() else ""
    energies, strengths = parse_mopac(text)
    return energies[:n_states], strengths[:n_states]


def run_mopac_indo(atoms: Atoms, n_states: int = 10) -> PeerStates:
    """Compute INDO/S singlets and triplets with CI of all single excitations.

    Raises PeerMissingError if MOPAC is not installed, PeerError if it gives no states.
    """
    began = time.perf_counter()
    energies, strengths = _mopac(atoms, n_states, "SINGLET")
    triplets, _ = _mopac(atoms, n_states, "TRIPLET")
    return PeerStates(energies, strengths, triplets, time.perf_counter() - began)


def _sparrow_states(atoms: Atoms, n_states: int, method: str, block: str) -> tuple[Any, Any]:
    """Return energies (hartree) and transition dipoles (3, n), e·bohr, of one multiplicity."""
    import scine_utilities as scine

    structure = scine.AtomCollection(len(atoms))
    structure.elements = [
        scine.ElementInfo.element_from_symbol(s) for s in atoms.get_chemical_symbols()
    ]
    structure.positions = atoms.positions * scine.BOHR_PER_ANGSTROM
    manager = scine.core.ModuleManager.get_instance()
    ground = manager.get("calculator", method)
    ground.log = scine.core.Log.silent()
    ground.structure = structure
    ground.settings["molecular_charge"] = int(atoms.info.get("charge", 0))
    excited = manager.get("calculator_with_reference", "TD-DFTB")
    excited.log = scine.core.Log.silent()
    excited.reference_calculator = ground
    excited.settings["spin_block"] = block
    excited.settings["number_eigenstates"] = n_states
    excited.settings["initial_subspace_dimension"] = max(LEAST_SUBSPACE, 20 * n_states)
    excited.reference_calculation()
    found = getattr(excited.calculate().excited_states, block)
    return np.array(found.eigenstates.eigenvalues), np.array(found.transition_dipoles)


def run_sparrow_td_dftb(atoms: Atoms, n_states: int = 10, method: str = "DFTB3") -> PeerStates:
    """Compute TD-DFTB singlets and triplets with ``method``, "DFTB3" or "DFTB2".

    There are no triplets if the parameters lack spin constants (F and Cl with DFTB3). Raises
    PeerMissingError if Sparrow is not installed, PeerError if it cannot treat the molecule.
    """
    try:
        import scine_sparrow  # noqa: F401 (registers the methods)
    except ImportError as error:
        raise PeerMissingError(
            "the program Sparrow is missing: expected the Python package scine_sparrow; "
            "`pip install scine-sparrow`"
        ) from error
    began = time.perf_counter()
    try:
        energies, dipoles = _sparrow_states(atoms, n_states, method, "singlet")
        try:
            triplets, _ = _sparrow_states(atoms, n_states, method, "triplet")
        except RuntimeError as error:
            if "spin constants" not in str(error):
                raise
            triplets = np.zeros(0)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise PeerError(
            f"Sparrow's TD-{method} fails ({reason}): expected elements it has parameters for and "
            "a stable closed shell; leave the molecule out"
        ) from error
    if not (np.isfinite(energies).all() and np.isfinite(triplets).all()):
        raise PeerError(
            f"Sparrow's TD-{method} gives energies that are not finite: expected a stable closed "
            "shell; leave the molecule out"
        )
    strengths = 2.0 / 3.0 * energies * (dipoles**2).sum(0)
    return PeerStates(
        energies[:n_states] * HARTREE,
        strengths[:n_states],
        triplets[:n_states] * HARTREE,
        time.perf_counter() - began,
    )


def run_sparrow_td_dftb2(atoms: Atoms, n_states: int = 10) -> PeerStates:
    """Run ``run_sparrow_td_dftb`` with DFTB2."""
    return run_sparrow_td_dftb(atoms, n_states, "DFTB2")


PEERS: dict[str, Callable[[Atoms, int], PeerStates]] = {
    "INDO/S CIS": run_mopac_indo,
    "TD-DFTB3": run_sparrow_td_dftb,
    "TD-DFTB2": run_sparrow_td_dftb2,
}
"""All peers by their name in tables."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structure", type=Path)
    parser.add_argument("--n-states", type=int, default=10)
    args = parser.parse_args()
    atoms = ase.io.read(args.structure, index=-1)
    assert isinstance(atoms, Atoms)
    for name, run in PEERS.items():
        try:
            states = run(atoms, args.n_states)
        except PeerError as error:
            print(f"{name}: {error}\n")
            continue
        print(
            f"{name} ({states.seconds:.2f} s)\n{'':>4}{'singlet/eV':>12}{'f':>8}{'triplet/eV':>12}"
        )
        for k in range(max(len(states.singlets), len(states.triplets))):
            singlet, triplet = f"{'':>20}", ""
            if k < len(states.singlets):
                singlet = f"{states.singlets[k]:>12.3f}{states.strengths[k]:>8.3f}"
            if k < len(states.triplets):
                triplet = f"{states.triplets[k]:>12.3f}"
            print(f"{k + 1:>4}{singlet}{triplet}")
        print()


if __name__ == "__main__":
    main()
