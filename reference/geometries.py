"""Geometries of molecules: conformers, relaxed, thermally distorted and twisted structures.

A SMILES string becomes a conformer (ETKDG), which is relaxed with GFN2-xTB. Distorted geometries
are drawn from the *quantum* thermal distribution of the harmonic oscillators of the xTB Hessian at
that minimum: along mode k of angular frequency ω_k the mass-weighted coordinate is normal with

    ⟨Q_k²⟩ = ħ/(2 ω_k) · coth(ħ ω_k / 2 k_B T),

which includes zero-point motion (the position part of the Wigner distribution). Classical
amplitudes would leave X-H bonds, barely excited at 600 K, almost rigid. Frequencies below 200 cm⁻¹,
negative curvatures included, are raised to that value: a harmonic torsion displaced far along a
straight line stretches bonds. The Hessian costs 6 N gradients of about 10 ms, one independent
snapshot of a molecular dynamics run several hundred to a few thousand.

Some distorted geometries of molecules with a conjugated bond are also *twisted*: one side is
rotated rigidly about a double bond or about a single bond between two unsaturated atoms.

Units: Å, eV, amu, K. All results depend on the molecule and the seed only.
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
"""Largest number of relaxation steps."""
DISPLACEMENT: Final = 0.01
"""Step of the finite-difference Hessian (Å)."""
MIN_WAVENUMBER: Final = 200.0
"""Lower limit of the frequencies in a distortion (cm⁻¹)."""
CONFORMERS: Final = 10
"""Number of conformers from which :func:`from_smiles` chooses."""
TRIES: Final = 8
"""Largest number of attempts at one distorted geometry."""

BONDED: Final = 1.35
"""Largest distance of two bonded atoms, in sums of their covalent radii."""
BONDED_RELAXED: Final = 1.25
"""Largest distance of two bonded atoms at a minimum, in sums of their covalent radii."""
CONTACT: Final = 1.18
"""Smallest distance of two atoms that are not bonded, in sums of their covalent radii."""

# ħ in ASE's units (eV, Å, amu; time in Å√(amu/eV)).
HBAR: Final = units._hbar * units.J * units.second
WAVENUMBER: Final = units.invcm / HBAR
"""Angular frequency of one cm⁻¹ in ASE's units."""


class GeometryError(ValueError):
    """No sound geometry was found for a molecule; the message says why."""


# --- connectivity ---------------------------------------------------------------------------------


def bonds_of(mol: Mol) -> list[tuple[int, int]]:
    """Return the pairs of bonded atoms, each once, lower index first."""
    pairs = ((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds())
    return sorted((min(pair), max(pair)) for pair in pairs)


def check_connectivity(
    atoms: Atoms, bonds: list[tuple[int, int]], name: str, longest: float = BONDED
) -> None:
    """Raise :class:`GeometryError` unless exactly the pairs ``bonds`` are at bonding distance.

    A bond may be up to ``longest`` sums of covalent radii long; any other two atoms must be at
    least ``CONTACT`` sums apart.
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
    """Return an RDKit molecule with hydrogens and positions (N, 3) of one ETKDG conformer.

    The conformers are optimized with MMFF94 if it has parameters for all atoms; the one of lowest
    MMFF94 energy is returned.
    """
    mol = Chem.AddHs(parse(smiles))
    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed % 2**31
    found = list(rdDistGeom.EmbedMultipleConfs(mol, n_conformers, settings))
    if not found:
        # RDKit's "basic knowledge" makes all cumulated bonds linear, even bent N=S=O.
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
    """Return a copy of ``atoms`` relaxed with GFN2-xTB to ``FORCE_TOLERANCE``, without calculator.

    The relaxation is in the lowest state of the given ``multiplicity``. Raises
    :class:`GeometryError` if it does not converge in ``max_steps`` steps.
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
    """Return the symmetrized GFN2-xTB Hessian (3N, 3N) in eV/Å², from central differences."""
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
    """Return orthonormal mass-weighted translations and rotations as columns (3N, 5 or 6)."""
    centred = positions - np.average(positions, axis=0, weights=masses)
    roots = np.sqrt(masses)[:, None]
    columns = []
    for axis in np.eye(3):
        columns.append((roots * axis).ravel())
        columns.append((roots * np.cross(axis, centred)).ravel())
    left, singular, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
    return np.asarray(left[:, singular > 1e-6 * singular[0]])


def vibrations(atoms: Atoms, force_constants: Array) -> tuple[Array, Array]:
    """Return angular frequencies (K,) and Cartesian modes (K, N, 3) of a Hessian (3N, 3N).

    Rigid motions are projected out. Frequencies are in ASE's inverse time and at least
    ``MIN_WAVENUMBER``; a mode is the displacement in Å per √amu·Å of its normal coordinate.
    """
    masses = atoms.get_masses()
    weights = 1.0 / np.sqrt(np.repeat(masses, 3))
    rigid = _rigid_motions(masses, atoms.positions)
    projector = np.eye(len(weights)) - rigid @ rigid.T
    dynamical = projector @ (weights[:, None] * force_constants * weights) @ projector
    # Shift rigid motions far above all vibrations, where they are easy to leave out.
    curvatures, vectors = np.linalg.eigh(dynamical + 1e6 * rigid @ rigid.T)
    n_modes = len(weights) - rigid.shape[1]
    frequencies = np.sqrt(np.abs(curvatures[:n_modes]))
    modes = (weights[:, None] * vectors[:, :n_modes]).T.reshape(n_modes, -1, 3)
    return np.maximum(frequencies, MIN_WAVENUMBER * WAVENUMBER), modes


def amplitudes(frequencies: Array, temperature: float) -> Array:
    """Return quantum thermal standard deviations √⟨Q²⟩ (√amu·Å) at ``temperature`` (K, or 0)."""
    factor = np.ones_like(frequencies)
    if temperature > 0.0:
        factor = 1.0 / np.tanh(HBAR * frequencies / (2.0 * units.kB * temperature))
    return np.asarray(np.sqrt(HBAR * factor / (2.0 * frequencies)))


def displacement(
    frequencies: Array, modes: Array, temperature: float, rng: np.random.Generator
) -> Array:
    """Draw one random thermal displacement (N, 3) in Å."""
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
    """Return the RDKit molecule, the atoms at the force-field geometry and the charge."""
    conformer_seed = int(fraction("conformer", molecule.inchikey, seed) * 2**31)
    mol, positions = _embed(molecule.smiles, conformer_seed, n_conformers)
    atoms = Atoms(numbers=[a.GetAtomicNum() for a in mol.GetAtoms()], positions=positions)
    return mol, atoms, int(Chem.GetFormalCharge(mol))


def conformer(molecule: Molecule, seed: int = 0) -> Atoms:
    """Return one force-field conformer of ``molecule`` with its labels in ``info``.

    Raises :class:`GeometryError` if none can be built.
    """
    mol, atoms, charge = _conformer(molecule, seed, 1)
    check_connectivity(atoms, bonds_of(mol), molecule.name)
    return _label(atoms, molecule, "conformer", 0.0, seed, charge)


def _minimum(molecule: Molecule, seed: int, n_conformers: int = 1) -> tuple[Mol, Atoms, int]:
    """Return the RDKit molecule, relaxed atoms of the right connectivity and the charge."""
    mol, atoms, charge = _conformer(molecule, seed, n_conformers)
    relaxed = relax(atoms, charge, molecule.name)
    relaxed.positions -= relaxed.get_center_of_mass()
    check_connectivity(relaxed, bonds_of(mol), molecule.name, BONDED_RELAXED)
    return mol, relaxed, charge


@dataclass(frozen=True)
class Distortion:
    """Settings of distorted geometries: thermal vibrations and twists about conjugated bonds."""

    temperatures: tuple[float, float] = (300.0, 600.0)
    """Temperature range (K)."""
    twist_share: float = 0.2
    """Share of twisted geometries among the distorted ones of molecules with a conjugated bond."""
    twist_temperature: float = 300.0
    """Temperature of the mild distortion added to a twist (K)."""
    twist_scale: float = 0.5
    """Factor on the thermal displacements added to a twist."""
    single_bond: tuple[float, float] = (20.0, 90.0)
    """Range of twist angles about single bonds (degrees)."""
    double_bond: tuple[float, float] = (20.0, 60.0)
    """Range of twist angles about double bonds (degrees). Beyond about 60° a twisted double bond
    is a diradical, which a closed-shell reference calculation cannot describe."""

    def angles(self, order: str) -> tuple[float, float]:
        """Return the range of twist angles about a ``"single"`` or ``"double"`` bond (degrees)."""
        return {"single": self.single_bond, "double": self.double_bond}[order]


def structures(
    molecule: Molecule,
    seed: int,
    n_distorted: int = 1,
    include_relaxed: bool = True,
    distortion: Distortion = Distortion(),
) -> list[Atoms]:
    """Return the relaxed geometry of ``molecule`` (if asked for) and ``n_distorted`` others.

    A distorted geometry is ``"thermal"``, at a temperature drawn uniformly from its range. If the
    molecule has a conjugated bond, a share ``distortion.twist_share`` is ``"twisted"`` instead:
    rotated about that bond (angle uniform in its range, either sense) and mildly distorted.
    Equal seeds give equal coordinates; a longer list begins with the shorter one.

    ``info`` of each Atoms holds name, smiles, inchikey, split, geometry, temperature (K), seed, the
    charge of an ion, and twist_bond and twist_angle (degrees) of a twisted geometry. Raises
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
    """Return one geometry of the molecule ``smiles``; unspecified stereochemistry is drawn.

    It starts from the lowest of ``CONFORMERS`` conformers in the force field. ``relax=False``
    returns that conformer without using xTB; ``info["geometry"]`` is then ``"conformer"`` instead
    of ``"relaxed"``. Raises ValueError for a string that is not SMILES, :class:`GeometryError` if
    no sound geometry is found.
    """
    molecule = molecule_from_smiles(smiles)
    if relax:
        _, atoms, charge = _minimum(molecule, seed, CONFORMERS)
        return _label(atoms, molecule, "relaxed", 0.0, seed, charge)
    mol, atoms, charge = _conformer(molecule, seed, CONFORMERS)
    check_connectivity(atoms, bonds_of(mol), molecule.name)
    return _label(atoms, molecule, "conformer", 0.0, seed, charge)
