"""GFN2-xTB Hamiltonians of many molecules, for pretraining a network.

A tight-binding Hamiltonian costs about 10 ms, a reference calculation 10 s. Its elements depend on
the surroundings of the atoms in much the same way. The Fock operator in the orthogonalized basis,

    H = S^½ C ε Cᵀ S^½ ,

is restricted to the s and p shells of the model (without the d shells of sulfur and chlorine) and
diagonalized. The result is an ``esml.io.records.Record`` without excited states, of level
``{"method": "GFN2-xTB"}`` and without a dipole operator, because tblite does not provide the dipole
integrals.

Molecules and splits are those of the reference data, including ``coverage.csv``, but without the
test split and without ions, whose orbital levels are shifted by the mean field of the labels. The
geometries are force-field conformers with random displacements of all atoms; relaxed geometries
would contain no information about stretched bonds.

Source of GFN2-xTB: Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from rdkit import Chem
from tblite.interface import Calculator

from esml.io.records import Record, write_shard
from esml.jobs import progress_bar
from esml.physics.basis import VALENCE_ELECTRONS
from esml.units import BOHR, HARTREE

from .enumeration import MAX_HEAVY, sample_molecules
from .geometries import GeometryError, conformer
from .molecules import Molecule, assign_split, coverage_molecules, fraction, parse
from .record import key_of
from .scf import CalculationError

METHOD: Final = "GFN2-xTB"
DISPLACEMENT: Final = 0.05
"""Standard deviation of the random displacements along each axis (Å)."""
SIZE_WEIGHTS: Final = {2: 0.1, 3: 0.3, 4: 1.0, 5: 1.5, 6: 2.0, 7: 2.5, 8: 2.5, 9: 2.5}
"""Share of each heavy-atom count: larger ones than for the labels, because they cost little."""
PER_SHARD: Final = 500
"""Number of molecules per shard."""

# Puts the components of a p shell in the order x, y, z; tblite stores them as y, z, x.
_P: Final = (2, 0, 1)


def _kept(shell_kinds: np.ndarray) -> np.ndarray:
    """Return indices of tblite's s and p orbitals, with p components in the order x, y, z."""
    kept: list[int] = []
    start = 0
    for angular in shell_kinds.tolist():
        if angular == 0:
            kept.append(start)
        elif angular == 1:
            kept.extend(start + k for k in _P)
        start += 2 * angular + 1
    return np.array(kept)


def record(atoms: Atoms, molecule: Molecule) -> Record:
    """Compute the tight-binding record of ``atoms``, a geometry of the neutral ``molecule``.

    Raises CalculationError when GFN2-xTB does not converge.
    """
    calculator = Calculator(METHOD, atoms.numbers, atoms.positions / BOHR)
    calculator.set("verbosity", 0)
    calculator.set("save-integrals", 1)
    try:
        result = calculator.singlepoint()
    except RuntimeError as error:
        raise CalculationError(
            f"{molecule.name}: {METHOD} did not converge: expected a sound geometry; leave it out"
        ) from error
    overlap, c = result.get("overlap-matrix"), result.get("orbital-coefficients")
    values, vectors = np.linalg.eigh(overlap)
    orthogonal = (vectors * np.sqrt(values)) @ vectors.T @ c
    fock = (orthogonal * result.get("orbital-energies")) @ orthogonal.T * HARTREE
    kept = _kept(calculator.get("angular-momenta"))
    energies, coefficients = np.linalg.eigh(fock[np.ix_(kept, kept)])
    n = len(energies)
    o = sum(VALENCE_ELECTRONS[z] for z in atoms.numbers.tolist()) // 2
    nothing = np.zeros((0, o, n - o))
    found = Record(
        numbers=atoms.numbers,
        positions=atoms.positions.copy(),
        charge=np.asarray(0),
        total_energy=np.asarray(result.get("energy") * HARTREE),
        n_occupied=np.asarray(o),
        energies=energies,
        coefficients=coefficients,
        dipole_operator=np.zeros((3, 0)),
        scf_energies=np.zeros(0),
        scf_coefficients=np.zeros((0, 0)),
        scf_dipole_operator=np.zeros((3, 0)),
        reference_energies=result.get("orbital-energies") * HARTREE,
        charges=result.get("charges"),
        dipole=result.get("dipole"),
        singlet_energies=np.zeros(0),
        singlet_strengths=np.zeros(0),
        singlet_dipoles=np.zeros((0, 3)),
        singlet_valence_weights=np.zeros(0),
        singlet_x=nothing,
        singlet_y=nothing,
        triplet_energies=np.zeros(0),
        triplet_valence_weights=np.zeros(0),
        triplet_x=nothing,
        name=molecule.name,
        smiles=molecule.smiles,
        inchikey=molecule.inchikey,
        split=assign_split(molecule),
        geometry="conformer",
        level=json.dumps({"method": METHOD}),
        provenance=json.dumps({"tblite": version("tblite")}),
    )
    return replace(found, key=key_of(found))


def molecules(n: int, seed: int, max_heavy: int = MAX_HEAVY) -> list[Molecule]:
    """Draw ``n`` molecules (or all there are), followed by the neutral ones of the coverage table.

    The ``n`` have up to ``max_heavy`` heavy atoms. None is in the test split.
    """
    everything = sample_molecules(None, seed, max_heavy, SIZE_WEIGHTS)
    drawn = list(islice((m for m in everything if assign_split(m) != "test"), n))
    groups = [
        m
        for m in coverage_molecules()
        if assign_split(m) != "test" and Chem.GetFormalCharge(parse(m.smiles)) == 0
    ]
    return drawn + groups


def records(chosen: Sequence[Molecule], seed: int) -> Iterator[Record]:
    """Yield records of the ``chosen`` molecules; those whose calculation fails are left out."""
    for molecule in chosen:
        rng = np.random.default_rng(int(fraction("displaced", molecule.inchikey, seed) * 2**53))
        try:
            atoms = conformer(molecule, seed)
            atoms.positions += rng.normal(0.0, DISPLACEMENT, atoms.positions.shape)
            yield record(atoms, molecule)
        except (GeometryError, CalculationError):
            continue


def write(
    directory: Path, chosen: Sequence[Molecule], seed: int = 0, per_shard: int = PER_SHARD
) -> None:
    """Write the ``chosen`` molecules in shards of ``per_shard`` each; existing shards are kept.

    Raises DatasetError when a shard cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(chosen), per_shard)
    with progress_bar(period=600.0) as display:
        task = display.add_task("GFN2-xTB of molecules", total=len(chosen), remark="")
        for number, start in enumerate(starts):
            part = chosen[start : start + per_shard]
            path = directory / f"shard-{number:03d}.h5"
            if not path.exists():
                write_shard(path, list(records(part, seed)))
            display.update(task, advance=len(part))
