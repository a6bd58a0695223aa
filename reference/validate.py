"""Check every record of a reference set and list outliers for a human to look at."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from rdkit import Chem

from esml.io.records import Record, StoredRecord, iterate, unpack
from esml.physics.basis import VALENCE_ELECTRONS
from esml.typing import MULTIPLICITIES, Multiplicity
from esml.units import BOHR, HARTREE

from .downfold import valence_charges
from .molecules import (
    benchmark_connectivities,
    extrapolation_connectivities,
    held_out_core,
    molecule_from_smiles,
    parse,
)
from .record import key_of
from .scf import ELEMENTS, core_orbitals

OUTLIER_Z = 6.0
LOW_TRIPLET = 0.5
"""Triplet energy (eV) below which a closed shell is nearly unstable and its labels doubtful."""
BINDING = "energy beyond that of its atoms, per heavy atom (eV)"
"""Reveals an SCF that missed the lowest ground state, and unreasonable geometries."""
LEARNED_FROM = ("train", "validation")


@dataclass
class Report:
    """Result of checking a set of molecules or crystals."""

    sought: str = ""
    """What counts as an outlier; empty if outliers are not searched for."""
    n_records: int = 0
    errors: list[str] = field(default_factory=list)
    outliers: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)  # of the records so far

    def add(self, record: StoredRecord, wrong: Sequence[str]) -> bool:
        """Add ``record`` and its errors ``wrong``; return whether it is sound and no duplicate."""
        self.n_records += 1
        faults = [*wrong, *(["stored twice"] if record.key in self.keys else [])]
        self.keys.add(record.key)
        self.errors.extend(f"{label_of(record)}: {what}" for what in faults)
        return not faults

    def summary(self) -> str:
        """List every error and outlier on a line of its own, then their numbers."""
        lines = [*(f"error: {e}" for e in self.errors), *(f"outlier: {o}" for o in self.outliers)]
        counts = f"{self.n_records} records: {len(self.errors)} errors"
        if self.sought:
            counts += f", {len(self.outliers)} outliers ({self.sought})"
        return "\n".join([*lines, counts])


def label_of(record: StoredRecord) -> str:
    """Return the name of ``record`` in a report."""
    return f"{record.name} [{record.key}]"


def _shapes(record: Record) -> list[str]:
    """List fields whose shape does not match the numbers of atoms, orbitals and states."""
    N, o = len(record.numbers), int(record.n_occupied)
    n = int(np.where(record.numbers == 1, 1, 4).sum())
    v, packed = n - o, n * (n + 1) // 2
    S, T = len(record.singlet_energies), len(record.triplet_energies)
    expected = {
        "positions": (N, 3),
        "energies": (n,),
        "coefficients": (n, n),
        "dipole_operator": (3, packed),
        "scf_energies": (n,),
        "scf_coefficients": (n, n),
        "scf_dipole_operator": (3, packed),
        "charges": (N,),
        "dipole": (3,),
        "singlet_strengths": (S,),
        "singlet_dipoles": (S, 3),
        "singlet_valence_weights": (S,),
        "singlet_x": (S, o, v),
        "singlet_y": (S, o, v),
        "triplet_valence_weights": (T,),
        "triplet_x": (T, o, v),
    }
    found = {name: np.shape(getattr(record, name)) for name in expected}
    return [
        f"{name} of shape {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if found[name] != shape
    ]


@cache
def _basis_of(level: str) -> str:
    """Return the basis named in the ``level`` of a record."""
    try:
        return str(json.loads(level)["basis"])
    except (ValueError, LookupError, TypeError):
        return ""


def check_record(record: Record) -> list[str]:
    """Return all that is wrong with one record; empty if it is sound.

    Tolerances follow from the stored precision: 1e-4 eV for orbital energies and 1e-4 for
    orthonormality (float32), 1e-4 e for charges, 0.02 for norms of amplitudes (float16). The dipole
    moment from the minimal basis may differ from the label by 0.02 e·bohr, because it lacks the
    polarization of the cores.
    """
    numbers = record.numbers
    o = int(record.n_occupied)
    if not set(numbers.tolist()) <= set(ELEMENTS):
        return ["an element outside the supported ones"]
    n_core = core_orbitals(numbers, _basis_of(record.level))
    electrons = sum(VALENCE_ELECTRONS[int(z)] for z in numbers) - int(record.charge)
    wrong = []
    if electrons != 2 * o:
        wrong.append(f"{o} occupied orbitals for {electrons} valence electrons")
    wrong.extend(_shapes(record))
    if len(record.reference_energies) < n_core + o:
        wrong.append("too few large-basis orbital energies")
    wrong.extend(
        f"no {multiplicity}"
        for multiplicity in MULTIPLICITIES
        if not len(getattr(record, f"{multiplicity}_energies"))
    )
    arrays = [value for value in vars(record).values() if isinstance(value, np.ndarray)]
    if not all(np.isfinite(a.astype(float)).all() for a in arrays):
        wrong.append("a value that is not finite")
    if wrong:
        return wrong
    if key_of(record) != record.key:
        wrong.append("a content key that is not that of its structure")
    wrong.extend(_wrong_orbitals(record, n_core))
    wrong.extend(_wrong_moments(record))
    for multiplicity in MULTIPLICITIES:
        wrong.extend(_wrong_states(record, multiplicity))
    return wrong


def _wrong_orbitals(record: Record, n_core: int) -> Iterator[str]:
    for name, energies, coefficients in (
        ("downfolded", record.energies, record.coefficients),
        ("scf", record.scf_energies, record.scf_coefficients),
    ):
        if not (np.diff(energies) >= 0).all():
            yield f"{name} orbital energies not ascending"
        c = coefficients.astype(float)
        deviation = float(np.abs(c.T @ c - np.eye(len(c))).max())
        if not deviation < 1e-4:
            yield f"{name} orbitals off orthonormal by {deviation:.1e}"
    o = int(record.n_occupied)
    occupied = record.reference_energies[n_core : n_core + o]
    gap = float(np.abs(occupied - record.energies[:o]).max())
    if not gap < 1e-4:
        yield f"downfolded occupied energies off the large-basis ones by {gap:.1e} eV"


def _wrong_moments(record: Record) -> Iterator[str]:
    """Check charges, dipole moment and oscillator strengths."""
    total = float(record.charges.sum()) - float(record.charge)
    if not abs(total) < 1e-4:
        yield f"charges off the total charge by {total:.1e} e"
    off = float(np.abs(_dipole_moment(record) - record.dipole).max())
    if not off < 0.02:
        yield f"dipole operator off the dipole moment by {off:.1e} e·bohr"
    if not (record.singlet_strengths > -1e-6).all():
        yield "a negative oscillator strength"
    strengths = 2.0 / 3.0 * record.singlet_energies / HARTREE * (record.singlet_dipoles**2).sum(1)
    if not np.allclose(strengths, record.singlet_strengths, atol=1e-3, rtol=1e-3):
        yield "oscillator strengths at odds with the transition dipoles"


def _wrong_states(record: Record, multiplicity: Multiplicity) -> Iterator[str]:
    energies = getattr(record, f"{multiplicity}_energies")
    weights = getattr(record, f"{multiplicity}_valence_weights")
    if not (energies > 0).all():
        yield f"a {multiplicity} energy that is not positive"
    if not (np.diff(energies) >= 0).all():
        yield f"{multiplicity} energies not ascending"
    norms = (getattr(record, f"{multiplicity}_x").astype(float) ** 2).sum((1, 2))
    if multiplicity == "singlet":
        norms -= (record.singlet_y.astype(float) ** 2).sum((1, 2))
    if not np.allclose(norms, weights, atol=0.02):
        yield f"{multiplicity} amplitudes at odds with their valence weights"
    if not (weights < 1.02).all():
        yield f"a {multiplicity} valence weight above one"


def _dipole_moment(record: Record) -> np.ndarray:
    """Return the dipole moment from the minimal basis, (3,) e·bohr."""
    occupied = record.coefficients[:, : int(record.n_occupied)].astype(float)
    electrons = np.einsum("mi,xmn,ni->x", occupied, unpack(record.dipole_operator), occupied)
    cores = valence_charges(record.numbers)
    result: np.ndarray = cores @ record.positions / BOHR - 2.0 * electrons
    return result


@cache
def _molecule(smiles: str) -> tuple[str, str | None, Counter[int]]:
    """Return connectivity, held-out core and atoms of a SMILES; ValueError if it is invalid."""
    molecule = molecule_from_smiles(smiles)
    atoms = Chem.AddHs(parse(smiles)).GetAtoms()
    counts = Counter(atom.GetAtomicNum() for atom in atoms)
    return molecule.connectivity, held_out_core(molecule), counts


def check_molecule(record: Record) -> list[str]:
    """Return all that is wrong with the names and the split of one record; empty if sound.

    SMILES, InChIKey (its connectivity block) and atoms must agree; the train and validation splits
    must contain no molecule of the benchmark or the extrapolation set and no held-out core.
    """
    wrong = []
    connectivity, core = record.inchikey[:14], None
    if record.smiles:
        try:
            named, core, counts = _molecule(record.smiles)
        except ValueError as error:
            return [str(error).rstrip(".")]
        if connectivity and connectivity != named:
            wrong.append(f"the InChIKey {record.inchikey} at odds with the SMILES {record.smiles}")
        connectivity = named
        if counts != Counter(record.numbers.tolist()):
            wrong.append(f"atoms at odds with the SMILES {record.smiles}")
    if record.split in LEARNED_FROM:
        where = f"in the split {record.split!r}, though"
        if connectivity in benchmark_connectivities():
            wrong.append(f"{where} a molecule of the benchmark")
        if connectivity in extrapolation_connectivities():
            wrong.append(f"{where} a molecule of the extrapolation set")
        if core is not None:
            wrong.append(f"{where} its core ({core}) is held out for testing")
    return wrong


def _molecule_key(inchikey: str) -> str:
    """Return the blocks of an InChIKey for connectivity and protons, without stereochemistry.

    The first is the same for an acid and its base, which are different molecules.
    """
    return f"{inchikey[:14]}-{inchikey[-1]}"


def _outliers(records: dict[str, dict[str, float]]) -> list[str]:
    found = []
    for quantity in next(iter(records.values()), {}):
        values = np.array([r[quantity] for r in records.values()])
        spread = values.std()
        # A smaller spread is only numerical noise.
        if not spread > 1e-6:
            continue
        scores = (values - values.mean()) / spread
        for name, value, z in zip(records, values, scores, strict=True):
            if abs(z) > OUTLIER_Z:
                found.append(f"{name}: {quantity} {value:.3f} ({z:+.1f} σ)")
    for name, figures in records.items():
        S1, T1 = figures["S1 (eV)"], figures["T1 (eV)"]
        if T1 < LOW_TRIPLET:
            found.append(f"{name}: T1 (eV) {T1:.3f}, near an instability")
        if T1 > S1:
            found.append(f"{name}: T1 (eV) {T1:.3f} above S1 {S1:.3f}")
    return found


def _figures(record: Record) -> dict[str, float]:
    """Return the quantities in which sound records are compared to find outliers."""
    frontier = int(record.n_occupied)
    return {
        "S1 (eV)": float(record.singlet_energies[0]),
        "T1 (eV)": float(record.triplet_energies[0]),
        "gap (eV)": float(record.energies[frontier] - record.energies[frontier - 1]),
        "dipole per heavy atom (e·bohr)": float(np.linalg.norm(record.dipole)) / _heavy(record),
        "largest charge (e)": float(np.abs(record.charges).max()),
    }


def _heavy(record: Record) -> int:
    return max(int((record.numbers > 1).sum()), 1)


def _fit_atoms(compositions: list[np.ndarray], energies: list[float]) -> np.ndarray:
    """Return energies less the best fit by a sum of one energy per element, eV."""
    counts, total = np.array(compositions, dtype=float), np.array(energies)
    result: np.ndarray = total - counts @ np.linalg.lstsq(counts, total, rcond=None)[0]
    return result


def validate(paths: Iterable[str | Path], limit: int | None = None) -> Report:
    """Check the records of ``paths`` (all, or the first ``limit``) individually and together.

    Checked together, no content key may occur twice, and no molecule may leak: be in more than one
    split (by connectivity and protons of its InChIKey), or in train or validation although it is
    kept for tests (``check_molecule``). Outliers are listed for a human to look at and do not count
    as errors. Raises DatasetError for an unreadable shard.
    """
    report = Report(
        f"more than {OUTLIER_Z:g} standard deviations from the rest, T1 below {LOW_TRIPLET:g} eV "
        "or above S1"
    )
    homes: dict[str, str] = {}
    figures: dict[str, dict[str, float]] = {}
    kinds: dict[str, list[tuple[str, np.ndarray, float, int]]] = defaultdict(list)
    for record in islice(iterate(list(paths), unique=False), limit):
        wrong = check_record(record) + check_molecule(record)
        if record.inchikey and record.split:
            home = homes.setdefault(_molecule_key(record.inchikey), record.split)
            if home != record.split:
                wrong.append(f"in the split {record.split!r}, its molecule also in {home!r}")
        if report.add(record, wrong):
            label = label_of(record)
            figures[label] = _figures(record)
            counts = np.array([(record.numbers == z).sum() for z in ELEMENTS])
            kinds[record.level].append((label, counts, float(record.total_energy), _heavy(record)))
    for members in kinds.values():
        labels, counts_of, energies, heavy = zip(*members, strict=True)
        beyond = _fit_atoms(list(counts_of), list(energies)) / np.array(heavy)
        for label, value in zip(labels, beyond, strict=True):
            figures[label][BINDING] = float(value)
    report.outliers = _outliers(figures)
    return report
