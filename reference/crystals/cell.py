"""What fixes a calculation of a crystal: level of theory, k mesh, pseudopotentials and basis."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pyscf.data.elements import charge
from pyscf.pbc import gto

from esml.physics.crystals.shells import SHELLS, VALENCE_ELECTRONS
from esml.units import BOHR

from ..scf import COINCIDENT, CalculationError


@dataclass(frozen=True)
class CrystalLevel:
    """Everything that fixes the labels of a crystal but its k mesh; stored with every record.

    Defaults are those of metals. Against 150 hartree, a cutoff of 120 moves d-band centres of
    CoCrFeNi by 2 to 5 meV. ``ELECTROLYTES`` is the level of insulators.
    """

    functional: str = "pbe"
    basis: str = "gth-dzvp-molopt-sr"
    atomic_basis: str = "gth-szv-molopt-sr"  # functions of the free atoms
    pseudopotential: str = "gth-pbe"
    cutoff: float = 120.0  # hartree; kinetic energy of the density's grid
    precision: float = 1e-5  # of PySCF's lattice sums
    smearing: float = 0.01  # hartree; width of the Fermi distribution
    density_tolerance: float = 2e-4  # ∫|ρ_out − ρ_in| per electron
    window: float = 3.0  # eV above the Fermi level; bands below are kept exactly
    single_precision: bool = True  # Bloch functions on the grid
    conduction: dict[str, int] | None = None
    """Insulators: lowest conduction bands kept exactly for each atom of an element, in place of the
    window; energies count from the top of the valence bands. None: a metal."""

    @property
    def insulating(self) -> bool:
        """Whether energies count from the top of the valence bands."""
        return self.conduction is not None

    def to_json(self) -> str:
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None}, sort_keys=True)


ELECTROLYTES = CrystalLevel(cutoff=70.0, smearing=0.002, conduction={"P": 1})
"""Level of Li–P–S–Cl crystals. Between P and its four S there is one low σ* band for each P; it is
kept with the valence bands. Against 100 hartree, a cutoff of 60 moves the gap of γ-Li3PS4 by 5 meV.
"""


FEWEST_DIVISIONS = 3
"""With two, d-band centres are off by 0.1 eV even in a supercell of 10 Å."""
SUPERCELL = 14.0
"""Å; divisions of the mesh times the lattice vector come near this length. In two cells of CoCrFeNi
d-band centres are then within 3 meV of those at 18 Å; at 10.5 Å they are off by 8 on average."""
DIVISIONS_OF_ONE_ATOM = 8
"""Small cells cost little, and their Fermi level needs a fine mesh."""


def k_divisions(atoms: Atoms) -> tuple[int, int, int]:
    """Divisions of the k mesh: ``atoms.info["k_points"]`` or, without it, enough of them.

    Raises CalculationError for divisions that are not three whole numbers from one up.
    """
    given = atoms.info.get("k_points")
    if given is not None:
        found = np.asarray(given)
        if found.shape != (3,) or found.dtype.kind not in "iu" or found.min() < 1:
            raise CalculationError(
                f"k_points is {given!r}: expected three whole numbers from one up, as in 4 4 4; "
                "mend the structure's info"
            )
        return int(found[0]), int(found[1]), int(found[2])
    if len(atoms) == 1:
        return (DIVISIONS_OF_ONE_ATOM,) * 3
    a, b, c = (max(FEWEST_DIVISIONS, round(SUPERCELL / length)) for length in atoms.cell.lengths())
    return a, b, c


def require_crystal(atoms: Atoms) -> None:
    """Raise CalculationError unless ``atoms`` fill space periodically with elements known here."""
    if not atoms.pbc.all() or not abs(atoms.cell.volume) > 1.0:
        raise CalculationError(
            f"{atoms.symbols} has no cell periodic in three directions: expected a crystal; give "
            "its lattice vectors and pbc"
        )
    strange = sorted(set(atoms.numbers.tolist()) - set(SHELLS))
    if strange:
        raise CalculationError(
            f"{chemical_symbols[strange[0]]} is not supported in crystals: expected elements among "
            f"{' '.join(chemical_symbols[z] for z in sorted(SHELLS))}; leave the structure out"
        )
    if not np.isfinite(atoms.positions).all():
        raise CalculationError(
            f"a position of {atoms.symbols} is not finite: expected numbers; mend the structure"
        )
    images = atoms.repeat((2, 2, 2))
    distances = images.get_all_distances(mic=False) + np.diag(np.full(len(images), math.inf))
    if distances.min() < COINCIDENT:
        raise CalculationError(
            f"two atoms of {atoms.symbols} coincide: expected atoms {COINCIDENT} Å apart at least; "
            "mend the structure"
        )


def periodic_cell(
    atoms: Atoms, level: CrystalLevel, mesh: tuple[int, int, int] | None = None
) -> gto.Cell:
    """The PySCF cell of ``atoms``; ``mesh`` sets the points of its grid in place of the cutoff.

    Raises CalculationError for a structure that is no crystal, has an element outside
    ``esml.physics.crystals.shells``, or a basis or pseudopotential PySCF does not know.
    """
    require_crystal(atoms)
    cell = gto.Cell()
    cell.atom = [(int(z), r) for z, r in zip(atoms.numbers, atoms.positions / BOHR, strict=True)]
    cell.a = np.asarray(atoms.cell) / BOHR
    cell.unit = "Bohr"
    cell.basis, cell.pseudo = level.basis, level.pseudopotential
    cell.precision = level.precision
    if mesh is None:
        cell.ke_cutoff = level.cutoff
    else:
        cell.mesh = list(mesh)
    cell.verbose = 0
    cell.spin = None  # odd numbers of electrons are filled in pairs all the same
    try:
        cell.build()
    except Exception as error:  # PySCF raises whatever its parsers stumble over
        raise CalculationError(
            f"PySCF cannot set up {atoms.symbols} in {level.basis!r} with {level.pseudopotential!r}"
            f" ({error}): expected a basis and a pseudopotential it knows for every element; mend "
            "the level"
        ) from error
    return cell


def valence_electrons(numbers: np.ndarray) -> int:
    """Electrons of the cell in valence shells."""
    return sum(VALENCE_ELECTRONS[int(z)] for z in numbers)


def conduction_bands(numbers: np.ndarray, level: CrystalLevel) -> int:
    """Conduction bands of an insulator that ``level`` keeps exactly."""
    kept = level.conduction or {}
    return sum(kept.get(chemical_symbols[int(z)], 0) for z in numbers)


def semicore_bands(cell: gto.Cell) -> int:
    """Bands below the valence bands: half the electrons of the pseudopotential beyond valence.

    1s of Li, 3s and 3p of Cr to Ni; none of the others.
    """
    numbers = np.array([charge(cell.atom_symbol(atom)) for atom in range(cell.natm)])
    return (int(cell.atom_charges().sum()) - valence_electrons(numbers)) // 2
