"""Molecules as atoms in space: conformers, relaxed, thermally distorted, twisted.

A SMILES string becomes a conformer (ETKDG), which is relaxed with GFN2-xTB. Distorted geometries
are drawn from the *quantum* thermal distribution of the harmonic oscillators of the xTB Hessian at
that minimum: along mode k of angular frequency ω_k the mass-weighted coordinate is normal with

    ⟨Q_k²⟩ = ħ/(2 ω_k) · coth(ħ ω_k / 2 k_B T),

zero-point motion included (the position part of the Wigner distribution). Classical amplitudes
would leave X-H bonds, which hardly feel 600 K, almost rigid. Frequencies below 200 cm⁻¹, negative
curvatures among them, are raised to that value: a harmonic torsion carried far along a straight
line stretches bonds. The Hessian costs 6 N gradients of about 10 ms, an independent snapshot of
molecular dynamics several hundred to a few thousand.

Some distorted geometries of molecules with a conjugated bond are *twisted* as well: one side is
turned rigidly about a double bond or about a single bond between two unsaturated atoms.

Units: Å, eV, amu, K. Everything is a function of the molecule and the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import CalculationFailed
from ase.data import covalent_radii
from ase.optimize import BFGS
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from tblite.ase import TBLite

from reference.molecules import Molecule, assign_split, fraction, molecule_from_smiles, parse
from reference.twists import twist, twistable_bonds

Mol = Any
"""An RDKit molecule; RDKit ships no complete types."""
Array = NDArray[np.float64]

FORCE_TOLERANCE: Final = 0.05
"""Relaxation stops when no force exceeds this (eV/Å)."""
MAX_STEPS: Final = 400
"""Most relaxation steps."""
DISPLACEMENT: Final = 0.01
"""Step of the finite-difference Hessian (Å)."""
MIN_WAVENUMBER: Final = 200.0
"""Softest vibration a distortion follows (cm⁻¹)."""
CONFORMERS: Final = 10
"""Conformers the one geometry of :func:`from_smiles` is chosen from."""
TRIES: Final = 8
"""Draws of a distorted geometry before giving up."""

BONDED: Final = 1.35
"""Two atoms with a bond may be this many sums of covalent radii apart at most."""
BONDED_RELAXED: Final = 1.25
"""The same at a minimum."""
CONTACT: Final = 1.18
"""Two atoms without one must be at least this many apart."""

# ħ in ASE's units (eV, Å, amu; time in Å√(amu/eV)).
HBAR: Final = units._hbar * units.J * units.second
WAVENUMBER: Final = units.invcm / HBAR
"""Angular frequency, in ASE's units, of one cm⁻¹."""


class GeometryError(ValueError):
    """A molecule for which no sound geometry was found; the message says why."""


# --- connectivity ---------------------------------------------------------------------------------


def bonds_of(mol: Mol) -> list[tuple[int, int]]:
    """Pairs of bonded atoms, each once, lower index first."""
    pairs = ((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds())
    return sorted((min(pair), max(pair)) for pair in pairs)


def check_connectivity(
    atoms: Atoms, bonds: list[tuple[int, int]], name: str, longest: float = BONDED
) -> None:
    """Raise :class:`GeometryError` unless exactly ``bonds`` are at bonding distance.

    A bond may be ``longest`` sums of covalent radii long; any other pair must be ``CONTACT`` sums
    apart.
    """
    distances = atoms.get_all_distances()
    radii = covalent_radii[atoms.numbers]
    reach = radii[:, None] + radii[None, :]
    bonded = np.zeros(reach.shape, dtype=bool)
    for i, j in bonds:
        bonded[i, j] = bonded[j, i] = True
    upper = np.triu(np.ones(reach.shape, dtype=bool), k=1)
    problems = [
        ("lost the bond", np.argwhere(upper & bonded & (distances > longest * reach))),
        ("gained a contact", np.argwhere(upper & ~bonded & (distances < CONTACT * reach))),
    ]
    for what, pairs in problems:
        for i, j in pairs:
            raise GeometryError(
                f"{name} {what} {atoms.symbols[i]}{i}-{atoms.symbols[j]}{j} "
                f"({distances[i, j]:.2f} Å): its geometry is no longer the molecule asked for."
            )


# --- conformers and relaxation --------------------------------------------------------------------


def _embed(smiles: str, seed: int, n_conformers: int = 1) -> tuple[Mol, Array]:
    """RDKit molecule with hydrogens and the positions (N, 3) of one ETKDG conformer.

    The conformer is optimized with MMFF94 where that knows all atoms; of several, the one lowest in
    that force field is taken.
    """
    mol = Chem.AddHs(parse(smiles))
    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed % 2**31
    found = list(rdDistGeom.EmbedMultipleConfs(mol, n_conformers, settings))
    if not found:
        # Its "basic knowledge" makes all cumulated bonds straight, those of bent N=S=O included.
        settings.useBasicKnowledge = False
        settings.useRandomCoords = True
        found = list(rdDistGeom.EmbedMultipleConfs(mol, n_conformers, settings))
    if not found:
        raise GeometryError(f"{smiles}: no conformer could be embedded.")
    best = found[0]
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        optimized = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol)
        best = min(zip(optimized, found, strict=True), key=lambda pair: pair[0][1])[1]
    return mol, np.array(mol.GetConformer(best).GetPositions(), dtype=np.float64)


def _calculator(charge: int, multiplicity: int = 1) -> TBLite:
    return TBLite(method="GFN2-xTB", charge=charge, multiplicity=multiplicity, verbosity=0)


def relax(
    atoms: Atoms,
    charge: int = 0,
    name: str = "The structure",
    max_steps: int = MAX_STEPS,
    multiplicity: int = 1,
) -> Atoms:
    """A copy of ``atoms`` relaxed with GFN2-xTB to ``FORCE_TOLERANCE``, without a calculator.

    In the lowest state of the ``multiplicity``.

    Raises :class:`GeometryError` if it does not converge in ``max_steps`` steps.
    """
    relaxed: Atoms = atoms.copy()
    relaxed.calc = _calculator(charge, multiplicity)
    try:
        with BFGS(relaxed, logfile=None) as optimizer:
            converged = optimizer.run(fmax=FORCE_TOLERANCE, steps=max_steps)
    except CalculationFailed as error:
        raise GeometryError(f"{name}: GFN2-xTB failed to converge.") from error
    relaxed.calc = None
    if not converged:
        raise GeometryError(f"{name} did not relax in {max_steps} steps.")
    return relaxed


def hessian(atoms: Atoms, charge: int = 0) -> Array:
    """GFN2-xTB Hessian (3N, 3N) in eV/Å², by central differences, symmetrized."""
    moved = atoms.copy()
    moved.calc = _calculator(charge)
    positions = atoms.positions.copy()
    rows = np.empty((3 * len(atoms), 3 * len(atoms)))
    for row in range(rows.shape[0]):
        forces = []
        for sign in (1.0, -1.0):
            moved.positions = positions
            moved.positions[row // 3, row % 3] += sign * DISPLACEMENT
            forces.append(moved.get_forces().ravel())
        rows[row] = (forces[1] - forces[0]) / (2.0 * DISPLACEMENT)
    return 0.5 * (rows + rows.T)


def _rigid_motions(masses: Array, positions: Array) -> Array:
    """Orthonormal mass-weighted translations and rotations, columns (3N, 5 or 6)."""
    centred = positions - np.average(positions, axis=0, weights=masses)
    roots = np.sqrt(masses)[:, None]
    columns = []
    for axis in np.eye(3):
        columns.append((roots * axis).ravel())
        columns.append((roots * np.cross(axis, centred)).ravel())
    left, singular, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
    return np.asarray(left[:, singular > 1e-6 * singular[0]])


def vibrations(atoms: Atoms, force_constants: Array) -> tuple[Array, Array]:
    """Angular frequencies (K,) and Cartesian modes (K, N, 3) of ``force_constants`` (3N, 3N).

    Rigid motions are projected out. Frequencies are in ASE's inverse time, floored at
    ``MIN_WAVENUMBER``; a mode is the displacement in Å per √amu·Å of its normal coordinate.
    """
    masses = atoms.get_masses()
    weights = 1.0 / np.sqrt(np.repeat(masses, 3))
    rigid = _rigid_motions(masses, atoms.positions)
    projector = np.eye(len(weights)) - rigid @ rigid.T
    dynamical = projector @ (weights[:, None] * force_constants * weights) @ projector
    # Rigid motions are set far above all vibrations, where they are easy to leave out.
    curvatures, vectors = np.linalg.eigh(dynamical + 1e6 * rigid @ rigid.T)
    n_modes = len(weights) - rigid.shape[1]
    frequencies = np.sqrt(np.abs(curvatures[:n_modes]))
    modes = (weights[:, None] * vectors[:, :n_modes]).T.reshape(n_modes, -1, 3)
    return np.maximum(frequencies, MIN_WAVENUMBER * WAVENUMBER), modes


def amplitudes(frequencies: Array, temperature: float) -> Array:
    """Quantum thermal standard deviations √⟨Q²⟩ (√amu·Å) at ``temperature`` (K, may be 0)."""
    factor = np.ones_like(frequencies)
    if temperature > 0.0:
        factor = 1.0 / np.tanh(HBAR * frequencies / (2.0 * units.kB * temperature))
    return np.asarray(np.sqrt(HBAR * factor / (2.0 * frequencies)))


def displacement(
    frequencies: Array, modes: Array, temperature: float, rng: np.random.Generator
) -> Array:
    """One random thermal displacement (N, 3) in Å."""
    normal = rng.standard_normal(len(frequencies)) * amplitudes(frequencies, temperature)
    return np.asarray(np.einsum("k,kax->ax", normal, modes))


# --- structures -----------------------------------------------------------------------------------


def _label(
    atoms: Atoms, molecule: Molecule, geometry: str, temperature: float, seed: int, charge: int
) -> Atoms:
    atoms.info = {
        "name": molecule.name,
        "smiles": molecule.smiles,
        "inchikey": molecule.inchikey,
        "split": assign_split(molecule),
        "geometry": geometry,
        "temperature": float(temperature),
        "seed": int(seed),
    }
    if charge:
        atoms.info["charge"] = charge
    return atoms


def _generator(molecule: Molecule, seed: int) -> np.random.Generator:
    return np.random.default_rng(int(fraction("geometry", molecule.inchikey, seed) * 2**53))


def _conformer(molecule: Molecule, seed: int, n_conformers: int) -> tuple[Mol, Atoms, int]:
    """RDKit molecule, force-field atoms, charge."""
    conformer_seed = int(fraction("conformer", molecule.inchikey, seed) * 2**31)
    mol, positions = _embed(molecule.smiles, conformer_seed, n_conformers)
    atoms = Atoms(numbers=[a.GetAtomicNum() for a in mol.GetAtoms()], positions=positions)
    return mol, atoms, int(Chem.GetFormalCharge(mol))


def conformer(molecule: Molecule, seed: int = 0) -> Atoms:
    """One force-field conformer of ``molecule``, labelled; ``GeometryError`` if there is none."""
    mol, atoms, charge = _conformer(molecule, seed, 1)
    check_connectivity(atoms, bonds_of(mol), molecule.name)
    return _label(atoms, molecule, "conformer", 0.0, seed, charge)


def _minimum(molecule: Molecule, seed: int, n_conformers: int = 1) -> tuple[Mol, Atoms, int]:
    """RDKit molecule, relaxed atoms with the right connectivity, charge."""
    mol, atoms, charge = _conformer(molecule, seed, n_conformers)
    relaxed = relax(atoms, charge, molecule.name)
    relaxed.positions -= relaxed.get_center_of_mass()
    check_connectivity(relaxed, bonds_of(mol), molecule.name, BONDED_RELAXED)
    return mol, relaxed, charge


@dataclass(frozen=True)
class Distortion:
    """How geometries are distorted: vibrations at a temperature, twists about conjugated bonds."""

    temperatures: tuple[float, float] = (300.0, 600.0)
    """Range temperatures are drawn from (K)."""
    twist_share: float = 0.2
    """Share of twisted ones among the distorted geometries of molecules with a conjugated bond."""
    twist_temperature: float = 300.0
    """Temperature of the mild distortion that goes with a twist (K)."""
    twist_scale: float = 0.5
    """Factor on the thermal displacements that go with a twist."""
    single_bond: tuple[float, float] = (20.0, 90.0)
    """Range of twists about single bonds (degrees)."""
    double_bond: tuple[float, float] = (20.0, 60.0)
    """Range of twists about double bonds (degrees). Beyond about 60° a double bond is a diradical,
    which no closed-shell reference describes."""

    def angles(self, order: str) -> tuple[float, float]:
        """Range of twists about a bond that is ``"single"`` or ``"double"``."""
        return {"single": self.single_bond, "double": self.double_bond}[order]


def structures(
    molecule: Molecule,
    seed: int,
    n_distorted: int = 1,
    include_relaxed: bool = True,
    distortion: Distortion = Distortion(),
) -> list[Atoms]:
    """Geometries of ``molecule``: the relaxed one (if asked for), then ``n_distorted`` distorted.

    A distorted geometry is ``"thermal"``, at a temperature uniform in its range, or, with the
    probability of twists where the molecule has a conjugated bond, ``"twisted"``: turned about
    that bond (angle uniform in its range, either sense) on top of a mild distortion.
    Equal seeds give equal coordinates; a longer list begins with the shorter one.

    Each Atoms carries in ``info``: name, smiles, inchikey, split, geometry, temperature (K), seed,
    and charge if it has one; a twisted one also twist_bond and twist_angle (degrees). Raises
    :class:`GeometryError` if no sound geometry is found.
    """
    mol, relaxed, charge = _minimum(molecule, seed)
    bonds = bonds_of(mol)
    result = []
    if include_relaxed:
        result.append(_label(relaxed.copy(), molecule, "relaxed", 0.0, seed, charge))
    if n_distorted == 0:
        return result
    try:
        frequencies, modes = vibrations(relaxed, hessian(relaxed, charge))
    except CalculationFailed as error:
        raise GeometryError(f"{molecule.name}: GFN2-xTB failed in the Hessian.") from error
    rng = _generator(molecule, seed)
    twistable = twistable_bonds(mol)
    for _ in range(n_distorted):
        twisting = bool(twistable) and rng.random() < distortion.twist_share
        for attempt in range(TRIES):
            distorted = relaxed.copy()
            extra: dict[str, Any] = {}
            if twisting:
                temperature = distortion.twist_temperature
                step = displacement(frequencies, modes, temperature, rng) * distortion.twist_scale
                i, j, order = twistable[rng.integers(len(twistable))]
                angle = rng.uniform(*distortion.angles(order)) * rng.choice([-1.0, 1.0])
                distorted.positions = twist(relaxed.positions + step, bonds, i, j, angle)
                extra = {"twist_bond": [i, j], "twist_angle": float(angle)}
            else:
                temperature = rng.uniform(*distortion.temperatures)
                distorted.positions += displacement(frequencies, modes, temperature, rng)
            try:
                check_connectivity(distorted, bonds, molecule.name)
            except GeometryError:
                if attempt == TRIES - 1:
                    raise
                continue
            break
        kind = "twisted" if twisting else "thermal"
        labelled = _label(distorted, molecule, kind, temperature, seed, charge)
        labelled.info.update(extra)
        result.append(labelled)
    return result


def from_smiles(smiles: str, relax: bool = True, seed: int = 0) -> Atoms:
    """One geometry of the molecule ``smiles``, stereochemistry as written (drawn where left open).

    Of ``CONFORMERS`` conformers the one lowest in the force field is taken. ``relax=False`` stops
    there, without xTB, and ``info["geometry"]`` is then ``"conformer"`` in place of ``"relaxed"``.
    Raises ValueError for a string that is not SMILES, :class:`GeometryError` if no sound geometry
    is found.
    """
    molecule = molecule_from_smiles(smiles)
    if relax:
        _, atoms, charge = _minimum(molecule, seed, CONFORMERS)
        return _label(atoms, molecule, "relaxed", 0.0, seed, charge)
    mol, atoms, charge = _conformer(molecule, seed, CONFORMERS)
    check_connectivity(atoms, bonds_of(mol), molecule.name)
    return _label(atoms, molecule, "conformer", 0.0, seed, charge)
